"""Sound: spectrograms."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call, module
from torchport.rules.arguments import default
from torchport.rules.bound import kernels, uncounted
from torchport.rules.entry import Variable, Windowed, kernel_module, layer, variables
from torchport.rules.image import windows
from torchport.rules.table import SOURCE, Value, rule
from torchport.rules.window import Reading, Window, centred

MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
#: Keras's epsilon.
LEAST = 1e-7


def mel_reads(x: Tensor, *, fft_length: int, sequence_stride: int) -> Mapping[int, Reading]:
    return {1: centred(fft_length, sequence_stride)}


def mel_shape(x: Tensor, *, fft_length: int, sequence_stride: int, num_mel_bins: int) -> Shape:
    if len(x.shape) != 2:
        raise Unsupported(f"a signal with {len(x.shape)} axes: (batch, samples) is ported")
    frames = mel_reads(x, fft_length=fft_length, sequence_stride=sequence_stride)[1]
    return (x.shape[0], num_mel_bins, frames.length(x.shape[1]))


@rule("MelSpectrogram", wants=SOURCE, shape=mel_shape, dtype="float32", reads=mel_reads, products=uncounted)
def mel_spectrogram(
    x: Value, *, fft_length: int = 2048, sequence_stride: int = 512, sequence_length: int | None = None,
    window: Any = "hann", sampling_rate: int = 16000, num_mel_bins: int = 128, min_freq: float = 20.0,
    max_freq: float | None = None, power_to_db: bool = True, top_db: float = 80.0, mag_exp: float = 2.0,
    min_power: float = 1e-10, ref_power: float = 1.0,
) -> Expr:  # fmt: skip
    """A module of some lines around torch.stft."""
    if window not in ("hann", "hamming"):
        raise Unsupported(f"window={window!r} is not ported", "'hann' or 'hamming' is")
    made = module(
        "MelSpectrogram", fft_length, sequence_stride, length=default(sequence_length, fft_length),
        window=default(window, "hann"), rate=default(sampling_rate, 16000),
        bins=default(num_mel_bins, 128),
        low=default(min_freq, 20.0), high=default(max_freq, sampling_rate // 2),
        decibel=default(power_to_db, True), top_db=default(top_db, 80.0), exponent=default(mag_exp, 2.0),
        least=default(min_power, 1e-10), reference=default(ref_power, 1.0), loads={},
    )  # fmt: skip
    return made(x)


def bins(frame_length: int, fft_length: int | None) -> int:
    """How many frequencies there are."""
    return int(fft_length or 2 ** math.ceil(math.log2(frame_length))) // 2 + 1


@layer(
    "STFTSpectrogram", ignores="window periodic scaling", only={"mode": MODES, "padding": ("valid", "same")}
)  # fmt: skip
class STFTSpectrogram(Windowed):
    """nn.Conv1d with waves as its kernels, which train."""

    mode: str = "log"
    frame_length: int = 256
    frame_step: int | None = None
    fft_length: int | None = None
    padding: str = "valid"
    expand_dims: bool = False

    def windows(self, x: Tensor | Value) -> list[Window]:
        return windows(x, self.frame_length, self.frame_step or self.frame_length // 2, padding=self.padding)

    @property
    def bins(self) -> int:
        return bins(self.frame_length, self.fft_length)

    def shape(self, x: Tensor) -> Shape:
        (count,), (over,), many = self.spatial(x), self.windows(x), self.channels(x)
        frames, high = over.length(count), self.bins * (2 if self.mode == "stft" else 1)
        if self.is_first:
            return (x.shape[0], many, frames, high) if self.expand_dims else (x.shape[0], many * high, frames)
        return (x.shape[0], frames, high, many) if self.expand_dims else (x.shape[0], frames, many * high)

    def weights(self, x: Any, y: Any) -> Mapping[str, Variable]:
        kernel = ("k i o", {"k": self.frame_length, "i": 1, "o": self.bins})
        return variables(
            real_kernel=None if self.mode == "imag" else kernel,
            imag_kernel=None if self.mode == "real" else kernel,
        )

    def products(self, *args: Any, y: Any) -> int | None:
        """Those of its kernels at each frame of each signal."""
        (x,) = args
        (count,), (over,) = self.spatial(x), self.windows(x)
        return kernels(self.sizes(x, y)) * (over.length(count) or 1) * self.channels(x)

    def write(self, x: Value, y: Value, **waves: Variable) -> Expr:
        many = self.channels(x)
        signal, size, options = self.slid(x, self.windows(x))
        if many > 1:
            signal = call(".unsqueeze", call(".flatten", signal, 0, 1), 1)
        parts: list[Expr] = [
            kernel_module(
                "nn.Conv1d", 1, self.bins, size, **options, role=name.removesuffix("_kernel"),
                weight=kernel("o i k"), bias=None,
            )(signal)
            for name, kernel in waves.items()
        ]  # fmt: skip
        result = self.measure(parts)
        if self.expand_dims:
            result = call(".unflatten", result, 0, (-1, many)) if many > 1 else call(".unsqueeze", result, 1)
            return call(".transpose", result, 2, 3)
        if many > 1:
            return call(".flatten", call(".unflatten", result, 0, (-1, many)), 1, 2)
        return result

    def measure(self, waves: Sequence[Expr]) -> Expr:
        """What the mode makes of the real and the imaginary part."""
        if self.mode in ("real", "imag"):
            return waves[0]
        real, imaginary = waves
        if self.mode == "angle":
            return call("torch.atan2", imaginary, real)
        if self.mode == "stft":
            return call("torch.cat", [real, imaginary], dim=1)
        power = call(".square", real) + call(".square", imaginary)
        if self.mode == "psd":
            return call("one_sided", power)
        size = call("torch.sqrt", call(".clamp", power, min=LEAST))
        return call("torch.log", call(".clamp", size, min=LEAST)) if self.mode == "log" else size
