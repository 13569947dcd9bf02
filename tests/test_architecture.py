"""Imports run one way, and a conversion knows neither TensorFlow nor Keras nor torch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "torchport"
UNET = PACKAGE.parents[1] / "examples" / "ihc_unet" / "ihc_unet.keras"
#: A room imports only rooms to its left.
ROOMS = (
    "errors nest scripts axis axes names named options graph training callees program expressions record "
    "shapes rules lambdas read normalise watch infer layout idioms blocks emit pipeline port verify "
    "source report geometry conversions cli"
).split()
FRAMEWORKS = {"tensorflow", "keras", "tf_keras", "torch"}
#: The public face of the package is no room: `torchport/__init__.py` and `__main__.py`.
FILES = [
    path
    for path in sorted(PACKAGE.rglob("*.py"))
    if "snippets" not in path.parts and not (path.parent == PACKAGE and path.stem.startswith("__"))
]


def imports(tree: ast.AST, lazily: bool = False) -> Iterator[tuple[str, bool]]:
    """Every module that is imported at run time, and whether only inside a function."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from ((it.name, lazily) for it in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names = [it.name for it in node.names] if node.module == "torchport" else [""]
            yield from ((f"{node.module}.{it}".rstrip("."), lazily) for it in names)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        else:
            inside = lazily or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
            yield from imports(node, inside)


@pytest.mark.parametrize("path", FILES, ids=lambda it: str(it.relative_to(PACKAGE)))
def test_imports_run_one_way(path: Path) -> None:
    room = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    left = ROOMS[: ROOMS.index(room) + 1]
    for name, lazily in imports(ast.parse(path.read_text())):
        top, _, rest = name.partition(".")
        if top == "torchport":
            known = rest.partition(".")[0] in left or rest == "__version__"
            assert known or (room in ("geometry", "conversions", "cli") and not rest), (
                f"{room} imports {name}"
            )
        elif top in FRAMEWORKS:
            assert room == "verify" or (room in ("port", "watch", "source", "geometry") and lazily), (
                f"{room} imports {name}"
            )


@pytest.mark.parametrize("options", [[], ["--json"], ["--layer", "up3"]], ids=str)
def test_table_and_cards_load_no_framework(options: list[str]) -> None:
    run_without_frameworks("explain", str(UNET), *options)


@pytest.mark.parametrize("options", [[], ["--keep-io"], ["--json"]])
def test_a_conversion_loads_no_framework(options: list[str], tmp_path: Path) -> None:
    run_without_frameworks("convert", str(UNET), "-o", str(tmp_path / "port"), *options)


def run_without_frameworks(*command: str) -> None:
    """Runs a command in a process of its own, and fails where it loads a framework."""
    script = (
        "import sys; from torchport.cli import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        f"loaded = {FRAMEWORKS!r} & set(sys.modules)\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", script, *command], check=True, stdout=subprocess.DEVNULL)


def test_verify_knows_nothing_of_how_a_port_was_written() -> None:
    """It reads port.json: a port of one version verifies with the next."""
    writers = {"pipeline", "layout", "idioms", "blocks", "emit", "port"}
    for path in (PACKAGE / "verify").rglob("*.py"):
        for name, _ in imports(ast.parse(path.read_text())):
            rooms = name.split(".")
            assert rooms[0] != "torchport" or not writers & set(rooms[1:2]), f"{path.name} imports {name}"
    paths = (path.relative_to(PACKAGE / "verify") for path in (PACKAGE / "verify").rglob("*.py"))
    rooms = [".".join(path.with_suffix("").parts) for path in paths if path.stem != "__init__"]
    script = (
        "import importlib, sys\n"
        f"for room in {rooms!r}: importlib.import_module('torchport.verify.' + room)\n"
        f"loaded = [it for it in sys.modules if it.split('.')[1:2] and it.split('.')[1] in {writers!r}\n"
        "          and it.startswith('torchport.')]\n"
        "assert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
