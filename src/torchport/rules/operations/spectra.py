"""Functions of tf.signal: Fourier and cosine transforms, frames. They run over the last axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, call
from torchport.rules.arguments import default, plain
from torchport.rules.bound import uncounted
from torchport.rules.constants import numbers
from torchport.rules.dtypes import kept_float
from torchport.rules.operations.waves import bins
from torchport.rules.sizes import all_of_last, axes_of, held, size_of, with_size
from torchport.rules.table import SOURCE, Value, rule
from torchport.rules.window import Reading, Rotation, Window

#: Transforms of complex tensors, by the last axes that they run over.
FOURIER = {
    "fft": ("torch.fft.fft", 1), "ifft": ("torch.fft.ifft", 1), "fft2d": ("torch.fft.fft2", 2),
    "ifft2d": ("torch.fft.ifft2", 2), "fft3d": ("torch.fft.fftn", 3), "ifft3d": ("torch.fft.ifftn", 3),
}  # fmt: skip


def fourier(function: str, count: int) -> Callable[..., Expr]:
    def write(x: Value) -> Expr:
        return call(function, x, dim=(-3, -2, -1) if count == 3 else None)

    write.__doc__ = f"{function}."
    return write


for _name, (_function, _count) in FOURIER.items():
    rule(f"tf.signal.{_name}", wants=SOURCE, reads=all_of_last(_count), products=uncounted)(
        fourier(_function, _count)
    )


def length_of(fft_length: Any) -> int | None:
    """The length of a transform; None where it is the signal's."""
    given = numbers(fft_length)
    found = given[0] if isinstance(given, (list, tuple)) else given
    if found is not None and not isinstance(found, int):
        raise Unsupported("of a length that is a tensor", "give it as a number")
    return found


def real_shape(x: Tensor, *, fft_length: Any = None) -> Shape:
    return (*x.shape[:-1], bins(x.shape[-1], length_of(fft_length)))


@rule(
    "tf.signal.rfft", wants=SOURCE, reads=all_of_last(1), products=uncounted, shape=real_shape,
    dtype="complex64", ignores="Tcomplex Treal",
)  # fmt: skip
def rfft(x: Value, *, fft_length: Any = None) -> Expr:
    """torch.fft.rfft."""
    length = length_of(fft_length)
    return call("torch.fft.rfft", x, n=None if length == x.shape[-1] else length)


def back_shape(x: Tensor, *, fft_length: Any = None) -> Shape:
    length, size = length_of(fft_length), x.shape[-1]
    return (*x.shape[:-1], length if length is not None else None if size is None else 2 * (size - 1))


@rule(
    "tf.signal.irfft", wants=SOURCE, reads=all_of_last(1), products=uncounted, shape=back_shape,
    dtype="float32", ignores="Tcomplex Treal",
)  # fmt: skip
def irfft(x: Value, *, fft_length: Any = None) -> Expr:
    """torch.fft.irfft."""
    return call("torch.fft.irfft", x, n=length_of(fft_length))


def shifted(function: str) -> Callable[..., Expr]:
    def write(x: Value, *, axes: Any = None) -> Expr:
        return call(function, x, dim=None if axes is None else held(axes_of(axes, x.rank)))

    write.__doc__ = f"{function}."
    return write


