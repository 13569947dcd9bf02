"""Layers of quantised weights as the layers of floats that they stand for.

before:  y = Dense(x), dtype int8_from_float32; stored: kernel (int8), bias, kernel_scale
after:   y = Dense(x), dtype float32;           stored: kernel (float32), bias

Another function than the source's, which quantises what a layer reads as well: it was nearer to the network
before it was quantised. Sources: keras/src/layers/core/dense.py, einsum_dense.py, embedding.py,
reversible_embedding.py (`variable_serialization_spec`, `_int4_call`, `_gptq_call`, `_awq_call`), and
keras/src/quantizers/quantizers.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torchport.errors import BadFile, Refusal, Refused
from torchport.graph import Graph, Op, Shape, Weight
from torchport.infer.quantised import SUFFIX, Part, mode_of, parts_of
from torchport.infer.shapes import infer_shapes
from torchport.infer.weights import expected
from torchport.normalise import normalise
from torchport.read.dialect import dtype_name

if TYPE_CHECKING:
    import numpy as np

KERNELS, TABLES = ("Dense", "EinsumDense"), ("Embedding", "ReversibleEmbedding")
#: Options that say how a layer was quantised.
HOW = frozenset({"quantization_config", "gptq_unpacked_column_size"})
#: Variables with another name in some layers.
SAME = {"zero_point": "kernel_zero"}
#: In an archive, the variables of a kernel's layer by their order; a bias that is not there has no place.
ARCHIVED = {
    "int8": "kernel bias kernel_scale",
    "int4": "kernel bias kernel_scale kernel_zero g_idx",
    "float8": "kernel bias",
    "gptq": "bias kernel kernel_scale kernel_zero g_idx",
    "awq": "bias kernel kernel_scale kernel_zero awq_scales g_idx",
}
#: The same of a table's layer; one that is not tied has its second table behind.
ARCHIVED_TABLES = {
    "int8": "embeddings embeddings_scale",
    "int4": "embeddings embeddings_scale embeddings_zero g_idx",
}


def dequantise(graph: Graph) -> Graph:
    """The graph with floats in place of quantised weights. Raises Refused where they cannot be told."""
    if not any(_modes(graph)):
        return graph
    refusals = list(_refusals(graph, graph.name))
    if refusals:
        raise Refused(tuple(refusals))
    plain = _with_floats(graph)
    shaped = infer_shapes(normalise(plain), refusals)
    if refusals:
        raise Refused(tuple(refusals))
    shapes = dict(_shapes(shaped, ""))
    note = (
        "dequantised: the network of floats that the weights stand for, not what the source computes, which "
        "also quantises what its layers read. Its kernels train as other floats do; whole numbers do not."
    )
    found = _stored(graph, plain, shapes, "", graph.entry["config"])
    return found.replace(notes=(*found.notes, note))


def _modes(graph: Graph) -> Iterator[str]:
    for op in graph.ops:
        yield from (it.mode for it in parts_of(op))
    for body in graph.bodies.values():
        yield from _modes(body)


def _refusals(graph: Graph, path: str) -> Iterator[Refusal]:
    """What is quantised in a way whose floats are not known."""
    for op in graph.ops:
        advice = "save the model before it is quantised"
        if op.kind == "Model" and op.stored and any(_modes(graph.bodies[op.layer])):
            why = "an HDF5 file has the weights of the models in it as one list"
            yield Refusal(f"{path}/{op.layer}", op.kind, why, "save the model as .keras")
        for it in (part for part in parts_of(op) if part.mode):
            if it.kind not in KERNELS + TABLES or it.mode not in ARCHIVED:
                yield Refusal(f"{path}/{op.layer}", op.kind, f"it is quantised ({it.mode}) inside", advice)
            elif any("lora" in name for name in it.config):
                yield Refusal(f"{path}/{op.layer}", op.kind, "it is quantised, and has LoRA weights", advice)
    for layer, body in graph.bodies.items():
        yield from _refusals(body, f"{path}/{layer}")


def _with_floats(graph: Graph) -> Graph:
    """The graph as if nothing had been quantised, its weights not yet so."""

    def plain(op: Op) -> Op:
        if op.kind == "TimeDistributed" and any(it.mode for it in parts_of(op)):
            inner = op.config["layer"]
            entry = {**inner, "config": _plain(inner["config"])}
            return replace(op, config={**op.config, "layer": entry})
        return replace(op, config=_plain(op.config)) if mode_of(op.config) else op

    bodies = {layer: _with_floats(body) for layer, body in graph.bodies.items()}
    return graph.replace(ops=tuple(map(plain, graph.ops)), bodies=bodies)


def _plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a layer before it was quantised."""
    source = str(dtype_name(config["dtype"])).partition(SUFFIX)[2]
    kept = {key: value for key, value in config.items() if key not in HOW}
    return {**kept, "dtype": dtype_name(source)}


