"""Functions that several versions of Python compiled are read alike, and as Python itself runs them."""

from __future__ import annotations

import base64
import json
import marshal
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.lambdas.assembler import functions
from tests.lambdas.grown import Grower
from tests.lambdas.programs import PROGRAMS
from tests.lambdas.recorder import Package, Recorder, Traced, text_of

from torchport.errors import Unsupported
from torchport.lambdas.reading import read
from torchport.lambdas.stored import Stored

#: Compiled by these versions themselves.
VERSIONS = ("3_6", "3_7", "3_8", "3_9", "3_10", "3_11", "3_12", "3_13", "3_14")


def as_python_runs_it(source: str) -> str:
    """What a function does with a tensor that writes everything down."""
    module: dict[str, Any] = {name: Package(name) for name in ("K", "tf")}
    exec(compile(source, "model.py", "exec"), module)
    return text_of(module["f"](Traced("x")))


def as_read(data: str, defaults: list[Any]) -> dict[tuple[int, int], str]:
    """The same as it is read, by the version of Python."""
    found, problem = {}, None
    for it in read(Stored(base64.b64decode(data), tuple(defaults))):
        try:
            found[it.version] = text_of(it.evaluate(Recorder(), Traced("x"))[0])
        except Unsupported as error:
            problem = error
    if problem is not None and not found:
        raise problem
    return found


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_is_read_as_python_runs_it(version: str, name: str) -> None:
    found = json.loads((Path(__file__).parent / f"bytes_{version}.json").read_text())
    data, defaults = found[name]
    texts = as_read(data, defaults)
    major, minor = map(int, version.split("_"))
    assert (major, minor) in texts
    if name == "imported":  # what is imported in it is no recording module
        assert set(texts.values()) == {"+(tf.nn.relu(x), K.abs(x))"}
    else:
        assert set(texts.values()) == {as_python_runs_it(PROGRAMS[name])}


@pytest.mark.parametrize("version", [(3, 5), (3, 6), (3, 7), (3, 8), (3, 9)], ids=str)
@pytest.mark.parametrize("name", functions((3, 6)))
def test_older_versions(version: tuple[int, int], name: str) -> None:
    """Functions put together by hand; of 3.5 there is no Python here that could have compiled them."""
    source, assembly = functions(version)[name]
    texts = as_read(base64.b64encode(assembly.marshalled(version)).decode(), [])
    assert version in texts
    assert set(texts.values()) == {as_python_runs_it(source)}


@pytest.mark.parametrize("version", VERSIONS[:-1])
def test_of_windows(version: str) -> None:
    """Keras there makes a slash of every byte that is a backslash, an instruction of Python
    among them; in 3.14 that is the one for global names, and nothing can be told any more."""
    found = json.loads((Path(__file__).parent / f"bytes_{version}.json").read_text())["parts"]
    changed = base64.b64encode(base64.b64decode(found[0]).replace(b"\\", b"/")).decode()
    assert set(as_read(changed, []).values()) == {as_python_runs_it(PROGRAMS["parts"])}


def test_python_2_is_named() -> None:
    code = b"c" + bytes(16) + b"s\x01\x00\x00\x00S" + b"(\x00\x00\x00\x00" * 3
    with pytest.raises(Unsupported, match="Python 2"):
        read(Stored(code))


