from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def uniform(x: Tensor, low: float, high: float) -> Tensor:
    """A number for each image, (n, 1, 1, 1)."""
    return torch.empty(x.shape[0], 1, 1, 1, dtype=x.dtype, device=x.device).uniform_(low, high)


def to_bytes(x: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Values of a range on the scale from 0 to 255."""
    least, most = value_range
    return x if value_range == (0, 255) else (x - least) / (most - least) * 255


def from_bytes(x: Tensor, value_range: tuple[float, float]) -> Tensor:
    """The inverse of to_bytes."""
    least, most = value_range
    return x if value_range == (0, 255) else x / 255 * (most - least) + least


class RandomBrightness(nn.Module):
    """Add a number to each image in training."""

    def __init__(self, low: float, high: float, value_range: tuple[float, float]) -> None:
        super().__init__()
        self.low, self.high, self.value_range = low, high, value_range

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        least, most = self.value_range
        return (x + uniform(x, self.low, self.high) * (most - least)).clamp(least, most)


class RandomContrast(nn.Module):
    """Scale each image around the mean of its channels in training; `alike`: all of a batch."""

    def __init__(
        self, low: float, high: float, value_range: tuple[float, float], alike: bool = False
    ) -> None:
        super().__init__()
        self.low, self.high, self.value_range, self.alike = low, high, value_range, alike

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        mean = x.mean((2, 3), keepdim=True)
        amount = uniform(x[:1] if self.alike else x, self.low, self.high)
        return ((x - mean) * amount + mean).clamp(*self.value_range)


class RandomInvert(nn.Module):
    """Invert some images in training; how many is drawn as well."""

    def __init__(self, low: float, high: float, most: float) -> None:
        super().__init__()
        self.low, self.high, self.most = low, high, most

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return torch.where(uniform(x, 0, 1) < uniform(x, self.low, self.high), self.most - x, x)


class Solarization(nn.Module):
    """Add a number (of 255) to each image and invert what is above another, in training."""

    def __init__(
        self,
        addition: tuple[float, float],
        threshold: tuple[float, float],
        value_range: tuple[float, float],
    ) -> None:
        super().__init__()
        self.addition, self.threshold, self.value_range = addition, threshold, value_range

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        x = (to_bytes(x, self.value_range) + uniform(x, *self.addition)).clamp(0, 255)
        x = torch.where(x < uniform(x, *self.threshold), x, 255 - x)
        return from_bytes(x, self.value_range)


class RandomPosterization(nn.Module):
    """Keep the highest bits of each image's values in training: from `low` to `high` of eight."""

    def __init__(self, low: int, high: int, value_range: tuple[float, float]) -> None:
        super().__init__()
        self.low, self.high, self.value_range = low, high, value_range

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        bits = torch.randint(self.low, self.high + 1, (x.shape[0], 1, 1, 1), device=x.device)
        levels = to_bytes(x, self.value_range).clamp(0, 255).long()
        levels = levels >> (8 - bits) << (8 - bits)
        return from_bytes(levels.to(x.dtype), self.value_range)


class AutoContrast(nn.Module):
    """Stretch every channel of every image to the whole range."""

    def __init__(self, value_range: tuple[float, float]) -> None:
        super().__init__()
        self.value_range = value_range

    def forward(self, x: Tensor) -> Tensor:
        scaled = to_bytes(x, self.value_range)
        low, high = scaled.amin((2, 3), keepdim=True), scaled.amax((2, 3), keepdim=True)
        scale = 255 / (high - low)
        result = from_bytes((scaled * scale - low * scale).clamp(0, 255), self.value_range)
        return torch.where(result.isnan(), x, result)


class RandomSharpness(nn.Module):
    """Blur or sharpen each image in training."""

    def __init__(self, low: float, high: float, value_range: tuple[float, float]) -> None:
        super().__init__()
        self.low, self.high, self.value_range = low, high, value_range

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        padded = F.pad(x, (1, 1, 1, 1))
        smooth = 9 * F.avg_pool2d(padded, 3, 1) / 13 + 4 * x / 13
        amount = 1 - 2 * uniform(x, self.low, self.high)
        return (x + amount * (smooth - x)).clamp(*self.value_range)


class RandomGaussianBlur(nn.Module):
    """Blur some images in training, all of them alike; how many is drawn as well."""

    def __init__(
        self,
        low: float,
        high: float,
        size: int,
        sigma: tuple[float, float],
        value_range: tuple[float, float],
    ) -> None:
        super().__init__()
        self.low, self.high, self.size, self.sigma = low, high, size, sigma
        self.value_range = value_range

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        at = torch.arange(self.size, dtype=x.dtype, device=x.device) - (self.size - 1) / 2
        sigmas = torch.empty(2, 1, dtype=x.dtype, device=x.device).uniform_(*self.sigma) + 1e-6
        across, down = torch.softmax(-0.5 * (at / sigmas) ** 2, dim=1)
        kernel = (down[:, None] * across).expand(x.shape[1], 1, -1, -1)
        blurred = F.conv2d(x, kernel, padding="same", groups=x.shape[1])
        chosen = uniform(x, 0, 1) < uniform(x, self.low, self.high)
        return torch.where(chosen, blurred, x).clamp(*self.value_range)


class RandomErasing(nn.Module):
    """Fill a rectangle of some images in training, with noise where `fill` is None.

    How many is drawn as well; `scale` is between which parts of the image the rectangle is.
    """

    def __init__(
        self,
        low: float,
        high: float,
        scale: tuple[float, float],
        value_range: tuple[float, float],
        fill: float | tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        self.low, self.high, self.scale = low, high, scale
        self.value_range, self.fill = value_range, fill

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        inside = self.stretch(x, x.shape[2])[..., None] & self.stretch(x, x.shape[3])[..., None, :]
        chosen = uniform(x, 0, 1) < uniform(x, self.low, self.high)
        if self.fill is None:
            fill = (torch.randn_like(x) * self.value_range[1]).clamp(*self.value_range)
        else:
            fill = x.new_tensor(self.fill).view(-1, 1, 1)
        return torch.where(inside & chosen, fill, x)

    def stretch(self, x: Tensor, size: int) -> Tensor:
        """Which places of an axis the rectangle of each image covers, (n, 1, size)."""
        length = uniform(x, *self.scale).sqrt() * size
        start = uniform(x, 0, 1) * (size - length)
        at = torch.arange(size, dtype=x.dtype, device=x.device)
        return ((at >= start) & (at < start + length))[..., 0, :]
