"""The source model in TensorFlow: loaded, and rebuilt in float64 and float32 with its own weights."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np

from torchport.errors import Refused, TorchportError
from torchport.graph import Graph, is_keras_2
from torchport.nest import leaves
from torchport.read import WithConfig, checkpoint
from torchport.read.dialect import ADOPTED
from torchport.read.live import is_model
from torchport.read.packages import FOREIGN
from torchport.read.subclass import functional, inputs_of
from torchport.rules import TABLE
from torchport.verify.built import built
from torchport.verify.custom import adopt_functions, custom_objects, of_model, without_functions
from torchport.verify.definitions import definitions
from torchport.verify.frameworks import default_dtype, keras_of, tensorflow
from torchport.verify.patches import DRAWS, INITIAL, MODES, patched
from torchport.verify.patches.cudnn import by_name
from torchport.verify.patches.modes import UNSAID
from torchport.verify.retype import retyped
from torchport.verify.twin import Stand, Twin
from torchport.watch import is_own, sources
from torchport.watch.lambdas import NOTE, as_read, is_read

#: Attributes of layers that draw random numbers in training, and the value at which they do not. What they
#: drop may lie elsewhere in the port: a flat feature axis has another order, gates are drawn together.
RANDOM = {"rate": 0.0, "dropout": 0.0, "_dropout": 0.0, "recurrent_dropout": 0.0, "stddev": 0.0}
#: Layers that draw random images in training; here they do not.
AUGMENT = frozenset(kind for kind, it in TABLE.items() if it.training and it.training.is_image)


@dataclass
class Reference:
    """The source as Keras loads it. It is only read: what runs are models rebuilt from it.

    `open`: loads the model, each time anew where it is a file's.
    """

    keras: Any
    open: Callable[[], Any]
    graph: Graph
    #: Rebuilt batch normalisations that are not fused although the source's is: a fused one keeps
    #: the unbiased variance (tf_keras/src/layers/normalization/batch_normalization.py), and exists
    #: in float32 only.
    unfused: WeakSet[Any] = field(default_factory=WeakSet)
    #: Classes of layers that are the user's own, by name.
    custom: Mapping[str, Any] = field(default_factory=dict)
    #: What a reader has to know of how it is computed, each once.
    notes: dict[str, None] = field(default_factory=dict)
    _model: Any = None

    @classmethod
    def load(cls, source: Any, graph: Graph, custom: Any) -> Reference:
        """Loads with the Keras that wrote the source, nothing of the file executed.

        `custom`: classes and functions of the user's own, as `custom_objects` takes them.
        """
        keras = keras_of(graph.dialect)
        custom = custom_objects(custom, graph.dialect)
        source = sources.known(source)
        if not isinstance(source, (str, Path, WithConfig)):
            live = built(keras, graph) if graph.is_part else source_of(source)
            notes = dict.fromkeys([NOTE] if any(map(is_read, live._flatten_layers())) else [])
            model = of_floats(live)
            return cls(keras, lambda: model, graph, custom={**of_model(source), **custom}, notes=notes)
        functions, known = definitions(keras, graph)
        custom = {**stand_ins(keras, graph), **functions, **custom}
        notes = dict.fromkeys(known)

        def open() -> Any:
            return opened(keras, source, graph, custom, notes)

        found = cls(keras, open, graph, custom=custom, notes=notes)
        found.model  # noqa: B018  it is told now where Keras does not load it
        return found

    @property
    def model(self) -> Any:
        """The source."""
        if self._model is None:
            self._model = self.open()
        return self._model

    def forget(self) -> None:
        """Let go of the source, until it is asked for again."""
        self._model = None

    @property
    def is_mixed(self) -> bool:
        """Whether the source computes in less than float32 somewhere."""
        return any(
            str(getattr(layer, "compute_dtype", "float32")) in ("float16", "bfloat16")
            for layer in self.model._flatten_layers()
        )

    def layer(self, name: str) -> Any:
        """A layer of the source by its name; None if it has none of that name."""
        return next((it for it in self.model.layers if it.name == name), None)

    def computing(self, dtype: str) -> AbstractContextManager[None]:
        """Both frameworks set to a dtype; what TensorFlow computes in another way is noted."""
        return default_dtype(self.keras, dtype, self.note)

    def rebuilt(self, dtype: str) -> Any:
        """The same model with the same weights, computing in `dtype`, dropout off in training mode."""
        if is_own(self.model):
            with self.computing(dtype):
                return quiet(Twin(self.keras, dtype).of(self.model), dtype)
        with self.computing(dtype):
            stand = Stand(Twin(self.keras, dtype))
            linear = self.keras.activations.linear
            with without_functions(self.model, linear), as_read(self.keras, self.graph.dialect, {}):
                config = retyped(stand.configured(self.model.get_config(), self.model), dtype)
        with self.computing(dtype), self.keras.utils.custom_object_scope({**self.custom, **stand.custom}):
            filled = patched(tensorflow(), INITIAL)
            with filled, by_name(self.keras), as_read(self.keras, self.graph.dialect, {}):
                made = type(self.model).from_config(config)
            if not made.built and self.model.inputs is not None:
                made.build([tuple(it.shape) for it in self.model.inputs][0])
            copy_weights(self.model, made, self.unfused)
            quiet(made, dtype)
        return made

    def call(self, model: Any, inputs: Sequence[Any], training: bool) -> list[Any]:
        """The outputs of a model, flat, in the graph's order."""
        if len(inputs) == 1 and (is_own(model) or not isinstance(struct_of(model), dict)):
            packed: Any = inputs[0]
        else:
            struct = inputs_of(model, self.keras) if is_own(model) else struct_of(model)
            packed = tensorflow().nest.pack_sequence_as(struct, list(inputs))
        if training or is_keras_2(self.graph.dialect):
            mode: dict[str, Any] = {"training": training}
        else:
            mode = {} if is_own(model) else {"training": UNSAID}
        still = nullcontext() if training else unmoved(model)
        with from_rest(model), still, patched(tensorflow(), (*DRAWS, *MODES), self.note):
            return list(leaves(model(packed, **mode)))

    def note(self, text: str) -> None:
        """Remember what a reader has to know."""
        self.notes[text] = None


