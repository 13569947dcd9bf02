"""One call of a function: its variables, its stack, and what each instruction does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torchport.errors import Unsupported
from torchport.lambdas import constants
from torchport.lambdas.code import Code, Function
from torchport.lambdas.decode import Instruction
from torchport.lambdas.machine import Null
from torchport.lambdas.opcodes import operators
from torchport.lambdas.packages import MEANINGS
from torchport.lambdas.values import CODE, Cell, Loop, Path

if TYPE_CHECKING:
    from torchport.lambdas.machine import Machine

#: Instructions that say nothing here.
IDLE = frozenset(
    "NOP RESUME PRECALL SETUP_LOOP POP_BLOCK NOT_TAKEN COPY_FREE_VARS MAKE_CELL END_FOR TO_BOOL".split()
)
SYMBOLS = {
    "ADD": "+", "SUBTRACT": "-", "MULTIPLY": "*", "TRUE_DIVIDE": "/", "FLOOR_DIVIDE": "//", "MODULO": "%",
    "POWER": "**", "MATRIX_MULTIPLY": "@", "LSHIFT": "<<", "RSHIFT": ">>", "AND": "&", "OR": "|", "XOR": "^",
}  # fmt: skip
UNARY = {"UNARY_NEGATIVE": "-", "UNARY_POSITIVE": "+", "UNARY_INVERT": "~", "UNARY_NOT": "not"}
#: What an instruction that is refused is in Python.
MEANING = {
    "STORE_GLOBAL": "it assigns a global variable", "STORE_ATTR": "it assigns an attribute",
    "YIELD_VALUE": "it is a generator", "LOAD_BUILD_CLASS": "it defines a class",
    "RAISE_VARARGS": "it raises an error", "SETUP_FINALLY": "it has a try statement",
    "SETUP_EXCEPT": "it has a try statement", "SETUP_WITH": "it has a with statement",
    "BEFORE_WITH": "it has a with statement", "LOAD_SPECIAL": "it has a with statement",
    "FORMAT_VALUE": "it formats a text", "FORMAT_SIMPLE": "it formats a text",
    "BUILD_STRING": "it formats a text",
}  # fmt: skip


@dataclass
class Frame:
    """A call on its way."""

    machine: Machine
    code: Code
    instructions: Sequence[Instruction]
    variables: dict[str, Any]
    cells: dict[str, Cell] = field(default_factory=dict)
    stack: list[Any] = field(default_factory=list)
    #: The names of the keyword arguments of the call to come, in 3.11 and 3.12.
    keywords: tuple[str, ...] = ()
    place: int = 0
    result: Any = None
    is_done: bool = False

    def enter(self, function: Function) -> None:
        """The cells of a call, those of parameters among them."""
        for name in self.code.cells:
            cell = self.cells[name] = Cell()
            if name in self.variables:
                cell.content, cell.is_full = self.variables[name], True
        for name in self.code.free:
            if name not in function.free:
                raise Unsupported(f"the file does not say what {name} is", CODE)
            value = function.free[name]
            self.cells[name] = value if isinstance(value, Cell) else Cell(value, True)

    def run(self) -> Any:
        places = {it.at: number for number, it in enumerate(self.instructions)}
        while not self.is_done:
            if self.place >= len(self.instructions):
                raise Unsupported("it ends without a result", CODE)
            it = self.instructions[self.place]
            self.place += 1
            self.machine.budget.step()
            try:
                goes = self.step(it)
            except Unsupported as error:
                if error.why.startswith("line "):
                    raise
                raise Unsupported(f"line {it.line}: {error.why}", error.advice) from error
            except (IndexError, TypeError, ValueError, KeyError, AttributeError) as error:
                raise Unsupported(f"line {it.line}: the instruction {it.name} does not fit", CODE) from error
            if goes:
                self.place = places[it.target]
                if it.name == "FOR_ITER":
                    self.leave_loop()
        return self.result

    def leave_loop(self) -> None:
        """Behind a loop: in 3.12 and later what takes its iterator away, which is gone already."""
        if self.instructions[self.place].name == "END_FOR":
            self.place += 1
            if self.machine.version >= (3, 13):
                self.place += 1

    def pop(self) -> Any:
        return self.stack.pop()

    def pops(self, count: int) -> list[Any]:
        """The last values, in the order in which they came."""
        if count > len(self.stack) or count < 0:
            raise IndexError
        found = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return found

    def push(self, *values: Any) -> None:
        self.stack.extend(values)

    def step(self, it: Instruction) -> bool:
        """Carries out an instruction; whether it jumps."""
        from torchport.lambdas.actions import ACTIONS

        name, argument = it.name, it.argument
        if name in IDLE:
            return False
        if name in UNARY:
            self.push(self.unary(UNARY[name], self.pop()))
        elif name.startswith(("BINARY_", "INPLACE_")) and self.operator(name, argument) is not None:
            left, right = self.pops(2)
            self.push(self.machine.binary(str(self.operator(name, argument)), left, right))
        elif "JUMP" in name or name in ("FOR_ITER", "BREAK_LOOP", "CONTINUE_LOOP"):
            return self.jump(name)
        elif (act := ACTIONS.get(name)) is not None:
            act(self, argument)
        else:
            why = MEANING.get(name, f"the instruction {name} is not read")
            raise Unsupported(why, CODE)
        return False

    def operator(self, name: str, argument: int) -> str | None:
        if name == "BINARY_OP":
            known = operators(self.machine.version)
            return known[argument]
        if name == "BINARY_SUBSCR":
            return "[]"
        return SYMBOLS.get(name.partition("_")[2])

    def unary(self, symbol: str, value: Any) -> Any:
        if self.machine.world.is_tensor(value):
            if symbol == "not":
                raise Unsupported("a condition on the values of a tensor", "use tf.where or tf.logical_not")
            return self.machine.world.operate(symbol, value)
        self.machine.check_plain(value)
        return constants.operate(symbol, value)

    def is_true(self, value: Any) -> bool:
        if self.machine.world.is_tensor(value):
            raise Unsupported("a condition on the values of a tensor", "use tf.where")
        self.machine.check_plain(value)
        return constants.is_true(value)

    def jump(self, name: str) -> bool:
        if name in ("JUMP_FORWARD", "JUMP_ABSOLUTE", "JUMP_BACKWARD", "CONTINUE_LOOP"):
            return True
        if name == "FOR_ITER":
            loop = self.stack[-1]
            if not isinstance(loop, Loop):
                raise TypeError
            for value in loop.rest:
                self.push(value)
                return False
            self.pop()
            return True
        if name == "BREAK_LOOP":
            raise Unsupported("it leaves a loop by break", CODE)
        if name in ("JUMP_IF_FALSE_OR_POP", "JUMP_IF_TRUE_OR_POP"):
            if self.is_true(self.stack[-1]) == (name == "JUMP_IF_TRUE_OR_POP"):
                return True
            self.pop()
            return False
        value = self.pop()
        if name.endswith("NOT_NONE"):
            return value is not None
        if name.endswith("NONE"):
            return value is None
        return self.is_true(value) == name.endswith("TRUE")

    # Variables

    def load(self, name: str) -> Any:
        if name not in self.variables:
            raise Unsupported(f"{name} has no value", CODE)
        return self.variables[name]

    def local(self, number: int) -> str:
        """The variable that an instruction means."""
        return (self.code.places or self.code.variables)[number]

    def shared(self, number: int) -> Cell:
        """The cell that an instruction means."""
        name = (self.code.places or (*self.code.cells, *self.code.free))[number]
        return self.cells[name]

    def global_(self, name: str) -> Path:
        found = self.machine.packages.name(name)
        if found.name in MEANINGS:
            self.machine.assumed[name] = MEANINGS[found.name]
        return found

    # Calls

    def invoke(self, function: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        self.push(self.machine.call(function, args, kwargs))

    def call(self, count: int, names: tuple[str, ...] = ()) -> None:
        """The call of 3.11 and later: what is called has an empty place before it, or behind it."""
        values = self.pops(count)
        first, second = self.pops(2)
        function = second if isinstance(first, Null) else first
        if not isinstance(first, Null) and not isinstance(second, Null):  # 3.11 calls a method so
            function, values = first, [second, *values]
        cut = len(values) - len(names)
        self.invoke(function, values[:cut], dict(zip(names, values[cut:], strict=True)))
