from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchport.emit.snippets.augment import uniform
from torchport.emit.snippets.augment_place import pixels


class RandomElasticTransform(nn.Module):
    """Distort some images in training; how many and, for all alike, how much is drawn as well."""

    def __init__(
        self,
        low: float,
        high: float,
        scale: tuple[float, float],
        value_range: tuple[float, float],
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        interpolation: str = "bilinear",
    ) -> None:
        super().__init__()
        self.low, self.high, self.scale, self.value_range = low, high, scale, value_range
        self.fill_mode, self.fill_value, self.interpolation = fill_mode, fill_value, interpolation

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        height, width = x.shape[2:]
        amount = x.new_empty(()).uniform_(*self.scale)
        sigma = 0.05 * amount * min(height, width)
        radius = 3 * int(sigma)
        at = torch.arange(-radius, radius + 1, dtype=x.dtype, device=x.device)
        kernel = torch.softmax(-0.5 * (at / sigma) ** 2, dim=0)
        noise = sigma * torch.randn_like(x[:, :1])
        noise = F.conv2d(noise, (kernel[:, None] * kernel)[None, None], padding=radius)
        # Keras moves both ways by the same noise: it draws them with one seed.
        move = 0.1 * amount * max(height, width) * noise
        at_y = torch.arange(height, dtype=x.dtype, device=x.device)[:, None] + move
        at_x = torch.arange(width, dtype=x.dtype, device=x.device) + move
        chosen = uniform(x, 0, 1) < uniform(x, self.low, self.high)
        return torch.where(chosen, self.distorted(x, at_y, at_x), x).clamp(*self.value_range)

    def distorted(self, x: Tensor, at_y: Tensor, at_x: Tensor) -> Tensor:
        """Values of x (n, c, h, w) at places (n, 1, h, w)."""
        if self.interpolation == "nearest":
            return self.found(x, at_y.round(), at_x.round())
        top, left = at_y.floor(), at_x.floor()
        down, right = at_y - top, at_x - left
        upper = (1 - right) * self.found(x, top, left) + right * self.found(x, top, left + 1)
        lower = (1 - right) * self.found(x, top + 1, left)
        lower = lower + right * self.found(x, top + 1, left + 1)
        return (1 - down) * upper + down * lower

    def found(self, x: Tensor, row: Tensor, column: Tensor) -> Tensor:
        row, column = (
            turned(at, x.shape[2 + axis], self.fill_mode) for axis, at in enumerate((row, column))
        )
        return pixels(x, row, column, self.fill_value)


def turned(at: Tensor, size: int, fill_mode: str) -> Tensor:
    """Whole places outside an axis, led back inside: mirrored, wrapped or to the edge."""
    if fill_mode == "reflect":
        at = at.abs().remainder(2 * size)
        return torch.where(at < size, at, 2 * size - 1 - at)
    if fill_mode == "wrap":
        return at.remainder(size)
    return at.clamp(0, size - 1) if fill_mode == "nearest" else at
