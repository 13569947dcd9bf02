from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def run_kept(rnn: nn.RNNBase, x: Tensor, mask: Tensor) -> Tensor:
    """Run `rnn` over those steps of `x` that `mask` (n, t) keeps; zeros elsewhere."""
    order = (~mask).int().argsort(dim=1, stable=True).unsqueeze(2)
    lengths = mask.sum(dim=1).clamp(min=1).cpu()
    x = nn.utils.rnn.pack_padded_sequence(x.take_along_dim(order, 1), lengths, True, False)
    x, _ = nn.utils.rnn.pad_packed_sequence(rnn(x)[0], True, total_length=mask.size(1))
    return x.take_along_dim(order.argsort(dim=1), 1) * mask.unsqueeze(2)


def run_masked(
    rnn: nn.RNNBase, x: Tensor, mask: Tensor, state: tuple | Tensor | None = None
) -> tuple:
    """Run `rnn` over the steps that `mask` (n, t) keeps; others repeat the output and the state."""
    order = (~mask).int().argsort(dim=1, stable=True).unsqueeze(2)
    lengths = mask.sum(dim=1)
    packed = nn.utils.rnn.pack_padded_sequence(
        x.take_along_dim(order, 1), lengths.clamp(min=1).cpu(), True, False
    )
    packed, end = rnn(packed, state)
    x, _ = nn.utils.rnn.pad_packed_sequence(packed, True, total_length=mask.size(1))
    x = F.pad(x, (0, 0, 1, 0))  # zeros, until the first step that is kept
    x = x.take_along_dim(mask.cumsum(dim=1).unsqueeze(2), 1)
    some = (lengths > 0).unsqueeze(1)
    if isinstance(end, tuple):
        start = (torch.zeros_like(end[0]), torch.zeros_like(end[1])) if state is None else state
        return x, (torch.where(some, end[0], start[0]), torch.where(some, end[1], start[1]))
    return x, torch.where(some, end, torch.zeros_like(end) if state is None else state)


class StepwiseRNN(nn.Module):
    """A recurrent layer that PyTorch lacks, step by step; called as nn.RNN(batch_first=True) is.

    Steps where `mask` (n, t) is False are skipped: state and output stay as they were. With
    `recurrent_dropout` each gate drops inputs and states of its own, the same at all steps.
    """

    gates = 1

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        activation: Callable = torch.tanh,
        recurrent_activation: Callable = torch.sigmoid,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        size = self.gates * hidden_size
        self.weight_ih = nn.Parameter(torch.zeros(size, input_size))
        self.weight_hh = nn.Parameter(torch.zeros(size, hidden_size))
        self.bias = nn.Parameter(torch.zeros(size)) if bias else None
        self.activation, self.recurrent_activation = activation, recurrent_activation
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout

    def forward(
        self, x: Tensor, state: tuple | Tensor | None = None, mask: Tensor | None = None
    ) -> tuple:
        zeros = x.new_zeros(x.size(0), self.weight_hh.size(1))
        states = self.start(zeros) if state is None else self.unwrap(state)
        drop_x = self.masks(x[:, 0], self.dropout)
        drop_h = self.masks(zeros, self.recurrent_dropout)
        weights = self.weight_ih.chunk(self.gates)
        biases = [None] * self.gates if self.bias is None else self.bias.chunk(self.gates)
        inputs = [
            F.linear(x if drop is None else x * drop.unsqueeze(1), weight, bias)
            for drop, weight, bias in zip(drop_x, weights, biases, strict=True)
        ]
        outputs = []
        last = zeros
        for t in range(x.size(1)):
            new = self.step([it[:, t] for it in inputs], states, drop_h)
            keep = None if mask is None else mask[:, t].unsqueeze(1)
            last = new[0] if keep is None else torch.where(keep, new[0], last)
            if keep is not None:
                new = [torch.where(keep, ours, old) for ours, old in zip(new, states, strict=True)]
            states = new
            outputs.append(last)
        return torch.stack(outputs, dim=1), self.wrap(states)

    def masks(self, x: Tensor, p: float) -> list[Tensor | None]:
        """For each gate what is dropped in training, or None."""
        if not self.training or p == 0:
            return [None] * self.gates
        return [F.dropout(torch.ones_like(x), p) for _ in range(self.gates)]

    def hidden(self, h: Tensor, gate: int, drop: list[Tensor | None]) -> Tensor:
        """What the state adds to a gate."""
        mask = drop[gate]
        return F.linear(h if mask is None else h * mask, self.weight_hh.chunk(self.gates)[gate])

    def start(self, zeros: Tensor) -> list[Tensor]:
        return [zeros]

    def unwrap(self, state: tuple | Tensor) -> list[Tensor]:
        return [state[0]]

    def wrap(self, states: list[Tensor]) -> tuple | Tensor:
        return states[0].unsqueeze(0)

    def step(
        self, x: list[Tensor], states: list[Tensor], drop: list[Tensor | None]
    ) -> list[Tensor]:
        return [self.activation(x[0] + self.hidden(states[0], 0, drop))]


