"""TensorFlow in a process of its own: where it dies, a verification does not; the two share no memory.

The process is a fork of this one from before either framework is imported: what was read of the model is
there already. Where one is imported, or there is no fork, the source's side runs in this process.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from torchport.errors import TorchportError
from torchport.graph import Graph
from torchport.verify.dropout import Amount
from torchport.verify.observations import Nudge, Record
from torchport.verify.store import Store
from torchport.verify.truth import Truth

FRAMEWORKS = ("tensorflow", "torch", "keras", "tf_keras")


class Died(Exception):
    """TensorFlow ended its process; str() says how."""


def is_possible(source: Any) -> bool:
    """Whether the source's side can have a process of its own: it is a file, nothing heavy is here yet."""
    is_file = not hasattr(source, "get_config")
    return hasattr(os, "fork") and is_file and not set(FRAMEWORKS) & set(sys.modules)


def truth_of(
    source: Any, graph: Graph, custom: Any, folder: Path, tell: Callable[[str], None]
) -> Truth | Elsewhere:
    """The source's side, in a process of its own where that can be."""
    if is_possible(source):
        return Elsewhere(source, graph, custom, folder, tell)
    return Truth.load(source, graph, custom, folder, tell)


class Elsewhere:
    """A `Truth` in another process: asked by name, it answers over a pipe. Raises Died where it does not."""

    def __init__(
        self, source: Any, graph: Graph, custom: Any, folder: Path, tell: Callable[[str], None]
    ) -> None:
        self.tell = tell
        self.pipe, other = Pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.child = os.fork()
        if not self.child:
            self.pipe.close()
            serve(other, lambda say: Truth.load(source, graph, custom, folder, say))
        other.close()

    def ask(self, name: str, *arguments: Any) -> Any:
        """The result of a method of `Truth`."""
        try:
            self.pipe.send((name, arguments))
            while (answer := self.pipe.recv())[0] == "tell":
                self.tell(answer[1])
        except (EOFError, OSError) as error:
            raise Died(f"TensorFlow ended ({self.end()})") from error
        kind, found = answer
        if kind == "problem":
            raise TorchportError(found[0], where=found[1], advice=found[2])
        if kind == "error":
            raise RuntimeError(found)
        return found

    def end(self) -> str:
        """Wait for the process; how it ended."""
        _, status = os.waitpid(self.child, 0)
        code = os.waitstatus_to_exitcode(status)
        return signal.Signals(-code).name if code < 0 else f"status {code}"

    def close(self) -> None:
        self.pipe.close()
        try:
            os.waitpid(self.child, 0)
        except ChildProcessError:
            return  # it ended before

    def variables(self) -> Store[str]:
        return self.ask("variables")  # type: ignore[no-any-return]

    def trained(self) -> frozenset[str]:
        return self.ask("trained")  # type: ignore[no-any-return]

    def amounts(self) -> Mapping[str, Amount]:
        return self.ask("amounts")  # type: ignore[no-any-return]

    def rates(self) -> Mapping[str, list[float]]:
        return self.ask("rates")  # type: ignore[no-any-return]

    def versions(self) -> dict[str, str]:
        return self.ask("versions")  # type: ignore[no-any-return]

    def observe(self, given: Any, seed: int, steps: int, precision: str) -> Record:
        return self.ask("observe", given, seed, steps, precision)  # type: ignore[no-any-return]

    def nudge(self, mode: str, dtype: str, number: int) -> Nudge:
        return self.ask("nudge", mode, dtype, number)  # type: ignore[no-any-return]


def serve(pipe: Connection, load: Callable[[Callable[[str], None]], Truth]) -> None:
    """Answer until the pipe is closed, then end the process, and nothing else of what it was forked from."""
    status = 1
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        truth: Truth | None = None
        while True:
            try:
                name, arguments = pipe.recv()
            except EOFError:
                break
            try:
                truth = truth or load(lambda text: pipe.send(("tell", text)))
                answer = ("result", getattr(truth, name)(*arguments))
            except TorchportError as error:
                answer = ("problem", (error.what, error.where, error.advice))
            except Exception:  # told where it was asked, whatever it is
                answer = ("error", traceback.format_exc())
            pipe.send(answer)
        status = 0
    finally:
        os._exit(status)