def opened(
    keras: Any, source: str | Path | WithConfig, graph: Graph, custom: Mapping[str, Any],
    notes: dict[str, None],
) -> Any:  # fmt: skip
    """The model of a file, of float layers. What a reader has to know of it goes to `notes`."""
    try:
        with as_read(keras, graph.dialect, notes), keras.utils.custom_object_scope(custom):
            return of_floats(built(keras, graph) if graph.is_part else loaded(keras, source))
    except Exception as error:  # whatever Keras raises: there is no list of it
        first = str(error).strip().split("\n")[0][:300]
        read = as_read(keras, graph.dialect, notes)
        with suppress(Exception), read, keras.utils.custom_object_scope(custom):
            model = built(keras, graph)
            note = f"{keras.__name__} does not load this file: it built the layers, with the file's weights"
            notes[note] = None
            return model
        if unknown := re.search(r"(?:locate class|Unknown layer:?)\s+'?([\w>]+)", str(error)):
            raise TorchportError(
                f"no reference: {keras.__name__} does not know the class {unknown[1]}",
                where=str(source),
                advice="add --custom FILE.py, the file that has this class (in Python custom=...)",
            ) from error
        raise TorchportError(
            f"no reference: {keras.__name__} {keras.__version__} does not load this file "
            f"({type(error).__name__}: {first})",
            where=str(source),
            advice="load it with the Keras version that wrote it, and give verify the live model",
        ) from error


def amounts_in(model: Any) -> Iterator[tuple[Any, str]]:
    """The layers that draw random numbers, each with the attribute that says how random it is."""
    for layer in (it for it in model._flatten_layers() if not is_own(it)):
        for name in RANDOM:
            if isinstance(getattr(type(layer), name, None), property):
                continue  # MultiHeadAttention shows its `_dropout` so
            if isinstance(getattr(layer, name, None), float) and getattr(layer, name):
                yield layer, name


@contextmanager
def without_amounts(model: Any) -> Iterator[None]:
    """A model whose layers draw nothing, for as long as it lasts."""
    found = [(layer, name, getattr(layer, name)) for layer, name in amounts_in(model)]
    for layer, name, _ in found:
        setattr(layer, name, RANDOM[name])
    try:
        yield
    finally:
        for layer, name, amount in found:
            setattr(layer, name, amount)


def source_of(model: Any) -> Any:
    """The functional model that stands for a live one; where none does, itself."""
    try:
        return functional(model)
    except Refused:
        if not is_own(model):
            raise
        return model


