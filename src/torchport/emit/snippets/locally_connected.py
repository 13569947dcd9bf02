from __future__ import annotations

import torch
from torch import Tensor, nn


class LocallyConnected1d(nn.Module):
    """A convolution with a kernel of its own at every place: (n, c, t) -> (n, out, places)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        places: int,
        kernel_size: int,
        stride: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size, self.stride = kernel_size, stride
        spread = (in_channels * kernel_size) ** -0.5
        size = (places, out_channels, in_channels, kernel_size)
        self.weight = nn.Parameter(torch.empty(size).uniform_(-spread, spread))
        self.bias = nn.Parameter(torch.zeros(out_channels, places)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        parts = x.unfold(2, self.kernel_size, self.stride)
        y = torch.einsum("nctk,tock->not", parts, self.weight)
        return y if self.bias is None else y + self.bias


class LocallyConnected2d(nn.Module):
    """A convolution with a kernel of its own at every place: (n, c, h, w) -> (n, out, *places)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        places: tuple[int, int],
        kernel_size: tuple[int, int],
        stride: int | tuple[int, int] = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = (stride, stride) if isinstance(stride, int) else stride
        spread = (in_channels * kernel_size[0] * kernel_size[1]) ** -0.5
        size = (*places, out_channels, in_channels, *kernel_size)
        self.weight = nn.Parameter(torch.empty(size).uniform_(-spread, spread))
        self.bias = nn.Parameter(torch.zeros(out_channels, *places)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        rows = x.unfold(2, self.kernel_size[0], self.stride[0])
        parts = rows.unfold(3, self.kernel_size[1], self.stride[1])
        y = torch.einsum("nchwij,hwocij->nohw", parts, self.weight)
        return y if self.bias is None else y + self.bias
