"""How a port is to be written: what `convert` was asked for, passed whole from the command to port.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from torchport.errors import TorchportError
from torchport.names import class_name, is_class_name


@dataclass(frozen=True)
class Options:
    """The options of a conversion, with their defaults. `torchport.convert` says what each one does.

    Raises TorchportError for a `class_name` that is none.
    """

    class_name: str | None = None
    keep_io: bool = False
    exact: bool = False
    flat: bool = False
    dequantise: bool = False
    outputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.class_name is not None and not is_class_name(self.class_name):
            raise TorchportError(
                f"{self.class_name!r} cannot be the name of a class",
                advice=f"for instance --class-name {class_name(str(self.class_name))}",
            )

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> Options:
        """The options that port.json repeats, `record["options"]`.

        Raises TorchportError for one that this version does not know: what it changed would be left out.
        """
        known = {field.name for field in fields(cls)}
        unknown = sorted(set(record) - known)
        if unknown:
            raise TorchportError(
                f"was written with the option {', '.join(unknown)}, which this torchport does not have",
                advice="convert the model again, or use the torchport that wrote it",
            )
        return cls(**{**record, "outputs": tuple(record.get("outputs", ()))})


#: As a person would have written it.
DEFAULT = Options()