def quiet(made: Any, dtype: str) -> Any:
    """A rebuilt model that drops nothing in training mode, and draws no random images."""
    for layer, name in amounts_in(made):
        setattr(layer, name, RANDOM[name])
    for layer in (it for it in made._flatten_layers() if not is_own(it)):
        if type(layer).__name__ in AUGMENT:
            layer.call = in_inference(layer.call)
        if dtype == "float64" and isinstance(getattr(layer, "momentum", None), float):
            # tf_keras makes a float32 tensor of a Python float, and casts that.
            layer.momentum = np.float64(layer.momentum)
        if hasattr(layer, "finalize_state"):
            layer.finalize_state()
    return made


@contextmanager
def from_rest(model: Any) -> Iterator[None]:
    """Recurrent layers that keep their state start from zeros; what they kept is put back after.

    Cells draw what they drop anew: those of ConvLSTM in Keras 2 keep it for batches of another size too, that
    it does not fit. Source: tf_keras/src/layers/rnn/base_conv_lstm.py, whose `call` resets nothing.
    """
    for layer in model._flatten_layers():
        if hasattr(layer, "reset_recurrent_dropout_mask"):
            layer.reset_dropout_mask()
            layer.reset_recurrent_dropout_mask()
    states = [
        state
        for layer in model._flatten_layers()
        if getattr(layer, "stateful", False) and getattr(layer, "states", None)
        for state in leaves(list(layer.states))
        if state is not None
    ]
    before = [value_of(it) for it in states]
    for it in states:
        it.assign(np.zeros(it.shape))
    try:
        yield
    finally:
        for it, value in zip(states, before, strict=True):
            it.assign(value)


@contextmanager
def unmoved(model: Any) -> Iterator[None]:
    """State is put back after: a normalisation that is always in training moves its statistics."""
    before = [(it, value_of(it)) for it in model.non_trainable_variables if is_state(it)]
    try:
        yield
    finally:
        for it, value in before:
            it.assign(value.astype(name_of(it.dtype)))


def is_state(variable: Any) -> bool:
    """Whether a call may change a variable that does not train: weights that are frozen can be large."""
    name = str(variable.name).rpartition("/")[2]
    return not any(word in name for word in ("kernel", "embedding", "gamma", "beta", "bias"))


def stand_ins(keras: Any, graph: Graph) -> dict[str, Any]:
    """Keras's own classes for models whose class is somebody's own, and adds only to training.

    And for layers of packages that Keras has since.
    """
    kinds = {"Functional": keras.Model, "Sequential": keras.Sequential}
    models = {name: kinds[kind] for name, kind in graph.own_models.items()}
    foreign = {name: it.kind for name, it in FOREIGN.items() if it.kind != name}
    known = {name: getattr(keras.layers, kind, None) for name, kind in {**ADOPTED, **foreign}.items()}
    return {**{name: cls for name, cls in known.items() if cls}, **models}


def loaded(keras: Any, source: str | Path | WithConfig) -> Any:
    """The model of a file; of weights and an architecture, joined by Keras."""
    if not isinstance(source, WithConfig):
        path = Path(source)
        path = path.parent if path.name == "saved_model.pb" else path
        return keras.models.load_model(str(path), compile=False, safe_mode=True)
    model = source.model or keras.models.model_from_json(Path(source.config).read_text(encoding="utf-8"))
    weights = checkpoint.prefix(source.weights) or source.weights
    done = model.load_weights(str(weights))
    if hasattr(done, "expect_partial"):
        done.expect_partial()  # the optimizer's, which no one asks for
    return model


def in_inference(call: Any) -> Any:
    """A layer's `call` as if never in training."""

    def without_training(data: Any, training: bool = False) -> Any:
        return call(data, training=False)

    return without_training


def struct_of(model: Any) -> Any:
    """How a model's inputs are nested."""
    for name in ("_inputs_struct", "_nested_inputs"):
        if (found := getattr(model, name, None)) is not None:
            return found
    return list(model.inputs)


def copy_weights(source: Any, target: Any, unfused: WeakSet[Any]) -> None:
    """Layer by layer, each variable to the one in its place."""
    for ours, theirs in zip(layers_of(source), layers_of(target), strict=True):
        if ours.name != theirs.name and type(theirs) is type(ours) and "name" not in ours.get_config():
            rename(theirs, ours.name)
        if ours.name != theirs.name:
            raise TorchportError(f"rebuilt {theirs.name!r} where the source has {ours.name!r}")
        if is_model(ours):
            copy_weights(ours, theirs, unfused)
            continue
        for one, other in zip(parts_of(ours), parts_of(theirs), strict=True):
            adopt_functions(one, other)
            if getattr(one, "fused", False) is True and not getattr(other, "fused", False):
                unfused.add(other)
        if hasattr(ours, "get_vocabulary"):
            copy_vocabulary(ours, theirs)
        for have, want in zip(theirs.weights, weights_of(ours, theirs), strict=True):
            if tuple(have.shape) != tuple(want.shape):
                raise TorchportError(f"rebuilt with the shape {have.shape}", where=f"{ours.name}/{want.name}")
            have.assign(np.asarray(value_of(want)).astype(str(name_of(have.dtype))))


