"""Functions and classes of other people's files, ported one by one: what is ported, refused, different.

    python bench/port_code.py FOLDER [PART_OF_A_NAME ...] [--save FOLDER]

FOLDER is a checkout, for instance of github.com/LukeWood/keras-io, examples of 2023. Its code is run, nothing
of it is kept here; --save writes the ports. `bench/theirs/port_code.toml` says what to call, by file. A call
that fails by itself is left out and counted. Exit status 1 where a port is different.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import statistics
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

from examples import limit, stands_in

#: The Keras that comes with TensorFlow; TF_USE_LEGACY_KERAS=1 asks for Keras 2.
os.environ["TF_USE_LEGACY_KERAS"] = os.environ.get("PORT_LEGACY", "0")
CALLS = tomllib.loads((Path(__file__).parent / "theirs" / "port_code.toml").read_text(encoding="utf-8"))
SECONDS = 600


def port(path: Path, calls: list[str], folder: Path | None) -> dict[str, Any]:
    """What became of one file."""
    from torchport.source import port_of, watched_project
    from torchport.source.observe import watch
    from torchport.source.sites import SourceFile

    source, failed = SourceFile.of(path), []
    with stands_in(), submodules():
        watched = watch(source)
        kept = [it for it in calls if runs(watched, it, failed)]
        if calls and not kept:
            return {"units": [], "refusals": [], "ran": {}, "failed": failed}
        project = watched_project(source, (), kept)
    found = port_of(project, calls=calls, partial=True)
    if folder is not None:
        (folder / f"{path.parent.name}_{path.name}").write_text(found.code, encoding="utf-8")
    ran = {it.partition(".")[0] for it in project.watched.recorder.units}
    return {
        "units": [
            {"name": it.name, "kind": it.kind, "lines": it.text.count("\n") + 1,
             "cases": len(found.proofs[it.name].cases)}
            for it in found.units
        ],
        "refusals": [vars(it) for it in found.refusals],
        "ran": {it.name: [kind(it), length(it)] for it in source.definitions() if it.name in ran},
        "failed": failed,
    }  # fmt: skip


def runs(watched: Any, call: str, failed: list[str]) -> bool:
    """Whether a call runs by itself; why not, into `failed`."""
    try:
        watched.evaluate(call)
    except Exception as error:
        failed.append(f"{call}: {str(error)[:300]}")
        return False
    return True


class Anything(MetaPathFinder):
    """Modules inside of packages that are stood in for."""

    def find_spec(self, name: str, path: Any, target: Any = None) -> ModuleSpec | None:
        return (
            ModuleSpec(name, self) if isinstance(sys.modules.get(name.partition(".")[0]), MagicMock) else None
        )

    def create_module(self, spec: ModuleSpec) -> Any:
        return MagicMock(name=spec.name)

    def exec_module(self, module: Any) -> None:
        pass


@contextmanager
def submodules() -> Iterator[None]:
    for it in sys.modules.values():
        if isinstance(it, MagicMock):
            it.__path__ = []
    for name in ("conlleval", "gdown"):
        sys.modules.setdefault(name, MagicMock(name=name, __spec__=None))
    sys.meta_path.append(finder := Anything())
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


def kind(node: ast.AST) -> str:
    return "class" if isinstance(node, ast.ClassDef) else "function"


def length(node: Any) -> int:
    return int(node.end_lineno - node.lineno + 1)


def forked(path: Path, calls: list[str], folder: Path | None) -> dict[str, Any]:
    """The same in a process of its own: of TensorFlow only the import is shared."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as out:
            sys.stdout = open(os.devnull, "w")
            try:
                with limit(SECONDS):
                    found = port(path, calls, folder)
            except BaseException as error:
                found = {"error": f"{type(error).__name__}: {error}"}
            json.dump(found, out, default=str)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as got:
        text = got.read()
    os.waitpid(child, 0)
    return dict(json.loads(text)) if text else {"error": "the process ended"}


def verdicts(found: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """The name, kind and verdict of what ran: layer classes, and functions that have to do with tensors."""
    ported = {it["name"] for it in found["units"]}
    refused = {it["unit"]: it["why"] for it in found["refusals"]}
    for name, (what, _) in found["ran"].items():
        if "has no call of its own" in refused.get(name, ""):
            continue  # a class that is no layer, model or loss
        if name in ported:
            yield name, what, "ported"
        elif name in refused:
            yield name, what, "different" if "not the same" in refused[name] else "refused"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("parts", nargs="*")
    parser.add_argument("--save", type=Path)
    given = parser.parse_args()
    import tensorflow  # noqa: F401
    import torch  # noqa: F401
    from tensorflow import keras

    # nothing is computed here: threads of TensorFlow's do not outlive a fork
    assert keras.layers
    if given.save:
        given.save.mkdir(parents=True, exist_ok=True)
    counts: dict[str, Counter[str]] = {"function": Counter(), "class": Counter()}
    shares, few = [], 0
    for name, calls in CALLS.items():
        if given.parts and not any(it in name for it in given.parts):
            continue
        found = forked((given.folder / name).resolve(), calls, given.save)
        if "error" in found:
            print(f"{name}: NOT RUN {found['error'][:300]}", flush=True)
            continue
        for it in found["failed"]:
            print(f"{name}: CALL {it}")
        for unit, what, verdict in verdicts(found):
            counts[what][verdict] += 1
            cases = next((f" ({it['cases']} cases)" for it in found["units"] if it["name"] == unit), "")
            print(f"{name}: {verdict.upper()} {what} {unit}{cases}", flush=True)
        for it in found["refusals"]:
            print(
                f"  {name}:{it['line']}:{it['column']}  {it['unit']}  {it['text']}: {it['why']}", flush=True
            )
        for it in found["units"]:
            few += it["cases"] < 4
            shares.append(it["lines"] / found["ran"][it["name"]][1])
    for what, count in counts.items():
        total = sum(count.values()) or 1
        said = ", ".join(f"{number} {verdict}" for verdict, number in count.most_common())
        print(f"{what}: {said}; {count['ported'] / total:.0%} ported")
    print(
        f"{statistics.median(shares or [0]):.2f} lines for one of the source's; {few} with fewer than 4 cases"
    )
    return int(any(it["different"] for it in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
