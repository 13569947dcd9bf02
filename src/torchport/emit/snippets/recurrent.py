from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class VariationalDropout(nn.Dropout):
    """Dropout of the same features at all steps of (n, t, c)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * super().forward(torch.ones_like(x[:, :1]))


def run_masked(
    rnn: nn.RNN | nn.LSTM | nn.GRU,
    x: Tensor,
    mask: Tensor,
    state: Tensor | tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """Run `rnn` over the steps that `mask` (n, t) keeps; others repeat the output. And the last."""
    count = mask.cumsum(dim=1).unsqueeze(2)
    place = torch.where(mask.unsqueeze(2), count - 1, x.size(1)).expand_as(x)
    kept = F.pad(torch.zeros_like(x), (0, 0, 0, 1)).scatter(1, place, x)  # a step for the others
    y = F.pad(rnn(kept, state)[0], (0, 0, 1, 0)).take_along_dim(count, 1)
    return y, y[:, -1]


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


def run_packed(
    rnn: nn.RNN | nn.LSTM | nn.GRU,
    x: Tensor,
    mask: Tensor,
    state: Tensor | tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor | tuple[Tensor, Tensor]]:
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
        start = state if isinstance(state, tuple) else (end[0].new_zeros(()), end[1].new_zeros(()))
        return x, (torch.where(some, end[0], start[0]), torch.where(some, end[1], start[1]))
    return x, torch.where(some, end, state if isinstance(state, Tensor) else 0.0)


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
