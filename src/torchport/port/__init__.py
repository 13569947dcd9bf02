"""A ported model: its source, its weights, and how its tensors lie on both sides."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchport import __version__, nest
from torchport.axes import Order
from torchport.emit import texts
from torchport.emit.weights import weights, write_weights
from torchport.graph import Tensor
from torchport.options import DEFAULT, Options
from torchport.pipeline import Program
from torchport.port.folder import check_replaceable, swap
from torchport.port.module import Text, load
from torchport.port.run import in_order, run
from torchport.port.summary import summary
from torchport.program import Permute, Spec
from torchport.record import FORMAT, OURS, graph_record, spec_record, text
from torchport.rules import book

__all__ = ["OURS", "Port", "load", "run", "swap"]

if TYPE_CHECKING:
    import numpy as np
    from torch import nn


@dataclass(frozen=True, repr=False)
class Port:
    """What `convert` gives: nothing is read or written until it is asked for."""

    program: Program
    source: Any
    options: Options = DEFAULT

    @property
    def code(self) -> str:
        """The text of model.py."""
        return self.program.code

    @property
    def class_name(self) -> str:
        return self.program.classes.name

    @property
    def inputs(self) -> tuple[Spec, ...]:
        """name, dtype, source_axes, torch_axes and shape of each input."""
        return self.program.definition.inputs

    @property
    def outputs(self) -> tuple[Spec, ...]:
        """name, dtype, source_axes, torch_axes and shape of each output."""
        return self.program.definition.outputs

    @property
    def returns(self) -> Any:
        """How `forward` nests the outputs, by their names: one, a tuple, or a dict with the source's keys."""
        result = self.program.definition.result
        return nest.packed([it.name for it in self.outputs], result)

    def __repr__(self) -> str:
        """A summary of at most ten lines."""
        return summary(self)

    @property
    def permutes(self) -> tuple[Permute, ...]:
        """Every permute that is left in `forward`, nested models included, and why."""
        return self.program.permutes

    @property
    def text(self) -> Text:
        """model.py, and the files of words that it reads."""
        words = texts.files(self.program.definition, self.program.classes.inputs)
        return Text(self.code, tuple((name, json.dumps(values)) for name, values in words))

    def module(self) -> nn.Module:
        """The PyTorch module with its weights, in evaluation mode; a new one each time.

        It can be pickled, `torch.save` included: wherever torchport is installed, its class is made again.
        """
        import torch

        made = getattr(self.text.module(), self.class_name)()
        weights = {entry.name: torch.from_numpy(entry.array().copy()) for entry in self.program.entries}
        made.load_state_dict(weights)
        return made.eval()  # type: ignore[no-any-return]

    @cached_property
    def _module(self) -> nn.Module:
        return self.module()

    def run(self, *arrays: Any) -> Any:
        """Inference: arrays in the source's axes in and out, as Keras takes them; one for each input.

        Arrays are cast as Keras casts them. Several inputs may be one list, or one dict by their names or the
        source's keys. Several outputs are a tuple, or a dict as in `forward`.
        """
        names = [self.program.classes.inputs[it.name] for it in self.inputs]
        keys = [self.program.definition.keys.get(it.name, it.name) for it in self.inputs]
        given = in_order(arrays, names, keys, [it.name for it in self.inputs])
        for at, spec in enumerate(self.inputs):
            if spec.name in self.program.graph.texts:
                given[at] = self.encoded(given[at], spec.name)
        return run(self._module, self.inputs, self.outputs, self.program.definition.result, given)

    def encoded(self, given: Any, name: str) -> np.ndarray:
        """The numbers that the port makes of the text for one of its inputs."""
        module = self._module
        function = texts.names(self.program.definition, self.program.classes.inputs)[name]
        made = getattr(sys.modules[type(module).__module__], function)(texts.flat(given))
        return made.numpy()  # type: ignore[no-any-return]

    def record(self) -> dict[str, Any]:
        """What port.json says."""
        from torchport.emit.trace import trace
        from torchport.layout import choose_orders, is_permutable

        program = self.program
        classes, graph = program.classes, program.graph
        with book.scope(program.book):
            traced = trace(classes, graph, program.code, program.entries)
            orders = choose_orders(graph, self.options.keep_io)
        encoders = texts.names(program.definition, classes.inputs)

        def order(path: str, it: Tensor) -> Order:
            return orders.of(path, it.name) if is_permutable(it) else Order.SOURCE

        return {
            "format": FORMAT,
            "torchport": __version__,
            "source": {"model": self.program.graph.name, "keras": self.program.graph.dialect},
            "options": asdict(self.options),
            "class": classes.name,
            "inputs": [spec_record(it, classes.inputs[it.name]) for it in self.inputs],
            "outputs": [spec_record(it, it.name) for it in self.outputs],
            "returns": self.returns,
            "texts": {
                name: {"function": function, "tensor": graph.texts[name].output}
                for name, function in encoders.items()
            },
            "permutes": [vars(it) for it in self.permutes],
            "training": self.program.training,
            "weights": {it.name: it.record() for it in weights(program.entries)},
            "graph": graph_record(graph, order),
            "trace": traced,
            "verified": None,
        }

    def save(
        self,
        folder: str | Path,
        *,
        force: bool = False,
        progress: Callable[[int], None] | None = None,
    ) -> Path:
        """Write model.py, model.safetensors and port.json; the folder appears whole or not at all.

        force: replace a port that is there. Other files in that folder stay.
        """
        target = Path(folder).resolve()
        if os.path.lexists(target):
            check_replaceable(target, force)
        base = next(it for it in target.parents if it.exists())
        with tempfile.TemporaryDirectory(prefix=".torchport-", dir=base) as scratch:
            made = Path(scratch) / "made"
            made.mkdir()
            (made / "model.py").write_text(self.code, encoding="utf-8")
            for name, values in texts.files(self.program.definition, self.program.classes.inputs):
                (made / name).write_text(json.dumps(values, indent=0) + "\n", encoding="utf-8")
            write_weights(made, self.program.entries, progress=progress)
            (made / "port.json").write_text(text(self.record()) + "\n", encoding="utf-8")
            target.parent.mkdir(parents=True, exist_ok=True)
            swap(made, target, Path(scratch) / "old")
        return Path(folder)
