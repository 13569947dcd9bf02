"""Which layers of an op are quantised, and what of that is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from torchport.errors import Refused
from torchport.graph import Graph, Op, Ref, Tensor, Weight
from torchport.infer.dequantise import dequantise
from torchport.infer.quantised import INSIDE, mode_of, parts_of

INT8 = {"units": 3, "dtype": "int8_from_float32"}


def weight(name: str, dtype: str = "float32", *shape: int) -> Weight:
    return Weight(name, shape, dtype, lambda: np.zeros(shape, dtype))


def op(kind: str, config: Any, **stored: Weight) -> Op:
    return Op("y", kind, (Ref("x"),), ("y",), config, layer="y", stored=stored)


def entry(kind: str, config: Any) -> dict[str, Any]:
    return {"class_name": kind, "config": config}


@pytest.mark.parametrize(
    ("policy", "mode"),
    [
        ("int8_from_float32", "int8"), ("float8_from_float32", "float8"), ("gptq/4/128_from_float32", "gptq"),
        ("float32", ""), ("mixed_float16", ""), (None, ""), (7, ""),
        ({"class_name": "QuantizedDTypePolicy", "config": {"name": "int4_from_float32"}}, "int4"),
    ],
    ids=str,
)  # fmt: skip
def test_a_policy_says_how(policy: Any, mode: str) -> None:
    assert mode_of({"dtype": policy}) == mode


def test_a_layer_is_its_own_part() -> None:
    layer = op("Dense", INT8, kernel=weight("kernel"))
    (part,) = parts_of(layer)
    assert (part.prefix, part.kind, part.mode, part.config, part.stored) == (
        "", "Dense", "int8", layer.config, layer.stored,
    )  # fmt: skip


def test_at_every_step_it_is_the_layer_inside() -> None:
    stored = {"layer/kernel": weight("kernel"), "bias": weight("bias")}
    (part,) = parts_of(op("TimeDistributed", {"layer": entry("Dense", INT8)}, **stored))
    assert (part.prefix, part.kind, part.mode, part.config) == ("layer", "Dense", "int8", INT8)
    assert part.stored == {"kernel": stored["layer/kernel"], "bias": stored["bias"]}


@pytest.mark.parametrize(
    ("kind", "layer"),
    [
        ("Bidirectional", entry("LSTM", INT8)), ("TimeDistributed", "none"), ("TimeDistributed", None),
        ("TimeDistributed", {"class_name": "Dense", "config": "none"}), ("TimeDistributed", {"config": None}),
    ],
    ids=str,
)  # fmt: skip
def test_of_another_wrapper_it_is_the_op(kind: str, layer: Any) -> None:
    (part,) = parts_of(op(kind, {"layer": layer, "dtype": "int4_from_float32"}))
    assert (part.prefix, part.kind, part.mode) == ("", kind, "int4")


MODES = {
    "int8": {"kernel": ("int8", 2, 3, 4), "kernel_scale": ("float32", 3, 4)},
    "int4": {"kernel": ("int8", 2, 6), "kernel_scale": ("float32", 12)},
    "float8": {"kernel": ("float32", 2, 3), "bias": ("float32", 3), "inputs_scale": ("float32",)},
    "gptq": {"quantized_kernel": ("uint8", 2, 3), "kernel_scale": ("float32", 3)},
    "awq": {"quantized_kernel": ("uint8", 2, 3), "awq_scales": ("float32", 3)},
    "": {"kernel": ("float32", 2, 3, 4), "bias": ("float32", 3, 4)},
}


@pytest.mark.parametrize("is_flat", [True, False])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("gated", [True, False])
def test_variables_of_an_attention_say_how(mode: str, gated: bool, is_flat: bool) -> None:
    """In an archive of each layer alone; a flat list, where all are alike, is cut where names come again.

    A gate is there where it is used.
    """
    names = [it for it in INSIDE if gated or it != "gate_dense"]
    which = {*names} if is_flat else {"value_dense"}
    stored = {
        f"{layer}/{name}": weight(f"{layer}/{name}", dtype, *shape)
        for layer in names
        for name, (dtype, *shape) in MODES[mode if layer in which else ""].items()
    }  # type: ignore[misc]
    if is_flat:
        stored = {str(at): it for at, it in enumerate(stored.values())}
    found = parts_of(op("MultiHeadAttention", {"use_gate": gated, "use_bias": False}, **stored))
    if not mode:
        assert [(it.prefix, it.kind) for it in found] == [("", "MultiHeadAttention")]
        return
    assert [it.prefix for it in found] == names
    assert {it.prefix: it.mode for it in found} == {it: mode if it in which else "" for it in names}
    assert all(it.config == {"equation": INSIDE[it.prefix], "bias_axes": None} for it in found)
    for it in found:
        own = {weight.name.rpartition("/")[2] for weight in it.stored.values()}
        assert own == {*MODES[mode if it.prefix in which else ""]}


@pytest.mark.parametrize(
    ("kind", "config", "said"),
    [
        ("Own", INT8, "(int8) inside"),
        ("Dense", {"units": 3, "dtype": "int2_from_float32"}, "(int2) inside"),
        ("Dense", {**INT8, "lora_rank": 4}, "LoRA"),
    ],
    ids=str,
)
def test_what_is_refused(kind: str, config: Any, said: str) -> None:
    layer = op(kind, config)
    body = Graph("inner", ("x",), ("y",), (layer,), {"x": Tensor("x", (None, 2))}, "3.15.0")
    use = Op("base", "Model", (Ref("x"),), ("y",), layer="base")
    for graph in (body, body.replace(name="net", ops=(use,), bodies={"base": body})):
        with pytest.raises(Refused) as error:
            dequantise(graph)
        (refusal,) = error.value.refusals
        assert said in str(refusal) and str(refusal).count("/y") == 1


def test_without_any_it_is_the_same() -> None:
    graph = Graph(
        "net", ("x",), ("y",), (op("Dense", {"units": 3}),), {"x": Tensor("x", (None, 2))}, "3.15.0"
    )
    assert dequantise(graph) is graph
