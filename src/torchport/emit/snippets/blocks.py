from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def depth_to_space(x: Tensor, size: int) -> Tensor:
    """(n, size² c, h, w) -> (n, c, size h, size w); torch's pixel_shuffle has c before size²."""
    n, channels, height, width = x.shape
    x = x.reshape(n, size, size, channels // size**2, height, width)
    return x.permute(0, 3, 4, 1, 5, 2).reshape(n, -1, height * size, width * size)


def space_to_depth(x: Tensor, size: int) -> Tensor:
    """The inverse of depth_to_space."""
    n, channels, height, width = x.shape
    x = x.reshape(n, channels, height // size, size, width // size, size)
    return x.permute(0, 3, 5, 1, 2, 4).reshape(n, -1, height // size, width // size)


def extract_patches(
    x: Tensor, size: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int] = (1, 1)
) -> Tensor:
    """Patches as vectors, channels innermost: (n, c, h, w) -> (n, size c, rows, columns)."""
    places = [
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(x.shape[2:], size, stride, dilation, strict=True)
    ]
    patches = F.unfold(x, size, dilation, stride=stride).unflatten(1, (x.shape[1], -1))
    return patches.transpose(1, 2).flatten(1, 2).unflatten(2, places)
