"""Keras 1 in the terms of Keras 2: classes, options, the order of gates and of kernels' axes.

Followed is what Keras 2 did when it loaded such a file: it joined the arrays of each gate, turned kernels
that were saved for Theano's order of axes, and turned them by 180° where the file says that Theano computed,
whose convolution flips the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from torchport.axes import Turn, parse
from torchport.errors import BadFile, Refusal, Refused
from torchport.graph import Weight
from torchport.read.document import mapping, sequence, text
from torchport.read.layers import Claims, Layer, is_model

if TYPE_CHECKING:
    import numpy as np

#: Classes with another name.
CLASSES = {
    "AtrousConvolution1D": "Conv1D",
    "AtrousConvolution2D": "Conv2D",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Deconvolution2D": "Conv2DTranspose",
    "SeparableConvolution2D": "SeparableConv2D",
    "TimeDistributedDense": "Dense",
}
#: Options with another name.
OPTIONS = {
    "W_constraint": "kernel_constraint",
    "W_regularizer": "kernel_regularizer",
    "U_constraint": "recurrent_constraint",
    "U_regularizer": "recurrent_regularizer",
    "atrous_rate": "dilation_rate",
    "b_constraint": "bias_constraint",
    "b_regularizer": "bias_regularizer",
    "bias": "use_bias",
    "border_mode": "padding",
    "depthwise_init": "depthwise_initializer",
    "dim_ordering": "data_format",
    "dims": "target_shape",
    "dropout_U": "recurrent_dropout",
    "dropout_W": "dropout",
    "filter_length": "kernel_size",
    "init": "kernel_initializer",
    "inner_activation": "recurrent_activation",
    "inner_init": "recurrent_initializer",
    "nb_filter": "filters",
    "p": "rate",
    "pointwise_init": "pointwise_initializer",
    "pool_length": "pool_size",
    "sigma": "stddev",
    "stride": "strides",
    "subsample": "strides",
    "subsample_length": "strides",
}
#: Options that never changed what a layer computes.
IDLE = frozenset({"weights", "forget_bias_init", "input_length"})
MERGED = {
    "sum": "Add", "mul": "Multiply", "concat": "Concatenate", "ave": "Average", "max": "Maximum",
    "dot": "Dot",
}  # fmt: skip
RECURRENT = frozenset({"LSTM", "GRU", "SimpleRNN"})
#: Layers whose kernel Theano turned.
CONVOLUTIONS = frozenset({"Conv1D", "Conv2D", "Conv3D", "Conv2DTranspose"})


def is_keras_1(version: str) -> bool:
    return version.split(".")[0] in ("0", "1")


# Configurations


def model(entry: Any, names: Sequence[str], where: str) -> dict[str, Any]:
    """A model's configuration as Keras 2 would have written it.

    `names` are the layers as the weights list them: a Sequential model in one does not say its name.
    """
    entry = mapping(entry, "a model", where)
    kind, config = text(entry.get("class_name"), "class_name", where), entry.get("config")
    if kind != "Sequential":
        config = mapping(config, "the model's config", where)
        found = [
            layer(item, f"model_{at}", where)
            for at, item in enumerate(sequence(config.get("layers"), "layers", where))
        ]
        return {**entry, "config": {**config, "layers": found}}
    items = config.get("layers") if isinstance(config, Mapping) else config
    chain = [mapping(it, "a layer", where) for it in sequence(items, "layers", where)]
    if chain and chain[0].get("class_name") == "Merge":
        return {"class_name": "Model", "config": Branches(names, where).joined(chain)}
    return {**entry, "config": {"layers": list(named(chain, names, where))}}


def named(chain: Sequence[Mapping[str, Any]], names: Sequence[str], where: str) -> Iterator[dict[str, Any]]:
    """The layers of a Sequential model; one that is nameless has the name that the weights know it by."""
    for at, item in enumerate(chain):
        yield layer(item, names[at] if at < len(names) else f"sequential_{at}", where)


def layer(entry: Any, name: str, where: str) -> dict[str, Any]:
    """One entry of a model's layers; `name` is for one that has none."""
    entry = mapping(entry, "a layer", where)
    kind, config = text(entry.get("class_name"), "class_name", where), entry.get("config")
    if kind in ("Sequential", "Model"):
        inner = config.get("name") if isinstance(config, Mapping) else None
        return {**model(entry, (), where), "name": entry.get("name", inner or name)}
    config = mapping(config, f"the config of {name!r}", where)
    if kind == "Merge":
        return {**entry, **merge(config, where)}
    if "layer" in config and isinstance(config["layer"], Mapping):  # a wrapper
        return {**entry, "config": {**config, "layer": layer(config["layer"], name, where)}}
    new = CLASSES.get(kind, kind)
    return {**entry, "class_name": new, "config": options(config, new)}


