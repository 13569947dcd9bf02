from __future__ import annotations

import torch
from torch import Tensor


def sine_positions(x: Tensor, wavelength: float = 10000) -> Tensor:
    """(t, c) of (n, t, c): sines and cosines of each step, slower from channel to channel."""
    steps = torch.arange(x.size(1), dtype=x.dtype, device=x.device)
    channels = torch.arange(x.size(2), device=x.device)
    powers = (channels // 2 * 2).to(x.dtype) / x.size(2)
    angles = steps[:, None] * torch.pow(torch.full_like(powers, 1 / wavelength), powers)
    return torch.where(channels % 2 == 0, angles.sin(), angles.cos())


def rotate_positions(x: Tensor, max_wavelength: float = 10000.0, scale: float = 1.0) -> Tensor:
    """(n, t, ..., c) with each channel of the first half turned with one of the second."""
    pairs = torch.arange(0, x.size(-1), 2, dtype=x.dtype, device=x.device)
    steps = torch.arange(x.size(1), dtype=x.dtype, device=x.device)
    angles = steps[:, None] * max_wavelength ** (-pairs / x.size(-1)) / scale
    angles = angles.view(x.size(1), *(1,) * (x.dim() - 3), -1)
    first, second = x.chunk(2, dim=-1)
    cos, sin = angles.cos(), angles.sin()
    return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)
