"""The parameters of a block, found number by number: what each is called, and what follows from others."""

from __future__ import annotations

from typing import Any

import pytest

from torchport.blocks.nodes import ABSENT
from torchport.blocks.parameters import Parameter, Parameters, agree
from torchport.program import Code


def block(**numbers: tuple[Any, ...]) -> Parameters:
    """A block whose uses have these numbers, in that order."""
    found = Parameters(len(next(iter(numbers.values()))))
    for name, column in numbers.items():
        found.expression(column, name)
    return found


def of(parameters: Parameters) -> dict[str, tuple[Any, ...]]:
    return {name: tuple(values) for name, values in parameters.found}


@pytest.mark.parametrize(
    ("values", "annotation"),
    [
        ((True, False), "bool"), ((1, 2), "int"), ((1, 2.5), "float"), ((0.1, 0.2), "float"),
        ((1, True), "bool | int"), (((1, 2), (3, 4)), "tuple[int, int]"),
        (((1, 2), 3), "int | tuple[int, int]"),
        (((1,), (2, 3)), "tuple[int, ...]"), (("same", 1), "int | str"), ((None, 1), "None | int"),
        ((ABSENT, 2), "int"),
    ],
    ids=str,
)  # fmt: skip
def test_annotations(values: tuple[Any, ...], annotation: str) -> None:
    assert Parameter("x", values).annotation == annotation


def test_a_number_that_never_differs_is_itself() -> None:
    assert block(a=(1, 2)).expression((3, 3), "b") == 3
    assert block(a=(1, 2)).expression((3, 3.0), "b") == Code("b")  # a whole number is another
    assert Parameters(2).expression((ABSENT, ABSENT), "b") == 0


def test_a_column_that_agrees_with_a_parameter_is_that_one() -> None:
    known = block(out_channels=(4, ABSENT, 6))
    assert known.expression((4, 5, ABSENT), "channels") == Code("out_channels")
    assert of(known) == {"out_channels": (4, 5, 6)}
    assert known.expression((4, 5, 7), "channels") == Code("channels")


def test_what_follows_is_no_parameter() -> None:
    known = block(in_channels=(4, 8, 16))
    assert known.expression((8, 16, 32), "hidden_channels") == Code("2 * in_channels")
    assert known.expression((8, 16, ABSENT), "other_channels") == Code("2 * in_channels")  # as written before
    assert of(known) == {"in_channels": (4, 8, 16)}


def test_a_long_sum_has_a_name() -> None:
    known = block(channels=(8, 17, 35, 71), channels2=(17, 35, 71, 142), channels3=(26, 53, 106, 213))
    total = (51, 105, 212, 426)
    assert known.expression(total, "out_channels") == Code("out_channels")
    assert [(it.name, text) for it, text in known.locals] == [
        ("out_channels", "channels + channels2 + channels3")
    ]
    assert known.expression(total, "features") == Code("out_channels")
    assert known.expression((1, 5, 2, 9), "out_channels") == Code("out_channels2")


@pytest.mark.parametrize(
    ("name", "taken", "found"),
    [
        ("channels", {}, "channels"), ("channels", {"channels"}, "channels2"),
        ("channels", {"channels", "channels2"}, "channels3"), ("conv1", {"conv1"}, "conv1_2"),
        ("conv1", {"conv1", "conv1_2"}, "conv1_3"),
    ],
)  # fmt: skip
def test_names_that_are_taken(name: str, taken: set[str], found: str) -> None:
    known = Parameters(2)
    for at, it in enumerate(sorted(taken)):
        known.found.append((it, [100 * at, 100 * at + 1]))
    assert known.expression((5, 9), name) == Code(found)


def test_a_number_of_a_part_that_not_all_have() -> None:
    """The parameter of that name where it agrees; a window's number is written itself."""
    known = block(stride=(1, 2, 1), kernel_size=(3, 3, 5))
    assert known.expression((ABSENT, 2, ABSENT), "stride") == Code("stride")
    assert known.expression((ABSENT, 1, ABSENT), "stride") == 1
    assert known.expression((3, ABSENT, ABSENT), "kernel_size") == 3
    assert known.expression((7, 7, ABSENT), "units") == 7


