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
