from __future__ import annotations

import torch
from torch import Tensor


def keys_cubic(x: Tensor) -> Tensor:
    """The cubic kernel with a = -0.5; torch's own has a = -0.75."""
    x = x.abs()
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def lanczos(x: Tensor, radius: int) -> Tensor:
    """The windowed sinc of a radius."""
    return torch.where(x.abs() < radius, torch.sinc(x) * torch.sinc(x / radius), 0.0)


def triangle(x: Tensor) -> Tensor:
    return (1 - x.abs()).clamp(min=0)


def resize_weights(x: Tensor, n: int, size: int, method: str, antialias: bool) -> Tensor:
    """(size, n): how much each of n pixels counts in each of `size`, as TensorFlow counts it."""
    place = (torch.arange(size, dtype=x.dtype, device=x.device) + 0.5) * (n / size) - 0.5
    apart = torch.arange(n, dtype=x.dtype, device=x.device) - place[:, None]
    if method == "bicubic" and not antialias:
        # TensorFlow looks its weights up in a table of 1024 entries.
        whole = place.floor()
        part = ((place - whole) * 1024).round() / 1024
        apart = torch.arange(n, dtype=x.dtype, device=x.device) - (whole + part)[:, None]
    if antialias:
        apart = apart / max(n / size, 1.0)
    if method == "bilinear":
        weights = triangle(apart)
    elif method == "bicubic":
        weights = keys_cubic(apart)
    else:
        weights = lanczos(apart, int(method[-1]))
    return weights / weights.sum(1, keepdim=True)


def resize(x: Tensor, size: tuple[int, int], method: str, antialias: bool = False) -> Tensor:
    """Resize images (n, c, h, w) as tf.image.resize does."""
    rows = resize_weights(x, x.shape[2], size[0], method, antialias)
    columns = resize_weights(x, x.shape[3], size[1], method, antialias)
    return rows @ x @ columns.T


def area_weights(x: Tensor, n: int, size: int) -> Tensor:
    """(size, n): how much of each of n pixels lies under each of `size`."""
    scale = n / size
    start = torch.arange(size, dtype=x.dtype, device=x.device)[:, None] * scale
    pixel = torch.arange(n, dtype=x.dtype, device=x.device)
    return (torch.minimum(start + scale, pixel + 1) - torch.maximum(start, pixel)).clamp(
        min=0
    ) / scale


def resize_area(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (n, c, h, w), each pixel the mean of what lies under it."""
    rows, columns = area_weights(x, x.shape[2], size[0]), area_weights(x, x.shape[3], size[1])
    return rows @ x @ columns.T


def resize_legacy(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize images (n, c, h, w) as TensorFlow 1 did: places are counted from a pixel's corner."""
    for dim, count in zip((2, 3), size, strict=True):
        n = x.shape[dim]
        place = torch.arange(count, dtype=x.dtype, device=x.device) * (n / count)
        first = place.floor().long().clamp(max=n - 1)
        share = (place - first).view(-1, *[1] * (3 - dim))
        before, after = (
            x.index_select(dim, first),
            x.index_select(dim, (first + 1).clamp(max=n - 1)),
        )
        x = before + (after - before) * share
    return x
