from __future__ import annotations

from typing import Self

from torch import nn


class InTraining(nn.Sequential):
    """A module that is in training mode whatever mode the model is in."""

    def train(self, mode: bool = True) -> Self:
        return super().train(True)
