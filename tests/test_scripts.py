"""What is said about files of the user's that fail, without running TensorFlow."""

from __future__ import annotations

from pathlib import Path

import pytest

from torchport import scripts
from torchport.errors import TorchportError

KERAS_3 = "A KerasTensor cannot be used as input to a TensorFlow function."


@pytest.mark.parametrize(
    ("message", "legacy", "is_older"),
    [(KERAS_3, "", True), (KERAS_3, "1", False), ("there is no such layer", "", False)],
)
def test_code_that_keras_3_does_not_run_is_for_keras_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, message: str, legacy: str, is_older: bool
) -> None:
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", legacy)
    path = tmp_path / "net.py"
    path.write_text(f"raise ValueError({message!r})\n")
    with pytest.raises(TorchportError) as failed:
        scripts.run(path, "give a file")
    assert "net.py, line 1" in str(failed.value)
    assert ("set TF_USE_LEGACY_KERAS=1" in str(failed.value)) == is_older
