from __future__ import annotations

import torch
from torch import Tensor, nn

from torchport.emit.snippets.augment import uniform


class RandomGrayscale(nn.Module):
    """Make some images gray in training."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        gray = 0.2989 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:3]
        return torch.where(uniform(x, 0, 1) < self.p, gray, x)


class RandomColorDegeneration(nn.Module):
    """Take some of the colour of each image away in training."""

    def __init__(self, low: float, high: float, value_range: tuple[float, float]) -> None:
        super().__init__()
        self.low, self.high, self.value_range = low, high, value_range

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        gray = 0.2989 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:3]
        return (x + uniform(x, self.low, self.high) * (gray - x)).clamp(*self.value_range)


def rgb_to_hsv(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Hue, saturation and value of images (n, 3, h, w), each (n, h, w)."""
    r, g, b = x.unbind(1)
    value, low = x.amax(1), x.amin(1)
    spread = value - low
    sixth = 1 / (6 * spread)
    hue = torch.where(g == value, sixth * (b - r) + 2 / 6, sixth * (r - g) + 4 / 6)
    hue = torch.where(r == value, sixth * (g - b), hue)
    hue = torch.where(spread > 0, hue, 0.0)
    return (
        torch.where(hue < 0, hue + 1, hue),
        torch.where(value > 0, spread / value, 0.0),
        value,
    )


def hsv_to_rgb(hue: Tensor, saturation: Tensor, value: Tensor) -> Tensor:
    """The inverse of rgb_to_hsv."""
    at = 6 * hue
    parts = ((at - 3).abs() - 1, 2 - (at - 2).abs(), 2 - (at - 4).abs())
    return torch.stack(
        [(1 - saturation + saturation * it.clamp(0, 1)) * value for it in parts], dim=1
    )


class RandomSaturation(nn.Module):
    """Scale the saturation of each image in training."""

    def __init__(self, low: float, high: float, value_range: tuple[float, float]) -> None:
        super().__init__()
        self.low, self.high, self.value_range = low, high, value_range

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        amount = uniform(x, self.low, self.high)[:, 0]
        hue, saturation, value = rgb_to_hsv(x)
        saturation = (saturation * (amount / (1 - amount + 1e-7))).clamp(*self.value_range)
        return hsv_to_rgb(hue, saturation, value)


class RandomHue(nn.Module):
    """Turn the hue of each image in training."""

    def __init__(self, low: float, high: float, value_range: tuple[float, float]) -> None:
        super().__init__()
        self.low, self.high, self.value_range = low, high, value_range

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        least, most = self.value_range
        sign = torch.where(uniform(x, 0, 1) > 0.5, -1.0, 1.0)
        hue, saturation, value = rgb_to_hsv((x - least) / (most - least))
        hue = hue + (sign * uniform(x, self.low, self.high) * 0.5)[:, 0]
        hue = torch.where(hue > 1, hue - 1, hue)
        hue = torch.where(hue < 0, hue + 1, hue)
        return hsv_to_rgb(hue, saturation, value).clamp(0, 1) * (most - least) + least
