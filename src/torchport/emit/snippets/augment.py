from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def uniform(x: Tensor, low: float, high: float) -> Tensor:
    """A number for each image, (n, 1, 1, 1)."""
    return torch.empty(x.shape[0], 1, 1, 1, dtype=x.dtype, device=x.device).uniform_(low, high)


class RandomFlip(nn.Module):
    """Flip half of the images in training, along all of these axes at once."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(uniform(x, 0, 1) <= 0.5, x.flip(self.dims), x) if self.training else x


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
    """Scale each image around the mean of its channels in training."""

    def __init__(self, low: float, high: float, value_range: tuple[float, float]) -> None:
        super().__init__()
        self.low, self.high, self.value_range = low, high, value_range

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        mean = x.mean((2, 3), keepdim=True)
        return ((x - mean) * uniform(x, self.low, self.high) + mean).clamp(*self.value_range)


class RandomInvert(nn.Module):
    """Invert some images in training; how many is drawn as well."""

    def __init__(self, low: float, high: float, most: float) -> None:
        super().__init__()
        self.low, self.high, self.most = low, high, most

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return torch.where(uniform(x, 0, 1) < uniform(x, self.low, self.high), self.most - x, x)


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
        least, most = self.value_range
        x = (x - least) / (most - least) * 255
        x = (x + uniform(x, *self.addition)).clamp(0, 255)
        x = torch.where(x < uniform(x, *self.threshold), x, 255 - x)
        return x / 255 * (most - least) + least


class RandomAffine(nn.Module):
    """Rotate, zoom and move images in training, as TensorFlow samples and fills them.

    Angles are parts of a full turn, moves parts of the image; `zoom_x` None: as `zoom_y`.
    """

    def __init__(
        self,
        rotate: tuple[float, float] = (0.0, 0.0),
        zoom_y: tuple[float, float] = (0.0, 0.0),
        zoom_x: tuple[float, float] | None = None,
        move_y: tuple[float, float] = (0.0, 0.0),
        move_x: tuple[float, float] = (0.0, 0.0),
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        interpolation: str = "bilinear",
    ) -> None:
        super().__init__()
        self.rotate, self.zoom_y, self.zoom_x = rotate, zoom_y, zoom_x
        self.move_y, self.move_x = move_y, move_x
        self.fill_mode, self.fill_value, self.interpolation = fill_mode, fill_value, interpolation

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        height, width = x.shape[2:]
        angle = 2 * math.pi * uniform(x, *self.rotate)
        zoom_y = 1 + uniform(x, *self.zoom_y)
        zoom_x = zoom_y if self.zoom_x is None else 1 + uniform(x, *self.zoom_x)
        rows = torch.arange(height, dtype=x.dtype, device=x.device)[:, None] - (height - 1) / 2
        columns = torch.arange(width, dtype=x.dtype, device=x.device) - (width - 1) / 2
        at_x = zoom_x * (angle.cos() * columns - angle.sin() * rows) + (width - 1) / 2
        at_y = zoom_y * (angle.sin() * columns + angle.cos() * rows) + (height - 1) / 2
        at_x = at_x - uniform(x, *self.move_x) * width
        at_y = at_y - uniform(x, *self.move_y) * height
        return sample(x, at_y, at_x, self.fill_mode, self.fill_value, self.interpolation)


def sample(
    x: Tensor, at_y: Tensor, at_x: Tensor, fill_mode: str, fill_value: float, interpolation: str
) -> Tensor:
    """Pixels of x (n, c, h, w) at places (n, 1, h, w); outside as TensorFlow fills it."""
    at_y, at_x = within(at_y, x.shape[2], fill_mode), within(at_x, x.shape[3], fill_mode)
    if interpolation == "nearest":
        return pixels(x, (at_y + 0.5).floor(), (at_x + 0.5).floor(), fill_value)
    top, left = at_y.floor(), at_x.floor()
    down, right = at_y - top, at_x - left
    upper = (1 - right) * pixels(x, top, left, fill_value) + right * pixels(
        x, top, left + 1, fill_value
    )
    lower = (1 - right) * pixels(x, top + 1, left, fill_value)
    lower = lower + right * pixels(x, top + 1, left + 1, fill_value)
    return (1 - down) * upper + down * lower


def within(at: Tensor, size: int, fill_mode: str) -> Tensor:
    """Places outside an axis, led back inside: mirrored, wrapped or to the edge."""
    if fill_mode == "constant":
        return at
    if fill_mode == "reflect":
        turned = at.remainder(2 * size)
        turned = torch.where(turned >= size, 2 * size - 1 - turned, turned)
        at = torch.where((at < 0) | (at > size - 1), turned, at)
    elif fill_mode == "wrap":
        below = at + size * ((-at / (size - 1)).trunc() + 1)
        above = at - size * (at / (size - 1)).trunc()
        at = torch.where(at < 0, below, torch.where(at > size - 1, above, at))
    return at.clamp(0, size - 1)


def pixels(x: Tensor, row: Tensor, column: Tensor, fill_value: float) -> Tensor:
    """x (n, c, h, w) at whole places (n, 1, h, w)."""
    height, width = x.shape[2:]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    index = row.clamp(0, height - 1).long() * width + column.clamp(0, width - 1).long()
    found = x.flatten(2).gather(2, index.flatten(2).expand(-1, x.shape[1], -1))
    return torch.where(inside, found.view_as(x), fill_value)


def auto_contrast(x: Tensor, value_range: tuple[float, float]) -> Tensor:
    """Stretch every channel of every image (n, c, h, w) to the whole range."""
    least, most = value_range
    scaled = (x - least) / (most - least) * 255
    low, high = scaled.amin((2, 3), keepdim=True), scaled.amax((2, 3), keepdim=True)
    scale = 255 / (high - low)
    result = (scaled * scale - low * scale).clamp(0, 255) / 255 * (most - least) + least
    return torch.where(result.isnan(), x, result)


class RandomShear(nn.Module):
    """Shear images around their first pixel in training, one way or the other."""

    def __init__(
        self,
        shear_x: tuple[float, float],
        shear_y: tuple[float, float],
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        interpolation: str = "bilinear",
    ) -> None:
        super().__init__()
        self.shear_x, self.shear_y, self.interpolation = shear_x, shear_y, interpolation
        self.fill_mode, self.fill_value = fill_mode, fill_value

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        rows = torch.arange(x.shape[2], dtype=x.dtype, device=x.device)[:, None]
        columns = torch.arange(x.shape[3], dtype=x.dtype, device=x.device)
        sign = torch.where(uniform(x, 0, 1) > 0.5, -1.0, 1.0)
        at_y = rows + sign * uniform(x, *self.shear_y) * columns
        at_x = columns + sign * uniform(x, *self.shear_x) * rows
        return sample(x, at_y, at_x, self.fill_mode, self.fill_value, self.interpolation)


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
