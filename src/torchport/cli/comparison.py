"""A port beside its source: what is compared, and shown to a person."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torchport.cli.arrays import given_arrays
from torchport.report.progress import hushed, working

if TYPE_CHECKING:
    from torchport.verify.result import Verification


def compare(
    source: Path, folder: Path, inputs: Sequence[Path] = (), seed: int = 0, **given: Any
) -> Verification:
    """The verification of a port."""
    arrays = given_arrays(inputs)
    with working("starting TensorFlow") as tell:
        from torchport.verify import frameworks, process, verify
        from torchport.verify.recording import is_recording

        if not is_recording(source) and not process.is_possible(source):
            with hushed():
                frameworks.tensorflow()
        return verify(source, folder, inputs=arrays, seed=seed, progress=tell, **given)


def show(result: Verification, every: bool) -> None:
    """The verification for a person."""
    from torchport.report import verification
    from torchport.report.terminal import console

    verification.show(result, console(), every)
