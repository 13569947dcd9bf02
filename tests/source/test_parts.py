"""Parts of the port of code that need no TensorFlow: lines, names, a page's rows."""

from __future__ import annotations

from torchport.report.side import aligned
from torchport.source.lines import Line, Names, named, prune
from torchport.source.module import names_in
from torchport.source.unit import class_name


def texts(lines: list[Line]) -> str:
    return "\n".join(map(str, lines))


def test_a_branch_that_is_left_empty_turns_the_condition() -> None:
    lines = [
        Line(0, "if width == size:"), Line(1, "x_channels = width", "x_channels"), Line(0, "else:"),
        Line(1, "self.conv = nn.Conv2d(3, width, 1)"),
    ]  # fmt: skip
    assert texts(prune(lines, ())) == "if not (width == size):\n    self.conv = nn.Conv2d(3, width, 1)"


def test_both_branches_that_are_left_empty_go() -> None:
    lines = [
        Line(0, "if width == size:"), Line(1, "y = width", "y"), Line(0, "else:"), Line(1, "y = size", "y"),
        Line(0, "z = 1"),
    ]  # fmt: skip
    assert texts(prune(lines, ())) == "z = 1"


def test_a_size_that_is_asked_for_stays() -> None:
    lines = [Line(0, "x_channels = width", "x_channels"), Line(0, "nn.Linear(x_channels, 3)")]
    assert prune(lines, ()) == lines


def test_names_of_a_function_are_none_of_the_file_s() -> None:
    text = (
        "class Block(nn.Module):\n    def f(self, x, n=COUNT):\n        y = x * SCALE\n        return y[:n]\n"
    )
    assert names_in(text) == {"nn", "COUNT", "SCALE"}
    assert names_in("inputs = keras.Input(shape)\nx = inputs\n") == {"keras", "shape"}


def test_a_list_is_called_as_the_source_calls_it() -> None:
    names = Names()
    mark = names.add("layer", True, "encoder_stack")
    settled = names.settled()
    assert named(f"self.{mark}s.append({mark})", settled) == "self.encoder_stack.append(layer)"


def test_classes_of_one_name_are_told_apart() -> None:
    assert class_name("build_unet") == "Unet"
    assert class_name("build_unet", ["Unet"]) == "BuildUnet"


def test_lines_that_say_the_same_stand_level() -> None:
    theirs = ["def call(self, x):", "    # halve", "    x = self.pool(x)", "    return layers.add([x, y])"]
    ours = ["def forward(self, x):", "    x = self.pool(x)", "    return x + y"]
    rows = list(aligned(theirs, ours, 10, 20))
    assert [(a and a[0], b and b[0]) for a, b in rows] == [(10, 20), (11, None), (12, 21), (13, 22)]
