from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class ConvLSTM(nn.Module):
    """An LSTM of convolutions: (n, c, t, ...) -> (n, hidden, t, ...) and the last states."""

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
    ) -> None:
        super().__init__()
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[len(kernel_size) - 1]
        size = 4 * hidden_channels
        self.conv_x = conv(in_channels, size, kernel_size, stride, padding, dilation, bias=bias)
        self.conv_h = conv(hidden_channels, size, kernel_size, padding="same", bias=False)
        self.activation = activation
        self.recurrent_activation = recurrent_activation

    def forward(self, x: Tensor, state: tuple[Tensor, Tensor] | None = None) -> tuple:
        gates = self.conv_x(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (x.size(0), x.size(2)))
        if state is None:
            zeros = torch.zeros_like(gates[:, 0].chunk(4, dim=1)[0])
            state = (zeros, zeros)
        h, c = state
        outputs = []
        for t in range(x.size(2)):
            i, f, g, o = (gates[:, t] + self.conv_h(h)).chunk(4, dim=1)
            c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
            h = self.recurrent_activation(o) * self.activation(c)
            outputs.append(h)
        return torch.stack(outputs, dim=2), (h, c)
