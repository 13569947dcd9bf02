"""The source model in TensorFlow: loaded, and rebuilt in float64 and float32 with its own weights."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakSet

import numpy as np

from torchport.graph import Graph, is_keras_2
from torchport.nest import leaves
from torchport.read import WithConfig
from torchport.read.live import with_configs
from torchport.read.subclass import inputs_of
from torchport.rules import TABLE
from torchport.verify.built import built
from torchport.verify.copying import copy_weights, name_of, of_floats, value_of
from torchport.verify.custom import custom_objects, of_model, without_functions
from torchport.verify.definitions import definitions
from torchport.verify.frameworks import default_dtype, keras_of, tensorflow
from torchport.verify.loading import load_source, source_of, stand_ins
from torchport.verify.patches import DRAWS, INITIAL, LEGACY, MODES, patched
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
            live = built(keras, graph) if graph.is_part else source_of(source, graph)
            notes = dict.fromkeys([NOTE] if any(map(is_read, live._flatten_layers())) else [])
            model = of_floats(live)
            return cls(keras, lambda: model, graph, custom={**of_model(source), **custom}, notes=notes)
        functions, known = definitions(keras, graph)
        custom = {**stand_ins(keras, graph), **functions, **custom}
        notes = dict.fromkeys(known)

        def open() -> Any:
            return load_source(keras, source, graph, custom, notes)

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
                return quiet(Twin(self.keras, dtype, self.unfused).of(self.model), dtype)
        with self.computing(dtype):
            stand = Stand(Twin(self.keras, dtype, self.unfused))
            linear = self.keras.activations.linear
            with without_functions(self.model, linear), as_read(self.keras, self.graph.dialect, {}):
                with with_configs(self.model):
                    config = retyped(stand.configured(self.model.get_config(), self.model), dtype)
        with self.computing(dtype), self.keras.utils.custom_object_scope({**self.custom, **stand.custom}):
            filled = patched(tensorflow(), (*INITIAL, *LEGACY))
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
            mode = {"training": UNSAID} if not is_own(model) else {"training": False} if trains(model) else {}
        still = nullcontext() if training else unmoved(model)
        known = frozenset(map(id, model._flatten_layers()))
        made = without_draws(self.keras, known)
        with from_rest(model), still, made, patched(tensorflow(), (*DRAWS, *MODES), self.note):
            return list(leaves(model(packed, **mode)))

    def note(self, text: str) -> None:
        """Remember what a reader has to know."""
        self.notes[text] = None


def trains(model: Any) -> bool:
    """Whether a model of the user's own class is in training where nobody says the mode."""
    found = inspect.signature(model.call).parameters.get("training")
    return found is not None and found.default is True


def amounts_in(model: Any) -> Iterator[tuple[Any, str]]:
    """The layers that draw random numbers, each with the attribute that says how random it is."""
    for layer in (it for it in model._flatten_layers() if not is_own(it)):
        for name in RANDOM:
            if isinstance(getattr(type(layer), name, None), property):
                continue  # MultiHeadAttention shows its `_dropout` so
            if hasattr(layer, "_dropout_layer") and name != "rate":
                continue  # that is the layer which drops; by its own amount attention chooses how it masks
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


#: Layers that are there to draw random numbers in training.
DRAWING = tuple(
    kind for kind, it in TABLE.items() if it.training and it.training.lasts and it.training.amount
)


@contextmanager
def without_draws(keras: Any, known: frozenset[int]) -> Iterator[None]:
    """Layers that a `call` makes draw nothing; those of the model, `known`, do as they are set."""

    def off(original: Any) -> Any:
        def call(layer: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            return original(layer, inputs, *args, **kwargs) if id(layer) in known else inputs

        return call

    classes: list[Any] = [getattr(keras.layers, name, None) for name in DRAWING]
    own = [(cls, vars(cls)["call"]) for cls in classes if cls and "call" in vars(cls)]
    for cls, call in own:
        cls.call = off(call)
    try:
        yield
    finally:
        for cls, call in own:
            cls.call = call


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
        if hasattr(layer, "_always_use_reshape"):  # as in `fit` and `predict`, which know no batch size
            layer._always_use_reshape = True
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
