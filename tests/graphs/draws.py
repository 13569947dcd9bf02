"""Random functional graphs: layers, branches that meet, shared layers, nested models, operators."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st
from tests.graphs.script import BATCH, Script, floats
from tests.graphs.steps import EXPRESSIONS, LAYERS, MERGES, Draw, drawn

LARGEST = 2000  # values of one example: graphs stay small
STEPS = ["layer"] * 8 + ["merge"] * 4 + ["expression"] * 4 + ["again"] * 3 + ["nest", "sequence", "nest"]


@dataclass
class Level:
    """A model while it is drawn: its tensors, and those that nobody reads yet. `depth`: how far inside."""

    script: Script
    draw: Draw
    depth: int = 0
    tensors: list[str] = field(default_factory=list)
    unread: set[str] = field(default_factory=set)
    inputs: list[str] = field(default_factory=list)

    def shape(self, name: str) -> tuple[int | None, ...]:
        return tuple(self.script.space[name].shape)

    def pick(self) -> str:
        """A tensor, rather one of the last."""
        at = self.draw(st.integers(0, min(len(self.tensors), 6) - 1))
        return self.tensors[-1 - at]

    def alike(self, name: str) -> str:
        """A tensor of the same shape; where there is no other, the same."""
        same = [it for it in reversed(self.tensors) if self.shape(it) == self.shape(name)]
        return str(self.draw(st.sampled_from([*same[1:4], same[0]])))

    def add(self, expression: str) -> bool:
        """A tensor of this expression, unless Keras does not take it or it is unwieldy."""
        before = self.script.state
        name = self.script.fresh("t")
        if not self.script.run(f"{name} = {expression}"):
            return False
        if not self.is_fit(self.script.space[name]):
            self.script.state = before
            return False
        self.keep(name, expression)
        return True

    def keep(self, name: str, expression: str) -> None:
        self.unread -= set(re.findall(r"\w+", expression))
        self.tensors.append(name)
        self.unread.add(name)

    @staticmethod
    def is_fit(tensor: Any) -> bool:
        shape = getattr(tensor, "shape", None)
        if not shape or not 2 <= len(shape) <= 5 or shape[0] is not None:
            return False
        count = 1
        for size in shape[1:]:
            count *= size or 1
        return "float" in str(tensor.dtype) and 0 < count <= LARGEST and BATCH not in shape

    # Steps

    def step(self) -> None:
        kind = self.draw(st.sampled_from(STEPS))
        getattr(self, kind)()

    def layer(self) -> None:
        x = self.pick()
        text = drawn(self.draw, self.draw(st.sampled_from(LAYERS[len(self.shape(x))])))
        self.add(f"({self.script.fresh('l')} := layers.{text})({x})")

    def merge(self) -> None:
        """Two or three tensors, of one shape if the draw is kind; Keras broadcasts others or refuses."""
        kind = self.draw(st.sampled_from([*MERGES, "Concatenate(axis=-1)", "Concatenate(axis=1)", "Add"]))
        count = 2 if kind == "Subtract" else self.draw(st.integers(2, 3))
        first = self.pick()
        chosen = [first, *(self.alike(first) for _ in range(count - 1))]
        if self.draw(st.integers(0, 2)) == 2:
            chosen[-1] = self.pick()
        if kind == "Subtract" and len(set(chosen)) == 1:
            return  # zeros, of which a later norm has gradients of nothing but rounding
        call = kind if "(" in kind else f"{kind}()"
        self.add(f"({self.script.fresh('l')} := layers.{call})([{', '.join(chosen)}])")

    def expression(self) -> None:
        x = self.pick()
        templates = EXPRESSIONS[self.draw(st.sampled_from([len(self.shape(x)), 0]))]
        text = drawn(self.draw, self.draw(st.sampled_from(templates)))
        y = self.alike(x) if re.search(r"\by\b", text) else ""
        if y == x and "-" in text:
            return  # as above
        self.add(re.sub(r"\b[xy]\b", lambda it: {"x": x, "y": y}[it[0]], text))

    def again(self) -> None:
        """A layer or a nested model once more, on any tensors that it takes."""
        shared = [it for it in self.script.space if re.fullmatch(r"[lm]\d+", it)]
        if not shared:
            return
        name = self.draw(st.sampled_from(shared[::-1]))
        made = self.script.space[name]
        taken = [tuple(it.shape) for it in (getattr(made, "inputs", None) or [])]
        if name[0] == "m" and len(taken) > 1:
            fitting = [[it for it in self.tensors if self.shape(it) == shape] for shape in taken]
            if all(fitting):
                self.call(name, [self.draw(st.sampled_from(it[::-1])) for it in fitting])
            return
        fitting = [it for it in self.tensors if not taken or self.shape(it) == taken[0]]
        if fitting:
            self.call(name, [self.draw(st.sampled_from(fitting[::-1]))])

    def nest(self) -> None:
        """A Functional model of some tensors, called at once."""
        if self.depth == 2:
            return
        given = [self.pick() for _ in range(self.draw(st.integers(1, 2)))]
        inner = Level(self.script, self.draw, self.depth + 1)
        before = self.script.state
        for name in given:
            inner.tensors.append(inner.input(self.shape(name)[1:]))
        name = self.script.fresh("m")
        if not inner.finish(name, self.draw(st.integers(1, 4))) or not self.call(name, given):
            self.script.state = before

    def sequence(self) -> None:
        """A Sequential model, called at once: it knows its input's shape or is built by the call."""
        x, before = self.pick(), self.script.state
        stack = chain(self.draw, self.script, self.shape(x)[1:], self.draw(st.integers(1, 3)))
        first = [f"keras.Input({self.shape(x)[1:]})"] if self.draw(st.booleans()) else []
        name = self.script.fresh("m")
        made = stack and self.script.run(f"{name} = keras.Sequential([{', '.join(first + stack)}])")
        if not made or not self.call(name, [x]):
            self.script.state = before

    def call(self, name: str, given: list[str]) -> bool:
        """Call a model or layer; a model of several outputs gives several tensors."""
        made = self.script.space[name]
        count = len(getattr(made, "outputs", None) or [0]) if name[0] == "m" else 1
        arguments = given[0] if len(given) == 1 else f"[{', '.join(given)}]"
        if count == 1:
            return self.add(f"{name}({arguments})")
        first = int(self.script.fresh("t")[1:])
        targets = [f"t{first + at}" for at in range(count)]
        before = self.script.state
        if not self.script.run(f"{', '.join(targets)} = {name}({arguments})"):
            return False
        if not all(self.is_fit(self.script.space[it]) for it in targets):
            self.script.state = before
            return False
        for target in targets:
            self.keep(target, arguments)
        return True

    # Beginning and end

    def input(self, shape: tuple[int | None, ...], dtype: str = "", given: tuple[int, ...] = ()) -> str:
        name = self.script.fresh("i")
        kind = f", dtype='{dtype}'" if dtype else ""
        assert self.script.run(f"{name} = keras.Input({shape}, name='{name}'{kind})")
        if given:
            self.script.inputs[name] = (BATCH, *given)
        self.inputs.append(name)
        return name

    def finish(self, name: str, steps: int) -> bool:
        """Draw the steps and the outputs, and make the model; False if Keras takes no such model."""
        for _ in range(steps):
            self.step()
        ends = [it for it in self.tensors if it in self.unread] or self.tensors[-1:]
        outputs = ends[-3:]
        if self.draw(st.integers(0, 5)) == 5:  # also one from the midst
            outputs = list(dict.fromkeys([*outputs, self.pick()]))
        inside, outside = (it[0] if len(it) == 1 else f"[{', '.join(it)}]" for it in (self.inputs, outputs))
        if self.depth == 0 and self.draw(st.integers(0, 4)) == 4:
            outside = "{" + ", ".join(f"'{it[::-1]}': {it}" for it in outputs) + "}"
        return self.script.run(f"{name} = keras.Model({inside}, {outside})")


