from __future__ import annotations

import torch
from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """Drop whole samples in training, and make up for it in those that are left."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        keep = 1 - self.p
        kept = (
            torch.rand((x.size(0),) + (1,) * (x.dim() - 1), dtype=x.dtype, device=x.device) < keep
        )
        return x / keep * kept
