"""The corpus of the replay, made of models: `python -m tests.replay.corpus [PART…]` (TensorFlow, minutes;
an hour for `reached`, which runs all tests that convert).

The graphs are those that `read` gives, before any stage has touched them. Their models are the cases of all
layers and operations, the networks of the golden files, the smallest of each family of keras.applications,
the networks and structures that the tests of reading save in every dialect, random networks of blocks, and
what other tests convert: all of some, and of the rest what reaches code that nothing else does.
"""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.blocks.graphs import network
from tests.replay.codec import decode, encode
from tests.replay.replay import CORPUS, load, outcomes, parts, save, without_formatting

from torchport.errors import TorchportError
from torchport.graph import Graph
from torchport.read import read

APPLICATIONS = (
    "Xception", "VGG16", "ResNet50V2", "InceptionResNetV2", "MobileNet", "MobileNetV2", "MobileNetV3Small",
    "DenseNet121", "EfficientNetV2B0",
)  # fmt: skip
RANDOM = 60


def applications() -> Iterator[tuple[str, Any]]:
    """Networks of keras.applications that are no golden files."""
    import keras

    for name in APPLICATIONS:
        yield name, getattr(keras.applications, name)(weights=None)


def networks() -> Iterator[tuple[str, Any]]:
    """The networks of the golden files."""
    from tests.blocks.networks import NETWORKS

    for name, (build, _) in NETWORKS.items():
        yield name, build()


def cases(is_part: Callable[[Any], bool]) -> Iterator[tuple[str, Any]]:
    """The cases of layers and operations that are in a part."""
    from tests.layers.cases import CASES
    from tests.layers.harness import Nodes, Reference

    for case in filter(is_part, CASES):
        model = Reference(case).model
        yield str(case), Path(model.file.name) if isinstance(model, Nodes) else model


def layers() -> Iterator[tuple[str, Any]]:
    """Cases of layers of Keras 3."""
    return cases(lambda case: not case.call and case.of == "keras")


def operations() -> Iterator[tuple[str, Any]]:
    """Cases of calls: of operations of Keras 3, and of layers that take several tensors."""
    return cases(lambda case: bool(case.call) and case.of == "keras")


def keras_2() -> Iterator[tuple[str, Any]]:
    """Cases of tf-keras, and of functions of TensorFlow in graphs of old."""
    return cases(lambda case: case.of != "keras")


def dialects() -> Iterator[tuple[str, Any]]:
    """The models of the tests of reading, in the files of every version of Keras."""
    import keras
    import tf_keras
    from tests.read.models import BUILDERS
    from tests.read.test_same_source import FILES, NETWORKS

    with tempfile.TemporaryDirectory() as folder:
        for version, save_file in FILES.items():
            for name, network in NETWORKS.items():
                yield f"{name} {version}", save_file(Path(folder) / "m.h5", network)
        for name, build in BUILDERS.items():
            for package, endings in ((keras, (".keras", ".h5")), (tf_keras, (".keras", ".h5", ""))):
                model = build(package)
                for ending in endings:
                    path = Path(folder) / f"{package.__name__}-{name}{ending}"
                    model.save(path) if ending else model.save(path, save_format="tf")
                    yield path.name, path


def refusals() -> Iterator[tuple[str, Any]]:
    """What is not ported: the options, and the functions of TensorFlow, that the tests of refusals name."""
    import keras
    import tensorflow as tf
    import tf_keras
    from tests.layers import test_refusals as tests

    for layer, shape, said in parameters(tests.test_option_is_named):
        layer.name = "the_layer"
        inputs = keras.Input(shape)
        yield said, keras.Model(inputs, layer(inputs))
    for of, said in parameters(tests.test_function_of_tensorflow_says_why):
        inputs = tf_keras.Input((4, 5, 3))
        yield said, tf_keras.Model(inputs, of(tf, inputs))


def parameters(test: Callable[..., None]) -> Iterator[Any]:
    """What a test is parametrised with."""
    for mark in test.pytestmark:  # type: ignore[attr-defined]
        yield from mark.args[1]


def functions() -> Iterator[tuple[str, Any]]:
    """Calls of public functions of TensorFlow, as many in one model as its tests put in one."""
    from tests.functions.test_calls import AT_ONCE, BATCHES, model_of

    for at, calls in enumerate(BATCHES):
        yield f"calls {AT_ONCE * at} to {AT_ONCE * (at + 1) - 1}", model_of(calls)[0]


#: Tests that convert what no table of cases has: masks and modes across models, frozen layers, quantised and
#: cuDNN's weights, layers at every step.
MET = (
    "tests/read/test_quantised.py", "tests/layers/test_nested_masks.py", "tests/layers/test_training.py",
    "tests/layers/test_cudnn.py", "tests/layers/test_stepwise.py",
)  # fmt: skip
#: Rooms of tests that convert.
REACHED = (
    "field", "watch", "read", "layers", "lambdas", "cli", "blocks", "graphs", "geometry", "verify", "text",
    "functions",
)  # fmt: skip
#: Larger graphs are left out.
MOST_OPS = 80


