"""Folders of images, read and checked: a folder for each class, as ImageFolder has them."""

import hashlib
import os
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from literate import ROOT
from literate.cache import remembered
from literate.progress import progress
from literate.tables import DataError, check_classes

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff"}
IGNORED = {"thumbs.db", "desktop.ini"}  # and hidden files, which file managers leave behind
Fit = Literal["crop", "pad", "stretch"]


@remembered
def read(
    folder: str | Path, *, size: tuple[int, int], color: bool = False, fit: Fit | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.int64], tuple[str, ...]]:
    """Return the images in the folders of a folder, their classes and the classes' names.

    The array is (n_images, height, width) of grey values from 0 to 255 or, in `color`, (n_images,
    3, height, width).  An image is turned as its EXIF data say, put on white where it is
    transparent, and brought to `size` (height, width) by Pillow's Lanczos filter.  One of other
    proportions is refused, unless `fit` says to crop it at its centre, to pad it with black, or to
    stretch it.  Images and classes are in the order of their names.

    Raises DataError, which names the file, what is there and what to do.
    """
    if not (len(size) == 2 and all(isinstance(n, int) and n > 0 for n in size)):
        raise DataError(f"{folder}: size is {size!r}: give height and width in pixels, (28, 28)")
    place = ROOT / folder
    if not place.is_dir():
        raise DataError(f"{folder}: there is no such folder: correct its name")
    loose, classes = [], []
    for path in _listed(place):
        (classes if path.is_dir() else loose).append(path)
    if loose:
        raise DataError(f"{_shown(loose[0])}: is in no class: put it in the folder of its class")
    if not classes:
        raise DataError(f"{folder}: has no folders: put the images of each class in one of its own")
    files = [(path, number) for number, one in enumerate(classes) for path in _listed(one)]
    counts = np.bincount([number for _, number in files], minlength=len(classes))
    for one, count in zip(classes, counts, strict=True):
        if count == 0:
            raise DataError(f"{_shown(one)}: has no images: add some, or delete the folder")
    for path, _ in files:
        if path.is_dir():
            raise DataError(f"{_shown(path)}: is a folder in a class: move its images up")
        if path.suffix.lower() not in SUFFIXES:
            raise DataError(
                f"{_shown(path)}: is no PNG, JPEG or TIFF by its name: convert it, or move it away"
            )
    names = tuple(path.name for path in classes)
    check_classes(names, len(files), str(folder))
    shape = (len(files), *((3,) if color else ()), *size)
    try:
        X = np.empty(shape, dtype=np.uint8)
    except MemoryError:
        raise DataError(
            f"{folder}: {len(files)} images of {size[0]} x {size[1]} take"
            f" {np.prod(shape) / 1e9:.1f} GB, more than there is: choose a smaller size"
        ) from None
    seen: dict[bytes, int] = {}
    with progress(len(files)) as bar:
        for n, (path, number) in enumerate(files):
            X[n] = _image(path, size, color, fit)
            first = seen.setdefault(hashlib.sha256(X[n].tobytes()).digest(), n)
            if first != n:
                other = "" if files[first][1] == number else " in another class"
                raise DataError(
                    f"{_shown(path)}: is the same image as {_shown(files[first][0])}{other}: delete"
                    " one, since models would be tested on what they have seen"
                )
            bar.update()
    return X, np.array([number for _, number in files]), names


def _listed(folder: Path) -> list[Path]:
    found = [path for path in folder.iterdir() if path.name.lower() not in IGNORED]
    return sorted(path for path in found if not path.name.startswith("."))


def _shown(path: Path) -> str:
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)


def _image(path: Path, size: tuple[int, int], color: bool, fit: Fit | None) -> NDArray[np.uint8]:
    from PIL import Image, ImageOps

    image = _flat(path, _opened(path)).convert("RGB" if color else "L")
    height, width = size
    away = abs(image.width * height / image.height - width)
    if fit is None and away >= 1:
        raise DataError(
            f"{_shown(path)}: has {image.height} x {image.width} pixels, which {height} x {width}"
            ' would distort: choose another size, or fit="crop", "pad" or "stretch"'
        )
    smooth = Image.Resampling.LANCZOS
    if fit == "crop":
        image = ImageOps.fit(image, (width, height), smooth)
    elif fit == "pad":
        image = ImageOps.pad(image, (width, height), smooth)
    else:
        image = image.resize((width, height), smooth)
    pixels = np.asarray(image)
    return pixels.transpose(2, 0, 1) if color else pixels


def _opened(path: Path) -> Any:
    """Return an image as it should be seen."""
    from PIL import ExifTags, Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                n_frames = getattr(image, "n_frames", 1)
                if n_frames > 1:
                    raise DataError(
                        f"{_shown(path)}: holds {n_frames} images, as an animation does: save the"
                        " one that counts by itself"
                    )
                turned = image.getexif().get(ExifTags.Base.Orientation, 1) > 4
                if image.format == "TIFF" and turned and image.info.get("compression") == "raw":
                    raise DataError(
                        f"{_shown(path)}: is turned by its orientation, which Pillow reads wrongly"
                        " in a TIFF without compression: save it upright"
                    )
                return ImageOps.exif_transpose(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise DataError(
            f"{_shown(path)}: has more than {Image.MAX_IMAGE_PIXELS} pixels: shrink it"
        ) from None
    except DataError:
        raise
    except Exception as error:  # Pillow's decoders raise anything
        raise DataError(
            f"{_shown(path)}: cannot be read as an image ({error or type(error).__name__}): save it"
            " again, or delete it"
        ) from None


def _flat(path: Path, image: Any) -> Any:
    """Return an image of eight bits a channel, on white where it is transparent."""
    from PIL import Image

    if image.mode[0] in "IF":
        values = np.asarray(image)
        if image.mode == "F" or values.min() < 0 or values.max() > 65535:
            raise DataError(
                f"{_shown(path)}: its pixels go from {values.min():g} to {values.max():g}: save it"
                " with 8 or 16 bits a channel"
            )
        return Image.fromarray(np.rint(values / 257).astype(np.uint8))
    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image
