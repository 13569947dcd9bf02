from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def grayscale(x: Tensor) -> Tensor:
    """(n, 3, h, w) -> (n, 1, h, w)."""
    return 0.2989 * x[:, :1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:]


def gaussian_blur(x: Tensor, size: int, sigma: tuple[float, float]) -> Tensor:
    """Blur images (n, c, h, w) with a square kernel; `sigma` is that across, then that down."""
    at = torch.arange(size, dtype=x.dtype, device=x.device) - (size - 1) / 2
    across, down = (torch.softmax(-0.5 * (at / it) ** 2, dim=0) for it in sigma)
    kernel = (down[:, None] * across).expand(x.shape[1], 1, -1, -1)
    return F.conv2d(x, kernel, padding="same", groups=x.shape[1])


def sobel_edges(x: Tensor) -> Tensor:
    """Changes down and across images: (n, c, h, w) -> (n, c, h, w, 2)."""
    down = x.new_tensor([[-1, -2, -1], [0, 0, 0], [1, 2, 1]])
    kernels = torch.stack([down, down.T])[:, None].repeat(x.shape[1], 1, 1, 1)
    edges = F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), kernels, groups=x.shape[1])
    return edges.unflatten(1, (-1, 2)).movedim(2, -1)


def psnr(x: Tensor, y: Tensor, highest: float) -> Tensor:
    """The peak signal to noise ratio of all values, in decibel."""
    return 20 * math.log10(highest) - 10 * torch.log10(F.mse_loss(x, y))
