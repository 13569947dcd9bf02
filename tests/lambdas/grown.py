"""Functions of a Lambda that grow at random: expressions, loops, functions in functions."""

from __future__ import annotations

from random import Random

FUNCTIONS = ("tf.nn.relu({0})", "K.abs({0})", "tf.add({0}, {1})",
             "tf.reduce_mean({0}, axis={2}, keepdims=True)",
             "K.concatenate([{0}, {1}], axis=-1)", "tf.stack([{0}, *[{1}] * 2])", "K.clip({0}, {2}, {2})",
             "tf.where({0} > {2}, {0}, {1})")  # fmt: skip
SLICES = ("[:, 0]", "[..., -1:]", "[:, ::2]", "[:, None]", "[{1}:{2}]", "[:, [0, 1][-1]]")


class Grower:
    """One function. Its tensors and numbers have names by which a later line asks for them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.tensors, self.numbers = ["x"], ["3", "0.5", "-2", "len('ab')", "K.ndim(x)", "x.shape[-1]"]
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"v{self.count}"

    def number(self, depth: int = 2) -> str:
        pick = self.random.choice
        if not depth:
            return pick(self.numbers)
        one, other = self.number(depth - 1), self.number(depth - 1)
        return pick((one, f"({one} + {other})", f"({one} * {other})", f"-{one}", f"max({one}, {other})",
                     f"({one} if {other} > 1 else 2)", f"sum([n * {one} for n in range(3)])",
                     f"({one} or {other})",
                     f"[{one}, {other}][-1]", f"(lambda a, b={one}: a - b)({other})",
                     f"dict(a={one}, b={other})['b']"))  # fmt: skip

    def tensor(self, depth: int = 3) -> str:
        pick = self.random.choice
        if not depth:
            return pick(self.tensors)
        one, other, number = self.tensor(depth - 1), self.tensor(depth - 1), self.number(1)
        made = pick(FUNCTIONS).format(one, other, number)
        return pick((made, made, f"({one} {pick('+-*/@')} {other})", f"({number} {pick('+-*')} {one})",
                     f"-{one}", f"{one}{pick(SLICES).format(one, *sorted((0, self.random.randrange(3))))}",
                     f"({one} if {number} > 0 and K.ndim(x) == 3 else {other})",
                     f"(lambda y, by={number}: y * by + {other})({one})",
                     f"tf.add_n([{one} * n for n in range(1, 3) if n != {number}] + [{other}])"))  # fmt: skip

    def statement(self) -> list[str]:
        """Lines that give a name to a tensor or a number, or change one."""
        kind, name = self.random.randrange(8), self.name()
        if kind == 0:
            self.numbers.append(name)
            return [f"{name} = {self.number()}"]
        if kind == 1:
            lines = [f"{name} = {self.tensor(1)}", f"for n in range({self.random.randrange(1, 4)}):",
                     f"    {name} = {name} * n + {self.tensor(1)}", f"    if n == {self.number(1)}:",
                     f"        {self.random.choice(('break', 'continue'))}"]  # fmt: skip
        elif kind == 2:
            lines = [f"if {self.number()} >= {self.number()}:", f"    {name} = {self.tensor(1)}",
                     "else:", f"    {name} = {self.tensor(1)}"]  # fmt: skip
        elif kind == 3:
            other = self.name()
            lines = [f"{name}, {other} = {self.tensor(1)}, {self.tensor(1)}", f"{name} += {other}"]
            self.tensors.append(other)
        elif kind == 4:
            inner = self.name()
            lines = [f"def {inner}(y, *more, by={self.number(1)}):", f"    return y * by + {self.tensor(1)}",
                     f"{name} = {inner}({self.tensor(1)}, 1, 2)"]  # fmt: skip
        elif kind == 5:
            parts = self.name()
            lines = [f"{parts} = []", f"for a, b in zip((1, 2), [{self.tensor(1)}, {self.tensor(1)}]):",
                     f"    {parts}.append(a * b)", f"{name} = K.concatenate({parts}, axis=1)"]  # fmt: skip
        elif kind == 6:
            lines = [
                f"{name} = {self.tensor(1)}",
                "n = 3",
                "while n > 1:",
                f"    {name} = K.exp({name}) - n",
                "    n -= 1",
            ]
        else:
            lines = [f"{name} = {self.tensor(2)}"]
        self.tensors.append(name)
        return lines

    def source(self) -> str:
        body = [line for _ in range(self.random.randrange(4)) for line in self.statement()]
        return "\n    ".join(["def f(x):", *body, f"return {self.tensor()}"]) + "\n"