class StepwiseLSTM(StepwiseRNN):
    """An LSTM with any activations; the gates are i, f, g, o as in nn.LSTM."""

    gates = 4

    def start(self, zeros: Tensor) -> list[Tensor]:
        return [zeros, zeros]

    def unwrap(self, state: tuple | Tensor) -> list[Tensor]:
        return [state[0][0], state[1][0]]

    def wrap(self, states: list[Tensor]) -> tuple | Tensor:
        return states[0].unsqueeze(0), states[1].unsqueeze(0)

    def step(
        self, x: list[Tensor], states: list[Tensor], drop: list[Tensor | None]
    ) -> list[Tensor]:
        h, c = states
        i, f, g, o = [x[gate] + self.hidden(h, gate, drop) for gate in range(4)]
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
        return [self.recurrent_activation(o) * self.activation(c), c]


class StepwiseGRU(StepwiseRNN):
    """A GRU whose reset gate acts before the matrix product; the gates are r, z, n as in nn.GRU."""

    gates = 3

    def step(
        self, x: list[Tensor], states: list[Tensor], drop: list[Tensor | None]
    ) -> list[Tensor]:
        h = states[0]
        r = self.recurrent_activation(x[0] + self.hidden(h, 0, drop))
        z = self.recurrent_activation(x[1] + self.hidden(h, 1, drop))
        n = self.activation(x[2] + self.hidden(r * h, 2, drop))
        return [z * h + (1 - z) * n]


class StepwiseResetAfterGRU(StepwiseRNN):
    """nn.GRU with any activations."""

    gates = 3

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, **options: object
    ) -> None:
        super().__init__(input_size, hidden_size, bias, **options)
        self.bias_hh = nn.Parameter(torch.zeros(self.gates * hidden_size)) if bias else None

    def step(
        self, x: list[Tensor], states: list[Tensor], drop: list[Tensor | None]
    ) -> list[Tensor]:
        h = states[0]
        hidden = [self.hidden(h, gate, drop) for gate in range(3)]
        if self.bias_hh is not None:
            biases = self.bias_hh.chunk(self.gates)
            hidden = [it + bias for it, bias in zip(hidden, biases, strict=True)]
        r = self.recurrent_activation(x[0] + hidden[0])
        z = self.recurrent_activation(x[1] + hidden[1])
        n = self.activation(x[2] + r * hidden[2])
        return [z * h + (1 - z) * n]


class StatefulRNN(nn.Module):
    """A recurrent layer that goes on from the state in which the last batch left it."""

    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn, self.state = rnn, None

    def forward(self, x: Tensor) -> tuple:
        x, end = self.rnn(x, self.state)
        self.state = tuple(it.detach() for it in end) if isinstance(end, tuple) else end.detach()
        return x, end

    def reset_state(self) -> None:
        """Start the next batch from zeros."""
        self.state = None


def clipped_gate(x: Tensor) -> Tensor:
    """The hard sigmoid of Keras 2."""
    return (0.2 * x + 0.5).clamp(0, 1)


def hard_gate(x: Tensor) -> Tensor:
    """The hard sigmoid; the gradient of torch's own has 1 / 6 as a float32, in float64 too."""
    return F.relu6(x + 3) / 6
