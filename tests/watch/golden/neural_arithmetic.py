"""NeuralArithmetic, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class NALU(nn.Module):
    """(n, in_channels) -> (n, channels)."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.w_hat = nn.Parameter(torch.zeros(in_channels, channels))
        self.m_hat = nn.Parameter(torch.zeros(in_channels, channels))
        self.g = nn.Parameter(torch.zeros(in_channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        w = torch.tanh(self.w_hat) * torch.sigmoid(self.m_hat)
        gate = torch.sigmoid(x @ self.g)
        out = (1 - gate) * torch.exp(torch.log(x.abs() + 1e-7) @ w)
        return gate * (x @ w) + out


class NeuralArithmetic(nn.Module):
    """numbers (n, 6) -> (n, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(NALU(6, 5), NALU(5, 2))

    def forward(self, numbers: Tensor) -> Tensor:
        return self.blocks(numbers)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> NeuralArithmetic:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
