"""Every structure, from every source: the graph computes what the model does, with its weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from torchport.errors import BadFile
from torchport.graph import Graph
from torchport.read import read

from .models import BUILDERS, all_ops, contents, flat, randomise, run, sample

FRAMEWORKS = ("keras", "tf_keras")


@pytest.fixture(scope="module", params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> Any:
    return pytest.importorskip(request.param)


@pytest.fixture(scope="module", params=sorted(BUILDERS))
def case(request: pytest.FixtureRequest, framework: Any, tmp_path_factory: Any) -> tuple[Any, Path]:
    model = randomise(BUILDERS[request.param](framework))
    folder = tmp_path_factory.mktemp(request.param)
    model.save(folder / "model.keras")
    model.save(str(folder / "model.h5"))
    if framework.__name__ == "tf_keras" and request.param == "shared_across":
        # tf_keras writes an .h5 that it cannot load itself: one inbound node overwrites the other.
        (folder / "model.h5").unlink()
    return model, folder


@pytest.mark.parametrize("source", ["model.keras", "model.h5", "live"])
class TestSources:
    def graph(self, case: tuple[Any, Path], source: str) -> Graph:
        model, folder = case
        if source != "live" and not (folder / source).exists():
            pytest.skip("no such file can be written")
        return read(model if source == "live" else folder / source)

    def test_computes_what_the_model_does(self, case: Any, source: str) -> None:
        model, _ = case
        graph = self.graph(case, source)
        values = sample(graph)
        inputs = [values[name] for name in graph.inputs]
        wanted = [np.asarray(out) for out in flat(model(inputs if len(inputs) > 1 else inputs[0]))]
        known = run(graph, model, values)
        assert len(wanted) == len(graph.outputs)
        for name, want in zip(graph.outputs, wanted, strict=True):
            got = np.asarray(known[name])
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)

    def test_weights(self, case: Any, source: str) -> None:
        model, _ = case
        compared = 0
        graph = self.graph(case, source)
        for op, layer in all_ops(graph, model):
            stored = [weight.load() for weight in op.stored.values()]
            for weight, array in zip(op.stored.values(), stored, strict=True):
                assert (weight.shape, weight.dtype) == (array.shape, array.dtype.name)
            if source == "model.h5" and not any(op is own for own in graph.ops):
                assert not op.stored  # the nested model's own op has them
            elif op.kind == "Model" and source != "model.h5":
                assert not op.stored
            elif op.kind == "Model":  # one list: all that are trained, then the others
                assert contents(stored) == contents(layer.trainable_weights + layer.non_trainable_weights)
                compared += 1
            elif source == "model.keras":
                # In the order of the file's groups, which is by attribute, not by creation.
                assert sorted(contents(stored)) == sorted(contents(layer.get_weights()))
                compared += 1
            else:
                assert contents(stored) == contents(layer.get_weights())
                compared += 1
        assert compared > 0

    def test_says_who_wrote_it(self, case: Any, source: str, framework: Any) -> None:
        assert self.graph(case, source).dialect == framework.__version__

    def test_same_graph_as_the_live_model(self, case: Any, source: str) -> None:
        graph, live = self.graph(case, source), read(case[0])

        def lines(graph: Graph) -> list[str]:
            return str(graph).splitlines()

        def configs(graph: Graph) -> list[Any]:
            own = [(op.name, op.kind, op.args, op.kwargs, essential(op.config)) for op in graph.ops]
            return own + [configs(body) for body in graph.bodies.values()]

        assert lines(graph) == lines(live)
        assert configs(graph) == configs(live)


def essential(config: Any) -> Any:
    """A config without what only some ways of saving write: ids, modules and shapes of building."""
    if isinstance(config, dict):
        idle = {"module", "registered_name", "shared_object_id", "build_config"}
        return {key: essential(item) for key, item in config.items() if key not in idle}
    return [essential(item) for item in config] if isinstance(config, list) else config


def test_frozen_layers_say_so(framework: Any, tmp_path: Path) -> None:
    model = BUILDERS["frozen"](framework)
    model.save(tmp_path / "m.keras")
    graph = read(tmp_path / "m.keras")
    assert [op.frozen for op in graph.bodies["base"].ops] == [True, True, True]
    assert [op.frozen for op in graph.ops if op.kind == "Dense"] == [False]


def test_layer_that_a_nested_model_stored_before(framework: Any, tmp_path: Path) -> None:
    """Keras copies the nested config before it marks the layer as shared, and cannot load it."""
    L = framework.layers
    shared = L.Dense(5, name="shared")
    p = framework.Input((5,))
    core = framework.Model(p, shared(p), name="core")
    x = framework.Input((5,))
    model = framework.Model(x, shared(core(L.Dense(5)(x))))
    model.save(tmp_path / "m.keras")
    with pytest.raises(BadFile, match="shared"):
        read(tmp_path / "m.keras")
    live = read(model)
    twins = [op.stored for op in (*live.ops, *live.bodies["core"].ops) if op.layer == "shared"]
    assert len(twins) == 2
    assert contents(w.load() for w in twins[0].values()) == contents(shared.get_weights())
    assert contents(w.load() for w in twins[1].values()) == contents(shared.get_weights())


@pytest.mark.parametrize("recorded", [True, False])
def test_recorded_training_is_kept_where_it_matters(framework: Any, recorded: bool) -> None:
    """The loaded model is asked: does `training=` on the node outlast what the model is told?"""
    x = framework.Input((101,))
    dropped = framework.layers.Dropout(0.5)(x, training=recorded)
    model = framework.models.clone_model(framework.Model(x, dropped))
    ones = np.ones((1, 101), "float32")

    def drops(**kwargs: Any) -> bool:
        return bool((np.asarray(model(ones, **kwargs)) == 0).any())

    is_kept = read(model).ops[0].kwargs == {"training": recorded}
    plain = (False, False, True)  # what a Dropout without `training=` does
    assert is_kept == ((drops(), drops(training=False), drops(training=True)) != plain)
