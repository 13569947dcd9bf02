"""What a model was trained with and a port does not carry over: by layer, and what it was compiled with.

Everything is kept as the source has it, so that training code can be written from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torchport.graph import Graph

#: Options of layers, and of cells and layers in them, that change training alone.
REGULARIZER, CONSTRAINT, INITIALIZER = "_regularizer", "_constraint", "_initializer"
#: What `compile` was given under another name by older versions.
RENAMED = {"optimizer_config": "optimizer"}
#: Settings of `compile` at which nothing is lost; all are where there are none.
IDLE: dict[str, tuple[Any, ...]] = {
    "run_eagerly": (False,),
    "steps_per_execution": (1,),
    "jit_compile": (True, False, "auto"),
    "auto_scale_loss": (True,),
    "metrics": ([], {}),
    "weighted_metrics": ([], {}),
}


@dataclass(frozen=True)
class Setting:
    """One option of a layer: `kernel_regularizer`, and its value as it was saved."""

    layer: str
    kind: str
    option: str
    value: Any


def settings(graph: Graph, path: str = "") -> Iterator[Setting]:
    """The regularizers, constraints and initializers of a graph as it was read, nested models included."""
    seen: set[str] = set()
    for op in graph.ops:
        if op.layer in seen or op.kind == "Model":
            continue
        seen.add(op.layer)
        yield from _of_config(f"{path}{op.layer}", op.kind, op.config)
        if op.kind == "ActivityRegularization":
            rates = {key: op.config.get(key, 0.0) for key in ("l1", "l2")}
            if any(rates.values()):
                value = {"class_name": "L1L2", "config": rates}
                yield Setting(f"{path}{op.layer}", op.kind, "activity_regularizer", value)
    for layer, body in graph.bodies.items():
        yield from settings(body, f"{path}{layer}/")


def _of_config(layer: str, kind: str, config: Any) -> Iterator[Setting]:
    """The settings in a layer's config, and in those of the layers and cells in it."""
    if isinstance(config, (list, tuple)):
        for item in config:
            yield from _of_config(layer, kind, item)
    if not isinstance(config, Mapping):
        return
    for key, value in config.items():
        if str(key).endswith((REGULARIZER, CONSTRAINT, INITIALIZER)):
            if not is_idle(value):
                yield Setting(layer, kind, str(key), value)
        elif isinstance(value, Mapping) and isinstance(value.get("config"), Mapping):
            inner = value["config"].get("name") or key
            yield from _of_config(f"{layer}/{inner}", str(value.get("class_name", kind)), value["config"])
        elif isinstance(value, (list, tuple, Mapping)):
            yield from _of_config(layer, kind, value)


def is_idle(value: Any) -> bool:
    """Whether a regularizer, constraint or initializer is none: absent, or of strength zero."""
    if value is None:
        return True
    config = value.get("config") if isinstance(value, Mapping) else None
    name = str(value.get("class_name", "")).lower() if isinstance(value, Mapping) else ""
    is_sum = name in ("l1", "l2", "l1l2", "l1_l2")
    return is_sum and isinstance(config, Mapping) and not any(config.get(key) for key in ("l1", "l2"))


def compiled(saved: Any, has_state: bool = False) -> dict[str, Any]:
    """What `compile` was given, of what a file or a model says of it; empty if it was not compiled.

    has_state: whether the file has the optimizer's moments too.
    """
    if not isinstance(saved, Mapping):
        return {}
    saved = {**saved, **({"optimizer_state": True} if has_state else {})}
    found = {RENAMED.get(str(key), str(key)): value for key, value in saved.items()}
    return {
        key: value for key, value in found.items() if value is not None and value not in IDLE.get(key, ())
    }


def has_state(paths: Iterable[str]) -> bool:
    """Whether a file has an optimizer's moments: more than its count of steps and its learning rate."""
    return sum(path.startswith(("optimizer/", "optimizer_weights/")) for path in paths) > 2


def record(graph: Graph) -> dict[str, Any]:
    """All of it, as port.json has it."""
    found = list(settings(graph))

    def rows(ending: str) -> list[dict[str, Any]]:
        return [vars(it) for it in found if it.option.endswith(ending)]

    return {
        "regularizers": rows(REGULARIZER),
        "constraints": rows(CONSTRAINT),
        "initializers": rows(INITIALIZER),
        "compiled": dict(graph.compiled),
    }


def notes(left: Mapping[str, Any]) -> Iterator[str]:
    """The same for a person, layers with the same setting together; initializers did their part."""
    alike: dict[tuple[str, str], list[str]] = {}
    for row in (*left["regularizers"], *left["constraints"]):
        alike.setdefault((row["option"], brief(row["value"])), []).append(row["layer"])
    parts = [f"{option}={value} {where(layers)}" for (option, value), layers in alike.items()]
    parts += [f"{key} {brief(left['compiled'][key])}" for key in SHOWN if key in left["compiled"]]
    if parts:
        yield f"not carried over: {'; '.join(parts)}. All of it is in port.json, under training."


#: What `compile` was given is shown in this order.
SHOWN = ("optimizer", "loss", "loss_weights", "metrics", "weighted_metrics", "sample_weight_mode")
#: So many layers are named, and so long a value may be.
NAMED, LONGEST = 3, 120


def where(layers: list[str]) -> str:
    """`in conv1, conv2 and 12 more layers`."""
    left = len(layers) - NAMED
    more = f" and {left} more layer{'s' if left > 1 else ''}" if left > 0 else ""
    return f"in {', '.join(layers[:NAMED])}{more}"


def brief(value: Any) -> str:
    """A saved object as one writes it: `L2(0.0001)`, `Adam(learning_rate=0.001)`."""
    text = written(value)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def written(value: Any) -> str:
    if isinstance(value, Mapping) and "class_name" in value:
        config = value.get("config")
        name = str(value["class_name"]).rpartition(">")[2]
        if not isinstance(config, Mapping):
            return name if config is None else str(config)
        if name.endswith("Wrapper") and isinstance(config.get("name"), str):  # of a function
            return str(config["name"])
        given = {key: it for key, it in config.items() if key in TOLD and it not in (None, 0, 0.0, False, "")}
        if len(given) == 1 and next(iter(given)) in ("l1", "l2", "value", "rate"):
            return f"{name}({written(*given.values())})"
        return f"{name}({', '.join(f'{key}={written(it)}' for key, it in given.items())})"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {written(it)}" for key, it in value.items())
    if isinstance(value, (list, tuple)):
        return ", ".join(map(written, value))
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


#: Of an object's settings, those that are told in a line.
TOLD = frozenset(
    "l1 l2 value max_value min_value rate axis learning_rate lr decay weight_decay momentum rho beta_1 "
    "beta_2 clipnorm clipvalue global_clipnorm initial_learning_rate decay_steps decay_rate warmup_steps "
    "from_logits label_smoothing threshold factor mode".split()
)
