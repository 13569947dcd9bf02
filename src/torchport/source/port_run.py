"""The port's side of a proof: its module run, in the source's axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from torchport.axes import Order, to_order
from torchport.source.reference import (
    Run,
    weighed,
)
from torchport.source.unit import Unit


def run_port(
    torch: Any, unit: Unit, port: Any, inputs: Sequence[np.ndarray], training: bool, gradients: bool = True
) -> Run:
    """One run of the port; arrays in the source's axes in and out."""
    from torchport.verify.patches import draws

    orders = [it.order for it in unit.inputs]
    given = [
        torch.tensor(np.ascontiguousarray(in_order(it, order)), requires_grad=gradients and is_float(it))
        for it, order in zip(inputs, orders, strict=True)
    ]
    if hasattr(port, "train"):
        port.train(training)
        port.zero_grad()
    with in_doubles(torch), draws.same_in_torch(torch):
        found = port(*unit.grouped(given).values()) if unit.kind != "builder" else port(*given)
    outputs = list(found) if isinstance(found, (list, tuple)) else [found]
    results = [back(it.detach().numpy(), flow.order) for it, flow in zip(outputs, unit.results, strict=True)]
    slopes: list[np.ndarray] = []
    if gradients:
        seeds = [torch.from_numpy(np.ascontiguousarray(in_order(weighed(it.shape), flow.order)))
                 for it, flow in zip(results, unit.results, strict=True)]  # fmt: skip
        pairs = zip(outputs, seeds, strict=True)
        total = sum((it * seed).sum() for it, seed in pairs if it.is_floating_point())
        if getattr(total, "requires_grad", False):
            total.backward()
        slopes = [
            back(it.grad.numpy() if it.grad is not None else it.detach().numpy() * 0.0, order)
            for it, order in zip(given, orders, strict=True)
        ]
    return Run(results, slopes)


@contextmanager
def in_doubles(torch: Any) -> Iterator[None]:
    """What the port makes itself, draws for instance, is float64; so is what it casts by `.float()`."""
    before, tensor, single = torch.get_default_dtype(), torch.tensor, torch.Tensor.float

    def wide(*args: Any, **kwargs: Any) -> Any:
        """Numbers that are said to be float32."""
        if kwargs.get("dtype") is torch.float32:
            kwargs["dtype"] = torch.float64
        return tensor(*args, **kwargs)

    torch.set_default_dtype(torch.float64)
    torch.tensor, torch.Tensor.float = wide, torch.Tensor.double
    try:
        yield
    finally:
        torch.tensor, torch.Tensor.float = tensor, single
        torch.set_default_dtype(before)


def is_float(array: np.ndarray) -> bool:
    return array.dtype.kind == "f"


def in_order(array: np.ndarray, order: Order) -> np.ndarray:
    if order is Order.SOURCE or array.ndim < 3:
        return array
    return np.transpose(array, to_order(tuple(range(array.ndim)), order))


def back(array: np.ndarray, order: Order) -> np.ndarray:
    """An array of the port in the source's axes."""
    if order is Order.SOURCE or array.ndim < 3:
        return array
    return np.moveaxis(array, 1, -1)
