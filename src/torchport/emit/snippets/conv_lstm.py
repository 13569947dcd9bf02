from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def gate_masks(x: Tensor, p: float, training: bool) -> list[Tensor]:
    """What each of four gates keeps of x; nothing where it is all."""
    return list(F.dropout(x.new_ones(4, *x.shape), p)) if training and p else []


def gate_convolution(conv: nn.Module, x: Tensor, kept: list[Tensor]) -> Tensor:
    """A convolution of whose four gates each reads what it keeps of x."""
    if not kept:
        return conv(x)
    return torch.cat([conv(x * it).chunk(4, dim=1)[at] for at, it in enumerate(kept)], dim=1)


class ConvLSTM(nn.Module):
    """An LSTM of convolutions: (n, c, t, ...) -> (n, hidden, t, ...) and the last states.

    Each gate drops inputs and states of its own, the same at all steps.  # if dropout
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        kernel_size: tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | str = 0,
        dilation: int | tuple[int, ...] = 1,
        bias: bool = True,
        activation: Callable = torch.tanh,
        recurrent_activation: Callable = torch.sigmoid,
        dropout: float = 0.0,  # if dropout
        recurrent_dropout: float = 0.0,  # if dropout
    ) -> None:
        super().__init__()
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(kernel_size) - 1]
        size = 4 * hidden_channels
        self.conv_x = conv(in_channels, size, kernel_size, stride, padding, dilation, bias=bias)
        self.conv_h = conv(hidden_channels, size, kernel_size, padding="same", bias=False)
        self.activation = activation
        self.recurrent_activation = recurrent_activation
        self.dropout, self.recurrent_dropout = dropout, recurrent_dropout  # if dropout

    def forward(
        self, x: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        folded = x.transpose(1, 2).flatten(0, 1)
        gates = self.conv_x(folded)  # unless dropout
        kept = gate_masks(x[:, :, 0], self.dropout, self.training)  # if dropout
        kept = [it.repeat_interleave(x.size(2), dim=0) for it in kept]  # if dropout
        gates = gate_convolution(self.conv_x, folded, kept)  # if dropout
        gates = gates.unflatten(0, (x.size(0), x.size(2)))
        if state is None:
            zeros = torch.zeros_like(gates[:, 0].chunk(4, dim=1)[0])
            state = (zeros, zeros)
        h, c = state
        kept = gate_masks(h, self.recurrent_dropout, self.training)  # if dropout
        outputs = []
        for t in range(x.size(2)):
            hidden = self.conv_h(h)  # unless dropout
            hidden = gate_convolution(self.conv_h, h, kept)  # if dropout
            i, f, g, o = (gates[:, t] + hidden).chunk(4, dim=1)
            c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
            h = self.recurrent_activation(o) * self.activation(c)
            outputs.append(h)
        return torch.stack(outputs, dim=2), (h, c)