def chain(draw: Draw, script: Script, shape: tuple[int | None, ...], count: int) -> list[str]:
    """Layers that can follow each other from this shape, as text."""
    found = []
    for _ in range(count):
        text = "layers." + drawn(draw, draw(st.sampled_from(LAYERS[len(shape) + 1])))
        try:
            after = script.value(f"{text}(keras.Input({shape}))")
        except (ValueError, TypeError):
            continue
        if Level.is_fit(after):
            found.append(text)
            shape = tuple(after.shape)[1:]
    return found


SIZES = st.sampled_from([4, 2, 5, 6, 8, 3])


def place(level: Level) -> None:
    """An input of the model: an image, a sequence, a vector, or words that are embedded."""
    draw = level.draw
    kind = draw(st.sampled_from(["image", "sequence", "vector", "words"]))
    channels = draw(st.sampled_from([2, 3, 4]))
    if kind == "words":
        steps = draw(SIZES)
        words, zero = level.input((steps,), "int32", (steps,)), draw(st.integers(0, 3)) == 3
        assert level.add(f"layers.Embedding(7, {channels}, mask_zero={zero})({words})")
        return
    space = [draw(SIZES) for _ in range({"image": 2, "sequence": 1, "vector": 0}[kind])]
    is_open = draw(st.integers(0, 7)) == 7
    declared = (*(None if is_open else it for it in space), channels)
    level.tensors.append(level.input(declared, "", (*space, channels)))


@st.composite
def graphs(draw: Draw) -> Script:
    """A script whose `model` has one to three inputs and as many outputs as come out of it."""
    script = Script()
    with floats("float32"):
        if draw(st.integers(0, 9)) == 9:
            shape = tuple(draw(SIZES) for _ in range(draw(st.integers(1, 3))))
            stack = chain(draw, script, shape, draw(st.integers(2, 6)))
            script.inputs["i1"] = (BATCH, *shape)
            layers = ", ".join([f"keras.Input({shape}, name='i1')", *stack])
            assume(script.run(f"model = keras.Sequential([{layers}])"))
            return script
        level = Level(script, draw)
        for _ in range(draw(st.integers(1, 3))):
            place(level)
        assume(level.finish("model", draw(st.integers(3, 14))))
    return script
