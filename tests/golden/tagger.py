"""Tagger, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


def run_kept(rnn: nn.RNN | nn.LSTM | nn.GRU, x: Tensor, mask: Tensor) -> Tensor:
    """Run a bidirectional `rnn` over the steps that `mask` (n, t) keeps; zeros elsewhere."""
    mask = mask.unsqueeze(2)
    count, steps = mask.cumsum(dim=1), x.size(1)
    start = torch.where(mask, count - 1, steps)  # forwards the others are behind,
    end = torch.where(mask, count - count[:, -1:] + steps, 0)  # backwards before those it keeps
    empty = F.pad(torch.zeros_like(x), (0, 0, 0, 1))
    ahead, back = (rnn(empty.scatter(1, it.expand_as(x), x))[0] for it in (start, end))
    ahead, back = ahead[..., : rnn.hidden_size], back[..., rnn.hidden_size :]
    return torch.cat([ahead.take_along_dim(start, 1), back.take_along_dim(end, 1)], dim=2) * mask


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
        x = self.embedding(words)
        x = run_kept(self.lstm, x, words != 0)
        return F.softmax(self.tags(x), dim=2)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> Tagger:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
