"""A ported model: its source, its weights, and how its tensors lie on both sides."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchport import __version__
from torchport.axes import dims
from torchport.emit import texts
from torchport.emit.weights import provenance, write_weights
from torchport.errors import BadFile, TorchportError
from torchport.options import DEFAULT, Options
from torchport.pipeline import Program
from torchport.program import Permute, Spec
from torchport.rules import book

if TYPE_CHECKING:
    import numpy as np
    from torch import nn


@dataclass(frozen=True)
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
    def permutes(self) -> tuple[Permute, ...]:
        """Every permute that is left in `forward`, nested models included, and why."""
        return self.program.permutes

    def module(self) -> nn.Module:
        """The PyTorch module with its weights, in evaluation mode; a new one each time."""
        with tempfile.TemporaryDirectory(prefix="torchport-") as folder:
            return load(self.save(Path(folder) / "port"))

    @cached_property
    def _module(self) -> nn.Module:
        return self.module()

    def run(self, *arrays: np.ndarray) -> Any:
        """Inference: arrays in the source's axes in and out; several outputs are a tuple."""
        import numpy as np

        if len(arrays) == len(self.inputs):
            pairs = zip(arrays, self.inputs, strict=True)
            arrays = tuple(
                self.encoded(array, spec.name)
                if spec.name in self.program.graph.texts
                else np.asarray(array, dtype=spec.dtype)
                for array, spec in pairs
            )
        return run(self._module, self.inputs, self.outputs, arrays)

    def encoded(self, given: Any, name: str) -> np.ndarray:
        """The numbers that the port makes of the text for one of its inputs."""
        module = self._module
        function = texts.names(self.program.definition, self.program.classes.inputs)[name]
        made = getattr(sys.modules[type(module).__module__], function)(texts.flat(given))
        return made.numpy()  # type: ignore[no-any-return]

    def record(self) -> dict[str, Any]:
        """What port.json says."""
        from torchport.emit.trace import trace

        def spec(it: Spec, name: str) -> dict[str, Any]:
            return {
                "name": name, "source_name": it.tensor.name, "dtype": it.dtype,
                "source_axes": it.source_axes, "torch_axes": it.torch_axes, "shape": list(it.shape),
            }  # fmt: skip

        classes = self.program.classes
        with book.scope(self.program.book):
            traced = trace(classes)
        return {
            "torchport": __version__,
            "source": {"model": self.program.graph.name, "keras": self.program.graph.dialect},
            "options": asdict(self.options),
            "class": classes.name,
            "inputs": [spec(it, classes.inputs[it.name]) for it in self.inputs],
            "outputs": [spec(it, it.name) for it in self.outputs],
            "texts": texts.names(self.program.definition, classes.inputs),
            "permutes": [vars(it) for it in self.permutes],
            "weights": provenance(self.program.entries),
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
            record = json.dumps(self.record(), indent=1) + "\n"
            (made / "port.json").write_text(record, encoding="utf-8")
            target.parent.mkdir(parents=True, exist_ok=True)
            swap(made, target, Path(scratch) / "old")
        return Path(folder)


#: What `save` writes. Anything else in a folder is the user's.
OURS = re.compile(
    r"model\.py|port\.json|model(-\d+-of-\d+)?\.safetensors(\.index\.json)?|__pycache__|"
    r"(\w+_)?(vocabulary|idf_weights)\.json"
)


def check_replaceable(target: Path, force: bool) -> None:
    """Raises TorchportError unless the path is an empty folder, or a port and to be replaced."""
    where = str(target)
    if not target.is_dir():
        raise TorchportError("is a file", where=where, advice="give a folder that is not there yet")
    if not any(target.iterdir()):
        return
    if not (target / "port.json").is_file():
        advice = "give another folder; --force replaces ports only"
        raise TorchportError("is there already, and is not a port", where=where, advice=advice)
    if not force:
        raise TorchportError("is there already", where=where, advice="add --force to replace it")


def swap(made: Path, target: Path, old: Path) -> None:
    """Put `made` where `target` is; what is ours of `target` ends up at `old`.

    All three are on one file system. On any failure `target` is what it was; killed between the two
    renames, it is at `old`.
    """
    if not target.exists():
        os.rename(made, target)
        return
    try:
        os.rename(target, old)
        os.rename(made, target)
    except BaseException:
        if old.exists() and not target.exists():
            os.rename(old, target)
        raise
    for item in old.iterdir():
        if not OURS.fullmatch(item.name):
            os.rename(item, target / item.name)


def run(module: nn.Module, inputs: Sequence[Spec], outputs: Sequence[Spec], arrays: Sequence[Any]) -> Any:
    """Call a module with arrays in the source's axes; gives arrays in the source's axes."""
    import torch

    if len(arrays) != len(inputs):
        names = ", ".join(spec.name for spec in inputs)
        raise TorchportError(f"takes {len(inputs)} inputs ({names}), is given {len(arrays)}")
    from torchport.axes import Order

    given = []
    for spec, array in zip(inputs, arrays, strict=True):
        tensor = torch.as_tensor(array)
        given.append(tensor.permute(dims(Order.SOURCE, spec.order, tensor.dim())).contiguous())
    training = module.training
    with torch.no_grad():
        results = module.eval()(*given)
    module.train(training)
    found = results if isinstance(results, (tuple, list)) else (results,)
    back = [
        result.permute(dims(spec.order, Order.SOURCE, result.dim())).numpy()
        for spec, result in zip(outputs, found, strict=True)
    ]
    return back[0] if len(back) == 1 else tuple(back)


def load(folder: str | Path) -> nn.Module:
    """The module of a folder that `save` wrote, with its weights, in evaluation mode.

    Runs the folder's model.py: load only what you would run.
    """
    import importlib.util

    folder = Path(folder)
    path = folder / "model.py"
    if not path.is_file():
        advice = "give a folder that torchport wrote"
        raise BadFile("there is no model.py", where=str(folder), advice=advice)
    name = f"torchport_port_{abs(hash(str(path.resolve())))}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        record = json.loads((folder / "port.json").read_text(encoding="utf-8"))
        return getattr(module, record["class"]).from_pretrained()  # type: ignore[no-any-return]
    except Exception as error:  # model.py is the user's by now: it may raise anything
        del sys.modules[name]
        what = f"cannot be loaded ({type(error).__name__}: {error})"
        advice = "convert the model again, or undo what was changed in the folder"
        raise BadFile(what, where=str(folder), advice=advice) from error
