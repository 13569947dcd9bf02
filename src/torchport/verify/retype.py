"""The configuration of a model that computes in another dtype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torchport.read import dialect
from torchport.verify.built import HASHES

FLOATS = frozenset({"float16", "bfloat16", "float32", "float64"})


def retyped(value: Any, dtype: str) -> Any:
    """A config in which everything that computes with fractions does so in `dtype`."""
    if isinstance(value, Mapping):
        if str(value.get("class_name", "")).endswith(("Policy", "PolicyV1")):
            return dtype
        if value.get("class_name") in HASHES and isinstance(value.get("config"), Mapping):
            inner = {key: it for key, it in value["config"].items() if key != "dtype"}
            return {**value, "config": inner}
        if isinstance(value.get("config"), Mapping):
            value = {**value, "config": dialect.shortened(str(value.get("class_name")), value["config"])}
        return {
            key: new_dtype(it, dtype) if key == "dtype" else retyped(it, dtype) for key, it in value.items()
        }
    if isinstance(value, (list, tuple)):
        return type(value)(retyped(it, dtype) for it in value)
    return value


def new_dtype(value: Any, dtype: str) -> Any:
    if isinstance(value, Mapping):
        return retyped(value, dtype)
    # None stays: a layer takes the default, an operation such as ones_like the dtype of its input.
    if str(value) in FLOATS or str(value).startswith("mixed_"):
        return dtype
    return value
