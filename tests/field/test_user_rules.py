"""Rules that people write: they hold for one call, errors in them have a line, stubs can be pasted."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import torchport
from torchport import Refused, TorchportError

keras = pytest.importorskip("keras")

HEAD = "from torchport.rules import FOLLOWS, SOURCE, Load, State, call, helper, module, rule\n"
SAMPLE = '''helper("""
def sample(mean: Tensor, log_var: Tensor) -> Tensor:
    \\"\\"\\"Twice the mean, and twice the variance.\\"\\"\\"
    return sample_twice(mean) + sample_twice(log_var)


def sample_twice(x: Tensor) -> Tensor:
    sample = x * 2
    return sample
""")
@rule("Sampling", wants=FOLLOWS)
def sampling(xs):
    return call("sample", *xs)
'''


GAINED = "@rule('Gain')\ndef gain(x, *, mix):\n    return x * mix * {}\n"


class Sampling(keras.layers.Layer):
    def call(self, xs: Any) -> Any:
        return 2 * xs[0] + 2 * xs[1]


class Gain(keras.layers.Layer):
    def __init__(self, mix: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mix = mix

    def call(self, x: Any) -> Any:
        return x * self.mix

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mix": self.mix}


@pytest.fixture(scope="module")
def gained() -> Any:
    return keras.Sequential([keras.Input((3,)), Gain(0.25), keras.layers.Dense(2), Gain(0.75)])


@pytest.fixture(scope="module")
def sampled() -> Any:
    x = keras.Input((3,))
    return keras.Model(
        x, keras.layers.ReLU()(Sampling()([keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)]))
    )


def written(folder: Path, text: str, name: str = "my_rules.py") -> Path:
    (folder / name).write_text(HEAD + text)
    return folder / name


def test_a_helper_may_be_called_as_one_of_ours(sampled: Any, tmp_path: Path) -> None:
    port = torchport.convert(sampled, rules=written(tmp_path, SAMPLE))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    np.testing.assert_allclose(port.run(x), np.asarray(sampled(x)), rtol=1e-5, atol=1e-6)
    assert "def sample_twice" in port.code and port.code.count("def sample") == 2


def test_ours_and_theirs_stand_beside_one_another(tmp_path: Path) -> None:
    x = keras.Input((3,))
    noisy = keras.ops.divide_no_nan(x, x + 1)  # its port calls a function of ours
    model = keras.Model(x, Sampling()([noisy, noisy]))
    ours = re.search(r"^def (\w+)", torchport.convert(keras.Model(x, noisy)).code, re.M)
    assert ours
    text = SAMPLE.replace("def sample(", f"def {ours[1]}(").replace('call("sample"', f'call("{ours[1]}"')
    port = torchport.convert(model, rules=written(tmp_path, text))
    given = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    np.testing.assert_allclose(port.run(given), np.asarray(model(given)), rtol=1e-5, atol=1e-6)
    assert f"def {ours[1]}(" in port.code and f"def {ours[1]}2(" in port.code


@pytest.mark.parametrize("name", ["F", "torch", "max", "Tensor", "json", "Sequential"])
def test_a_helper_hides_nothing(name: str, sampled: Any, tmp_path: Path) -> None:
    text = SAMPLE.replace("def sample(", f"def {name}(").replace('call("sample"', f'call("{name}"')
    port = torchport.convert(sampled, rules=written(tmp_path, text))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    np.testing.assert_allclose(port.run(x), np.asarray(sampled(x)), rtol=1e-5, atol=1e-6)
    assert port.record()["trace"]


def test_rules_hold_for_their_call_alone(gained: Any, tmp_path: Path) -> None:
    files = {
        factor: written(tmp_path, GAINED.format(factor), f"r{factor}.py")
        for factor in (2, 3)
    }  # fmt: skip
    x = np.ones((1, 3), "float32")
    unlike = {}
    for factor in (2, 3, 2):
        unlike[factor] = torchport.convert(gained, rules=files[factor]).run(x)
        # without a rule a live layer is what its own code computes
        np.testing.assert_allclose(torchport.convert(gained).run(x), np.asarray(gained(x)), rtol=1e-5)
    np.testing.assert_allclose(unlike[2] / unlike[3], 4 / 9, rtol=1e-5)

    found: dict[int, list[Any]] = {2: [], 3: []}

    def convert(factor: int) -> None:
        found[factor].append(torchport.convert(gained, rules=files[factor]).code)

    threads = [threading.Thread(target=convert, args=(factor,)) for factor in (2, 3) * 3]
    for it in threads:
        it.start()
    for it in threads:
        it.join()
    assert {len(set(it)) for it in found.values()} == {1} and found[2][0] != found[3][0]


#: What is wrong, in a file of rules; its last line is to blame.
FAULTS = {
    "NameError": "@rule('Gain')\ndef gain(x, *, mix):\n    return y * mix",
    "AttributeError": "@rule('Gain')\ndef gain(x, *, mix):\n    return x.tanh()",
    "ZeroDivisionError": "1 / 0",
    "SyntaxError": "def gain(x",
    "IndexError": "@rule('Gain', shape=lambda x, *, mix: (x.shape[7],))\ndef gain(x, *, mix): return x",
    "where a tuple of sizes": "@rule('Gain', shape=lambda x, *, mix: None)\ndef gain(x, *, mix): return x",
    "where shapes of weights": "@rule('Gain', weights=lambda x: 3)\ndef gain(x, *, mix): return x",
    "where Wants is needed": "@rule('Gain', wants=lambda x: 3)\ndef gain(x, *, mix): return x",
    "an expression is needed": "@rule('Gain')\ndef gain(x, *, mix): return None",
    "which is not called": "@rule('Gain')\ndef gain(x, *, mix): return module('nn.ReLU', loads={})",
    "missing a required argument": "@rule('Gain')\ndef gain(x, y, *, mix): return x",
    "uses np.tanh": "@rule('Gain')\ndef gain(x, *, mix): return call('np.tanh', x)",
    "uses tanhh": "@rule('Gain')\ndef gain(x, *, mix): return call('tanhh', x)",
    "loads 'gamma'": "@rule('Gain')\ndef gain(x, *, mix): return State('g', Load.of('gamma', 'a -> a'), ())",
    "SystemExit": "import sys\nsys.exit('usage')",
    "ModuleNotFoundError": "import package_that_nobody_has",
}


@pytest.mark.parametrize("said", FAULTS)
def test_an_error_in_a_file_of_rules_has_its_line(said: str, gained: Any, tmp_path: Path) -> None:
    text = FAULTS[said]
    with pytest.raises(TorchportError) as caught:
        torchport.convert(gained, rules=written(tmp_path, text))
    assert said in caught.value.what and "bug" not in str(caught.value)
    line = int(re.search(r"my_rules\.py, line (\d+)", caught.value.where)[1])  # type: ignore[index]
    assert line > 1 and abs(line - (1 + text.count("\n") + 1)) <= 2, caught.value.where


def test_a_helper_uses_what_the_port_has(gained: Any, tmp_path: Path) -> None:
    text = "helper('def tanh(x):\\n    return np.tanh(x)')\n" + FAULTS["uses tanhh"].replace("tanhh", "tanh")
    with pytest.raises(TorchportError, match="tanh uses np"):
        torchport.convert(gained, rules=written(tmp_path, text))


def test_options_stand_behind_a_star(gained: Any, tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"write `\*, mix` in .*my_rules.py, line 2"):
        torchport.convert(
            gained, rules=written(tmp_path, "@rule('Gain')\ndef gain(x, mix=0.5): return x * mix")
        )


def test_what_lies_beside_a_file_can_be_imported(gained: Any, tmp_path: Path) -> None:
    (tmp_path / "numbers_of_mine.py").write_text("TWO = 2\n")
    text = "from numbers_of_mine import TWO\n@rule('Gain')\ndef gain(x, *, mix): return x * TWO"
    assert "* 2" in torchport.convert(gained, rules=written(tmp_path, text)).code


def test_an_error_in_what_builds_the_architecture_has_its_line(gained: Any, tmp_path: Path) -> None:
    gained.save_weights(tmp_path / "w.weights.h5")
    (tmp_path / "arch.py").write_text("def build():\n    width = 3\n    return widht\n")
    with pytest.raises(TorchportError, match=r"arch.py, line 3, in build: fails with NameError"):
        torchport.convert(tmp_path / "w.weights.h5", config=tmp_path / "arch.py:build")
    for config, said in (
        ("nowhere.py:build", "cannot be read"),
        ("arch.py", "FUNCTION"),
        ("arch.py:made", "no function"),
    ):
        with pytest.raises(TorchportError, match=said):
            torchport.convert(tmp_path / "w.weights.h5", config=tmp_path / config)


# Stubs

#: Names that options of people's layers have, some of which a rule could not have as they are.
WORDS = "mix units call rule x xs State lambda out dialect value_range Load gamma name_of 2nd a-b".split()


def layer_class(rng: random.Random, name: str) -> Any:
    """A class with random options, weights and layers in it."""
    words = rng.sample(WORDS, rng.randrange(6))
    weights = [
        (f"w{at}" if rng.random() < 0.7 else "gamma", rng.randrange(1, 4)) for at in range(rng.randrange(3))
    ]
    inner = [rng.choice(["dense", "blocks"]) for _ in range(rng.randrange(2))]
    several = rng.random() < 0.4

    class Mine(keras.layers.Layer):
        def __init__(self, **kwargs: Any) -> None:
            self.given = {key: kwargs.pop(key) for key in words if key in kwargs}
            super().__init__(**kwargs)
            if "dense" in inner:
                self.dense = keras.layers.Dense(3)
            if "blocks" in inner:
                self.blocks = [keras.layers.Dense(3), keras.layers.LayerNormalization()]

        def build(self, shape: Any) -> None:
            shape = shape[0] if several else shape
            for at, (weight, rank) in enumerate(weights):
                setattr(self, f"own{at}", self.add_weight(name=weight, shape=(shape[-1], 2, 3)[:rank]))
            for it in [getattr(self, "dense", None), *getattr(self, "blocks", [])]:
                if it is not None:
                    it.build(shape)

        def call(self, xs: Any) -> Any:
            return xs[0] if several else xs

        def compute_output_shape(self, shape: Any) -> Any:
            return shape[0] if several else shape

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), **self.given}

    Mine.__name__ = name
    Mine.words, Mine.several = words, several  # type: ignore[attr-defined]
    return Mine


def drawn(seed: int) -> Any:
    """A model with layers of one or two random classes, of several sizes."""
    rng = random.Random(seed)
    x = keras.Input((3,))
    last = x
    for name in ("Mine", "Call")[: rng.randrange(1, 3)]:
        made = layer_class(rng, name)
        for width in (3, 5, 5)[: rng.randrange(1, 4)]:
            last = keras.layers.Dense(width)(last)
            options = {key: rng.choice([1, 0.5, "same", None, [1, 2]]) for key in made.words}
            last = made(**options)([last, last] if made.several else last)
    return keras.Model(x, last)


FIRST = "helper('def first(x, *rest):\\n    return x[0] if isinstance(x, list) else x')"


@pytest.mark.parametrize("seed", range(12))
def test_a_stub_is_pasted_refused_and_finished(seed: int, tmp_path: Path) -> None:
    model, file = drawn(seed), tmp_path / "model.keras"
    model.save(file)
    with pytest.raises(Refused) as caught:
        torchport.convert(file)
    advice = dict.fromkeys(it.advice for it in caught.value.refusals)
    text = "\n\n".join(it[it.index("from torchport.rules") :] for it in advice)
    path = tmp_path / "my_rules.py"
    path.write_text(text)
    with pytest.raises(Refused) as unfinished:
        torchport.convert(file, rules=path)
    assert all(
        "not finished" in it.why and "my_rules.py, line" in it.advice for it in unfinished.value.refusals
    )
    assert len(unfinished.value.refusals) == len(caught.value.refusals)
    finished = text.replace("torch.your_function", "first")
    path.write_text(f"{HEAD}{FIRST}\n{finished}")
    given = np.ones((2, 3), "float32")
    port = torchport.convert(file, rules=path)
    assert "first(" in port.code
    np.testing.assert_allclose(port.run(given), np.asarray(model(given)), rtol=1e-4, atol=1e-5)


def test_an_activation_that_is_a_lambda(tmp_path: Path) -> None:
    """The refusal's lines work: a rule for the lambda's name ports it, its own function verifies it."""
    tf_keras = pytest.importorskip("tf_keras")
    layers, file, functions = tf_keras.layers, tmp_path / "model.h5", tmp_path / "functions.py"
    tf_keras.Sequential(
        [layers.Input((6, 3)), layers.Conv1D(4, 2, activation="softsign"), layers.Dense(2)]
    ).save(file)
    with h5py.File(file, "r+") as opened:  # as Keras before 2.13 wrote it
        opened.attrs["model_config"] = str(opened.attrs["model_config"]).replace("softsign", "<lambda>")
    with pytest.raises(Refused) as refused:
        torchport.convert(file)
    lines = re.search(r"(?ms)^ {4}from torchport\.rules.*", refused.value.refusals[0].advice)
    assert lines is not None
    pasted = re.sub(r"(?m)^ {4}", "", lines[0])
    with pytest.raises(TorchportError, match="your_function"):
        torchport.convert(file, rules=written(tmp_path, pasted, "unfinished.py"))
    computed = "call('.clamp', call('F.leaky_relu', x, 0.1), max=2)"
    rules = written(tmp_path, pasted.replace("call('torch.your_function', x)", computed))
    functions.write_text(
        "import tensorflow as tf\n\nf = lambda x: tf.keras.activations.relu(x, alpha=0.1, max_value=2)\n"
    )
    port = torchport.convert(file, rules=rules)
    port.save(tmp_path / "port")
    assert "F.leaky_relu(self.conv(x), 0.1).clamp(max=2)" in port.code
    command = ["verify", str(file), str(tmp_path / "port"), "--rules", str(rules), "--custom", str(functions)]
    environment = {name: it for name, it in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    start = "from torchport.cli import app; app()"
    own = subprocess.run(
        [sys.executable, "-c", start, *command], capture_output=True, text=True, env=environment
    )
    assert own.returncode == 0, own.stdout + own.stderr
    late = [sys.executable, "-c", f"import tensorflow; {start}", *command]
    found = subprocess.run(late, capture_output=True, text=True, env=environment)
    assert found.returncode == 2, found.stdout
    assert "TF_USE_LEGACY_KERAS=1" in found.stdout + found.stderr


ASKS = """
import sys
from torchport.rules import user
from torchport.rules.table import find

with user.rules(sys.argv[1]):
    assert find("Gain").is_theirs
    print(*(kind for kind in ("Embedding", "LSTM", "Conv2D") if find(kind).is_theirs))
print(*(kind for kind in ("Embedding", "LSTM", "Conv2D") if find(kind) is None))
"""


def test_rules_that_a_file_is_the_first_to_ask_for_are_not_its_own(tmp_path: Path) -> None:
    """In a process that has not imported them yet: a command's. They were entered among the file's."""
    file = tmp_path / "my_rules.py"
    file.write_text("from torchport.rules import rule\n\n\n@rule('Gain')\ndef gain(x):\n    return 2 * x\n")
    command = [sys.executable, "-c", ASKS, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (0, "\n\n"), done.stdout + done.stderr
