from __future__ import annotations

import torch
from torch import Tensor, nn

from torchport.emit.snippets.augment import from_bytes, to_bytes
from torchport.emit.snippets.mirror_pad import mirror_pad


class Equalization(nn.Module):
    """Spread the values of each channel evenly over the range in training, all images as one."""

    def __init__(self, value_range: tuple[float, float], bins: int = 256) -> None:
        super().__init__()
        self.value_range, self.bins = value_range, bins

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        least, most = self.value_range
        scale = 255 / (most - least)
        channels = (x * scale - least * scale).unbind(1)
        result = torch.stack([equalized(it, self.bins) for it in channels], dim=1)
        return result * ((most - least) / 255) + least


def equalized(x: Tensor, bins: int) -> Tensor:
    """Values from 0 to 255, each by how many of x are below it."""
    at = (x.float() * (bins - 1) / 255).int().clamp(0, bins - 1)
    count = torch.bincount(at.flatten(), minlength=bins)
    total, lowest = count.cumsum(0), count[at.min()]
    table = ((total - lowest) * 255 / (total[-1] - lowest).clamp(min=1)).round().clamp(0, 255)
    place = (x / 255 * (bins - 1)).clamp(0, bins - 1).long()
    return torch.where((count > 0).sum() > 1, table[place], x)


def adaptive_equalize(
    x: Tensor,
    value_range: tuple[float, float],
    clip_limit: float = 4.0,
    tiles: tuple[int, int] = (8, 8),
) -> Tensor:
    """Contrast-limited adaptive histogram equalization (CLAHE) of images (n, c, h, w)."""
    height, width = x.shape[2:]
    rows, columns = -(-height // tiles[0]), -(-width // tiles[1])
    added = (0, columns * tiles[1] - width, 0, rows * tiles[0] - height)
    scaled = to_bytes(x.float(), value_range)  # Keras computes all of this in float32
    levels = mirror_pad(scaled, added, True).clamp(0, 255).long()
    tiled = levels.unflatten(3, (tiles[1], columns)).unflatten(2, (tiles[0], rows))
    tiled = tiled.transpose(3, 4).flatten(4)
    count = scaled.new_zeros(*tiled.shape[:4], 256)
    count = count.scatter_add(4, tiled, scaled.new_ones(()).expand_as(tiled))
    if clip_limit > 0:
        clipped = count.clamp(max=clip_limit * rows * columns / 256)
        count = clipped + (count - clipped).sum(4, keepdim=True) / 256
    total = count.cumsum(4)
    rest = rows * columns - total[..., :1]
    table = (total - total[..., :1]) * 255 / torch.where(rest == 0, 1.0, rest)
    table = table.clamp(0, 255)

    top, down = tile_places(table, rows, tiles[0])
    left, right = tile_places(table, columns, tiles[1])
    image = torch.arange(x.shape[0], device=x.device)[:, None, None, None]
    channel = torch.arange(x.shape[1], device=x.device)[:, None, None]

    def seen_from(row: Tensor, column: Tensor) -> Tensor:
        """What the tile in this row and column makes of each value."""
        row, column = row.clamp(0, tiles[0] - 1), column.clamp(0, tiles[1] - 1)
        return table[image, channel, row[:, None], column, levels]

    upper = seen_from(top, left) * (1 - right) + seen_from(top, left + 1) * right
    lower = seen_from(top + 1, left) * (1 - right) + seen_from(top + 1, left + 1) * right
    result = upper * (1 - down)[:, None] + lower * down[:, None]
    return from_bytes(result[..., :height, :width], value_range).to(x.dtype)


def tile_places(x: Tensor, size: int, count: int) -> tuple[Tensor, Tensor]:
    """The tile before each place of an axis, and how far from its midst to the next one's it is."""
    at = (torch.arange(size * count, dtype=x.dtype, device=x.device) - size / 2) / size + 1
    return at.floor().long() - 1, at - at.floor()
