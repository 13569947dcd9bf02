"""Along which axis Keras adds a bias, and how values with few axes are laid to broadcast."""

from __future__ import annotations

import numpy as np
import pytest

from torchport.axes import Order
from torchport.axis import Axis, default_names
from torchport.errors import Unsupported
from torchport.graph import Tensor
from torchport.rules.broadcast import check_bias, constant
from torchport.rules.table import Value

KERAS_3, KERAS_2 = "3.15.0", "2.15.0"


@pytest.mark.parametrize(
    ("x", "bias"),
    [
        ((None, 4, 5, 3), (3,)), ((None, 4, 5, 3), (1, 1, 1, 3)), ((None, 3, 4, 5), (1, 3, 1, 1)),
        ((None, 4), (4,)), ((5, 7), (5, 1)), ((4,), (4,)), ((None, 4, 5), (1, 4, 5)), ((None, None), (1, 1)),
    ],
)  # fmt: skip
def test_a_bias_is_added_where_it_broadcasts(x: tuple[int | None, ...], bias: tuple[int, ...]) -> None:
    check_bias(x, bias, KERAS_3)


@pytest.mark.parametrize(
    ("x", "bias", "axis"),
    [
        ((None, 3, 4, 3), (1, 3, 1, 1), 3),  # as many entries in the last axis: that is taken
        ((5, 5), (5, 1), 1),
        ((None, 4, 4, 5), (1, 1, 4, 1), 1),
        ((None, 3, 4, None), (1, 3, 1, 1), "another"),
        ((None, None, 4, 5), (1, 1, 4, 1), "another"),
    ],
)
def test_a_bias_that_goes_along_another_axis_is_refused(
    x: tuple[int | None, ...], bias: tuple[int, ...], axis: int | str
) -> None:
    said = f"along axis {axis}," if isinstance(axis, int) else "along another axis"
    with pytest.raises(Unsupported, match=said):
        check_bias(x, bias, KERAS_3)
    check_bias(x, bias, KERAS_2)


def tensor(shape: tuple[int | None, ...], order: Order) -> Value:
    """A tensor whose features are those of a flattened image of 2 x 2 x 3."""
    axes = tuple(map(Axis, default_names(len(shape), False)))
    return Value(Tensor("x", shape, axes, parts=((2, 2, 3),)), order)


@pytest.mark.parametrize(("axes", "shape"), [([1], (12,)), ([0, 1], (1, 12))])
def test_features_of_a_flattened_image_are_turned_with_it(axes: list[int], shape: tuple[int, ...]) -> None:
    image = tensor((None, 12), Order.CHANNELS_FIRST)
    values = np.arange(12.0, dtype="float32")
    turned = values.reshape(2, 2, 3).transpose(2, 0, 1).reshape(shape)
    assert np.array_equal(np.array(constant(image, "mean", values.reshape(shape), axes).load.value), turned)


def test_other_values_stay_as_they_are() -> None:
    image = tensor((None, 12), Order.CHANNELS_FIRST)
    assert constant(image, "mean", np.array([3.0]), [1]).load.value == (3.0,)
    series = tensor((None, 4, 12), Order.SOURCE)
    assert constant(series, "mean", np.arange(12.0), [2]).load.value == tuple(range(12))


@pytest.mark.parametrize(
    ("shape", "axes", "values"),
    [
        ((None, 12), [1], (1,)),  # one for all
        ((None, 12), [0], (12,)),  # along the batch
        ((None, 3, 12), [2], (12,)), ((None, 12, 3), [1], (12,)),
    ],
)  # fmt: skip
def test_what_does_not_lie_along_the_features_stays(
    shape: tuple[int | None, ...], axes: list[int], values: tuple[int, ...]
) -> None:
    array = np.arange(1.0, 1.0 + np.prod(values), dtype="float32").reshape(values)
    found = constant(tensor(shape, Order.CHANNELS_FIRST), "mean", array, axes)
    assert np.array_equal(np.array(found.load.value).ravel(), array.ravel())