def test_the_channels_that_enter_stand_in_where_a_use_lacks_them() -> None:
    known = Parameters(3, (4, 8, 16), (8, 8, 16))
    assert known.expression((ABSENT, 8, 16), "in_channels") == Code("in_channels")
    assert of(known) == {"in_channels": (4, 8, 16)}
    assert not known.keeps and known.entering("channels") == "in_channels"


@pytest.mark.parametrize(
    ("sizes", "given", "keeps"),
    [
        ((4, 8), (4, 8), True), ((4, 4), (4, 4), False), ((4, 8), (8, 8), False),
        (("a", "b"), ("a", "b"), False),
    ],
)  # fmt: skip
def test_as_many_leave_as_enter(sizes: tuple[Any, ...], given: tuple[Any, ...], keeps: bool) -> None:
    known = Parameters(2, sizes, given)
    assert known.keeps == keeps and known.entering("features") == ("features" if keeps else "in_features")


@pytest.mark.parametrize(
    ("column", "flag"),
    [
        ((True, True, True), "True"), ((True, False, True), "stride == 1"),
        ((False, True, False), "stride != 1"),
        ((True, False, False), "stride == 1 and in_channels == out_channels"),
        ((True, True, False), "in_channels == out_channels"),
        ((False, False, True), "in_channels != out_channels"),
        ((False, True, True), "stride != 1 or in_channels != out_channels"),
    ],
)  # fmt: skip
def test_a_part_that_is_there_or_not(column: tuple[bool, ...], flag: str) -> None:
    known = block(stride=(1, 2, 1), in_channels=(4, 8, 4), out_channels=(4, 8, 8))
    assert known.flag(column, "project") == Code(flag)
    assert not known.has("project")


def test_a_flag_of_its_own() -> None:
    known = block(stride=(1, 1, 2))
    assert known.flag((False, True, False), "project") == Code("project")
    assert known.has("project") and not known.has("norm")


def test_the_one_width_that_leaves_is_a_condition() -> None:
    known = Parameters(3, (4, 8, 8), (8, 8, 8))
    known.expression((4, 8, 8), "in_channels")
    assert known.flag((True, False, False), "project") == Code("in_channels != 8")


def test_what_is_padded_before_depends_on_the_stride() -> None:
    known = block(in_channels=(4, 8, 8), out_channels=(4, 4, 8), stride=(1, 2, 1))
    assert known.flag((False, True, False), "project") == Code("in_channels != out_channels")
    assert known.flag((False, True, False), "pad") == Code("stride != 1")


@pytest.mark.parametrize(
    ("column", "values", "is_so"),
    [
        ((1, 2), (1, 2), True), ((1, ABSENT), (1, 2), True), ((ABSENT, 2), (1, ABSENT), False),
        ((1, 2), (1, 3), False), ((1, True), (1, 1), False), ((1, 2.0), (1, 2), False),
    ],
)  # fmt: skip
def test_columns_that_agree(column: tuple[Any, ...], values: tuple[Any, ...], is_so: bool) -> None:
    assert agree(column, values) == is_so


def test_the_signature() -> None:
    """Widths first, without a default; what most uses have alike is one."""
    known = block(
        stride=(1, 1, 2), out_channels=(4, 4, 8), kernel_size=(3, 5, 7), dropout=(0.1, ABSENT, 0.3),
    )  # fmt: skip
    found = {it.name: it.default for it in known.finish()}
    assert [*found] == ["out_channels", "kernel_size", "stride", "dropout"]
    assert found["out_channels"] is ABSENT and found["kernel_size"] is ABSENT
    assert found["stride"] == 1 and found["dropout"] == 0.0


def test_amounts_of_a_padding_that_follow_are_no_parameter() -> None:
    known = block(dilation=(1, 2, 4), pad=((2, 0), (4, 0), (8, 0)), other=((1, 0), (5, 0), (2, 0)))
    assert known.paddings(["pad", "other"]) == {"pad": "(2 * dilation, 0)"}
    assert [*of(known)] == ["dilation", "other"]
