from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from torchport.emit.snippets.augment_color import hsv_to_rgb, rgb_to_hsv


def adjust_saturation(x: Tensor, factor: float) -> Tensor:
    """Images (n, 3, h, w) with their saturation scaled."""
    hue, saturation, value = rgb_to_hsv(x)
    return hsv_to_rgb(hue, (saturation * factor).clamp(0, 1), value)


def adjust_hue(x: Tensor, delta: float) -> Tensor:
    """Images (n, 3, h, w) with their hue moved round the circle."""
    hue, saturation, value = rgb_to_hsv(x)
    return hsv_to_rgb((hue + delta) % 1, saturation, value)


def standardize_images(x: Tensor) -> Tensor:
    """Each image less its mean, over its standard deviation, which is at least 1 / sqrt(count)."""
    deviation = x.std((1, 2, 3), correction=0, keepdim=True)
    return (x - x.mean((1, 2, 3), keepdim=True)) / deviation.clamp(min=x[0].numel() ** -0.5)


def crop_and_resize(
    x: Tensor, boxes: Tensor, indices: Tensor, size: tuple[int, int], outside: float = 0
) -> Tensor:
    """Boxes (k, 4) of images (n, c, h, w), each of that with its index, resized: (k, c, *size)."""
    places = []
    for at, (n, count) in enumerate(zip(x.shape[2:], size, strict=True)):
        first, last = boxes[:, at], boxes[:, at + 2]
        steps = torch.linspace(0, 1, count, dtype=x.dtype, device=x.device)
        share = steps if count > 1 else steps + 0.5
        places.append((first[:, None] + (last - first)[:, None] * share) * (n - 1))
    rows, columns = places
    scale = [max(n - 1, 1) / 2 for n in x.shape[2:]]
    grid = torch.stack(
        torch.broadcast_tensors(columns[:, None] / scale[1] - 1, rows[:, :, None] / scale[0] - 1),
        dim=-1,
    )
    made = F.grid_sample(
        x[indices.long()], grid.to(x.dtype), padding_mode="border", align_corners=True
    )
    inside = (rows >= 0) & (rows <= x.shape[2] - 1)
    within = (columns >= 0) & (columns <= x.shape[3] - 1)
    return torch.where((inside[:, :, None] & within[:, None])[:, None], made, outside)
