from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from torchport.emit.snippets.augment import uniform


class RandomFlip(nn.Module):
    """Flip half of the images in training, along all of these axes at once."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return torch.where(uniform(x, 0, 1) <= 0.5, x.flip(self.dims), x) if self.training else x


class RandomCrop(nn.Module):
    """Cut one part out of all images of a batch in training; too small ones are resized."""

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        rows, columns = x.shape[2:]
        if rows > self.height and columns > self.width:
            top = int(torch.randint(rows - self.height + 1, ()))
            left = int(torch.randint(columns - self.width + 1, ()))
        else:
            top = (rows - max(min(rows, columns * self.height // self.width), 1)) // 2
            left = (columns - max(min(columns, rows * self.width // self.height), 1)) // 2
        x = x[..., top : top + self.height, left : left + self.width]
        if x.shape[2:] == (self.height, self.width):
            return x
        return F.interpolate(x, (self.height, self.width), mode="bilinear")


class RandomCropOrResize(nn.Module):
    """Cut one part out of all images of a batch in training.

    Of too small ones, and in inference, the largest part in the midst of that ratio is resized.
    """

    def __init__(self, height: int, width: int) -> None:
        super().__init__()
        self.height, self.width = height, width

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[2:]
        if self.training and rows >= self.height and columns >= self.width:
            top = int(torch.randint(rows - self.height + 1, ()))
            left = int(torch.randint(columns - self.width + 1, ()))
            return x[..., top : top + self.height, left : left + self.width]
        height = min(rows, columns * self.height // self.width)
        width = min(columns, rows * self.width // self.height)
        top, left = (rows - height) // 2, (columns - width) // 2
        x = x[..., top : top + height, left : left + width]
        return F.interpolate(x, (self.height, self.width), mode="bilinear")


class RandomHeight(nn.Module):
    """Resize all images of a batch to one height in training, drawn between these parts more."""

    axis = 0

    def __init__(self, low: float, high: float, mode: str = "bilinear") -> None:
        super().__init__()
        self.low, self.high, self.mode = low, high, mode

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        size = [x.size(2), x.size(3)]
        factor = torch.empty((), dtype=torch.float32).uniform_(1 + self.low, 1 + self.high)
        size[self.axis] = int(factor * size[self.axis])
        return F.interpolate(x, size, mode=self.mode)


class RandomWidth(RandomHeight):
    """Resize all images of a batch to one width in training, drawn between these parts more."""

    axis = 1


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


def sample(
    x: Tensor, at_y: Tensor, at_x: Tensor, fill_mode: str, fill_value: float, interpolation: str
) -> Tensor:
    """Pixels of x (n, c, h, w) at places (n, 1, h, w); outside as TensorFlow fills it."""
    at_y, at_x = within(at_y, x.shape[2], fill_mode), within(at_x, x.shape[3], fill_mode)
    if interpolation == "nearest":
        # A half goes away from zero; torch.round takes it to the even number.
        row, column = ((at + at.sign() / 2).trunc() for at in (at_y, at_x))
        return pixels(x, row, column, fill_value)
    top, left = at_y.floor(), at_x.floor()
    down, right = at_y - top, at_x - left
    upper = (1 - right) * pixels(x, top, left, fill_value) + right * pixels(
        x, top, left + 1, fill_value
    )
    lower = (1 - right) * pixels(x, top + 1, left, fill_value)
    lower = lower + right * pixels(x, top + 1, left + 1, fill_value)
    return (1 - down) * upper + down * lower


def affine_transform(
    x: Tensor,
    transform: Tensor,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    interpolation: str = "bilinear",
) -> Tensor:
    """Images (n, c, h, w) whose pixel (x, y) comes from a place given by numbers (8,) or (n, 8).

    That is ((a0 x + a1 y + a2) / k, (b0 x + b1 y + b2) / k) with k = c0 x + c1 y + 1.
    """
    rows = torch.arange(x.shape[2], dtype=x.dtype, device=x.device)[:, None]
    columns = torch.arange(x.shape[3], dtype=x.dtype, device=x.device)
    numbers = transform.to(x.dtype).expand(x.shape[0], 8)[:, :, None, None, None]
    a0, a1, a2, b0, b1, b2, c0, c1 = numbers.unbind(1)
    scale = c0 * columns + c1 * rows + 1
    at_x = (a0 * columns + a1 * rows + a2) / scale
    at_y = (b0 * columns + b1 * rows + b2) / scale
    return sample(x, at_y, at_x, fill_mode, fill_value, interpolation)


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


class RandomPerspective(nn.Module):
    """Pull at the corners of some images in training; how many is drawn as well."""

    def __init__(
        self,
        low: float,
        high: float,
        scale: float,
        fill_value: float = 0.0,
        interpolation: str = "bilinear",
    ) -> None:
        super().__init__()
        self.low, self.high, self.scale = low, high, scale
        self.fill_value, self.interpolation = fill_value, interpolation

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        height, width = x.shape[2:]
        right, bottom = width - 1, height - 1
        corners = x.new_tensor([[0, 0], [right, 0], [0, bottom], [right, bottom]])
        pull = x.new_empty(x.shape[0], 4, 2).uniform_(-self.scale / 2, self.scale / 2)
        a, b, c, d, e, f, g, h = homography(corners + corners * pull, corners)
        rows = torch.arange(height, dtype=x.dtype, device=x.device)[:, None]
        columns = torch.arange(width, dtype=x.dtype, device=x.device)
        depth = g * columns + h * rows + 1
        at_x, at_y = (a * columns + b * rows + c) / depth, (d * columns + e * rows + f) / depth
        pulled = sample(x, at_y, at_x, "constant", self.fill_value, self.interpolation)
        chosen = uniform(x, 0, 1) < uniform(x, self.low, self.high)
        return torch.where(chosen, pulled, x)


def homography(points: Tensor, targets: Tensor) -> tuple[Tensor, ...]:
    """Eight numbers (n, 1, 1, 1) that move four points (n, 4, 2), x and y, to targets (4, 2)."""
    points = torch.cat([points, torch.ones_like(points[..., :1])], dim=2)
    none = torch.zeros_like(points)
    bent = -targets.T[:, None, :, None] * points[..., :2]
    to_x = torch.cat([points, none, bent[0]], dim=2)
    to_y = torch.cat([none, points, bent[1]], dim=2)
    wanted = targets.T.flatten().expand(len(points), -1)
    found = torch.linalg.solve(torch.cat([to_x, to_y], dim=1), wanted)
    return found[..., None, None, None].unbind(1)
