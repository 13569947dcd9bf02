from __future__ import annotations

import torch
from torch import Tensor


def stft(
    x: Tensor, length: int, stride: int, fft_length: int, kind: str = "hann", center: bool = True
) -> tuple[Tensor, Tensor]:
    """The real and the imaginary part of the spectrum of a signal: (n, t) -> (n, frames, bins)."""
    if kind == "rectangular":
        window = torch.ones(fft_length, dtype=x.dtype, device=x.device)
    else:
        made = torch.hann_window if kind == "hann" else torch.hamming_window
        # TensorFlow takes periodic windows of odd length for symmetric ones.
        window = made(length, periodic=length % 2 == 0, dtype=x.dtype, device=x.device)
    waves = torch.stft(
        x, fft_length, stride, len(window), window, center=center, return_complex=True
    )
    real, imag = torch.view_as_real(waves.transpose(1, 2)).unbind(-1)
    return real, imag
