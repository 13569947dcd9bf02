"""The port's side: model.py as it is in the folder, run by torch with a recorder in it."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from torchport import nest
from torchport.callees import callee
from torchport.errors import TorchportError
from torchport.verify.frameworks import torch
from torchport.verify.instrument import Instrumented
from torchport.verify.patches.draws import same_in_torch
from torchport.verify.places import Place, Places, held
from torchport.verify.recorder import Key
from torchport.verify.reference import AUGMENT

#: Told of every watched tensor, as PyTorch holds it: it may be written to as soon as that is done.
Sink = Callable[[Key, Place, np.ndarray], None]


@dataclass
class Trained:
    """Some steps of SGD: the state after the last, as PyTorch holds it, and `draws` of the first."""

    state: dict[str, np.ndarray] = field(default_factory=dict)
    draws: dict[str, int] = field(default_factory=dict)


_numbers = itertools.count()


@dataclass
class PortRuns:
    """The port's module in one dtype. `draws`: how often each random module ran in training mode, by path."""

    places: Places
    dtype: str
    module: Any
    draws: dict[str, int] = field(default_factory=dict)
    sink: list[Sink] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    paths: dict[int, str] = field(default_factory=dict)
    #: The functions that make numbers of text, by input.
    encoders: dict[str, Callable[[Any], Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, instrumented: Instrumented, name: str, places: Places, dtype: str) -> PortRuns:
        """Builds it and loads its weights by its own `from_pretrained`."""
        runs = cls(places, dtype, None)
        module_name = f"torchport_verified_{next(_numbers)}"
        try:
            namespace = instrumented.run(module_name, runs._seen, runs._call)
            sys.modules[module_name] = namespace
            if not hasattr(namespace, name):
                raise TorchportError(f"has no class {name}", where=str(instrumented.path))
            # Weights of float64 are whole in a module that is made in float64.
            with default_dtype(dtype if has_doubles(instrumented.path.parent) else "float32"):
                runs.module = getattr(namespace, name).from_pretrained()
            texts = places.record.texts
            runs.encoders = {name: getattr(namespace, it["function"]) for name, it in texts.items()}
        finally:
            sys.modules.pop(module_name, None)
        runs.module = runs.module.to(getattr(torch(), dtype))
        for it in runs.module.modules():
            if hasattr(it, "reset_state"):
                it.register_forward_pre_hook(lambda module, given: module.reset_state())
        runs.paths = {id(it): path for path, it in runs.module.named_modules()}
        for path, it in runs.module.named_modules():
            if places.linked(path):
                it.register_forward_hook(partial(runs._linked, path))
        return runs

    def _seen(self, owner: Any, numbers: tuple[int, ...], value: Any) -> Any:
        if self.sink and hasattr(value, "detach"):
            found = value.detach().cpu().numpy()
            path = self.paths.get(id(owner), "?")
            for number in numbers:
                for place in self.places.at(path, number):
                    labels = (*self.labels, *self.places.labels(path))
                    self.sink[0]((labels, place.tensor.name), place, found)
        return value

    def _linked(self, path: str, module: Any, args: Any, value: Any) -> None:
        """What a module in nn.Sequential gives."""
        if self.sink and hasattr(value, "detach"):
            place = self.places.linked(path)
            assert place is not None
            key = ((*self.labels, *self.places.labels(path)), place.tensor.name)
            self.sink[0](key, place, value.detach().cpu().numpy())

    def _call(self, label: str, module: Any, *args: Any, **kwargs: Any) -> Any:
        self.labels.append(label)
        try:
            return module(*args, **kwargs)
        finally:
            self.labels.pop()

    @contextmanager
    def watching(self, sink: Sink | None) -> Iterator[None]:
        self.sink, self.labels = ([sink] if sink else []), []
        try:
            with default_dtype(self.dtype), same_in_torch(torch()):
                yield
        finally:
            self.sink = []

    def tensors(self, inputs: Sequence[np.ndarray]) -> list[Any]:
        """Inputs in the source's axes as the port takes them."""
        pt, made = torch(), []
        for spec, array in zip(self.places.record.inputs, inputs, strict=True):
            if spec.name in self.encoders:
                array = self.encoders[spec.name](rows_of(array)).numpy()
                if self.sink:
                    name = self.places.record.texts[spec.name]["tensor"]
                    self.sink[0](((), name), Place("", spec.tensor, spec.order), array)
            array = held(array, spec.order, spec.tensor)
            array = array.astype(self.dtype) if array.dtype.kind == "f" else array
            made.append(pt.from_numpy(np.ascontiguousarray(array)))
        return made

    def outputs(self, result: Any) -> list[Any]:
        """What `forward` returns, in Keras's order: of a dict by its keys. Raises ValueError."""
        return nest.flat(result, self.places.record.returns)

    def inference(self, inputs: Sequence[np.ndarray], sink: Sink | None = None) -> list[np.ndarray]:
        pt = torch()
        self.module.eval()
        before = [(it, it.clone()) for it in self.module.buffers()]
        with self.without_draws(), self.watching(sink), pt.no_grad():
            outputs = [it.numpy() for it in self.outputs(self.module(*self.tensors(inputs)))]
            for it, value in before:  # a normalisation that is always in training moves them
                it.copy_(value)
            return outputs

    def training(
        self, inputs: Sequence[np.ndarray], projections: Sequence[np.ndarray], steps: int, rate: float,
        sink: Sink, first: Callable[[list[np.ndarray]], None],
        gradient: Callable[[str, np.ndarray | None], None],
    ) -> Trained:  # fmt: skip
        """Steps of plain SGD on sum(output * projection), dropout off. The module is changed by them.

        `first` is told of the outputs of the first step, `gradient` of its gradients: of parameters by their
        names as they come, then of "input 0" and so on; None is what torch has where nothing depends on it.
        """
        pt = torch()
        parameters = {name: it for name, it in self.module.named_parameters() if it.requires_grad}
        self.module.train()
        made = Trained()
        told: set[str] = set()

        def take(name: str, it: Any) -> None:
            told.add(name)
            gradient(name, it.grad.detach().numpy())
            if not steps:  # large models have no room for all of them
                it.grad = None

        hooks = [
            it.register_post_accumulate_grad_hook(partial(take, name)) for name, it in parameters.items()
        ]
        optimizer = pt.optim.SGD(list(parameters.values()) or [pt.zeros(1)], lr=rate)
        try:
            for step in range(max(steps, 1)):
                with self.without_draws(), self.watching(None if step else sink):
                    given = [it.requires_grad_(it.is_floating_point()) for it in self.tensors(inputs)]
                    targets = self._projections(projections)
                    outputs = self.outputs(self.module(*given))
                    if not step:
                        first([it.detach().numpy() for it in outputs])
                        made.draws = dict(self.draws)
                    pairs = zip(outputs, targets, strict=True)
                    loss = sum((out * r).sum() for out, r in pairs if out.is_floating_point())
                    optimizer.zero_grad()
                    if hasattr(loss, "backward") and loss.requires_grad:
                        loss.backward()
                if not step:
                    for name in parameters.keys() - told:
                        gradient(name, None)
                    for at, it in enumerate(given):
                        gradient(f"input {at}", None if it.grad is None else it.grad.detach().numpy())
                    while hooks:
                        hooks.pop().remove()
                if steps:
                    optimizer.step()
        finally:
            for handle in hooks:
                handle.remove()
            self.module.eval()
        state = self.module.state_dict(keep_vars=True).items()
        made.state = {name: it.detach().numpy() for name, it in state if steps or name not in parameters}
        return made

    @contextmanager
    def without_draws(self) -> Iterator[None]:
        """Every random module at amount 0; how often each runs in training mode is counted."""
        self.draws.clear()
        kept, handles = [], []
        for path, module in self.module.named_modules():
            if type(module).__name__ in WRITTEN:
                kept.append((module, "training", module.training))
                module.training = False
            for own in ("dropout", "recurrent_dropout"):  # of a recurrent layer
                if isinstance(amount := getattr(module, own, None), float):
                    kept.append((module, own, amount))
                    setattr(module, own, 0.0)
            if name := amount_name(module):
                kept.append((module, name, getattr(module, name)))
                setattr(module, name, 0.0)

                def count(it: Any, args: Any, out: Any, path: str = path) -> None:
                    self.draws[path] = self.draws.get(path, 0) + bool(it.training)

                handles.append(module.register_forward_hook(count))
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()
            for module, name, amount in kept:
                setattr(module, name, amount)

    def _projections(self, projections: Sequence[np.ndarray]) -> list[Any]:
        pt = torch()
        specs = self.places.record.outputs
        return [
            pt.from_numpy(np.ascontiguousarray(held(it, spec.order, spec.tensor).astype(self.dtype)))
            for spec, it in zip(specs, projections, strict=True)
        ]


@contextmanager
def default_dtype(dtype: str) -> Iterator[None]:
    """Constants that torch makes up have this dtype."""
    pt = torch()
    before = pt.get_default_dtype()
    pt.set_default_dtype(getattr(pt, dtype))
    try:
        yield
    finally:
        pt.set_default_dtype(before)


def rows_of(texts: np.ndarray) -> list[Any]:
    """Texts as the port's functions take them: of an array (n, 1) its entries, of (n, m) its rows."""
    return [it[0] if isinstance(it, list) and len(it) == 1 else it for it in texts.tolist()]


#: Their classes in model.py.
WRITTEN = AUGMENT | {"RandomAffine", "RandomCropOrResize"}


def amount_name(module: Any) -> str:
    """The attribute that says how random a module is in training; empty if it is not.

    Dropout of torch's own, or made of it; others are classes that torchport writes into model.py.
    """
    if isinstance(module, torch().nn.modules.dropout._DropoutNd):
        return "p"
    name = callee(type(module).__name__).amount
    return name if hasattr(module, name) else ""


def has_doubles(folder: Path) -> bool:
    """Whether a port has weights in float64, as its source has."""
    files = State(folder).files
    return any(file.get_slice(name).get_dtype() == "F64" for name, file in files.items())


class State(Mapping[str, np.ndarray]):
    """The tensors of a folder's weights file or files, by name; each is read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        import json

        from safetensors import safe_open

        index = folder / "model.safetensors.index.json"
        files = [folder / "model.safetensors"]
        if index.is_file():
            names = json.loads(index.read_text())["weight_map"].values()
            files = [folder / name for name in sorted(set(names))]
        opened: list[Any] = [safe_open(file, framework="numpy") for file in files]
        self.files: dict[str, Any] = {name: file for file in opened for name in file.keys()}  # noqa: SIM118

    def __getitem__(self, name: str) -> np.ndarray:
        return np.asarray(self.files[name].get_tensor(name))

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)
