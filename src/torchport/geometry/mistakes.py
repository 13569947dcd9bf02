"""The usual mistake with a layer, and what it does, in numbers that are computed of this model.

Each has the right shape and runs, which is why people make it: the values are wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torchport.axes import Turn
from torchport.program import Load
from torchport.rules.window import Reading, Stretch, Transposed, Window

if TYPE_CHECKING:
    import numpy as np

#: Columns of a weight that a comparison takes, at most.
UNITS = 64


@dataclass(frozen=True)
class Scene:
    """A layer as mistakes look at it: its kind and options, what it reads along the axes, and its weights."""

    kind: str
    options: Mapping[str, Any]
    readings: Sequence[tuple[str, Reading, int]]
    loads: Mapping[str, Load]
    #: Its weights as Keras has them; none where their values are not asked for.
    values: Mapping[str, np.ndarray]
    shape: Sequence[int]
    #: The names of its tensors in PyTorch.
    held: Sequence[str] = ()


def mistakes(scene: Scene) -> Iterator[str]:
    """Lines that say them; none where nothing usual is known."""
    for find in ALL:
        yield from find(scene)


def row(title: str, values: Sequence[float], width: int = 30) -> str:
    """Numbers under each other."""
    return f"  {title:<{width}}" + "".join(f"{it:>7g}" for it in values)


def in_one_dimension(over: Reading, n: int, kernel: Sequence[float], x: Sequence[float]) -> list[float]:
    """What a window, or a stamp, makes of a few numbers."""
    found = [0.0] * (over.length(n) or 0)
    for at in range(len(found)):
        for place in over.reads(at, n):
            found[at] += x[place] * kernel[tap(over, at, place, n)]
    return found


def tap(over: Reading, at: int, place: int, n: int) -> int:
    """Which tap of its kernel an output step reads an input step with."""
    if isinstance(over, Transposed):
        return (at + over.cuts(n)[0] - place * over.s) // over.d
    assert isinstance(over, Window)
    return (place - at * over.s + (over.pads(n) or (0, 0))[0]) // over.d


def cut_at_both_ends(scene: Scene) -> Iterator[str]:
    """A transposed convolution whose odd step is cut off at the other end."""
    for name, over, _ in scene.readings:
        if not isinstance(over, Transposed) or over.k > 5 or over.padding != "same" or over.d != 1:
            continue
        before, end = over.cuts(3)
        laid, length = 2 * over.s + over.full, over.length(3) or 0
        padding = -(-(laid - length) // 2) if laid > length else 0
        output_padding = length - (laid - 2 * padding)
        if end >= 0 or padding == before:
            continue
        x, kernel = [1.0, 2.0, 3.0], [10.0**power for power in range(over.k)]
        right = in_one_dimension(over, 3, kernel, x)
        whole = [0.0] * max(laid, padding + length)
        for place, value in enumerate(x):
            for at, weight in enumerate(kernel):
                whole[place * over.s + at] += value * weight
        wrong = whole[padding : padding + length]
        yield (
            f"padding={padding}, output_padding={output_padding} gives the same shape and cuts the "
            "start: every "
            f"value is {padding - before} off along {name}."
        )
        yield f"In one dimension, x = 1 2 3, kernel {' '.join(f'{it:g}' for it in kernel)}:"
        yield row("Keras and model.py", right)
        yield row(f"padding={padding}, output_padding={output_padding}", wrong)
        return


def padded_at_both_ends(scene: Scene) -> Iterator[str]:
    """'same' with a stride, whose odd zero torch puts at the start."""
    for name, over, n in scene.readings:
        if not isinstance(over, Window) or "Pool" in scene.kind or not 1 < over.k <= 7 or over.d != 1:
            continue
        before, after = over.pads(n) or (0, 0)
        if before == after or over.padding != "same":
            continue
        size = over.reach + 2 * over.s
        size += (n - size) % over.s
        both = Window(over.k, over.s, padding=(after, after))
        x, kernel = [float(at) for at in range(1, size + 1)], [10.0**power for power in range(over.k)]
        right = in_one_dimension(over, size, kernel, x)
        if (over.pads(size) or (0, 0)) != (before, after):
            return
        wrong = in_one_dimension(both, size, kernel, x)[: len(right)]
        yield (
            f"padding={after} pads {after} before {name} too, where TensorFlow pads {before} before and "
            f"{after} "
            f"after: the same shape, every window {after - before} off."
        )
        yield f"In one dimension, x = 1 … {size}, kernel {' '.join(f'{it:g}' for it in kernel)}:"
        yield row("Keras and model.py", right)
        yield row(f"padding={after}", wrong)
        return


def turned_kernel(scene: Scene) -> Iterator[str]:
    """A kernel whose axes are only reversed, or whose rows or gates are left as they were."""
    for role, load in scene.loads.items():
        array = scene.values.get(role)
        if array is None or array.ndim < 2 or array.size < 2:
            continue
        turn = load.turn
        if turn.regroup:
            yield from rows_left(role, turn, array)
            return
        if turn.blocks and turn.blocks[0][2] != tuple(range(turn.blocks[0][1])):
            axis, count, order = turn.blocks[0]
            left = Turn(turn.pattern, turn.regroup, turn.sizes, (), turn.view)
            right, wrong = turn.apply(array), left.apply(array)
            if right.shape == wrong.shape:
                yield (
                    f"{role}: torch has its {count} gates in another order "
                    f"({', '.join(map(str, order))}). Copied "
                    f"as they are, {share(right, wrong)} of its numbers differ; {apart(right, wrong)}."
                )
                return
        right, wrong = turn.apply(array), array.T
        if right.shape == wrong.shape and array.ndim > 2 and (right != wrong).any():
            names, _, goes = turn.text.partition("->")
            reverse = " ".join(reversed(names.split()))
            yield (
                f"{role}.T has the right shape, but is {reverse}, not{goes}: {share(right, wrong)} of "
                "its numbers "
                f"are in another place; {apart(right, wrong)}."
            )
            return
        if array.ndim == 3 and right.ndim == 2 and right.size == array.size:
            wrong = array.reshape(right.shape)
            if (right != wrong).any():
                yield (
                    f"{role}.reshape{right.shape} has the right shape, and no axis is turned: "
                    f"{share(right, wrong)} of its numbers are in another place; {apart(right, wrong)}."
                )
                return
        if array.ndim == 2 and array.shape[0] == array.shape[1] and (right != array).any():
            yield (
                f"{role} is square: copied without turning it, it runs. {share(right, array)} of its numbers "
                f"are then in another place; {apart(right, array)}."
            )
            return


def rows_left(role: str, turn: Turn, array: np.ndarray) -> Iterator[str]:
    """A Dense kernel behind a Flatten whose rows are not turned."""
    import numpy as np

    columns = array[:, :UNITS].astype(np.float64)
    if array.ndim != 2 or turn.regroup[0][0] != 0:
        return
    rng = np.random.default_rng(0)
    x = rng.random((200, array.shape[0]))  # in Keras's order
    held = Turn("n c -> n c", ((1, turn.regroup[0][1]),)).apply(x)
    keras, ours = x @ columns, held @ Turn("i o -> i o", turn.regroup).apply(columns)
    wrong = held @ columns
    yield (
        f"{role}.T alone has the right shape and runs. On 200 random inputs the largest output is "
        f"{abs(keras).max():.2g}; the largest difference is {abs(keras - wrong).max():.2g} with it, and "
        f"{abs(keras - ours).max():.2g} with the rows turned."
    )


def share(one: np.ndarray, other: np.ndarray) -> str:
    """How many numbers differ, of a hundred."""
    return f"{(one != other).mean():.0%}"


def apart(one: np.ndarray, other: np.ndarray) -> str:
    """How far apart they are at most."""
    return f"the largest difference is {abs(one.astype(float) - other.astype(float)).max():.3g}"


def bias_twice(scene: Scene) -> Iterator[str]:
    """The one bias of Keras in both of torch's."""
    bias = scene.values.get("bias")
    if bias is None or bias.ndim != 1 or not bias.size or not any("bias_hh" in it for it in scene.held):
        return
    yield (
        "torch adds two biases, bias_ih and bias_hh, where Keras has one: copied into both, each gate gets "
        f"it twice. The largest is {abs(bias).max():.3g}; here bias_hh is zero, and does not train."
    )


