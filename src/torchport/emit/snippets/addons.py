from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DeviationNorm(nn.Module):
    """Instance norm (n, c, ...) that adds eps to the deviation, as keras_contrib does.

    With one channel for all, the numbers of a sample are normalised together.
    """

    def __init__(
        self, channels: int, eps: float = 1e-3, scale: bool = True, center: bool = True
    ) -> None:
        super().__init__()
        self.channels, self.eps = channels, eps
        self.weight = nn.Parameter(torch.ones(channels)) if scale else None
        self.bias = nn.Parameter(torch.zeros(channels)) if center else None

    def forward(self, x: Tensor) -> Tensor:
        dims = list(range(1 if self.channels == 1 else 2, x.dim()))
        variance, mean = torch.var_mean(x, dim=dims, keepdim=True, correction=0)
        x = (x - mean) / (variance.sqrt() + self.eps)
        shape = (-1,) + (1,) * (x.dim() - 2)
        if self.weight is not None:
            x = x * self.weight.view(shape)
        return x if self.bias is None else x + self.bias.view(shape)


class FilterResponseNorm2d(nn.Module):
    """Images over the root of the mean square of each channel, without its mean."""

    def __init__(self, channels: int, eps: float = 1e-6, learns_eps: bool = False) -> None:
        super().__init__()
        self.eps = eps
        self.learned_epsilon = nn.Parameter(torch.full((1,), 1e-4)) if learns_eps else None
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        eps = self.eps
        if self.learned_epsilon is not None:
            eps = eps + self.learned_epsilon.abs()
        x = x * torch.rsqrt(x.square().mean(dim=(2, 3), keepdim=True) + eps)
        return x * self.weight[:, None, None] + self.bias[:, None, None]


class RandomBranch(nn.Module):
    """x + branch: in training the whole batch has the branch or not, else it has its mean."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor, branch: Tensor) -> Tensor:
        if not self.training:
            return x + self.p * branch
        return x + branch * torch.full_like(branch[:1].sum(), self.p).bernoulli()


def simplex_projection(x: Tensor, dim: int) -> Tensor:
    """Sparsemax: the nearest numbers that are not negative and have the sum 1."""
    ordered = x.sort(dim=dim, descending=True).values.movedim(dim, -1)
    excess = ordered.cumsum(-1) - 1
    counts = torch.arange(1, x.size(dim) + 1, dtype=x.dtype, device=x.device)
    kept = (counts * ordered > excess).sum(-1, keepdim=True).clamp(min=1)
    threshold = excess.gather(-1, kept - 1) / kept
    return F.relu(x - threshold.movedim(-1, dim))