#: What a function must never reach.
CANARIES = (
    "f = lambda x: __import__('os').system('touch CANARY')",
    "f = lambda x: open('CANARY', 'w')",
    "f = lambda x: eval('1')",
    "f = lambda x: exec('1')",
    "f = lambda x: getattr(x, 'shape').__class__.__mro__",
    "f = lambda x: (1).__class__.__base__.__subclasses__()",
    "f = lambda x: ().__class__",
    "f = lambda x: [].__class__.__base__",
    "f = lambda x: '{0.__class__}'.format(x)",
    "f = lambda x: f'{x}'",
    "f = lambda x: np.load('CANARY')",
    "f = lambda x: np.fromfile('CANARY')",
    "f = lambda x: x.__class__",
    "def f(x):\n    import os\n    return os.system('touch CANARY')",
    "def f(x):\n    global K\n    K = x\n    return x",
    "def f(x):\n    x.name = 1\n    return x",
    "def f(x):\n    yield x",
    "def f(x):\n    class A:\n        pass\n    return x",
    "f = lambda x: f(x)",
)
#: What would not end, or fill the memory.
BOMBS = (
    "f = lambda x: x * 10 ** 10 ** 10",
    "f = lambda x: x * (1 << 10 ** 9)",
    "f = lambda x: [0] * 10 ** 9",
    "f = lambda x: 'a' * 10 ** 9",
    "f = lambda x: [n for n in range(10 ** 9)]",
    "f = lambda x: sum(range(10 ** 9))",
    "f = lambda x: np.zeros((10 ** 6, 10 ** 6))",
    "f = lambda x: np.arange(10 ** 10)",
    "f = lambda x: np.eye(10 ** 6)",
    "f = lambda x: list(zip(range(10 ** 9)))",
    "f = lambda x: tuple(range(10 ** 9))",
    "f = lambda x: (lambda g: g(g))(lambda g: g(g))",
    "def f(x):\n    while True:\n        pass",
    "def f(x):\n    y = [x]\n    for n in range(100):\n        y = [y, y]\n    return y + [1]",
    "def f(x):\n    y = [1]\n    for n in range(10 ** 5):\n        y = [y]\n    return y == y",
    "def f(x):\n    y = 'a'\n    for n in range(100):\n        y = y + y\n    return y",
    "def f(x):\n    y = [1]\n    while y:\n        y.append(1)\n    return y",
    "def f(x):\n    y = [1]\n    for n in y:\n        y.append(1)\n    return y",
    "def f(x):\n    y = 3\n    while y:\n        y = y * y\n    return y",
    "def f(x):\n    y = [1]\n    y.append(y)\n    return y + [2]",
)


@pytest.mark.parametrize("source", [*CANARIES, *BOMBS])
def test_what_is_never_done(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module: dict[str, Any] = {}
    exec(compile(source, "model.py", "exec"), module)
    data = base64.b64encode(marshal.dumps(module["f"].__code__)).decode()
    with pytest.raises(Unsupported):
        as_read(data, [])
    assert not list(tmp_path.iterdir())


def test_damaged_code_is_refused_or_right(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Bytes changed at random are refused, or are another function: nothing else comes of them.

    Some of the functions leave a file where they are run.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(marshal, "loads", None)
    random = Random(7)
    programs = [base64.b64decode(it[0]) for version in VERSIONS
                for it in json.loads((Path(__file__).parent / f"bytes_{version}.json").read_text()).values()
                if len(it[0]) < 2000]  # fmt: skip
    programs += [marshal.dumps(compile(it, "model.py", "exec").co_consts[0]) for it in CANARIES[:2]] * 9
    read_well = 0
    for _ in range(600):
        data = bytearray(random.choice(programs))
        for _ in range(random.choice((1, 1, 2, 4))):
            data[random.randrange(len(data))] = random.choice((random.randrange(256), 0, 1, 255, 0x80))
        if random.random() < 0.1:
            del data[random.randrange(len(data)) :]
        try:
            as_read(base64.b64encode(bytes(data)).decode(), [])
            read_well += 1
        except Unsupported:
            pass
    assert 0 < read_well < 500
    assert not list(tmp_path.iterdir())


def test_functions_that_grow_at_random_are_read_as_python_runs_them() -> None:
    """What Python itself cannot run is refused, and nothing else."""
    same = 0
    for seed in range(300):
        source = Grower(seed).source()
        module: dict[str, Any] = {}
        exec(compile(source, "model.py", "exec"), module)
        data = base64.b64encode(marshal.dumps(module["f"].__code__)).decode()
        try:
            expected = as_python_runs_it(source)
        except NameError:  # a variable that the way through the function gave no value
            with pytest.raises(Unsupported, match="no value"):
                as_read(data, [])
            continue
        assert set(as_read(data, []).values()) == {expected}, source
        same += 1
    assert same > 250
