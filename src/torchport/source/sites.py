"""A file of the user's: its tree, its comments, and the places in it."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torchport.errors import TorchportError
from torchport.source.partials import written_out

#: First line, first column, last line, last column of an expression.
Site = tuple[int, int, int, int]
#: What to do about what never ran.
RUN = "give a --call that runs it"


def site(node: ast.AST) -> Site:
    """The place of a node in its file."""
    return (
        getattr(node, "lineno", 0), getattr(node, "col_offset", 0),
        getattr(node, "end_lineno", 0) or 0, getattr(node, "end_col_offset", 0) or 0,
    )  # fmt: skip


class NotPorted(Exception):
    """Something in the user's source that is not ported: where it stands, why, and what to do."""

    def __init__(self, node: ast.AST, why: str, advice: str = "") -> None:
        self.node, self.why, self.advice = node, why, advice
        super().__init__(why)


def is_text_of(text: str, node: ast.AST) -> bool:
    """Whether a text is that of a node: one that was made of others has the place of these."""
    if not isinstance(node, ast.expr) or isinstance(node, (ast.Slice, ast.Tuple, ast.Starred)):
        return True
    try:
        return ast.unparse(ast.parse(text, mode="eval").body) == ast.unparse(node)
    except SyntaxError:
        return False


@dataclass(frozen=True)
class SourceRefusal:
    """One thing in a file that is not ported."""

    file: str
    line: int
    column: int
    text: str
    why: str
    advice: str = ""
    unit: str = ""

    def __str__(self) -> str:
        said = f"{self.file}:{self.line}:{self.column}  {self.text}: {self.why}"
        return f"{said} -> {self.advice}" if self.advice else said


@dataclass(frozen=True)
class SourceFile:
    """A file of the user's code; `tree` has its partial functions written out."""

    path: Path
    text: str
    tree: ast.Module
    #: By line: the comment, and whether it stands alone.
    comments: dict[int, tuple[str, bool]] = field(repr=False)

    @classmethod
    def of(cls, path: Path) -> SourceFile:
        """Raises TorchportError for what is no Python file."""
        try:
            text = path.read_text(encoding="utf-8")
            tree = ast.parse(text)
        except OSError as error:
            raise TorchportError(f"cannot be read ({error.strerror})", where=str(path)) from error
        except (SyntaxError, ValueError) as error:
            raise TorchportError(f"is not Python: {error}", where=str(path)) from error
        found = {}
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                found[token.start[0]] = (token.string, token.line.strip().startswith("#"))
        return cls(path, text, written_out(tree), found)

    def segment(self, node: ast.AST) -> str:
        """The text of a node, on one line."""
        found = ast.get_source_segment(self.text, node) or ""
        is_plain = found and "\n" not in found and '"""' not in found
        return found if is_plain and is_text_of(found, node) else ast.unparse(node)

    def before(self, node: ast.stmt) -> list[str]:
        """The comments and blank lines that stand right before a statement."""
        lines, at, found = self.text.splitlines(), node.lineno - 1, list[str]()
        while at >= 1:
            line = lines[at - 1].strip()
            if line and not (at in self.comments and self.comments[at][1]):
                break
            found.insert(0, line)
            at -= 1
        while found and not found[0]:
            found.pop(0)
            found[:0] = [""] if not found or found[0] else []
            if found and found[0] == "":
                break
        return found

    def behind(self, node: ast.stmt) -> str:
        """The comment behind a statement."""
        line = node.end_lineno or node.lineno
        if isinstance(node, (ast.For, ast.If, ast.While, ast.With)):
            line = node.lineno
        comment, alone = self.comments.get(line, ("", True))
        return "" if alone else comment

    def refusal(self, error: NotPorted, unit: str) -> SourceRefusal:
        line, column, *_ = site(error.node)
        text = self.segment(error.node)
        short = text if len(text) <= 60 else f"{text[:57]}..."
        return SourceRefusal(str(self.path), line, column + 1, short, error.why, error.advice, unit)

    def definitions(self) -> Iterator[ast.FunctionDef | ast.ClassDef]:
        """Its functions and classes, in their order."""
        for node in self.tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                yield node

    def functions(self) -> dict[str, ast.FunctionDef]:
        return {it.name: it for it in self.definitions() if isinstance(it, ast.FunctionDef)}

    def classes(self) -> dict[str, ast.ClassDef]:
        return {it.name: it for it in self.definitions() if isinstance(it, ast.ClassDef)}
