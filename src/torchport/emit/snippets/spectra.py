from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def dct(x: Tensor, kind: int, ortho: bool = False) -> Tensor:
    """The cosine transform of the last axis, of kind 1 to 4, as TensorFlow scales it."""
    n = x.shape[-1]
    at = torch.arange(n, dtype=x.dtype, device=x.device)
    if kind == 1:
        cosines = 2 * torch.cos(math.pi / (n - 1) * at[:, None] * at)
        cosines[0] /= 2
        cosines[-1] /= 2
        return x @ cosines
    if kind == 4:
        cosines = 2 * torch.cos(math.pi / n * (at[:, None] + 0.5) * (at + 0.5))
        return x @ cosines * (0.5 * (2 / n) ** 0.5 if ortho else 1)
    cosines = 2 * torch.cos(math.pi / n * (at[:, None] + 0.5) * at)
    if ortho:
        scale = torch.full_like(at, (0.5 / n) ** 0.5)
        scale[0] = 0.5 * n**-0.5
        return x @ (cosines * scale) if kind == 2 else x @ (cosines * scale).T
    if kind == 2:
        return x @ cosines
    cosines[:, 0] /= 2
    return x @ cosines.T


def overlap_and_add(x: Tensor, step: int) -> Tensor:
    """Frames (..., frames, length) laid over each other, each so much later, and summed."""
    count, length = x.shape[-2:]
    out = x.new_zeros(*x.shape[:-2], (count - 1) * step + length)
    for at in range(count):
        out[..., at * step : at * step + length] += x[..., at, :]
    return out


def spectrum(
    x: Tensor, length: int, step: int, size: int | None = None, window: str = "hann"
) -> Tensor:
    """Spectra of frames of a signal, (..., t) -> (..., frames, bins), as tf.signal.stft has."""
    frames = x.unfold(-1, length, step)
    if window != "rectangular":
        made = torch.hann_window if window == "hann" else torch.hamming_window
        # TensorFlow takes periodic windows of odd length for symmetric ones.
        frames = frames * made(length, periodic=length % 2 == 0, dtype=x.dtype, device=x.device)
    return torch.fft.rfft(frames, n=size)


def inverse_spectrum(
    x: Tensor, length: int, step: int, size: int | None = None, window: str = "hann"
) -> Tensor:
    """The signal of spectra of its frames, (..., frames, bins) -> (..., t)."""
    frames = torch.fft.irfft(x, n=size or length)
    frames = nn.functional.pad(frames, (0, length - frames.shape[-1]))
    if window != "rectangular":
        made = torch.hann_window if window == "hann" else torch.hamming_window
        # TensorFlow takes periodic windows of odd length for symmetric ones.
        frames = frames * made(
            length, periodic=length % 2 == 0, dtype=frames.dtype, device=x.device
        )
    return overlap_and_add(frames, step)
