"""A Lambda's function evaluated over a world, in the words of every Python that may have written it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torchport.errors import Unsupported
from torchport.lambdas.code import Function, Unreadable
from torchport.lambdas.decode import decode, versions
from torchport.lambdas.machine import Machine
from torchport.lambdas.opcodes import Version
from torchport.lambdas.packages import Packages
from torchport.lambdas.stored import Named, Stored, codes, of
from torchport.lambdas.values import CODE, World


@dataclass(frozen=True)
class Reading:
    """A function in the words of one version of Python."""

    function: Function
    version: Version
    arguments: Mapping[str, Any]

    def evaluate(self, world: World, inputs: Any) -> tuple[Any, Machine]:
        """What it makes of the layer's input, and the machine that did it. Raises Unsupported."""
        machine = Machine(world, Packages(), self.version)
        given = dict(self.arguments)
        parameters = self.function.code.variables[: self.function.code.arguments]
        for name in ("mask", "training"):  # Keras hands them to a function that has such a parameter
            if name in parameters[1:]:
                what = {"mask": "the mask of its input", "training": "whether the model trains"}[name]
                raise Unsupported(f"it is told {what}", CODE)
        try:
            return machine.call(self.function, [inputs], given), machine
        except RecursionError as error:
            raise Unsupported("its values are nested too deeply", CODE) from error

    def check(self) -> bool:
        """True, of a function that cannot be evaluated yet. Raises Unsupported for a name nobody knows."""
        packages = Packages()
        for code in codes(self.function.code):
            for it in decode(code, self.version):
                if it.name == "LOAD_GLOBAL":
                    number = it.argument >> 1 if self.version >= (3, 11) else it.argument
                    if number >= len(code.names):
                        raise Unsupported("its instructions are damaged", CODE)
                    packages.name(code.names[number])
        return True


def readings(config: Mapping[str, Any]) -> list[Reading]:
    """The function of a Lambda in every version of Python that can have written it. Raises Unsupported."""
    found = of(config)
    if isinstance(found, Named):
        raise missing(found)
    return read(found)


def missing(found: Named) -> Unsupported:
    """That a file has the name of a function alone."""
    module = f" of the module {found.module!r}" if str(found) != found.name else ""
    return Unsupported(
        f"its function {found.name!r}{module} is not in the file, which has its name alone",
        "give --code FILE.py, the file that has this function, or --rules with a rule for the layer",
    )  # fmt: skip


def read(stored: Stored) -> list[Reading]:
    made: list[Reading] = []
    problem = "its instructions are those of no Python from 3.5 to 3.14"
    try:
        for function in stored.functions():
            for version in versions(function.code):
                try:
                    for code in codes(function.code):
                        decode(code, version)
                except Unreadable as error:
                    problem = str(error)
                    continue
                made.append(Reading(function, version, stored.arguments))
    except Unreadable as error:
        problem = str(error)
    if not made:
        raise Unsupported(f"its function cannot be read: {problem}", CODE)
    return made


def agreed(made: list[Reading], evaluate: Callable[[Reading], tuple[Any, Any]]) -> Any:
    """What all versions that make sense of a function make of it; they differ in no real function.

    `evaluate` gives what to compare, and the result. Raises Unsupported where none does, or they differ.
    """
    results, problem = [], None
    for it in made:
        try:
            results.append(evaluate(it))
        except Unsupported as error:
            problem = problem or error
    if not results:
        assert problem is not None
        raise problem
    if any(key != results[0][0] for key, _ in results[1:]):
        raise Unsupported("two versions of Python read different functions in its bytes", CODE)
    return results[0][1]
