"""What went wrong, where, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass


class TorchportError(Exception):
    """One problem: what happened, where (file or layer), and what to do next."""

    def __init__(self, what: str, *, where: str = "", advice: str = "") -> None:
        self.what, self.where, self.advice = what, where, advice
        super().__init__(self.__str__())

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}\n  -> {self.advice}" if self.advice else text


class BadFile(TorchportError):
    """The file is truncated, hostile or not what it claims to be."""


@dataclass(frozen=True)
class Refusal:
    """One thing that is not ported exactly: which layer, of what kind, why, and what to do."""

    layer: str
    kind: str
    why: str
    advice: str = ""

    def __str__(self) -> str:
        text = f"{self.layer} ({self.kind}): {self.why}"
        return f"{text}\n      -> {self.advice}" if self.advice else text


class Refused(TorchportError):
    """Everything in a model that cannot be ported exactly, all of it at once."""

    def __init__(self, refusals: tuple[Refusal, ...], advice: str = "") -> None:
        self.refusals = refusals
        count = f"{len(refusals)} thing{'s' if len(refusals) != 1 else ''}"
        lines = "".join(f"\n    {refusal}" for refusal in refusals)
        super().__init__(f"{count} in this model cannot be ported exactly:{lines}", advice=advice)


class Unsupported(Exception):
    """Raised inside a rule: this option is not ported. The stage that called it says which layer."""

    def __init__(self, why: str, advice: str = "") -> None:
        self.why, self.advice = why, advice
        super().__init__(why)
