"""A port run on arrays as Keras runs the model: they are cast, and reshaped where Keras does that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torchport import nest
from torchport.axes import Order, dims
from torchport.errors import TorchportError
from torchport.program import Spec

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn


def in_order(given: Sequence[Any], names: Sequence[str], *others: Sequence[str]) -> list[Any]:
    """An array for each input: of as many, of a list, or of a dict by name. Raises TorchportError.

    names: those of `forward`, the keys of a dict that the source takes; others: what else they are called.
    """
    if len(given) == 1 and isinstance(given[0], Mapping):
        (by_name,) = given
        for alike in (names, *others):
            if set(by_name) == set(alike):
                return [by_name[name] for name in alike]
        raise TorchportError(
            f"takes {', '.join(names)}, is given {', '.join(map(str, by_name)) or 'nothing'}"
        )
    if len(given) == 1 and len(names) > 1 and isinstance(given[0], (list, tuple)):
        given = given[0]
    if len(given) != len(names):
        raise TorchportError(f"takes {len(names)} inputs ({', '.join(names)}), is given {len(given)}")
    return list(given)


def run(
    module: nn.Module, inputs: Sequence[Spec], outputs: Sequence[Spec], like: Any, arrays: Sequence[Any]
) -> Any:
    """Inference: arrays in the source's axes in and out; what is returned is nested as `forward` does it."""
    import torch

    floating = next((it.dtype for it in module.parameters() if it.is_floating_point()), torch.float32)
    given = [tensor(array, spec, floating) for spec, array in zip(inputs, arrays, strict=True)]
    training = module.training
    try:
        with torch.no_grad():
            results = nest.flat(module.eval()(*given), like)
    finally:
        module.train(training)
    back = [
        result.permute(dims(spec.order, Order.SOURCE, result.dim()))
        for spec, result in zip(outputs, results, strict=True)
    ]
    return nest.packed([(it.float() if it.dtype == torch.bfloat16 else it).numpy() for it in back], like)


def tensor(given: Any, spec: Spec, floating: Any) -> Tensor:
    """What the port takes for an input, of what Keras takes: any dtype, lists, an axis of one at the end.

    Fractions get the dtype of the port's weights, as Keras's layers cast them. Raises TorchportError for a
    shape that does not fit. Source: keras/src/models/functional.py, _convert_inputs_to_tensors and
    _adjust_input_rank.
    """
    import numpy as np
    import torch

    try:
        array = np.asarray(given.detach().cpu() if isinstance(given, torch.Tensor) else given)
        if array.dtype == object or array.dtype.kind in "USM":
            raise ValueError(f"of the dtype {array.dtype}")
    except ValueError as error:
        raise TorchportError(f"the input {spec.name} is no array of numbers ({error})") from error
    sizes = spec.tensor.shape
    if array.ndim == len(sizes) + 1 and array.shape[-1] == 1:
        array = array.squeeze(-1)
    elif array.ndim == len(sizes) - 1 and sizes[-1] == 1:
        array = array[..., None]
    check_shape(array, spec)
    is_fraction = spec.dtype.startswith(("float", "bfloat"))
    made = torch.as_tensor(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="))))
    made = made.to(floating if is_fraction else getattr(torch, spec.dtype))
    return made.permute(dims(Order.SOURCE, spec.order, made.dim())).contiguous()


def check_shape(array: np.ndarray, spec: Spec) -> None:
    """Raises TorchportError where an array has another shape than an input."""
    sizes = spec.tensor.shape
    fits = array.ndim == len(sizes) and all(
        want is None or want == size for want, size in zip(sizes[1:], array.shape[1:], strict=True)
    )
    if not fits:
        pairs = zip(spec.tensor.axes, sizes, strict=True)
        wanted = ", ".join(str(axis) if size is None else str(size) for axis, size in pairs)
        missing = array.ndim == len(sizes) - 1
        raise TorchportError(
            f"the input {spec.name} has the shape ({wanted}), is given {array.shape}",
            advice="the first axis is that of the batch: array[None]" if missing else "",
        )