def momentum(scene: Scene) -> Iterator[str]:
    """Keras says what is kept, torch what is new."""
    kept = scene.options.get("momentum")
    if scene.kind != "BatchNormalization" or not isinstance(kept, (int, float)) or not 0 < kept < 1:
        return
    new = round(1 - kept, 10)
    yield (
        f"momentum={kept:g} in Keras is momentum={new:g} in torch: Keras says how much is kept. After 10 "
        "batches "
        f"{kept**10:.2g} of a running mean is what it was; with momentum={kept:g} in torch it is "
        f"{new**10:.2g}."
    )


def epsilon(scene: Scene) -> Iterator[str]:
    """torch's own epsilon."""
    own = scene.options.get("epsilon")
    variance = next((it for name, it in scene.values.items() if name.endswith("moving_variance")), None)
    if variance is None or not isinstance(own, float) or own == 1e-5 or not variance.size:
        return
    ratio = ((variance.astype(float) + own) / (variance.astype(float) + 1e-5)) ** 0.5
    most = ratio[abs(ratio - 1).argmax()]
    if abs(most - 1) < 0.005:
        return
    yield (
        f"torch's own eps is 1e-05, here it is {own:g}: left at torch's, a channel comes out {most:.3g} "
        "times as large."
    )


def padding_counted(scene: Scene) -> Iterator[str]:
    """Zeros that are counted in a mean."""
    if not scene.kind.startswith("Average"):
        return
    for name, over, n in scene.readings:
        if isinstance(over, Window) and any(over.pads(n) or ()):
            ends = [len(over.reads(at, n)) for at in (0, (over.length(n) or 1) - 1)]
            least = min(ends)
            if least < over.k:
                yield (
                    f"with count_include_pad=True, torch's default, a window at the edge of {name} that "
                    "reads "
                    f"{least} of {over.k} gives {least / over.k:.3g} of the mean along that axis."
                )
                return


