"""Random numbers that are the same on both sides: what a model draws is compared like all else.

A number depends on its place in the tensor alone, and not on which axis is which: the sum of a table's
entries for its positions. So a tensor of noise in the source's order and one in torch's hold the same
numbers, in whatever order the two sides draw them, in every dtype and every run. They are as spread as those
that were asked for: uniform or normal, of the bounds and the deviation given.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache, wraps
from typing import Any

import numpy as np

#: How many different numbers there are; where the first place of a tensor is among them.
COUNT, FIRST = 2**16, 20_011


@cache
def steps() -> np.ndarray:
    """How far a position along an axis moves on in the list of numbers; the first by nothing."""
    found = np.random.default_rng(5).integers(0, COUNT, COUNT)
    found[0] = 0
    return found


@cache
def uniform() -> np.ndarray:
    """Numbers in (0, 1): none is one that a probability is likely to be."""
    return (np.arange(COUNT) + 0.5) / COUNT


@cache
def normal() -> np.ndarray:
    """Normal numbers."""
    import torch

    found: np.ndarray = torch.special.ndtri(torch.from_numpy(uniform())).numpy()
    return found


@cache
def cut() -> np.ndarray:
    """Normal numbers of no more than two deviations."""
    import torch

    share = float(torch.special.ndtr(torch.tensor(-2.0, dtype=torch.float64)))
    found: np.ndarray = torch.special.ndtri(torch.from_numpy(share + uniform() * (1 - 2 * share))).numpy()
    return found


# TensorFlow

MODULES = (
    "gen_random_ops", "gen_stateless_random_ops", "gen_stateless_random_ops_v2", "gen_stateful_random_ops",
)  # fmt: skip
#: What an operation draws, by its name.
TENSORFLOW: dict[str, Callable[[], np.ndarray]] = {
    "random_uniform": uniform, "random_uniform_int": uniform, "random_standard_normal": normal,
    "truncated_normal": cut,
    "stateless_random_uniform": uniform, "stateless_random_uniform_int": uniform,
    "stateless_random_normal": normal, "stateless_truncated_normal": cut,
    "stateless_random_uniform_v2": uniform, "stateless_random_uniform_int_v2": uniform,
    "stateless_random_normal_v2": normal, "stateless_truncated_normal_v2": cut,
    "stateful_uniform": uniform, "stateful_uniform_int": uniform, "stateful_standard_normal": normal,
    "stateful_standard_normal_v2": normal, "stateful_truncated_normal": cut,
}  # fmt: skip


def zeros(tf: Any, original: Callable[..., Any]) -> Callable[..., Any]:
    """An initialiser that draws nothing."""

    @wraps(original)
    def call(self: Any, shape: Any, dtype: Any = None, **options: Any) -> Any:
        return tf.zeros(shape, dtype) if dtype and not options else original(self, shape, dtype, **options)

    return call


#: What is said where a model draws.
NOTE = "the model draws random numbers: both sides were given the same ones"


def tensorflow_draw(
    numbers: Callable[[], np.ndarray], tf: Any, original: Callable[..., Any], note: Callable[[str], None]
) -> Callable[..., Any]:
    """An operation of TensorFlow that draws these numbers."""
    signature = inspect.signature(original)

    @wraps(original)
    def draw(*args: Any, **kwargs: Any) -> Any:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.arguments
        note(NOTE)
        shape = tf.convert_to_tensor(given["shape"])
        at = tf.constant(FIRST, tf.int64)
        rank = shape.shape[0]
        for axis in range(rank):
            along = tf.gather(tf.constant(steps()), tf.range(shape[axis]) % COUNT)
            at = at + tf.reshape(along, [-1] + [1] * (rank - axis - 1))
        found = tf.gather(tf.constant(numbers()), at % COUNT)
        if "minval" in given:
            low, high = (tf.convert_to_tensor(given[name]) for name in ("minval", "maxval"))
            width = tf.cast(high - low, tf.float64)
            return low + tf.cast(tf.floor(found * width), low.dtype)
        return tf.cast(found, given["dtype"])

    return draw


# torch


def at_places(pt: Any, shape: Sequence[int], numbers: np.ndarray) -> Any:
    """These numbers for a tensor of that shape, in float64."""
    at = pt.tensor(FIRST, dtype=pt.int64)
    for axis, size in enumerate(shape):
        along = pt.from_numpy(steps())[pt.arange(size) % COUNT]
        at = at + along.reshape(-1, *(1,) * (len(shape) - axis - 1))
    return pt.from_numpy(numbers)[at % COUNT]


def same_in_torch(pt: Any) -> Any:
    """A context in which torch draws these numbers."""
    from torch.utils._python_dispatch import TorchDispatchMode

    class SameDraws(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            found = func(*args, **(kwargs or {}))
            draw = TORCH.get(func.overloadpacket.__name__)
            if draw is None:
                return found
            names = [it.name for it in func._schema.arguments]
            return draw(pt, found, {**dict(zip(names, args, strict=False)), **(kwargs or {})})

    return SameDraws()  # type: ignore[no-untyped-call]


def draw_uniform(pt: Any, found: Any, given: dict[str, Any]) -> Any:
    low, high = float(given.get("from", 0.0)), float(given.get("to", 1.0))
    return found.copy_(low + (high - low) * at_places(pt, found.shape, uniform()))


def draw_normal(pt: Any, found: Any, given: dict[str, Any]) -> Any:
    mean, spread = given.get("mean", 0.0), given.get("std", 1.0)
    return found.copy_(mean + spread * at_places(pt, found.shape, normal()))


def draw_whole(pt: Any, found: Any, given: dict[str, Any]) -> Any:
    low, high = given.get("low", 0), given["high"]
    return found.copy_(low + pt.floor((high - low) * at_places(pt, found.shape, uniform())))


def draw_share(pt: Any, found: Any, given: dict[str, Any]) -> Any:
    """Ones with the probability of each place, where a uniform number is below."""
    share = given["p"] if given.get("p") is not None else given["self"]
    return found.copy_(at_places(pt, found.shape, uniform()) < share)


def draw_kept(pt: Any, found: Any, given: dict[str, Any]) -> Any:
    """Ones with the probability `p`: what F.dropout keeps, where TensorFlow's uniform number is not below."""
    return found.copy_(at_places(pt, found.shape, uniform()) >= 1 - given.get("p", 0.5))


