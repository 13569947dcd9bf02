"""Sound: spectrograms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Load, call, module
from torchport.rules.arguments import default
from torchport.rules.image import channels, slide, spatial, windows
from torchport.rules.table import SOURCE, Value, image, rule
from torchport.rules.window import Window, centred

MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")
#: Keras's epsilon.
LEAST = 1e-7


def mel_shape(x: Tensor, *, fft_length: int, sequence_stride: int, num_mel_bins: int) -> Shape:
    if len(x.shape) != 2:
        raise Unsupported(f"a signal with {len(x.shape)} axes: (batch, samples) is ported")
    frames = centred(fft_length, sequence_stride)
    return (x.shape[0], num_mel_bins, frames.length(x.shape[1]))


@rule("MelSpectrogram", wants=SOURCE, shape=mel_shape, dtype="float32")
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


def frames_of(
    x: Tensor | Value, frame_length: int, frame_step: int | None, padding: str
) -> list[Window]:  # fmt: skip
    return windows(x, frame_length, frame_step or frame_length // 2, padding=padding)


def stft_shape(
    x: Tensor, *, mode: str, frame_length: int, frame_step: int | None, fft_length: int | None,
    padding: str, expand_dims: bool, data_format: str | None,
) -> Shape:  # fmt: skip
    (count,), (over,) = spatial(x.shape, data_format), frames_of(x, frame_length, frame_step, padding)
    frames = over.length(count)
    high = bins(frame_length, fft_length) * (2 if mode == "stft" else 1)
    many = channels(x.shape, data_format)
    if data_format == "channels_first":
        return (x.shape[0], many, frames, high) if expand_dims else (x.shape[0], many * high, frames)
    return (x.shape[0], frames, high, many) if expand_dims else (x.shape[0], frames, many * high)


def stft_weights(x: Tensor, *, mode: str, frame_length: int, fft_length: int | None) -> Mapping[str, Shape]:
    shape = (frame_length, 1, bins(frame_length, fft_length))
    parts = ("real",) if mode == "real" else ("imag",) if mode == "imag" else ("real", "imag")
    return {f"{part}_kernel": shape for part in parts}


@rule(
    "STFTSpectrogram", wants=image, shape=stft_shape, weights=stft_weights,
    ignores="window periodic scaling", only={"mode": MODES, "padding": ("valid", "same")},
)  # fmt: skip
def stft_spectrogram(
    x: Value, *, mode: str = "log", frame_length: int = 256, frame_step: int | None = None,
    fft_length: int | None = None, padding: str = "valid", expand_dims: bool = False,
    data_format: str | None = None,
) -> Expr:  # fmt: skip
    """nn.Conv1d with waves as its kernels, which train."""
    many = channels(x.shape, data_format)
    signal, options = slide(x, frames_of(x, frame_length, frame_step, padding), data_format)
    if many > 1:
        signal = call(".unsqueeze", call(".flatten", signal, 0, 1), 1)

    def part(name: str) -> Any:
        wave = module(
            "nn.Conv1d", 1, bins(frame_length, fft_length), frame_length, **options, bias=False, role=name,
            loads={"weight": Load.of(f"{name}_kernel", "k i o -> o i k")},
        )  # fmt: skip
        return wave(signal)

    result: Any
    if mode in ("real", "imag"):
        result = part(mode)
    elif mode == "angle":
        result = call("torch.atan2", part("imag"), part("real"))
    elif mode == "stft":
        result = call("torch.cat", [part("real"), part("imag")], dim=1)
    else:
        result = call(".square", part("real")) + call(".square", part("imag"))
        if mode == "psd":
            result = call("one_sided", result)
        else:
            result = call("torch.sqrt", call(".clamp", result, min=LEAST))
            if mode == "log":
                result = call("torch.log", call(".clamp", result, min=LEAST))
    if expand_dims:
        result = call(".unflatten", result, 0, (-1, many)) if many > 1 else call(".unsqueeze", result, 1)
        return call(".transpose", result, 2, 3)
    if many > 1:
        return call(".flatten", call(".unflatten", result, 0, (-1, many)), 1, 2)
    return result  # type: ignore[no-any-return]
