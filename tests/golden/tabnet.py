"""TabNet, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class GatedLinear(nn.Module):
    """(n, in_features) -> (n, 32)."""

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(in_features, 32)
        self.bn = nn.BatchNorm1d(32, eps=1e-3, momentum=0.01)
        self.fc2 = nn.Linear(in_features, 32)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.sigmoid(self.fc2(x))
        return self.bn(self.fc1(x)) * out


class TabNet(nn.Module):
    """store (n, 1) int, item (n, 1) int, month (n, 1) int, numeric (n, 8) -> (n, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.store_embedding = nn.Embedding(50, 8)
        self.item_embedding = nn.Embedding(300, 16)
        self.month_embedding = nn.Embedding(13, 3)
        self.norm = nn.BatchNorm1d(8, eps=1e-3, momentum=0.01)
        self.fc1 = nn.Linear(35, 35)
        self.bn1 = nn.BatchNorm1d(35, eps=1e-3, momentum=0.01)
        self.gated_linear1 = GatedLinear(35)
        self.gated_linear2 = GatedLinear(32)
        self.fc2 = nn.Linear(32, 35)
        self.bn2 = nn.BatchNorm1d(35, eps=1e-3, momentum=0.01)
        self.gated_linear3 = GatedLinear(35)
        self.gated_linear4 = GatedLinear(32)
        self.fc3 = nn.Linear(32, 35)
        self.bn3 = nn.BatchNorm1d(35, eps=1e-3, momentum=0.01)
        self.gated_linear5 = GatedLinear(35)
        self.gated_linear6 = GatedLinear(32)
        self.sales = nn.Linear(32, 1)

    def forward(self, store: Tensor, item: Tensor, month: Tensor, numeric: Tensor) -> Tensor:
        branch1 = torch.flatten(self.store_embedding(store), 1)
        branch2 = torch.flatten(self.item_embedding(item), 1)
        branch3 = torch.flatten(self.month_embedding(month), 1)
        features = torch.cat([branch1, branch2, branch3, self.norm(numeric)], dim=1)
        fc1 = F.softmax(self.bn1(self.fc1(features)), dim=1)
        x = self.gated_linear1(fc1 * features)
        shortcut = F.relu((x + self.gated_linear2(x)) * 0.7071067811865476)
        difference = 1.5 - fc1
        fc2 = F.softmax(self.bn2(self.fc2(shortcut)) * difference, dim=1)
        x = self.gated_linear3(fc2 * features)
        shortcut = shortcut + F.relu((x + self.gated_linear4(x)) * 0.7071067811865476)
        x = self.bn3(self.fc3(shortcut)) * (difference * (1.5 - fc2))
        x = self.gated_linear5(F.softmax(x, dim=1) * features)
        x = shortcut + F.relu((x + self.gated_linear6(x)) * 0.7071067811865476)
        return self.sales(x)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> TabNet:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