def corners(scene: Scene) -> Iterator[str]:
    """Bilinear resizing by the corners."""
    for _, over, n in scene.readings:
        if isinstance(over, Stretch) and over.method == "bilinear" and n > 1 and (over.length(n) or 0) > n:
            x = [1.0, 2.0, 4.0]
            size = 3 * over.factor if over.size is None else 6
            middles = [min(max((at + 0.5) * 3 / size - 0.5, 0), 2) for at in range(size)]
            ends = [at * 2 / (size - 1) for at in range(size)]
            yield (
                "align_corners=True has the same shape and other values. In one dimension, x = 1 2 4, "
                f"to {size}:"
            )
            for title, places in (("Keras and model.py", middles), ("align_corners=True", ends)):
                yield row(title, [round(between(x, place), 3) for place in places])
            return


def between(x: Sequence[float], place: float) -> float:
    low = min(math.floor(place), len(x) - 2)
    return x[low] + (x[low + 1] - x[low]) * (place - low)


def slope(scene: Scene) -> Iterator[str]:
    """Defaults of activations that differ."""
    known = scene.options.get("negative_slope", scene.options.get("alpha"))
    if "leaky" in scene.kind.lower() and isinstance(known, float) and known != 0.01:
        yield f"torch's own slope is 0.01, here it is {known:g}: of -1 it would make -0.01, not {-known:g}."


def memory_order(scene: Scene) -> Iterator[str]:
    """reshape for permute."""
    if scene.kind != "Flatten" or len(scene.shape) < 3:
        return
    *space, channels = scene.shape[1:]
    count = math.prod(space)
    if count > 1 and channels > 1:
        same = math.gcd(count - 1, channels - 1) + 1
        yield (
            "an image that is read again in the other order with reshape, not permute, has the right "
            "shape: of its "
            f"{count * channels:,} values {same:,} stay where they were."
        )


#: All of them, in the order in which a card says them.
ALL: tuple[Callable[[Scene], Iterator[str]], ...] = (
    cut_at_both_ends, padded_at_both_ends, turned_kernel, bias_twice, momentum, epsilon, padding_counted,
    corners, slope, memory_order,
)  # fmt: skip