class Recorder:
    """A plugin of pytest: the graphs that tests convert, one of those that differ in names alone."""

    def __init__(self) -> None:
        self.test, self.graphs = "", dict[str, Graph]()

    def pytest_runtest_setup(self, item: Any) -> None:
        self.test = item.nodeid.rpartition("/")[2]

    def meet(self, graph: Graph) -> None:
        if len(graph.ops) <= MOST_OPS:
            try:
                self.graphs.setdefault(structure(graph), graph.replace(name=f"{self.test} {graph.name}"))
            except TypeError:  # it holds an object of the test's
                return

    def named(self) -> Iterator[tuple[str, Graph]]:
        """The graphs, by test and number."""
        for at, graph in enumerate(self.graphs.values()):
            test, _, name = graph.name.rpartition(" ")
            yield f"{test} {at}", graph.replace(name=name)


def structure(graph: Graph) -> str:
    """A graph as text in which names are numbers, by where they come first."""
    text = json.dumps(encode(graph), sort_keys=True)
    seen: dict[str, str] = {}
    names = {it for op in graph.ops for it in (op.name, op.layer, *op.outputs) if it}
    return re.sub(
        r'"([^"]*)"',
        lambda it: seen.setdefault(it[1], str(len(seen))) if it[1].split("/")[0] in names else it[0],
        text,
    )


def converted(tests: Sequence[str]) -> Recorder:
    """What tests convert. Nothing is verified: those that do end there."""
    import pytest

    from torchport import pipeline
    from torchport.verify.session import Session

    def skip(*arguments: Any) -> None:
        pytest.skip("only what is converted is asked for")

    recorder, prepare = Recorder(), pipeline.prepare

    def recording(graph: Graph, *others: Any) -> Graph:
        recorder.meet(graph)
        return prepare(graph, *others)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "prepare", recording)
        patch.setattr(Session, "start", skip)
        pytest.main(["-q", "-n", "0", "-p", "no:cacheprovider", *tests], [recorder])
    return recorder


def met() -> Iterator[tuple[str, Graph]]:
    """What the tests of MET convert."""
    return converted(MET).named()


def reached() -> Iterator[tuple[str, Graph]]:
    """Of what the tests of REACHED convert, what takes a branch that no other part does."""
    graphs = {name: encode(graph) for name, graph in converted([f"tests/{it}" for it in REACHED]).named()}
    known = set[Branch]().union(*(branches(*load(CORPUS, it).values()) for it in parts() if it != "reached"))
    found = {name: branches(graph) - known for name, graph in graphs.items()}
    for name in choose(found, {name: len(json.dumps(graph)) for name, graph in graphs.items()}):
        yield name, decode(graphs[name])


def choose(found: Mapping[str, set[Branch]], length: Mapping[str, int]) -> list[str]:
    """Few short graphs that take all the branches that are found.

    Each is taken by two of them where two take it: what a branch does depends on more than that it is taken.
    """
    count = Counter(branch for taken in found.values() for branch in taken)
    left = {branch: min(2, number) for branch, number in count.items()}

    def worth(name: str) -> float:
        return sum(left[branch] > 0 for branch in found[name]) / (4_000 + length[name])

    chosen = list[str]()
    while (best := max(found.keys() - set(chosen), key=worth, default="")) and worth(best):
        chosen.append(best)
        for branch in found[best]:
            left[branch] -= 1
    return chosen


#: A file of torchport, and the lines from which and to which control passes.
Branch = tuple[str, tuple[int, int]]


def branches(*graphs: Any) -> set[Branch]:
    """The branches that the conversion of graphs takes; those of the rules are for tests with numbers."""
    import coverage

    from torchport import pipeline

    package = Path(pipeline.__file__).parent
    recorder = coverage.Coverage(data_file=None, branch=True, source=[str(package)], config_file=False)
    with without_formatting():
        recorder.start()
        try:
            for graph in graphs:
                outcomes(decode(graph))
        finally:
            recorder.stop()
    data = recorder.get_data()
    files = (it for it in data.measured_files() if not it.startswith(str(package / "rules")))
    return {(file, arc) for file in files for arc in data.arcs(file) or ()}


def blocks() -> Iterator[tuple[str, Graph]]:
    """Random networks of blocks; they need no TensorFlow."""
    for seed in random.Random(0).sample(range(10_000), RANDOM):
        yield f"seed {seed}", network(seed)


PARTS: dict[str, Callable[[], Iterator[tuple[str, Any]]]] = {
    "applications": applications, "networks": networks, "layers": layers, "operations": operations,
    "keras_2": keras_2, "functions": functions, "dialects": dialects, "refusals": refusals, "random": blocks,
    "met": met, "reached": reached,
}  # fmt: skip


def main(wanted: list[str]) -> None:
    for part in wanted or PARTS:
        corpus: dict[str, Any] = {}
        for name, source in PARTS[part]():
            try:
                corpus[name] = encode(source if isinstance(source, Graph) else read(source))
            except TorchportError as error:
                print(f"left out: {name}: {error}", file=sys.stderr)
        save(CORPUS, part, corpus)
        print(f"{part}: {len(corpus)} graphs", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