def _shapes(graph: Graph, path: str) -> Iterator[tuple[str, Mapping[str, Shape]]]:
    """The variables that each layer should have, by its path."""
    for op in graph.ops:
        if op.kind != "Model" and (wanted := expected(op, graph)):
            yield f"{path}{op.layer}", wanted
    for layer, body in graph.bodies.items():
        yield from _shapes(body, f"{path}{layer}/")


def _stored(
    graph: Graph, plain: Graph, shapes: Mapping[str, Mapping[str, Shape]], path: str, whole: Any
) -> Graph:
    """The plain graph with the floats of the quantised one's weights.

    `whole`: the configuration of the model that `graph` is, or is in.
    """

    def filled(old: Op, new: Op) -> Op:
        parts, at = {it.prefix: it for it in parts_of(old)}, f"{path}{old.layer}"
        if not any(it.mode for it in parts.values()):
            return new
        whole_of = {prefix: quantised(it, at) for prefix, it in parts.items()}
        made = []
        for name, shape in shapes[at].items():
            prefix, _, own_name = name.rpartition("/")
            weights = whole_of[prefix if prefix in whole_of else next(iter(whole_of))]
            made.append(replace(weights.floats(own_name, shape), trains=None))
        stored = {str(number): weight for number, weight in enumerate(made)}
        return replace(new, stored=stored, frozen=_is_frozen(old, whole))

    ops = tuple(filled(old, new) for old, new in zip(graph.ops, plain.ops, strict=True))
    bodies = {
        layer: _stored(body, plain.bodies[layer], shapes, f"{path}{layer}/", whole)
        for layer, body in graph.bodies.items()
    }
    return plain.replace(ops=ops, bodies=bodies)


def _is_frozen(op: Op, whole: Any) -> bool:
    """Whether a layer of floats would train none of them: of whole numbers, no live model trains one.

    `whole`: the configuration of the model that is trained.
    """
    known = [weight.trains for weight in op.stored.values() if weight.trains is not None]
    if not known or any(known):
        return op.frozen
    return any(it.get("trainable") is False for it in (op.config, whole))


def quantised(part: Part, where: str) -> Quantised:
    """The variables of a part by Keras's names."""
    return Quantised(part.kind, part.mode, named(part, where), part.config, where)


def named(part: Part, where: str) -> dict[str, Weight]:
    """A layer's variables by Keras's names: as the file has them, or by their order in an archive."""
    stored, mode = part.stored, part.mode
    own = {it.name.rpartition("/")[2]: it for it in stored.values()}
    if not any(name.isdigit() for name in own):
        return {SAME.get(name, name): it for name, it in own.items()}
    names = (
        "kernel bias" if not mode else (ARCHIVED if part.kind in KERNELS else ARCHIVED_TABLES)[mode]
    ).split()
    if part.config.get("use_bias", part.config.get("bias_axes")) in (False, None) and part.kind in KERNELS:
        names.remove("bias")
    if part.kind == "ReversibleEmbedding" and not part.config.get("tie_weights", True):
        groups = len(stored) > 4
        first = names if groups else names[:2]
        names = [*first, "reverse_embeddings", "reverse_embeddings_scale", "reverse_embeddings_zero"]
    found = list(stored.values())
    if mode in ("gptq", "awq") and len(found) < len(names):
        # Keras 3.15 leaves it out (`save_own_variables` of Dense takes it for one of int4).
        why, advice = "its file lacks kernel_zero, which Keras did not write", "convert the live model"
        raise Refused((Refusal(where, part.kind, why, advice),))
    if mode == "float8":
        found = found[: len(names)]
    if len(found) > len(names):
        raise BadFile(f"has {len(found)} variables, of which {len(names)} are known", where=where)
    return dict(zip(names, found, strict=False))


