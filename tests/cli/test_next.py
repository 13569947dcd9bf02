"""The command that convert prints works when it is pasted, whatever options the conversion was given."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import pytest
from typer.testing import CliRunner

from torchport import scripts
from torchport.cli import app

CODE = """
import keras


@keras.saving.register_keras_serializable(package="shop")
class Halve(keras.layers.Layer):
    def __init__(self, part=0.5, **options):
        super().__init__(**options)
        self.part = part

    def call(self, x):
        return x * self.part

    def get_config(self):
        return {**super().get_config(), "part": self.part}


def build(units=5):
    x = keras.Input((6,))
    return keras.Model(x, keras.layers.Dense(2, name="head")(Halve(name="half")(network(x, units))))


def network(x, units=5):
    x = keras.layers.Dense(units, name="first")(x)
    return keras.layers.BatchNormalization(name="norm")(x)
"""
RULES = """
from torchport.rules import FOLLOWS, Value, rule


@rule("shop>Halve", wants=FOLLOWS)
def halve(x: Value, *, part: float = 0.5):
    return x * part
"""
#: Puts the files into the folder; gives the arguments of convert.
Source = Callable[[Any, Path], list[str]]
SOURCES: dict[str, Source] = {}


def source(make: Source) -> Source:
    SOURCES[make.__name__] = make
    return make


@source
def a_file(mine: Any, folder: Path) -> list[str]:
    x = keras.Input((6,))
    keras.Model(x, keras.layers.Dense(2, name="head")(mine.network(x))).save(folder / "m.keras")
    return ["m.keras"]


@source
def a_file_and_code(mine: Any, folder: Path) -> list[str]:
    mine.build().save(folder / "m.keras")
    return ["m.keras", "--code", "my code.py"]


@source
def a_file_and_rules(mine: Any, folder: Path) -> list[str]:
    mine.build().save(folder / "m.keras")
    return ["m.keras", "--rules", "rules.py", "--custom", "my code.py"]


@source
def weights_and_json(mine: Any, folder: Path) -> list[str]:
    x = keras.Input((6,))
    model = keras.Model(x, keras.layers.Dense(2, name="head")(mine.network(x)))
    model.save_weights(folder / "m.weights.h5")
    (folder / "m.json").write_text(model.to_json())
    return ["m.weights.h5", "--config", "m.json"]


@source
def weights_json_and_code(mine: Any, folder: Path) -> list[str]:
    model = mine.build()
    model.save_weights(folder / "m.weights.h5")
    (folder / "m.json").write_text(model.to_json())
    return ["m.weights.h5", "--config", "m.json", "--code", "my code.py"]


@source
def weights_json_and_rules(mine: Any, folder: Path) -> list[str]:
    return [*weights_json_and_code(mine, folder)[:3], "--rules", "rules.py", "--custom", "my code.py"]


@source
def weights_and_function(mine: Any, folder: Path) -> list[str]:
    mine.build().save_weights(folder / "m.weights.h5")
    return ["m.weights.h5", "--config", "my code.py:build"]


@source
def code_alone(mine: Any, folder: Path) -> list[str]:
    mine.build(7).save_weights(folder / "m.weights.h5")
    return ["my code.py:build", "--call", "build(7)", "--weights", "m.weights.h5"]


@source
def quantised(mine: Any, folder: Path) -> list[str]:
    x = keras.Input((6,))
    model = keras.Model(x, keras.layers.Dense(2, name="head")(mine.network(x)))
    model.quantize("int8")
    model.save(folder / "m.keras")
    return ["m.keras", "--dequantise"]


@source
def quantised_with_code(mine: Any, folder: Path) -> list[str]:
    model = mine.build()
    model.get_layer("first").quantize("int8")
    model.save(folder / "m.keras")
    return ["m.keras", "--dequantise", "--code", "my code.py"]


#: Further options, each with every source once and all together.
OPTIONS = (["--exact"], ["--outputs", "norm"], ["--keep-io", "--flat"], ["--class-name", "Net"])
CASES = [
    (name, [*OPTIONS[at % 4], *OPTIONS[(at + 1) % 4]] if some else []) for at, name in enumerate(SOURCES)
    for some in (False, True)
] + [("a_file_and_code", [word for words in OPTIONS for word in words])]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "more"), CASES, ids=lambda it: "-".join(it) if isinstance(it, list) else it)
def test_the_next_command(
    name: str, more: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my code.py").write_text(CODE)
    (tmp_path / "rules.py").write_text(RULES)
    given = SOURCES[name](scripts.run(tmp_path / "my code.py", ""), tmp_path)
    known = keras.saving.get_custom_objects()
    for registered in list(known):  # as in a shell of one's own
        monkeypatch.delitem(known, registered)
    converted = CliRunner().invoke(app, ["convert", *given, *more, "-o", "port"])
    assert converted.exit_code == 0, converted.output
    (line,) = (it for it in converted.output.splitlines() if "torchport verify" in it)
    program, *pasted = shlex.split(line.partition("next")[2])
    assert program == "torchport"
    verified = CliRunner().invoke(app, [*pasted, "--precision", "float64"])
    assert verified.exit_code == 0, f"{pasted}\n{verified.output}"
