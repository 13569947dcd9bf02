"""Feature maps as pictures: principal components of the channels as colours, the same for both frameworks."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from torchport.errors import TorchportError
from torchport.geometry.activations import Activations
from torchport.geometry.network import Network

#: Pixels of the longer side of a picture, of the picture of one channel, of one where tensors are many.
LONG, SMALL, LEAST = 128, 48, 56
#: How many tensors have pictures of both sides and of channels; more have one small picture each.
MANY = 240
#: How many channels are shown by themselves.
CHANNELS = 9
#: Most vectors that components are computed of.
VECTORS = 16_384


@dataclass(frozen=True)
class Basis:
    """Three directions of the channels' space in which a map varies most.

    `mean` (c,), `directions` (c, k), `shares` of the variance, `low` and `high` (k,) of what is shown.
    """

    mean: np.ndarray
    directions: np.ndarray
    shares: np.ndarray
    low: np.ndarray
    high: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Basis:
        """Of a map (..., c): eigenvectors of the covariance. Signs are free: the largest part is positive."""
        flat = values.reshape(-1, values.shape[-1]).astype(np.float64)
        few = flat[:: max(1, len(flat) // VECTORS)]
        mean = few.mean(0)
        centred = few - mean
        variances, vectors = np.linalg.eigh(centred.T @ centred / len(few))
        order = np.argsort(variances)[::-1][:3]
        directions = vectors[:, order]
        directions = directions * np.sign(directions[np.abs(directions).argmax(0), np.arange(len(order))])
        shown = centred @ directions
        low, high = np.percentile(shown, [1, 99], axis=0)
        shares = np.maximum(variances[order], 0) / max(float(variances.clip(0).sum()), 1e-300)
        return cls(mean, directions, shares, low, high)

    def colours(self, values: np.ndarray) -> np.ndarray:
        """A map (h, w, c) as (h, w, 3), 0 to 255."""
        shown = (np.where(np.isfinite(values), values, 0.0) - self.mean) @ self.directions
        shown = (shown - self.low) / np.maximum(self.high - self.low, 1e-12)
        grey = np.repeat(shown[..., :1], 3, -1) if shown.shape[-1] < 3 else shown
        return np.asarray(np.clip(grey, 0, 1) * 255, np.uint8)


def features(network: Network, found: Activations, picture: str, note: str) -> dict[str, Any]:
    """The page's "features". `picture`: the input itself."""
    arrays = found.keras if found.keras is not None else found.torch
    maps = {
        it.id: it for it in network.tensors
        if it.id in arrays and it.id in found.torch and is_picture(arrays[it.id], it.keras.axes)
    }  # fmt: skip
    few = len(maps) <= MANY
    sources = found.keras or {}
    tensors = {
        name: feature(it.keras.axes, found.torch[name], sources.get(name), few) for name, it in maps.items()
    }
    ran = ["torch"] if found.keras is None else ["keras", "torch"]
    return {
        "ran": ran,
        "note": " ".join(filter(None, (note, found.why))),
        "input": picture,
        "tensors": tensors,
    }


def feature(axes: Sequence[str], torch: np.ndarray, keras: np.ndarray | None, whole: bool) -> dict[str, Any]:
    """One tensor: what each side makes of it, and the difference."""
    first = image(keras if keras is not None else torch, axes)
    assert first is not None
    basis = Basis.of(first)
    long = LONG if whole else LEAST
    made: dict[str, Any] = {
        "picture": encode(basis.colours(first), long), "torch": None, "difference": None, "largest": None,
        "power": None, "range": [float(first.min()), float(first.max())],
        "share": [round(float(it), 4) for it in basis.shares] if first.shape[-1] > 1 else [],
        "channels": first.shape[-1], "top": [],
    }  # fmt: skip
    if keras is not None:
        difference = np.abs(torch.astype(np.float64) - keras)
        largest = float(difference.max())
        made["largest"] = largest if math.isfinite(largest) else None
        if whole:
            made["torch"] = encode(basis.colours(image(torch, axes)), long)  # type: ignore[arg-type]
        if whole and largest > 0 and math.isfinite(largest):
            power = -math.floor(math.log10(largest))
            apart = image(difference, axes)
            assert apart is not None
            made["difference"] = encode(grey(apart.max(-1) * 10.0**power / 10), long)
            made["power"] = power
    if whole and first.shape[-1] > 3:
        made["top"] = list(channels(first))
    return made


def channels(values: np.ndarray) -> Iterator[dict[str, Any]]:
    """The channels of largest variance."""
    variance = values.reshape(-1, values.shape[-1]).astype(np.float64).var(0)
    for channel in np.argsort(variance, kind="stable")[::-1][:CHANNELS]:
        own = values[..., channel].astype(np.float64)
        low, high = np.percentile(own, [1, 99])
        scaled = (own - low) / max(float(high - low), 1e-12)
        yield {"channel": int(channel), "picture": encode(grey(scaled), SMALL)}


def is_picture(array: np.ndarray, axes: Sequence[str]) -> bool:
    """Whether a tensor can be looked at: it has rows and columns, and numbers."""
    return image(array, axes) is not None and bool(np.isfinite(array).all())


def image(array: np.ndarray, axes: Sequence[str]) -> np.ndarray | None:
    """The first sample as (h, w, c): of a volume the middle, of a sequence a sheet; None for what is flat."""
    array, axes = array[0], list(axes[1:])
    if array.ndim != len(axes) or array.size == 0 or array.dtype.kind not in "fiu":
        return None
    if "c" in axes:
        array = np.moveaxis(array, axes.index("c"), -1)
    else:
        array = array[..., None]
    if array.ndim == 4:
        array = array[array.shape[0] // 2]
    if array.ndim == 2 and array.shape[-1] > 1 and len(axes) == 2:  # a sequence: steps down, channels across
        array = array[..., None]
    return array if array.ndim == 3 and min(array.shape[:2]) > 1 else None


def grey(values: np.ndarray) -> np.ndarray:
    """0 to 1 as (h, w, 3)."""
    return np.repeat((np.clip(values, 0, 1) * 255).astype(np.uint8)[..., None], 3, -1)


def pillow() -> Any:
    """Pillow's `Image`. Raises TorchportError where it is not installed."""
    try:
        from PIL import Image
    except ImportError as error:
        advice = 'pip install "torchport[explain]"'
        raise TorchportError("pictures need Pillow", where="--input", advice=advice) from error
    return Image


def encode(pixels: np.ndarray, long: int) -> str:
    """A picture as a data URL."""
    Image = pillow()
    made = Image.fromarray(pixels)
    if max(made.size) > long:
        sizes = (max(1, round(size * long / max(made.size))) for size in made.size)
        made = made.resize((next(sizes), next(sizes)), Image.Resampling.BOX)
    out = io.BytesIO()
    made.save(out, "WEBP", quality=80, method=4)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()
