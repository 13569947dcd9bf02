"""Fourier transforms. Keras holds complex numbers as a pair of tensors; they run over the last axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.bound import uncounted
from torchport.rules.sizes import all_of_last
from torchport.rules.table import SOURCE, Value, rule
from torchport.rules.window import Among, Reading, Window, centred

Pair = Sequence[Value]


def joined(x: Pair) -> Expr:
    return call("torch.complex", *x)


def parts(x: Expr) -> Expr:
    """The real and the imaginary part, as two tensors."""
    return call(".unbind", call("torch.view_as_real", x), -1)


def pair_shape(x: Sequence[Tensor]) -> list[Shape]:
    return [x[0].shape] * 2


def bins(size: int | None, fft_length: int | None) -> int | None:
    """How many frequencies a real signal has."""
    length = size if fft_length is None else fft_length
    return None if length is None else length // 2 + 1


@rule("keras.ops.FFT", wants=SOURCE, products=uncounted, reads=all_of_last(1), shape=pair_shape)
def fft(x: Pair) -> Expr:
    """torch.fft.fft."""
    return parts(call("torch.fft.fft", joined(x)))


@rule("keras.ops.FFT2", wants=SOURCE, products=uncounted, reads=all_of_last(2), shape=pair_shape)
def fft2(x: Pair) -> Expr:
    """torch.fft.fft2."""
    return parts(call("torch.fft.fft2", joined(x)))


@rule("keras.ops.IFFT2", wants=SOURCE, products=uncounted, reads=all_of_last(2), shape=pair_shape)
def ifft2(x: Pair) -> Expr:
    """torch.fft.ifft2."""
    return parts(call("torch.fft.ifft2", joined(x)))


def rfft_shape(x: Tensor, *, fft_length: int | None) -> list[Shape]:
    return [(*x.shape[:-1], bins(x.shape[-1], fft_length))] * 2


@rule("keras.ops.RFFT", wants=SOURCE, products=uncounted, reads=all_of_last(1), shape=rfft_shape)
def rfft(x: Value, *, fft_length: int | None = None) -> Expr:
    """torch.fft.rfft."""
    return parts(call("torch.fft.rfft", x, n=fft_length))


def irfft_shape(x: Sequence[Tensor], *, fft_length: int | None) -> Shape:
    size = x[0].shape[-1]
    length = fft_length if fft_length is not None else None if size is None else 2 * (size - 1)
    return (*x[0].shape[:-1], length)


@rule("keras.ops.IRFFT", wants=SOURCE, products=uncounted, reads=all_of_last(1), shape=irfft_shape)
def irfft(x: Pair, *, fft_length: int | None = None) -> Expr:
    """torch.fft.irfft."""
    return call("torch.fft.irfft", joined(x), n=fft_length)


def sequences_reads(x: Tensor, *, sequence_length: int, sequence_stride: int) -> Mapping[int, Reading]:
    """One value of a frame: its axis is the frames', and behind it stand their own steps."""
    frames = Window(sequence_length, sequence_stride)
    return {len(x.shape) - 1: Among(f"{{0}} = frame · {sequence_stride} + place in it", frames)}


def sequences_shape(x: Tensor, *, sequence_length: int, sequence_stride: int) -> Shape:
    (frames,) = sequences_reads(x, sequence_length=sequence_length, sequence_stride=sequence_stride).values()
    return (*x.shape[:-1], frames.length(x.shape[-1]), sequence_length)


@rule("keras.ops.ExtractSequences", wants=SOURCE, shape=sequences_shape, reads=sequences_reads)
def extract_sequences(x: Value, *, sequence_length: int, sequence_stride: int) -> Expr:
    """x.unfold."""
    return call(".unfold", x, -1, sequence_length, sequence_stride)


def stft_reads(x: Tensor, *, sequence_stride: int, fft_length: int, center: bool) -> Mapping[int, Reading]:
    return {1: (centred if center else Window)(fft_length, sequence_stride)}


def stft_shape(x: Tensor, *, sequence_stride: int, fft_length: int, center: bool) -> list[Shape]:
    if len(x.shape) != 2:
        raise Unsupported("of a tensor that is not (batch, steps)", "reshape it first")
    frames = stft_reads(x, sequence_stride=sequence_stride, fft_length=fft_length, center=center)[1]
    return [(x.shape[0], frames.length(x.shape[-1]), bins(fft_length, None))] * 2


@rule(
    "keras.ops.STFT", wants=SOURCE, shape=stft_shape, only={"window": ("hann", "hamming", None)},
    reads=stft_reads, products=uncounted,
)  # fmt: skip
def stft(
    x: Value, *, sequence_length: int, sequence_stride: int, fft_length: int, window: Any = "hann",
    center: bool = True,
) -> Expr:  # fmt: skip
    """torch.stft, with frames before frequencies."""
    kind = None if window == "hann" else window or "rectangular"
    options = {"kind": kind, "center": None if center else False}
    return call("stft", x, sequence_length, sequence_stride, fft_length, **options)
