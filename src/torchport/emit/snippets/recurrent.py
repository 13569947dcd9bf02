from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class VariationalDropout(nn.Dropout):
    """Dropout of the same features at all steps of (n, t, c)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * F.dropout(torch.ones_like(x[:, :1]), self.p, self.training)


def kept_steps(x: Tensor, mask: Tensor, at_end: bool = False) -> Tensor:
    """The steps of `x` that `mask` (n, t) keeps, then zeros; or zeros, then the steps."""
    place = mask.cumsum(dim=1) - 1
    if at_end:
        place = place - place[:, -1:] + x.size(1) - 1
    place = torch.where(mask, place, x.size(1)).unsqueeze(2).expand_as(x)
    return F.pad(torch.zeros_like(x), (0, 0, 0, 1)).scatter(1, place, x)[:, :-1]


def spread_kept(y: Tensor, mask: Tensor) -> Tensor:
    """The steps of `kept_steps` in their places; others repeat the one before, or are zero."""
    return F.pad(y, (0, 0, 1, 0)).take_along_dim(mask.cumsum(dim=1).unsqueeze(2), 1)


def join_kept(ahead: Tensor, back: Tensor, mask: Tensor) -> Tensor:
    """What two directions give of `kept_steps` at either end, in its places; zeros elsewhere."""
    start = mask.cumsum(dim=1).unsqueeze(2) - 1
    end = start - start[:, -1:] + mask.size(1) - 1
    ahead = ahead.chunk(2, dim=2)[0].take_along_dim(start.clamp(min=0), 1)
    back = back.chunk(2, dim=2)[1].take_along_dim(end.clamp(min=0), 1)
    return torch.cat([ahead, back], dim=2) * mask.unsqueeze(2)


def last_kept(ahead: Tensor, back: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The last output of two directions of `kept_steps` at either end; zeros of no steps."""
    count = mask.sum(dim=1)[:, None, None]
    ahead = F.pad(ahead.chunk(2, dim=2)[0], (0, 0, 1, 0)).take_along_dim(count, 1)
    back = F.pad(back.chunk(2, dim=2)[1], (0, 0, 0, 1)).take_along_dim(mask.size(1) - count, 1)
    return ahead[:, 0], back[:, 0]


def pack_kept(x: Tensor, mask: Tensor) -> nn.utils.rnn.PackedSequence:
    """The steps of `x` that `mask` (n, t) keeps, of each sequence at least one."""
    lengths = mask.sum(dim=1).clamp(min=1).cpu()
    return nn.utils.rnn.pack_padded_sequence(kept_steps(x, mask), lengths, True, False)


def unpack_kept(packed: nn.utils.rnn.PackedSequence, mask: Tensor) -> Tensor:
    """The steps of `pack_kept` in their places; others repeat the one before, or are zero."""
    y, _ = nn.utils.rnn.pad_packed_sequence(packed, True, total_length=mask.size(1))
    return spread_kept(y, mask)


def end_kept(end: Tensor, mask: Tensor, start: Tensor | None = None) -> Tensor:
    """A last state (n, c) of `pack_kept`; of no steps the state before them, or zeros."""
    start = torch.zeros_like(end) if start is None else start
    return torch.where(mask.any(dim=1, keepdim=True), end, start)


def gate_inputs(x: Tensor, weight: Tensor) -> Tensor:
    """What each gate sees of an input of its own: (..., gates, c) -> (..., gates * units)."""
    weight = weight.reshape(x.size(-2), -1, x.size(-1))
    return torch.einsum("...gc,guc->...gu", x, weight).flatten(-2)


