"""A figure."""

import numpy as np
from numpy.typing import NDArray

from literate.drawing import Drawn, figure, panels


@figure
def mistakes(
    images: NDArray[np.float64],
    true: list[int],
    predicted: list[int],
    classes: tuple[str, ...],
    *,
    width: str,
) -> Drawn:
    fig, axes = panels(width, columns=len(images), height=2)
    for ax, image, right, wrong in zip(axes, images, true, predicted, strict=True):
        ax.pcolormesh(image, cmap="Greys")
        ax.set(title=f"{classes[right]}, not {classes[wrong]}", xticks=[], yticks=[])
    return fig, f"{len(images)} misclassified images."
