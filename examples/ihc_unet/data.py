"""The stained tissue: an image, its target, and the quarter kept for testing.

scikit-image ships the picture: colonic glands, FHL2 protein shown by DAB (brown), nuclei by
haematoxylin (blue). The target needs no annotator: brown is found by colour deconvolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.color import rgb2hed
from skimage.data import immunohistochemistry
from skimage.filters import gaussian, threshold_otsu

HALF = 256  # the kept quarter is image[HALF:, HALF:], bottom right
PATCH = 128


@dataclass(frozen=True)
class Tissue:
    """An image with the mask of its stained part.

    image: (h, w, 3) float32 in 0..1; target: (h, w, 1) float32, 1 where stained.
    """

    image: NDArray[np.float32]
    target: NDArray[np.float32]

    @property
    def kept(self) -> Tissue:
        """The quarter that training never sees: (256, 256, ...)."""
        return Tissue(self.image[HALF:, HALF:], self.target[HALF:, HALF:])


def tissue() -> Tissue:
    """The whole picture, 512 x 512; stained is where DAB exceeds Otsu's threshold."""
    rgb = immunohistochemistry()
    dab = gaussian(rgb2hed(rgb)[..., 2], sigma=1)
    trained_on = np.ones(dab.shape, bool)
    trained_on[HALF:, HALF:] = False
    stained = dab > threshold_otsu(dab[trained_on])  # the kept quarter sets no threshold
    return Tissue(
        image=(rgb / 255).astype(np.float32),
        target=stained[..., None].astype(np.float32),
    )


def training_batches(
    whole: Tissue, batch_size: int, seed: int
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Endless batches of random patches outside the kept quarter, turned and flipped.

    Yields (n, 128, 128, 3) images and (n, 128, 128, 1) targets.
    """
    rng = np.random.default_rng(seed)
    while True:
        pairs = [_patch(whole, rng) for _ in range(batch_size)]
        yield np.stack([image for image, _ in pairs]), np.stack([target for _, target in pairs])


def _patch(whole: Tissue, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    height, width = whole.target.shape[:2]
    while True:
        top = int(rng.integers(0, height - PATCH + 1))
        left = int(rng.integers(0, width - PATCH + 1))
        if top + PATCH <= HALF or left + PATCH <= HALF:  # wholly outside the kept quarter
            break
    window = np.s_[top : top + PATCH, left : left + PATCH]
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))

    def turn(a: NDArray[np.float32]) -> NDArray[np.float32]:
        turned = np.rot90(a[window], turns)
        return turned[:, ::-1] if mirrored else turned

    return turn(whole.image), turn(whole.target)


def dice(probability: NDArray[np.float32], target: NDArray[np.float32]) -> float:
    """Dice overlap of probability > 0.5 with the target: 1 is perfect. Equal shapes."""
    if probability.shape != target.shape:
        raise ValueError(f"shapes differ: {probability.shape} and {target.shape}")
    found, wanted = probability > 0.5, target > 0.5
    return float(2 * (found & wanted).sum() / (found.sum() + wanted.sum()))
