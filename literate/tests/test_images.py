"""Folders of images become the numbers that they show, or the fault is named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from literate import cache, images
from literate.tables import DataError

CLASSES = ("cat", "dog")
rng = np.random.default_rng(0)


def save(path: Path, pixels, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels)).save(path, **options)
    return path


def noise(*shape: int) -> np.ndarray:
    return rng.integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch) -> Path:
    """Three images of 6 x 4 pixels in each of two classes."""
    monkeypatch.setattr(cache, "FOLDER", tmp_path / ".cache")
    monkeypatch.setenv("PYCODE_WORKERS", "1")
    for name in CLASSES:
        for n in range(3):
            save(tmp_path / "photos" / name / f"{n}.png", noise(6, 4))
    return tmp_path / "photos"


def test_pixels_classes_and_order_are_those_of_the_files(folder):
    (folder / ".DS_Store").write_bytes(b"x")
    (folder / "cat" / "Thumbs.db").write_bytes(b"x")
    X, y, classes = images.read(folder, size=(6, 4))
    files = [folder / name / f"{n}.png" for name in CLASSES for n in range(3)]
    assert np.array_equal(X, [np.asarray(Image.open(file)) for file in files])
    assert y.tolist() == [0, 0, 0, 1, 1, 1]
    assert classes == CLASSES


def test_colours_are_channels(folder):
    pixels = noise(6, 4, 3)
    save(folder / "cat" / "a.png", pixels)
    X = images.read(folder, size=(6, 4), color=True)[0]
    assert X.shape == (7, 3, 6, 4)
    assert np.array_equal(X[3], pixels.transpose(2, 0, 1))
    assert np.array_equal(X[0, 0], X[0, 2])  # a grey one


def read_one(folder: Path, pixels, suffix=".png", *, shape=(6, 4), fit=None, **options):
    save(folder / "cat" / f"a{suffix}", pixels, **options)
    return images.read(folder, size=shape, fit=fit)[0][3]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
def test_images_are_turned_as_they_were_taken(folder, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6  # its top is on the right
    pixels = np.repeat(np.array([[10, 200]], dtype=np.uint8), 4, axis=0).repeat(3, axis=1)  # 4 x 6
    options = {
        ".png": {"exif": exif},
        ".jpg": {"exif": exif, "quality": 100},
        ".tif": {"tiffinfo": {0x0112: 6}, "compression": "tiff_lzw"},
    }
    found = read_one(folder, pixels, suffix, **options[suffix])
    assert np.abs(found.astype(int) - np.rot90(pixels, -1)).max() <= 3


def test_sixteen_bits_become_eight(folder):
    assert read_one(folder, noise(6, 4).astype(np.uint16) * 257).max() > 255 / 2
    values = np.arange(24, dtype=np.uint16).reshape(6, 4) * 2570
    assert np.array_equal(read_one(folder, values), values / 257)


def test_transparency_is_white(folder):
    pixels = np.zeros((6, 4, 4), dtype=np.uint8)
    pixels[:3, :, 3] = 255
    found = read_one(folder, pixels)
    assert (found[:3] == 0).all()
    assert (found[3:] == 255).all()


@pytest.mark.parametrize(
    ("fit", "expected"),
    [("crop", [100, 100]), ("pad", [0, 100, 0]), ("stretch", [50, 100, 150])],
)
def test_other_proportions_are_fitted_as_asked(folder, fit, expected):
    column = {"crop": [50, 100, 100, 150], "pad": [100], "stretch": [50, 100, 150]}[fit]
    wide = np.repeat(np.repeat(np.array([column], dtype=np.uint8), 12, axis=0), 12, axis=1)
    shape = {"crop": (12, 24), "pad": (12, 36), "stretch": (24, 36)}[fit]
    for path in folder.glob("*/*"):
        path.unlink()
    for n, name in enumerate(CLASSES):
        save(folder / name / "a.png", wide + np.uint8(n))
    found = images.read(folder, size=shape, fit=fit)[0][0]
    assert found.shape == shape
    middles = np.split(found, len(expected), axis=1)
    assert [int(np.median(part)) for part in middles] == expected


def test_images_shrink_by_their_means(folder):
    """A filter that took every tenth pixel would find noise."""
    assert 110 < read_one(folder, noise(60, 40)).mean() < 145
    checks = np.indices((600, 400)).sum(axis=0) % 2 * 255
    found = read_one(folder, checks.astype(np.uint8))
    assert np.abs(found.astype(float) - 127.5).max() <= 2


def broken(path: Path, keep: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * keep)])


def animated(folder: Path) -> None:
    frames = [Image.fromarray(noise(6, 4)) for _ in range(2)]
    frames[0].save(folder / "dog" / "a.tif", save_all=True, append_images=frames[1:])


FAULTS = {
    "truncated": (lambda f: broken(f / "cat" / "1.png", 0.7), ["cat/1.png", "cannot be read"]),
    "empty": (lambda f: broken(f / "cat" / "1.png", 0), ["cat/1.png", "cannot be read"]),
    "no image": (lambda f: (f / "dog" / "a.png").write_text("x"), ["dog/a.png", "cannot be read"]),
    "animated": (animated, ["dog/a.tif", "2 images"]),
    "another kind": (lambda f: (f / "dog" / "a.gif").write_text("x"), ["dog/a.gif", "PNG, JPEG"]),
    "another size": (lambda f: save(f / "dog" / "a.png", noise(4, 6)), ["4 x 6", "6 x 4", "fit="]),
    "loose": (lambda f: save(f / "a.png", noise(6, 4)), ["a.png", "folder of its class"]),
    "empty class": (lambda f: (f / "eel").mkdir(), ["eel", "no images"]),
    "too deep": (lambda f: (f / "dog" / "big").mkdir(), ["dog/big", "move its images up"]),
    "copy": (
        lambda f: (f / "cat" / "9.png").write_bytes((f / "cat" / "0.png").read_bytes()),
        ["cat/9.png", "same image", "cat/0.png"],
    ),
    "copy in another class": (
        lambda f: (f / "dog" / "9.png").write_bytes((f / "cat" / "0.png").read_bytes()),
        ["dog/9.png", "in another class"],
    ),
    "names alike": (lambda f: save(f / "Cat" / "a.png", noise(6, 4)), ["'Cat'", "'cat'"]),
    "turned": (
        lambda f: save(f / "dog" / "a.tif", noise(4, 6), tiffinfo={0x0112: 6}),
        ["dog/a.tif", "save it upright"],
    ),
    "real numbers": (
        lambda f: save(f / "dog" / "a.tif", np.ones((6, 4), np.float32)),
        ["dog/a.tif", "8 or 16 bits"],
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_are_named(folder, fault):
    make, parts = FAULTS[fault]
    make(folder)
    with pytest.raises(DataError) as raised:
        images.read(folder, size=(6, 4))
    for part in parts:
        assert part in str(raised.value)


def test_huge_images_are_refused(folder, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(DataError, match=r"cat/0.png: has more than 20 pixels: shrink it"):
        images.read(folder, size=(6, 4))


@pytest.mark.parametrize("size", [(0, 4), (4,), (4.0, 4), "64"])
def test_size_is_a_pair_of_pixels(folder, size):
    with pytest.raises(DataError, match="give height and width in pixels"):
        images.read(folder, size=size)


def test_folder_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match="there is no such folder"):
        images.read(tmp_path / "photos", size=(6, 4))
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match="has no folders"):
        images.read(tmp_path / "photos", size=(6, 4))