@dataclass(frozen=True)
class Quantised:
    """The variables of a quantised layer, by Keras's names."""

    kind: str
    mode: str
    weights: Mapping[str, Weight]
    config: Mapping[str, Any]
    where: str

    def floats(self, name: str, shape: Shape) -> Weight:
        """One variable of the layer, of floats."""
        if name not in self.weights:
            raise BadFile(f"has no {name}", where=self.where)
        stored = self.weights[name]
        if name == "bias" or self.mode in ("", "float8"):
            return stored
        sizes = tuple(size or 0 for size in shape)
        kernel = self.kernel if self.kind in KERNELS else self.table
        return Weight(name, sizes, "float32", self.checked(partial_of(kernel, name, sizes), sizes))

    def checked(self, make: Callable[[], np.ndarray], shape: tuple[int, ...]) -> Callable[[], np.ndarray]:
        """The same, where what it makes is of that shape. Raises BadFile where it is not."""

        def load() -> np.ndarray:
            try:
                made = make()
                if made.shape != shape:
                    raise ValueError(f"{made.shape} is not {shape}")
            except (ValueError, IndexError, KeyError) as problem:
                what = f"its quantised weights do not fit together ({problem})"
                raise BadFile(what, where=self.where, advice="save the model again") from None
            return made.astype("float32", copy=False)

        return load

    def load(self, name: str) -> np.ndarray:
        import numpy as np

        array = self.weights[name].load()
        return array.astype(np.float32) if array.dtype.kind == "f" else array

    def kernel(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """The kernel of a layer of kernels: rows are what is summed over, columns are not."""
        import numpy as np

        packed = self.load("kernel")
        if self.mode == "int8":
            floats: np.ndarray = np.divide(packed.astype(np.float32), self.scale_of_kernel())
            return floats
        if self.mode == "int4":
            columns = self.load("kernel_scale").shape[-1]
            found = self.grouped(unpack(packed, columns, -1), "kernel", 0)
            return found.reshape(shape)
        rows = packed.shape[-1]
        columns = math.prod(shape) // rows
        whole = packed if packed.shape[0] == columns and columns > 1 else unpack(packed, columns, 0, False)
        groups = self.load("g_idx").astype(int)
        scale, zero = (self.load(it).astype(np.float32)[:, groups] for it in ("kernel_scale", "kernel_zero"))
        found = ((whole.astype(np.float32) - zero) * scale).T
        if self.mode == "awq":
            found = found / self.load("awq_scales")[:, None]
        return found.reshape(shape)

    def scale_of_kernel(self) -> np.ndarray:
        """The scale of an int8 kernel along the kernel's own axes.

        That of an EinsumDense lies along the axes of its output (`_adjust_scale_for_quant`).
        """
        scale = self.load("kernel_scale")
        if self.kind == "Dense":
            return scale
        left, _, output = str(self.config["equation"]).replace(" ", "").partition("->")
        kernel = left.partition(",")[2]
        letters = output.replace("...", "." * (scale.ndim - len(output.replace("...", ""))))
        order = [letters.find(letter) for letter in kernel]
        kept = [at for at in order if at >= 0]
        shape = [scale.shape[at] if at >= 0 else 1 for at in order]
        turned = scale.transpose([*kept, *(at for at in range(scale.ndim) if at not in kept)])
        return turned.reshape(shape)

    def table(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """A table of vectors, one a row; of its reverse one a column."""
        import numpy as np

        packed = self.load(name)
        axis = 0 if name.startswith("reverse") else 1
        if self.mode == "int8":
            whole = packed
        else:
            whole = unpack(packed, shape[axis], axis)
        scale = self.load(f"{name}_scale")
        if scale.ndim == 1:
            floats: np.ndarray = np.divide(whole.astype(np.float32), scale[:, None] if axis else scale)
            return floats
        return self.grouped(whole, name, axis)

    def grouped(self, whole: np.ndarray, name: str, axis: int) -> np.ndarray:
        """Numbers that have a scale for each column, or a scale and a zero for each group along an axis."""
        import numpy as np

        scale = self.load(f"{name}_scale")
        if f"{name}_zero" not in self.weights:
            floats: np.ndarray = np.divide(whole.astype(np.float32), scale)
            return floats
        groups = self.load("g_idx").astype(int)
        scale, zero = (np.take(it, groups, axis) for it in (scale, self.load(f"{name}_zero")))
        made: np.ndarray = np.multiply(whole.astype(np.float32) - zero.astype(np.float32), scale)
        return made


def partial_of(
    make: Callable[[str, tuple[int, ...]], np.ndarray], name: str, shape: tuple[int, ...]
) -> Callable[[], np.ndarray]:
    return lambda: make(name, shape)


def unpack(packed: np.ndarray, count: int, axis: int, is_signed: bool = True) -> np.ndarray:
    """Whole numbers of four bits, of which a byte holds two along an axis, the low one first."""
    import numpy as np

    data = np.moveaxis(packed.view(np.uint8), axis, 0)
    halves = np.stack([data & 15, data >> 4], axis=1).reshape(-1, *data.shape[1:])[:count]
    numbers = halves.astype(np.int16)
    if is_signed:
        numbers = (numbers ^ 8) - 8
    return np.moveaxis(numbers, 0, axis)