def shifted_reads(back: bool) -> Callable[..., dict[int, Reading]]:
    """Half of an axis changes places with the other; an odd one makes the first half the longer."""

    def reads(x: Tensor, *, axes: Any) -> dict[int, Reading]:
        found = ((at, size_of(x, at)) for at in axes_of(axes, len(x.shape)) if x.shape[at] is not None)
        return {at: Rotation(-(size // 2) if back else size // 2) for at, size in found}

    return reads


for _name in ("fftshift", "ifftshift"):
    rule(f"tf.signal.{_name}", wants=SOURCE, reads=shifted_reads(_name[0] == "i"))(
        shifted(f"torch.fft.{_name}")
    )


def cosine_shape(x: Tensor, *, type: int, n: Any, axis: int) -> Shape:
    if type not in (1, 2, 3, 4) or axis not in (-1, len(x.shape) - 1):
        raise Unsupported(f"type={type}, axis={axis}", "types 1 to 4 over the last axis are ported")
    return with_size(x.shape, -1, n or size_of(x, -1))


def cosine(inverse: bool) -> Callable[..., Expr]:
    def write(x: Value, *, type: int = 2, n: Any = None, axis: int = -1, norm: Any = None) -> Expr:
        own = size_of(x, -1)
        if inverse and n not in (None, own):
            raise Unsupported(f"n={n!r}", "cut it before")
        read: Any = x
        if n is not None and n < own:
            read = x[(Ellipsis, slice(None, n))]
        elif n is not None and n > own:
            read = call("F.pad", x, (0, n - own))
        kind = {2: 3, 3: 2}.get(type, type) if inverse else type
        return call("dct", read, kind, *([True] if norm == "ortho" else []))

    write.__doc__ = "A product with cosines, in a helper."
    return write


COSINES: dict[str, Any] = {
    "wants": SOURCE, "shape": cosine_shape, "dtype": kept_float, "reads": all_of_last(1),
    "products": uncounted,
}  # fmt: skip
rule("tf.signal.dct", **COSINES)(cosine(False))
rule("tf.signal.idct", **COSINES)(cosine(True))


def frames(length: int, step: int, pad_end: bool) -> Window:
    return Window(length, step, padding="end" if pad_end else "valid")


def frame_shape(
    x: Tensor, *, frame_length: int, frame_step: int, pad_end: bool = False, axis: int = -1
) -> Shape:  # fmt: skip
    (at,) = axes_of(axis, len(x.shape))
    count = frames(frame_length, frame_step, pad_end).length(x.shape[at])
    return with_size(x.shape, at, count, frame_length)


@rule("tf.signal.frame", wants=SOURCE, shape=frame_shape)
def frame(
    x: Value, *, frame_length: int, frame_step: int, pad_end: bool = False, pad_value: float = 0,
    axis: int = -1,
) -> Expr:  # fmt: skip
    """x.unfold, padded at the end where it is told."""
    (at,) = axes_of(axis, x.rank)
    read = padded(x, at, frames(frame_length, frame_step, pad_end), pad_value)
    made = call(".unfold", read, at, frame_length, frame_step)
    return made if at == x.rank - 1 else call(".movedim", made, -1, at + 1)


def padded(x: Value, at: int, over: Window, value: float = 0) -> Expr:
    """The signal with as much behind it as the last frame needs."""
    if over.padding == "valid":
        return x
    _, more = over.pads(size_of(x, at)) or (0, 0)
    return call("F.pad", x, (*(0, 0) * (x.rank - 1 - at), 0, more), value=value or None) if more else x


def added_shape(x: Tensor, *, frame_step: int) -> Shape:
    count, length = size_of(x, -2), size_of(x, -1)
    return (*x.shape[:-2], (count - 1) * frame_step + length)


@rule("tf.signal.overlap_and_add", wants=SOURCE, shape=added_shape)
def overlap_and_add(x: Value, *, frame_step: int) -> Expr:
    """A helper: frames laid over each other and summed."""
    return call("overlap_and_add", x, frame_step)


def next_power(size: int) -> int:
    """The length of a transform by default. Source: spectral_ops.py, _enclosing_power_of_two."""
    return 1 << (size - 1).bit_length()


def spectrum_shape(
    x: Tensor, *, frame_length: int, frame_step: int, fft_length: Any, pad_end: bool = False
) -> Shape:  # fmt: skip
    *rest, count, _ = frame_shape(x, frame_length=frame_length, frame_step=frame_step, pad_end=pad_end)
    return (*rest, count, (fft_length or next_power(frame_length)) // 2 + 1)


@rule("tf.signal.stft", wants=SOURCE, products=uncounted, shape=spectrum_shape, dtype="complex64")
def stft(
    x: Value, *, frame_length: int, frame_step: int, fft_length: Any = None, window_fn: Any = "hann",
    pad_end: bool = False,
) -> Expr:  # fmt: skip
    """Frames times a window, and torch.fft.rfft: frames before frequencies, and nothing padded around."""
    name = window_name(window_fn)
    length = fft_length or next_power(frame_length)
    read = padded(x, x.rank - 1, frames(frame_length, frame_step, pad_end))
    options = {"window": default(name, "hann")} if name else {"window": "rectangular"}
    size = [] if length == frame_length else [length]
    return call("spectrum", read, frame_length, frame_step, *size, **options)


def inverse_shape(x: Tensor, *, frame_length: int, frame_step: int) -> Shape:
    count = x.shape[-2]
    return (*x.shape[:-2], None if count is None else (count - 1) * frame_step + frame_length)


@rule("tf.signal.inverse_stft", wants=SOURCE, products=uncounted, shape=inverse_shape, dtype="float32")
def inverse_stft(
    x: Value, *, frame_length: int, frame_step: int, fft_length: Any = None, window_fn: Any = "hann"
) -> Expr:
    """torch.fft.irfft of each frame times a window, laid over each other and summed."""
    name = window_name(window_fn)
    length = fft_length or next_power(frame_length)
    options = {"window": default(name, "hann")} if name else {"window": "rectangular"}
    size = [] if length == frame_length else [length]
    return call("inverse_spectrum", x, frame_length, frame_step, *size, **options)


def window_name(window: Any) -> str:
    """Which window a function is; "" for none."""
    if window is None:
        return ""
    for name in ("hann", "hamming"):
        if name in str(window):
            return name
    raise Unsupported(f"window_fn={window!r}", "hann_window, hamming_window and None are ported")


@rule("tf.signal.mfccs_from_log_mel_spectrograms", wants=SOURCE, dtype=kept_float)
def mfccs(x: Value) -> Expr:
    """The cosine transform of the last axis, over the root of twice its size."""
    return call("dct", x, 2) / plain((2 * size_of(x, -1)) ** 0.5)
