from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def one_sided(power: Tensor) -> Tensor:
    """Power (n, f, t) in which each frequency but the first and last counts twice."""
    return power + F.pad(power[:, 1:-1], (0, 0, 1, 1))


def mel_weights(bins: int, frequencies: int, rate: float, low: float, high: float) -> Tensor:
    """(bins, frequencies): triangles on the mel scale; none has the first frequency."""

    def mel(hertz: Tensor) -> Tensor:
        return 1127.0 * torch.log(1 + hertz / 700)

    at = mel(torch.linspace(0, rate / 2, frequencies)[1:])
    ends = mel(torch.tensor([low, high]))
    edges = torch.linspace(float(ends[0]), float(ends[1]), bins + 2)[:, None]
    up = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    return F.pad(torch.minimum(up, down).clamp(min=0), (1, 0))


class MelSpectrogram(nn.Module):
    """The power of a signal (n, t) at frequencies on the mel scale, (n, bins, frames)."""

    def __init__(
        self,
        fft_length: int = 2048,
        stride: int = 512,
        length: int | None = None,
        window: str = "hann",
        rate: int = 16000,
        bins: int = 128,
        low: float = 20.0,
        high: float | None = None,
        decibel: bool = True,
        top_db: float = 80.0,
        exponent: float = 2.0,
        least: float = 1e-10,
        reference: float = 1.0,
    ) -> None:
        super().__init__()
        length = length or fft_length
        self.fft_length, self.stride, self.length = fft_length, stride, length
        self.decibel, self.top_db, self.exponent = decibel, top_db, exponent
        self.least, self.reference = least, reference
        made = torch.hann_window if window == "hann" else torch.hamming_window
        weights = mel_weights(bins, fft_length // 2 + 1, rate, low, high or rate // 2)
        # TensorFlow takes periodic windows of odd length for symmetric ones.
        self.register_buffer("window", made(length, periodic=length % 2 == 0), persistent=False)
        self.register_buffer("weights", weights, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        waves = torch.stft(
            x, self.fft_length, self.stride, self.length, self.window, return_complex=True
        )
        power = self.weights @ waves.abs() ** self.exponent
        if not self.decibel:
            return power
        level = 10 * power.clamp(min=self.least).log10()
        level = level - 10 * math.log10(max(abs(self.reference), self.least))
        return torch.maximum(level, level.amax() - self.top_db)
