"""model.py as a Python module: of its text alone, or in its folder."""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.util
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any

from torchport.errors import BadFile

if TYPE_CHECKING:
    from torch import nn

LOCK = RLock()


@dataclass(frozen=True)
class Text(importlib.abc.InspectLoader):
    """The text of a model.py, and of the JSON files that it reads; `path` is where it lies, if anywhere.

    What is made of it can be pickled: in another process the module is made again of the text, which needs
    torchport, but not the folder.
    """

    code: str
    files: tuple[tuple[str, str], ...] = ()
    path: str = ""

    @property
    def name(self) -> str:
        """The module's name: the same in every process."""
        content = repr((self.code, self.files, self.path)).encode()
        return f"torchport_port_{hashlib.sha256(content).hexdigest()[:16]}"

    def get_source(self, fullname: str) -> str:
        """The text; `inspect.getsource` and `torch.jit.script` ask for it."""
        return self.code

    def module(self) -> ModuleType:
        """The module, made once in a process."""
        with LOCK:
            if self.name in sys.modules:
                return sys.modules[self.name]
            origin = self.path or f"{self.name}/model.py"
            spec = importlib.util.spec_from_loader(self.name, self, origin=origin)
            assert spec is not None
            made = importlib.util.module_from_spec(spec)
            made.__file__ = origin
            sys.modules[self.name] = made
            try:
                self.exec_module(made)
            except BaseException:
                del sys.modules[self.name]
                raise
            return made

    def exec_module(self, module: ModuleType) -> None:
        """Run the text; the files that it reads at its start are beside it."""
        own = module.__file__ or ""
        with tempfile.TemporaryDirectory(prefix="torchport-") as folder:
            if self.files and not Path(own).is_file():
                for name, text in self.files:
                    (Path(folder) / name).write_text(text, encoding="utf-8")
                module.__file__ = str(Path(folder) / "model.py")
            exec(compile(self.code, own, "exec"), vars(module))
            module.__file__ = own
        for it in list(vars(module).values()):
            if isinstance(it, type) and it.__module__ == module.__name__:
                self.let_pickle(it)

    def let_pickle(self, cls: Any) -> None:
        """Objects of a class carry the text along, as no other process could import its module."""

        def __reduce_ex__(it: Any, protocol: Any) -> Any:
            return made_again, (self, cls.__qualname__), it.__dict__

        cls.__reduce_ex__ = __reduce_ex__


def made_again(text: Text, name: str) -> Any:
    """An object of a class of a port, empty as yet."""
    cls = getattr(text.module(), name)
    return cls.__new__(cls)


def load(folder: str | Path) -> nn.Module:
    """The module of a folder that `save` wrote, with its weights, in evaluation mode.

    Runs the folder's model.py: load only what you would run.
    """
    folder = Path(folder)
    path = folder / "model.py"
    if not path.is_file():
        advice = "give a folder that torchport wrote"
        raise BadFile("there is no model.py", where=str(folder), advice=advice)
    try:
        words = (
            it for it in sorted(folder.glob("*.json")) if it.stem.endswith(("vocabulary", "idf_weights"))
        )
        files = tuple((it.name, it.read_text(encoding="utf-8")) for it in words)
        module = Text(path.read_text(encoding="utf-8"), files, str(path.resolve())).module()
        record = json.loads((folder / "port.json").read_text(encoding="utf-8"))
        return getattr(module, record["class"]).from_pretrained()  # type: ignore[no-any-return]
    except Exception as error:  # model.py is the user's by now: it may raise anything
        what = f"cannot be loaded ({type(error).__name__}: {error})"
        advice = "convert the model again, or undo what was changed in the folder"
        raise BadFile(what, where=str(folder), advice=advice) from error
