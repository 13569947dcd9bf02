"""TwoTower, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class TwoTower(nn.Module):
    """user_id (n,) int, user_features (n, 4), film_id (n,) int, film_features (n, 19) -> (n, 1)."""

    def __init__(self) -> None:
        super().__init__()
        self.user_embedding = nn.Embedding(943, 32)
        self.user_features_dense = nn.Linear(4, 32)
        self.user_dense_1 = nn.Linear(64, 64)
        self.dropout1 = nn.Dropout(0.1)
        self.user_dense_2 = nn.Linear(64, 32)
        self.film_embedding = nn.Embedding(1682, 32)
        self.film_features_dense = nn.Linear(19, 32)
        self.film_dense_1 = nn.Linear(64, 64)
        self.dropout2 = nn.Dropout(0.1)
        self.film_dense_2 = nn.Linear(64, 32)
        self.rating = nn.Linear(1, 1)

    def forward(
        self, user_id: Tensor, user_features: Tensor, film_id: Tensor, film_features: Tensor
    ) -> Tensor:
        x = F.relu(self.user_features_dense(user_features))
        x = torch.cat([self.user_embedding(user_id), x], dim=1)
        x = self.dropout1(F.relu(self.user_dense_1(x)))
        user = F.normalize(self.user_dense_2(x))
        x = F.relu(self.film_features_dense(film_features))
        x = torch.cat([self.film_embedding(film_id), x], dim=1)
        x = self.dropout2(F.relu(self.film_dense_1(x)))
        x = (user * F.normalize(self.film_dense_2(x))).sum(dim=1, keepdim=True)
        return torch.sigmoid(self.rating(x))

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> TwoTower:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