def draw_dropout(pt: Any, found: Any, given: dict[str, Any]) -> Any:
    """native_dropout: what is left, and where something is."""
    kept = at_places(pt, found[0].shape, uniform()) >= given["p"]
    return given["input"] * kept.to(found[0].dtype) / (1 - given["p"]), kept


def draw_slopes(pt: Any, found: Any, given: dict[str, Any]) -> Any:
    """rrelu_with_noise: a slope for each number up to zero; the gradient takes it from `noise`."""
    low, high, x = float(given.get("lower", 1 / 8)), float(given.get("upper", 1 / 3)), given["self"]
    if not given.get("training", False):
        return found
    slopes = low + (high - low) * at_places(pt, x.shape, uniform())
    given["noise"].copy_(pt.where(x <= 0, slopes.to(x.dtype), 1.0))
    return found.copy_(x * given["noise"])


#: By the name of an operation of aten.
TORCH: dict[str, Callable[[Any, Any, dict[str, Any]], Any]] = {
    "rand": draw_uniform, "rand_like": draw_uniform, "uniform_": draw_uniform,
    "randn": draw_normal, "randn_like": draw_normal, "normal": draw_normal, "normal_": draw_normal,
    "normal_functional": draw_normal, "randint": draw_whole, "randint_like": draw_whole,
    "bernoulli": draw_share, "bernoulli_": draw_kept, "native_dropout": draw_dropout,
    "rrelu_with_noise": draw_slopes,
}  # fmt: skip
