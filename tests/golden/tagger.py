"""Tagger, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


def kept_steps(x: Tensor, mask: Tensor, at_end: bool = False) -> Tensor:
    """The steps of `x` that `mask` (n, t) keeps, then zeros; or zeros, then the steps."""
    place = mask.cumsum(dim=1) - 1
    if at_end:
        place = place - place[:, -1:] + x.size(1) - 1
    place = torch.where(mask, place, x.size(1)).unsqueeze(2).expand_as(x)
    return F.pad(torch.zeros_like(x), (0, 0, 0, 1)).scatter(1, place, x)[:, :-1]


def join_kept(ahead: Tensor, back: Tensor, mask: Tensor) -> Tensor:
    """What two directions give of `kept_steps` at either end, in its places; zeros elsewhere."""
    start = mask.cumsum(dim=1).unsqueeze(2) - 1
    end = start - start[:, -1:] + mask.size(1) - 1
    ahead = ahead.chunk(2, dim=2)[0].take_along_dim(start.clamp(min=0), 1)
    back = back.chunk(2, dim=2)[1].take_along_dim(end.clamp(min=0), 1)
    return torch.cat([ahead, back], dim=2) * mask.unsqueeze(2)


class Tagger(nn.Module):
    """words (n, 20) int -> (n, 20, 7)."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(500, 16)
        self.lstm = nn.LSTM(16, 12, batch_first=True, bidirectional=True)
        self.tags = nn.Linear(24, 7)
        self.lstm.bias_hh_l0.requires_grad_(False)
        self.lstm.bias_hh_l0_reverse.requires_grad_(False)

    def forward(self, words: Tensor) -> Tensor:
        embedding = self.embedding(words)
        words_mask = words != 0
        ahead, _ = self.lstm(kept_steps(embedding, words_mask))
        back, _ = self.lstm(kept_steps(embedding, words_mask, at_end=True))
        return F.softmax(self.tags(join_kept(ahead, back, words_mask)), dim=2)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> Tagger:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