def options(config: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A layer's options by their names in Keras 2."""
    new = {OPTIONS.get(key, key): value for key, value in config.items() if key not in IDLE}
    for names in (("nb_row", "nb_col"), ("kernel_dim1", "kernel_dim2", "kernel_dim3")):
        if all(key in new for key in names):
            new["kernel_size"] = [new.pop(key) for key in names]
    if new.get("data_format") in ("th", "tf"):
        new["data_format"] = "channels_first" if new["data_format"] == "th" else "channels_last"
    if "consume_less" in new:
        new["implementation"] = 2 if new.pop("consume_less") == "gpu" else 0
    if kind == "Dense" or kind in RECURRENT:
        if "output_dim" in new:
            new["units"] = new.pop("output_dim")
    elif kind == "Embedding":
        if not new.get("dropout"):
            new.pop("dropout", None)
        for old in ("kernel_initializer", "kernel_regularizer", "kernel_constraint"):
            if old in new:
                new[old.replace("kernel", "embeddings")] = new.pop(old)
    elif kind == "BatchNormalization":
        if new.get("mode") == 0:  # 1 and 2 normalise otherwise: no rule has such an option
            del new["mode"]
    elif kind == "UpSampling1D" and "length" in new:
        new["size"] = new.pop("length")
    elif kind == "ZeroPadding2D" and isinstance(new.get("padding"), list) and len(new["padding"]) == 4:
        top, bottom, left, right = new["padding"]
        new["padding"] = [[top, bottom], [left, right]]
    elif kind == "InputLayer" and "input_dtype" in new:
        new["dtype"] = new.pop("input_dtype")
    return new


def merge(config: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The layer that does what a Merge did. Refuses modes that are Python code, and cosines."""
    mode, name = config.get("mode"), config.get("name")
    if not isinstance(mode, str) or mode not in MERGED:
        shown = str(name)
        why = f"mode={mode!r} of Keras 1 is not ported"
        advice = "rebuild the model without it in Keras 2 or later, and copy the weights"
        raise Refused((Refusal(shown, "Merge", why, advice),))
    new = {"name": name}
    if mode == "concat":
        new["axis"] = config.get("concat_axis", -1)
    elif mode == "dot":
        new["axes"] = config.get("dot_axes", -1)
    return {"class_name": MERGED[mode], "config": new}


@dataclass
class Branches:
    """Turns a Sequential model that starts with a Merge of others into one of the functional API."""

    names: Sequence[str]
    where: str

    def joined(self, chain: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        self.layers: list[dict[str, Any]] = []
        self.inputs: list[Any] = []
        end = self.chain(chain)
        return {
            "name": "sequential",
            "layers": self.layers,
            "input_layers": self.inputs,
            "output_layers": [[end, 0, 0]],
        }

    def chain(self, chain: Sequence[Mapping[str, Any]], depth: int = 0) -> str:
        """Adds a Sequential model's layers; gives the name of the last."""
        if depth > 20 or not chain:
            raise BadFile("a Merge of models that cannot be read", where=self.where)
        first, *rest = chain
        config = mapping(first.get("config"), "a layer's config", self.where)
        if first.get("class_name") == "Merge":
            ends = []
            for branch in sequence(config.get("layers"), "the layers of a Merge", self.where):
                branch = mapping(branch, "a layer of a Merge", self.where)
                inside = branch.get("config")
                if branch.get("class_name") != "Sequential":
                    inside = [branch]
                elif isinstance(inside, Mapping):
                    inside = inside.get("layers")
                items = [mapping(it, "a layer", self.where) for it in sequence(inside, "layers", self.where)]
                ends.append(self.chain(items, depth + 1))
            last = self.add(first, ends)
        else:
            start = f"{text(config.get('name'), 'a name', self.where)}_input"
            shape = {"name": start, "batch_input_shape": config.get("batch_input_shape")}
            if "input_dtype" in config:
                shape["dtype"] = config["input_dtype"]
            entry = {"name": start, "class_name": "InputLayer", "config": shape, "inbound_nodes": []}
            self.layers.append(entry)
            self.inputs.append([start, 0, 0])
            last = self.add(first, [start])
        for item in rest:
            last = self.add(item, [last])
        return last

    def add(self, item: Mapping[str, Any], sources: Sequence[str]) -> str:
        at = sum(it["class_name"] != "InputLayer" for it in self.layers)
        entry = layer(item, self.names[at] if at < len(self.names) else f"layer_{at}", self.where)
        inner = entry["config"].get("name") if isinstance(entry["config"], Mapping) else None
        name = text(entry.get("name", inner), "a layer's name", self.where)
        node = [[source, 0, 0] for source in sources]
        self.layers.append({**entry, "name": name, "inbound_nodes": [node]})
        return name


# Weights


def weights(
    kind: str, config: Mapping[str, Any], stored: Sequence[Weight], is_old: bool, backend: str
) -> list[Weight]:
    """A layer's variables as Keras 2 has them with TensorFlow. `is_old`: Keras 1 wrote them."""
    inner = config.get("layer")
    if kind in ("TimeDistributed", "Bidirectional") and isinstance(inner, Mapping):
        of, options = str(inner.get("class_name")), inner.get("config")
        if not isinstance(options, Mapping):
            return list(stored)
        half = len(stored) // 2 if kind == "Bidirectional" else len(stored)
        parts = [stored[:half], stored[half:]]
        return [it for part in parts for it in weights(of, options, part, is_old, backend)]
    found = list(stored)
    if is_old:
        found = as_keras_2(kind, config, found)
    if backend == "theano" and kind in CONVOLUTIONS and found:
        found[0] = flipped(found[0])
    return found


def as_keras_2(kind: str, config: Mapping[str, Any], found: list[Weight]) -> list[Weight]:
    if kind == "LSTM" and len(found) == 12:
        return [joined([found[gate + at] for gate in (0, 6, 3, 9)]) for at in range(3)]  # i f c o
    if kind == "GRU" and len(found) == 9:
        return [joined([found[gate + at] for gate in (0, 3, 6)]) for at in range(3)]
    if not found:
        return found
    first = config.get("data_format") == "channels_first"
    pattern = ""
    if kind == "Conv1D" and len(found[0].shape) == 4:
        size = config.get("kernel_size")
        size = size[0] if isinstance(size, list) and size else size
        shape = found[0].shape
        is_new = shape[:2] == (size, 1) and shape[3] == config.get("filters")
        pattern = "k 1 i o -> k i o" if is_new else "o i k 1 -> k i o"
    elif kind == "Conv2D" and first:
        pattern = "o i h w -> h w i o"
    elif kind == "Conv3D" and first:
        pattern = "o i d h w -> d h w i o"
    elif kind == "SeparableConv2D" and first and len(found) > 1:
        found[1] = turned(found[1], "o i h w -> h w i o")
        pattern = "m i h w -> h w i m"
    if pattern:
        found[0] = turned(found[0], pattern)
    return found


def turned(weight: Weight, pattern: str) -> Weight:
    """The weight with its axes turned; one that has other axes stays, and does not fit later."""
    left = parse(pattern.split("->")[0])
    fits = len(left) == len(weight.shape) and all(
        name != "1" or size == 1 for name, size in zip(left, weight.shape, strict=True)
    )
    if not fits:
        return weight
    turn = Turn(pattern)
    return replace(weight, shape=turn.shape(weight.shape), load=lambda: turn.apply(weight.load()))


def joined(parts: Sequence[Weight]) -> Weight:
    """The arrays of all gates, end to end along the last axis."""
    shapes = {it.shape[:-1] for it in parts}
    if len(shapes) != 1 or any(not it.shape for it in parts):
        raise BadFile(f"{parts[0].name}: the arrays of its gates do not fit: {[it.shape for it in parts]}")
    shape = (*parts[0].shape[:-1], sum(it.shape[-1] for it in parts))

    def load() -> np.ndarray:
        import numpy as np

        return np.concatenate([it.load() for it in parts], axis=-1)

    return replace(parts[0], shape=shape, load=load)


def flipped(weight: Weight) -> Weight:
    """A kernel turned by 180°: every axis but those of channels."""

    def load() -> np.ndarray:
        import numpy as np

        return np.flip(weight.load(), tuple(range(len(weight.shape) - 2)))

    return replace(weight, load=load)


# Models in models


@dataclass(frozen=True)
class Slices(Claims):
    """The layers of a nested model, whose variables Keras 1 saved as one list: first those that train."""

    found: Mapping[str, Mapping[str, Weight]]
    path: str = ""

    @classmethod
    def of(cls, layer: Layer, stored: Sequence[Weight], backend: str, where: str) -> Slices:
        places = list(slots([layer.entry], "", True))
        order = [(path, at) for path, _, counts in places for at in range(counts[0])]
        order += [
            (path, counts[0] + at) for path, _, counts in places for at in range(counts[1])
        ]  # fmt: skip
        if len(order) != len(stored):
            raise BadFile(
                f"the model {layer.name!r} has {len(stored)} weights where {len(order)} are needed",
                where=where,
            )
        given = dict(zip(order, stored, strict=True))
        found = {}
        for path, entry, counts in places:
            own = [given[path, at] for at in range(sum(counts))]
            own = weights(str(entry["class_name"]), entry["config"], own, True, backend)
            found[path] = {str(at): it for at, it in enumerate(own)}
        return cls(found, f"{layer.name}/")

    def stored(self, layer: Layer) -> Mapping[str, Weight]:
        return {} if layer.is_model else self.found.get(f"{self.path}{layer.name}", {})

    def inside(self, layer: Layer) -> Slices:
        return Slices(self.found, f"{self.path}{layer.name}/")


def slots(
    entries: Sequence[Any], path: str, trains: bool
) -> Iterator[tuple[str, Mapping[str, Any], tuple[int, int]]]:
    """(path, entry, how many variables train and do not) of every layer, in the model's order."""
    for entry in entries:
        config = entry["config"]
        inner = config.get("name") if isinstance(config, Mapping) else None
        at, kind = f"{path}{entry.get('name', inner)}", str(entry["class_name"])
        train = trains and (not isinstance(config, Mapping) or config.get("trainable") is not False)
        if is_model(kind, config):
            inside = config["layers"] if isinstance(config, Mapping) else config
            yield from slots(inside, f"{at}/", train)
        else:
            learnt, fixed = counted(kind, config)
            yield at, entry, (learnt, fixed) if train else (0, learnt + fixed)


def counted(kind: str, config: Mapping[str, Any]) -> tuple[int, int]:
    """How many variables a layer of Keras 1 has that train, and that do not."""
    if kind in ("TimeDistributed", "Bidirectional") and isinstance(config.get("layer"), Mapping):
        learnt, fixed = counted(str(config["layer"].get("class_name")), config["layer"].get("config", {}))
        return (learnt, fixed) if kind == "TimeDistributed" else (2 * learnt, 2 * fixed)
    if kind in ("Dense", *CONVOLUTIONS):
        return 1 + bool(config.get("use_bias", True)), 0
    if kind == "SeparableConv2D":
        return 2 + bool(config.get("use_bias", True)), 0
    if kind == "BatchNormalization":
        return 2, 2
    if kind in ("LSTM", "GRU"):
        gates = 4 if kind == "LSTM" else 3
        return 3 if config.get("implementation") == 2 else 3 * gates, 0
    return {"SimpleRNN": 3, "Embedding": 1, "PReLU": 1}.get(kind, 0), 0
