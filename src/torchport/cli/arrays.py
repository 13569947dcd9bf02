"""Inputs that the user gives: .npy files, or one .npz file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def given_arrays(paths: Sequence[Path]) -> Any:
    """The arrays of .npy files, in order, or of one .npz file, by name; no Python objects are read."""
    from zipfile import BadZipFile

    import numpy as np

    from torchport.errors import BadFile

    found: list[Any] = []
    for path in paths:
        try:
            loaded = np.load(path, allow_pickle=False)
            found.append(dict(loaded) if isinstance(loaded, np.lib.npyio.NpzFile) else loaded)
        except (ValueError, EOFError, BadZipFile) as error:
            advice = "give an array saved by numpy.save, or several by numpy.savez(file, NAME_OF_INPUT=array)"
            what = f"is neither a .npy nor an .npz file ({error})"
            raise BadFile(what, where=str(path), advice=advice) from error
    if len(found) == 1 and isinstance(found[0], dict):
        return found[0]
    if any(isinstance(it, dict) for it in found):
        advice = "give one .npz file with all inputs by name, or a .npy file for each"
        raise BadFile("one of several files is an .npz file", where=str(paths[0]), advice=advice)
    return found or None
