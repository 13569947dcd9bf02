from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SpectralNorm(nn.Module):
    """A layer whose kernel is divided by its largest singular value at each call in training.

    As in Keras this changes the kernel itself, after `steps` power iterations that start from the
    last singular vector `u`; torch's spectral_norm keeps the kernel and divides a copy.
    """

    def __init__(self, layer: nn.Module, size: int, steps: int = 1, eps: float = 1e-7) -> None:
        super().__init__()
        self.layer, self.steps, self.eps = layer, steps, eps
        self.register_buffer("u", torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.layer(x)
        self.normalize_kernel()
        # A copy, so that the kernel may change again before the gradients are taken.
        weight = self.layer.weight.clone()
        return torch.func.functional_call(self.layer, {"weight": weight}, (x,))

    @torch.no_grad()
    def normalize_kernel(self) -> None:
        weight, u = self.layer.weight, self.u
        if not weight.any():
            return
        matrix = weight.unflatten(0, (-1, len(u))).transpose(0, 1).flatten(1)
        for _ in range(self.steps):
            v = F.normalize(u @ matrix, dim=0, eps=self.eps)
            u = F.normalize(matrix @ v, dim=0, eps=self.eps)
        self.u.copy_(u)
        weight.div_(u @ matrix @ v)
