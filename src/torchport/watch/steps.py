"""TimeDistributed around the user's own layers: the layer on all steps at once.

before:  y = TimeDistributed(x), layer=Own
after:   x.steps = time:fold(x);  y.each = Model own(x.steps);  y = time:unfold(y.each, x)

Keras 2 folds the steps into the batch where it does not know its size, as in `fit`; else it calls the layer
step by step, and so does Keras 3 always. That is the same where a sample has no part in what becomes of
another one: that is tried. Source: keras/src/layers/rnn/time_distributed.py and
tf_keras/src/layers/rnn/time_distributed.py, call.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from torchport.graph import Op, Ref
from torchport.normalise.folded import INNER
from torchport.watch.nodes import refused
from torchport.watch.parts import is_at_every_step


def folded(op: Op, layer: Any) -> Iterator[Op]:
    """The ops of what a layer applies at every step: folded steps, the op, unfolded steps."""
    if not is_at_every_step(layer):
        yield op
        return
    (x,), (output,), steps = op.args, op.outputs, f"{op.name}.steps"
    each, at = Ref(f"{output}.each"), op.turn
    yield Op(f"{op.name}.fold", "time:fold", (x,), (steps,), layer=f"{op.layer}.fold", turn=at)
    inner = replace(op, args=(Ref(steps),), outputs=(each.tensor,))
    if is_at_every_step(layer.layer):
        inner = replace(inner, name=f"{op.name}{INNER}")
    yield from folded(inner, layer.layer)
    yield Op(f"{op.name}.unfold", "time:unfold", (each, x), (output,), layer=f"{op.layer}.unfold", turn=at)


def check_apart(layer: Any, x: Any, where: str) -> None:
    """Raises Refused for a layer in which one sample has a part in what becomes of another.

    `x`: the symbol that it is called with. Tried on random samples, in inference mode.
    """
    rng, shape = np.random.default_rng(0), (3, *(size or 4 for size in x.shape[1:]))
    values = rng.normal(size=shape) if x.dtype.is_floating else rng.integers(0, 2, size=shape)
    values = values.astype(x.dtype.as_numpy_dtype)
    try:
        together, alone = (np.asarray(layer(it, training=False)) for it in (values, values[:1]))
    except Exception:  # the code is the user's: it may raise anything, and take no mode
        try:
            together, alone = (np.asarray(layer(it)) for it in (values, values[:1]))
        except Exception as error:
            why = f"whether its samples are apart cannot be tried: {type(error).__name__}"
            raise refused(
                layer, why, "fold the steps into the batch in a layer of your own", where
            ) from error
    if together.shape[1:] != alone.shape[1:] or not np.allclose(together[:1], alone, 1e-3, 1e-4):
        why = "TimeDistributed calls it step by step, and what becomes of a sample hangs on the others"
        raise refused(layer, why, "fold the steps into the batch in a layer of your own", where)
