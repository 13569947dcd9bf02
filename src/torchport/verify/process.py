"""TensorFlow in processes of its own: where it dies, a verification does not; the two share no memory.

They are forks of this one from before either framework is imported: what was read of the model is
there already. Where one is imported, or there is no fork, the source's side runs in this process.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from torchport.errors import TorchportError
from torchport.graph import Graph
from torchport.verify.observations import Facts, Nudge, Record, Source, Training
from torchport.verify.truth import Truth

FRAMEWORKS = ("tensorflow", "torch", "keras", "tf_keras")


class Died(Exception):
    """TensorFlow ended its process; str() says how."""


def is_possible(source: Any) -> bool:
    """Whether the source's side can have a process of its own: it is a file, nothing heavy is here yet."""
    is_file = not hasattr(source, "get_config")
    return hasattr(os, "fork") and is_file and not set(FRAMEWORKS) & set(sys.modules)


def truth_of(source: Any, graph: Graph, custom: Any, folder: Path, tell: Callable[[str], None]) -> Source:
    """The source's side, in processes of its own where that can be."""
    if is_possible(source):
        return ForkedTruth(source, graph, custom, folder, tell)
    return Truth.load(source, graph, custom, folder, tell)


class Worker:
    """A fork with a `Truth`: asked by name, it answers over a pipe. Raises Died where it does not."""

    def __init__(
        self, load: Callable[[Callable[[str], None]], Truth], tell: Callable[[str], None], *others: Worker
    ) -> None:
        """`others`: earlier ones; as long as a process has this end of their pipes, it is not closed."""
        self.tell = tell
        self.pipe, other = Pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self.child = os.fork()
        if not self.child:
            for it in (self, *others):
                it.pipe.close()
            serve(other, load)
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
        with suppress(ChildProcessError):  # it ended before
            os.waitpid(self.child, 0)


class ForkedTruth:
    """A `Truth` in other processes, so that TensorFlow's memory and the port's are never held at once.

    One records and ends. A second stands by without TensorFlow: it loads the model where the record is in
    doubt.
    """

    def __init__(
        self, source: Any, graph: Graph, custom: Any, folder: Path, tell: Callable[[str], None]
    ) -> None:
        def load(say: Callable[[str], None]) -> Truth:
            return Truth.load(source, graph, custom, folder, say)

        self.tell = tell
        self.recorder = Worker(load, tell)
        self.spare = Worker(load, tell, self.recorder)
        #: What the second process has to know, till it knows: variables, record, seed and steps.
        self.found: list[Any] = []

    def facts(self) -> Facts:
        found: Facts = self.recorder.ask("facts")
        self.found = [found.variables]
        return found

    def observe(self, given: Any, seed: int, steps: int, precision: str) -> Record:
        record: Record = self.recorder.ask("observe", given, seed, steps, precision)
        self.found += [record, seed, steps]
        self.recorder.close()
        return record

    def nudge(self, mode: str, dtype: str, number: int) -> Nudge:
        found: Nudge = self.ask_again("nudge", mode, dtype, number)
        return found

    def float32_error(self, mode: str) -> Nudge | None:
        found: Nudge | None = self.ask_again("float32_error", mode)
        return found

    def first_step(self) -> Training | None:
        found: Training | None = self.ask_again("first_step")
        return found

    def ask_again(self, name: str, *arguments: Any) -> Any:
        """Of the second process, which loads the model when it is first asked."""
        if self.found:
            self.tell("loading the source with TensorFlow again")
            self.spare.ask("resume", *self.found)
            self.found = []
        return self.spare.ask(name, *arguments)

    def close(self) -> None:
        self.recorder.close()
        self.spare.close()


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
