"""What is known of a kind of layer stands in its entry: no other room keeps a list of kinds."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from torchport.graph import Graph, Op, Ref, Tensor
from torchport.normalise.modes import resolve_modes, write_modes
from torchport.rules import TABLE
from torchport.rules.nouns import layer_noun, noun_of, value_of
from torchport.rules.table import RESERVED, is_statistic

PACKAGE = Path(__file__).parents[2] / "src" / "torchport"
KINDS = {kind for kind in TABLE if re.fullmatch(r"[A-Z]\w*", kind)} | {"Activation"}
#: Files that do have some: what they list is no fact of a layer.
ALLOWED = {
    "read/dialect.py": "what other versions of Keras wrote into files",
    "read/keras1.py": "what Keras 1 wrote into files",
    "read/trains.py": "of which layers Keras 3 forgets the flag when it loads a file",
    "read/config.py": "which layers keep a vocabulary in a file of its own",
    "infer/alone.py": "what takes one image in the place of a batch",
    "infer/quantised.py": "which layers Keras can quantise",
    "normalise/time_major.py": "which layers of Keras 2 may have their steps before the batch",
    "infer/axes.py": "what reads memory again as another shape, whose axes are made of others",
    "read/inherited.py": "classes of Keras's that say nothing of what their heirs compute",
    "infer/cudnn.py": "two names of one layer in files",
    "infer/dequantise.py": "which layers Keras can quantise",
    "layout/cut.py": "what people write on the line of the layer before it",
    "infer/shapes.py": "operations of a graph that need no arithmetic",
    "normalise/nodes.py": "names of TensorFlow's raw operations, which are alike by chance",
    "normalise/by_place.py": "how Keras names their arguments",
    "normalise/folded.py": "which layers are the same with all steps at once",
    "normalise/texts.py": "which layers take text",
    "blocks/structures.py": "what marks a structure that a person has a name for",
    "verify/diagnosis/alternatives.py": "what an activation is mistaken for",
    "verify/patches/cudnn.py": "how the reference is run without a GPU",
    "verify/built.py": "which layers TensorFlow builds for other dtypes",
    "callees.py": "classes that torchport writes into model.py",
    "verify/ranges.py": "what an input may hold",
    "watch/constants.py": "names of TensorFlow's raw operations, which are alike by chance",
    "emit/models.py": "what marks a model that a person has a name for",
    "geometry/given.py": "what an input may hold",
    "watch/spy.py": "names of TensorFlow's raw operations, which are alike by chance",
    "read/packages.py": "classes of packages that are called as Keras's are",
    "watch/modes.py": "what changes itself when it is called in training mode",
}


def lists(tree: ast.AST) -> Iterator[list[str]]:
    """The kinds of layers that stand together in a list of words, a collection or the keys of a table."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.split() if re.fullmatch(r"[\w\s]+", node.value) else []
        elif isinstance(node, (ast.Set, ast.Tuple, ast.List, ast.Dict)):
            items = node.keys if isinstance(node, ast.Dict) else node.elts
            words = [it.value for it in items if isinstance(it, ast.Constant) and isinstance(it.value, str)]
        else:
            continue
        if len(found := [word for word in words if word in KINDS]) > 1:
            yield found


def test_no_other_room_lists_kinds() -> None:
    places = {}
    for path in PACKAGE.rglob("*.py"):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(("rules/", "emit/snippets/")):
            places[name] = list(lists(ast.parse(path.read_text())))
    assert {name: found for name, found in places.items() if found and name not in ALLOWED} == {}
    assert [name for name in ALLOWED if not places[name]] == []


def called(kind: str, training: bool, dialect: str) -> Op:
    """A layer that is called with `training=`, as it is written."""
    op = Op("it", kind, (Ref("x"),), ("y",), {"rate": 0.5}, {"training": training}, layer="it")
    graph = Graph("m", ("x",), ("y",), (op,), {"x": Tensor("x", (None, 4, 5, 3))}, dialect)
    return write_modes(resolve_modes(graph)).ops[0]


ACTS = sorted(kind for kind, it in TABLE.items() if it.training)


@pytest.mark.parametrize("kind", ACTS)
def test_a_layer_that_acts_in_training_does_so_or_is_refused(kind: str) -> None:
    """Whatever mode the model is in: Solarization, Equalization and StochasticDepth stood in no list."""
    op = called(kind, True, "3.15.0")
    acts = TABLE[kind].training
    assert op.refused or (op.training and acts and acts.lasts)


@pytest.mark.parametrize("kind", ACTS)
def test_a_layer_that_never_acts_rests_or_is_refused(kind: str) -> None:
    op = called(kind, False, "2.15.0")
    assert op.kind == "Identity" or op.config.get("trainable") is False or op.refused


def test_what_is_random_says_so() -> None:
    """RandomFourierFeatures draws its kernel when it is built, and no more."""
    drawing = re.compile(r"^Random(?!FourierFeatures)|Dropout|Noise|^StochasticDepth")
    assert [kind for kind in KINDS & TABLE.keys() if drawing.search(kind) and not TABLE[kind].training] == []


def test_statistics() -> None:
    for name, kind in (("moving_mean", "BatchNormalization"), ("layer/mean", "Normalization")):
        assert is_statistic(name, kind)
    assert not is_statistic("mean", "BatchNormalization") and not is_statistic("kernel", "Dense")
    assert is_statistic("moving_mean", "Mine"), "a class of somebody's own: by its name"


def test_nouns() -> None:
    assert [noun_of(it) for it in ("Conv2D", "ConvBNReLU", "Flatten")] == ["conv", "conv", "flatten"]
    assert [layer_noun(it) for it in ("Flatten", "Model", "Dense")] == ["", "block", "fc"]
    assert [value_of(it) for it in ("ReLU", "Add", "keras.ops.Divide")] == ["relu", "total", "ratio"]


def named(function: Callable[..., object]) -> set[str]:
    """The options that a function of a rule takes."""
    parameters = inspect.signature(inspect.unwrap(function)).parameters.values()
    return {it.name for it in parameters if it.kind is it.KEYWORD_ONLY} - set(RESERVED)


def test_what_explains_a_kind_accepts_no_option_for_it() -> None:
    """An option that only a reading knows would be taken from a file and change nothing in the program."""
    for kind, rule in TABLE.items():
        if isinstance(rule.write, type):
            continue
        ported = set().union(
            *(named(it) for it in (rule.write, rule.shape, rule.dtype, rule.weights) if callable(it))
        )
        for fact in (rule.reads, rule.products):
            if callable(fact):
                assert named(fact) <= ported, (kind, named(fact) - ported)