def rename(layer: Any, name: str) -> None:
    """Another name for a layer whose class hands its name on to nobody: Keras made one up."""
    setattr(layer, "_name" if hasattr(layer, "_name") else "name", name)


def of_floats(model: Any) -> Any:
    """A model without quantised layers: itself, or the one of the floats that its weights stand for."""
    if all(getattr(it, "quantization_mode", None) is None for it in model._flatten_layers()):
        return model
    made = type(model).from_config(retyped(model.get_config(), "float32"))
    if not made.built:
        made.build([tuple(it.shape) for it in model.inputs][0])
    copy_weights(model, made, WeakSet())
    return made


def weights_of(layer: Any, twin: Any) -> list[Any]:
    """The variables of a layer; of a quantised one the floats that they stand for, as its twin has them.

    By Keras's own functions: the layer with its variables is asked what it makes of rows with a single one.
    """
    mode = getattr(layer, "quantization_mode", None)
    if mode is None:
        return list(layer.weights)
    names = [str(it.name).rpartition("/")[2] for it in twin.weights]
    return [floats(layer, name, mode, tuple(it.shape)) for name, it in zip(names, twin.weights, strict=True)]


def floats(layer: Any, name: str, mode: str, shape: tuple[int, ...]) -> Any:
    """A variable of a quantised layer of Keras 3, of floats."""
    from keras import ops
    from keras.src.quantizers.quantizers import dequantize_with_sz_map, unpack_int4

    if name == "bias" or mode == "float8":
        return getattr(layer, name)
    scale = getattr(layer, f"{name}_scale")
    zero = getattr(layer, f"{name}_zero", None)
    if mode in ("gptq", "awq"):
        stored, rows = layer.quantized_kernel, layer.g_idx.shape[0]
        columns = math.prod(shape) // rows
        if stored.shape[0] != columns:
            stored = unpack_int4(stored, columns, axis=0, dtype="uint8")
        found = ops.transpose(dequantize_with_sz_map(ops.cast(stored, "float32"), scale, zero, layer.g_idx))
        found = found / layer.awq_scales[:, None] if mode == "awq" else found
        return ops.reshape(found, shape)
    stored = getattr(layer, "_kernel" if name == "kernel" else name.replace("embeddings", "_embeddings", 1))
    axis = -1
    if name == "kernel" and mode == "int8" and hasattr(layer, "_adjust_scale_for_dequant"):
        return ops.cast(stored, "float32") / layer._adjust_scale_for_dequant(scale)
    if mode == "int4":
        columns = scale.shape[-1] if name == "kernel" else shape[-1]
        stored = unpack_int4(stored, columns, axis=axis)
    stored = ops.cast(stored, "float32")
    if zero is not None:
        group_axis = 0 if name == "kernel" else -1
        found = dequantize_with_sz_map(stored, scale, zero, layer.g_idx, group_axis=group_axis)
    else:
        found = stored / (scale if name == "kernel" else scale[:, None])
    return ops.reshape(found, shape)


def copy_vocabulary(source: Any, target: Any) -> None:
    """What a lookup layer was adapted to."""
    weights = getattr(getattr(source, "_lookup_layer", source), "idf_weights_const", None)
    target.set_vocabulary(
        source.get_vocabulary(), idf_weights=None if weights is None else np.asarray(weights)
    )


def parts_of(layer: Any) -> list[Any]:
    """A layer, and the layers in it."""
    return list(layer._flatten_layers())


def layers_of(model: Any) -> list[Any]:
    return sorted(model.layers, key=lambda layer: str(layer.name))


def name_of(dtype: Any) -> str:
    return str(getattr(dtype, "name", dtype))


def value_of(variable: Any) -> np.ndarray:
    """A variable's value; half-precision kinds that numpy has not as float32."""
    array = np.asarray(variable.numpy() if hasattr(variable, "numpy") else variable)
    return array.astype(np.float32) if array.dtype.kind not in "fiub" else array
