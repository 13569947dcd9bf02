"""A cell that is written as one step is handed to the loop that calls it."""

from __future__ import annotations

from dataclasses import replace

from torchport.layout.loops import looped
from torchport.program import Apply, Module, Step, Var, call

CELL = Apply(Module("Cell", (3,)), (Var("x0"), Var("h")), owner="cell")
HANDED = replace(CELL, args=(), called=False)
ONE = Step("c", "cell", "Own", ("y", "h1"), CELL)
OTHER = Step("d", "other", "Own", ("z", "h2"), replace(CELL, owner="other"))


def loop(name: str, step: str) -> Step:
    return Step(name, name, "loop:over", (f"{name}.out",), call("run_cell", Var(step), Var("x"), Var("h")))


def test_its_step_is_gone() -> None:
    before = Step("a", "a", "ReLU", ("x",), call("F.relu", Var("image")))
    found = list(looped([before, ONE, loop("l", "y")]))
    assert found == [before, replace(loop("l", "y"), value=call("run_cell", HANDED, Var("x"), Var("h")))]


def test_each_loop_has_its_own() -> None:
    first, second = looped([ONE, OTHER, loop("l", "z"), loop("m", "y")])
    assert first.value.args[0].owner == "other" and second.value.args[0].owner == "cell"
    assert not first.value.args[0].called and first.value.args[1:] == (Var("x"), Var("h"))


def test_without_a_loop_all_stay() -> None:
    assert list(looped([ONE, OTHER])) == [ONE, OTHER]


def test_other_calls_in_its_step_stay() -> None:
    """A mask that is made in place, and what takes the outputs apart."""
    mask = call("torch.ne", Var("ids"), 0)
    value = call(".flip", call("run_cell", Var("y"), Var("x"), mask), 1)
    (found,) = looped([ONE, replace(loop("l", "y"), value=value)])
    assert found.value == call(".flip", call("run_cell", HANDED, Var("x"), mask), 1)
