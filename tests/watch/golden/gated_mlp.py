"""GatedMLP, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class SpatialGatingBlock(nn.Module):
    """inputs (n, 16, 12) -> (n, 16, 12)."""

    def __init__(self) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(12, eps=1e-6)
        self.expand = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Dropout(0.1))
        self.norm2 = nn.LayerNorm(12, eps=1e-6)
        self.spatial = nn.Linear(16, 16)
        self.project = nn.Linear(12, 12)

    def forward(self, inputs: Tensor) -> Tensor:
        content, gate = self.expand(self.norm1(inputs)).chunk(2, dim=2)
        x = self.norm2(gate).permute(0, 2, 1)
        x = content * self.spatial(x).permute(0, 2, 1)
        return inputs + self.project(x)


class GatedMLP(nn.Module):
    """patches (n, 16, 12) -> (n, 4)."""

    def __init__(self) -> None:
        super().__init__()
        self.block1 = SpatialGatingBlock()
        self.block2 = SpatialGatingBlock()
        self.head = nn.Linear(12, 4)

    def forward(self, patches: Tensor) -> Tensor:
        x = self.block2(self.block1(patches)).mean(dim=1)
        return self.head(x)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> GatedMLP:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