class StepwiseRNN(nn.Module):
    """A plain recurrent layer with any activation, step by step; called as nn.RNN is.

    Steps where `mask` (n, t) is False are skipped: state and output stay as they were.  # if mask
    Each gate drops inputs and states of its own, the same at all steps.  # if dropout
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        activation: Callable[[Tensor], Tensor] = torch.tanh,
        dropout: float = 0.0,  # if dropout
        recurrent_dropout: float = 0.0,  # if dropout
    ) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.zeros(hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.zeros(hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.zeros(hidden_size)) if bias else None
        self.activation = activation
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout  # if dropout

    def forward(
        self,
        x: Tensor,
        state: Tensor | None = None,  # if state
        mask: Tensor | None = None,  # if mask
    ) -> tuple[Tensor, Tensor]:
        h = x.new_zeros(x.size(0), self.weight_hh.size(1))
        y = h  # if mask
        if state is not None:  # if state
            h = state[0]  # if state
        gates = F.linear(x, self.weight_ih, self.bias)  # unless dropout
        ones = x.new_ones(x.size(0), 1, x.size(2))  # if dropout
        drop_x = F.dropout(ones, self.dropout, self.training).unsqueeze(1)  # if dropout
        ones = h.new_ones(h.size(0), 1, h.size(1))  # if dropout
        drop_h = F.dropout(ones, self.recurrent_dropout, self.training)  # if dropout
        gates = gate_inputs(x.unsqueeze(2) * drop_x, self.weight_ih)  # if dropout
        gates = gates if self.bias is None else gates + self.bias  # if dropout
        outputs = []
        for t in range(x.size(1)):
            old = h  # if mask
            hidden = F.linear(h, self.weight_hh)  # unless dropout
            hidden = gate_inputs(h.unsqueeze(1) * drop_h, self.weight_hh)  # if dropout
            h = self.activation(gates[:, t] + hidden)
            if mask is not None:  # if mask
                keep = mask[:, t, None]  # if mask
                y = torch.where(keep, h, y)  # if mask
                h = torch.where(keep, h, old)  # if mask
            outputs.append(h)  # unless mask
            outputs.append(h if mask is None else y)  # if mask
        return torch.stack(outputs, dim=1), h.unsqueeze(0)


class StepwiseLSTM(nn.Module):
    """An LSTM with any activations, step by step; called as nn.LSTM(batch_first=True) is.

    Steps where `mask` (n, t) is False are skipped: state and output stay as they were.  # if mask
    Each gate drops inputs and states of its own, the same at all steps.  # if dropout
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        activation: Callable[[Tensor], Tensor] = torch.tanh,
        recurrent_activation: Callable[[Tensor], Tensor] = torch.sigmoid,
        dropout: float = 0.0,  # if dropout
        recurrent_dropout: float = 0.0,  # if dropout
    ) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.zeros(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.zeros(4 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.zeros(4 * hidden_size)) if bias else None
        self.activation, self.recurrent_activation = activation, recurrent_activation
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout  # if dropout

    def forward(
        self,
        x: Tensor,
        state: tuple[Tensor, Tensor] | None = None,  # if state
        mask: Tensor | None = None,  # if mask
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        h = c = x.new_zeros(x.size(0), self.weight_hh.size(1))
        y = h  # if mask
        if state is not None:  # if state
            h, c = state[0][0], state[1][0]  # if state
        gates = F.linear(x, self.weight_ih, self.bias)  # unless dropout
        ones = x.new_ones(x.size(0), 4, x.size(2))  # if dropout
        drop_x = F.dropout(ones, self.dropout, self.training).unsqueeze(1)  # if dropout
        ones = h.new_ones(h.size(0), 4, h.size(1))  # if dropout
        drop_h = F.dropout(ones, self.recurrent_dropout, self.training)  # if dropout
        gates = gate_inputs(x.unsqueeze(2) * drop_x, self.weight_ih)  # if dropout
        gates = gates if self.bias is None else gates + self.bias  # if dropout
        outputs = []
        for t in range(x.size(1)):
            hidden = F.linear(h, self.weight_hh)  # unless dropout
            hidden = gate_inputs(h.unsqueeze(1) * drop_h, self.weight_hh)  # if dropout
            i, f, g, o = (gates[:, t] + hidden).chunk(4, dim=1)
            old_h, old_c = h, c  # if mask
            c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
            h = self.recurrent_activation(o) * self.activation(c)
            if mask is not None:  # if mask
                keep = mask[:, t, None]  # if mask
                y = torch.where(keep, h, y)  # if mask
                h, c = torch.where(keep, h, old_h), torch.where(keep, c, old_c)  # if mask
            outputs.append(h)  # unless mask
            outputs.append(h if mask is None else y)  # if mask
        return torch.stack(outputs, dim=1), (h.unsqueeze(0), c.unsqueeze(0))


class StepwiseGRU(nn.Module):
    """A GRU that resets before the matrix product; called as nn.GRU(batch_first=True) is.

    Steps where `mask` (n, t) is False are skipped: state and output stay as they were.  # if mask
    Each gate drops inputs and states of its own, the same at all steps.  # if dropout
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        activation: Callable[[Tensor], Tensor] = torch.tanh,
        recurrent_activation: Callable[[Tensor], Tensor] = torch.sigmoid,
        dropout: float = 0.0,  # if dropout
        recurrent_dropout: float = 0.0,  # if dropout
    ) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.zeros(3 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.zeros(3 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.zeros(3 * hidden_size)) if bias else None
        self.activation, self.recurrent_activation = activation, recurrent_activation
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout  # if dropout

    def forward(
        self,
        x: Tensor,
        state: Tensor | None = None,  # if state
        mask: Tensor | None = None,  # if mask
    ) -> tuple[Tensor, Tensor]:
        h = x.new_zeros(x.size(0), self.weight_hh.size(1))
        y = h  # if mask
        if state is not None:  # if state
            h = state[0]  # if state
        gates = F.linear(x, self.weight_ih, self.bias)  # unless dropout
        ones = x.new_ones(x.size(0), 3, x.size(2))  # if dropout
        drop_x = F.dropout(ones, self.dropout, self.training).unsqueeze(1)  # if dropout
        ones = h.new_ones(h.size(0), 3, h.size(1))  # if dropout
        drop_h = F.dropout(ones, self.recurrent_dropout, self.training)  # if dropout
        gates = gate_inputs(x.unsqueeze(2) * drop_x, self.weight_ih)  # if dropout
        gates = gates if self.bias is None else gates + self.bias  # if dropout
        outputs = []
        for t in range(x.size(1)):
            old = h  # if mask
            x_r, x_z, x_n = gates[:, t].chunk(3, dim=1)
            w_r, w_z, w_n = self.weight_hh.chunk(3)
            r = self.recurrent_activation(x_r + F.linear(h, w_r))  # unless dropout
            z = self.recurrent_activation(x_z + F.linear(h, w_z))  # unless dropout
            n = self.activation(x_n + F.linear(r * h, w_n))  # unless dropout
            r = self.recurrent_activation(x_r + F.linear(h * drop_h[:, 0], w_r))  # if dropout
            z = self.recurrent_activation(x_z + F.linear(h * drop_h[:, 1], w_z))  # if dropout
            n = self.activation(x_n + F.linear(r * h * drop_h[:, 2], w_n))  # if dropout
            h = z * h + (1 - z) * n
            if mask is not None:  # if mask
                keep = mask[:, t, None]  # if mask
                y = torch.where(keep, h, y)  # if mask
                h = torch.where(keep, h, old)  # if mask
            outputs.append(h)  # unless mask
            outputs.append(h if mask is None else y)  # if mask
        return torch.stack(outputs, dim=1), h.unsqueeze(0)


class StepwiseResetAfterGRU(nn.Module):
    """nn.GRU(batch_first=True) with any activations, step by step.

    Steps where `mask` (n, t) is False are skipped: state and output stay as they were.  # if mask
    Each gate drops inputs and states of its own, the same at all steps.  # if dropout
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        activation: Callable[[Tensor], Tensor] = torch.tanh,
        recurrent_activation: Callable[[Tensor], Tensor] = torch.sigmoid,
        dropout: float = 0.0,  # if dropout
        recurrent_dropout: float = 0.0,  # if dropout
    ) -> None:
        super().__init__()
        self.weight_ih = nn.Parameter(torch.zeros(3 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(torch.zeros(3 * hidden_size, hidden_size))
        self.bias = nn.Parameter(torch.zeros(3 * hidden_size)) if bias else None
        self.bias_hh = nn.Parameter(torch.zeros(3 * hidden_size)) if bias else None
        self.activation, self.recurrent_activation = activation, recurrent_activation
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout  # if dropout

    def forward(
        self,
        x: Tensor,
        state: Tensor | None = None,  # if state
        mask: Tensor | None = None,  # if mask
    ) -> tuple[Tensor, Tensor]:
        h = x.new_zeros(x.size(0), self.weight_hh.size(1))
        y = h  # if mask
        if state is not None:  # if state
            h = state[0]  # if state
        gates = F.linear(x, self.weight_ih, self.bias)  # unless dropout
        ones = x.new_ones(x.size(0), 3, x.size(2))  # if dropout
        drop_x = F.dropout(ones, self.dropout, self.training).unsqueeze(1)  # if dropout
        ones = h.new_ones(h.size(0), 3, h.size(1))  # if dropout
        drop_h = F.dropout(ones, self.recurrent_dropout, self.training)  # if dropout
        gates = gate_inputs(x.unsqueeze(2) * drop_x, self.weight_ih)  # if dropout
        gates = gates if self.bias is None else gates + self.bias  # if dropout
        outputs = []
        for t in range(x.size(1)):
            old = h  # if mask
            hidden = F.linear(h, self.weight_hh, self.bias_hh)  # unless dropout
            hidden = gate_inputs(h.unsqueeze(1) * drop_h, self.weight_hh)  # if dropout
            hidden = hidden if self.bias_hh is None else hidden + self.bias_hh  # if dropout
            x_r, x_z, x_n = gates[:, t].chunk(3, dim=1)
            h_r, h_z, h_n = hidden.chunk(3, dim=1)
            r, z = self.recurrent_activation(x_r + h_r), self.recurrent_activation(x_z + h_z)
            n = self.activation(x_n + r * h_n)
            h = z * h + (1 - z) * n
            if mask is not None:  # if mask
                keep = mask[:, t, None]  # if mask
                y = torch.where(keep, h, y)  # if mask
                h = torch.where(keep, h, old)  # if mask
            outputs.append(h)  # unless mask
            outputs.append(h if mask is None else y)  # if mask
        return torch.stack(outputs, dim=1), h.unsqueeze(0)


class StatefulRNN(nn.Module):
    """A recurrent layer that goes on from the state in which the last batch left it."""

    def __init__(self, rnn: nn.Module) -> None:
        super().__init__()
        self.rnn = rnn
        self.state: Any = None

    def forward(self, x: Tensor) -> tuple[Tensor, Any]:
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


def run_cell(
    cell: nn.Module,
    x: Tensor,
    *states: Tensor,
    mask: Tensor | None = None,  # if mask
    zeros: bool = False,  # if zeros
) -> tuple[Tensor, ...]:
    """What a cell gives at each step of `x` (n, t, ...), and its last states.

    Steps where `mask` (n, t) is False are skipped: states and output stay as they were.  # if mask
    The output is zero there, if `zeros`.  # if zeros
    """
    outputs: list[Tensor] = []
    for t in range(x.size(1)):
        y, *after = cell(x[:, t], *states)
        if mask is not None:  # if mask
            before = outputs[-1] if outputs else torch.zeros_like(y)  # if mask
            before = torch.zeros_like(y) if zeros else before  # if zeros
            y = torch.where(mask[:, t].view(-1, *[1] * (y.dim() - 1)), y, before)  # if mask
            for at, (new, old) in enumerate(zip(after, states, strict=True)):  # if mask
                keep = mask[:, t].view(-1, *[1] * (new.dim() - 1))  # if mask
                after[at] = torch.where(keep, new, old)  # if mask
        outputs.append(y)
        states = tuple(after)
    return torch.stack(outputs, dim=1), *states
