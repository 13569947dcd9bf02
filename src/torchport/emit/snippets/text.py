from __future__ import annotations

import string
from collections.abc import Sequence

import torch
from torch import Tensor


def ascii_lower(text: str) -> str:
    """A to Z in lower case; all other letters stay, as in TensorFlow."""
    return text.encode().lower().decode()


def strip_punctuation(text: str) -> str:
    """The text without ASCII punctuation."""
    return text.translate(str.maketrans("", "", string.punctuation))


def ascii_words(text: str) -> list[str]:
    """The text split at ASCII spaces; other kinds of space are letters, as in TensorFlow."""
    return [word.decode() for word in text.encode().split()]


def word_ngrams(words: Sequence[str], lengths: Sequence[int]) -> list[str]:
    """Neighbouring words joined by a space, first all of the first length."""
    return [
        " ".join(words[start : start + length])
        for length in lengths
        for start in range(len(words) - length + 1)
    ]


def padded_rows(rows: list[list[int]], length: int | None = None) -> Tensor:
    """Rows of numbers as (n, length): cut, or zeros behind; by default as long as the longest."""
    longest = max(map(len, rows), default=0) if length is None else length
    cut = [(row + [0] * longest)[:longest] for row in rows]
    return torch.tensor(cut, dtype=torch.int64).view(len(rows), longest)


def row_counts(rows: list[list[int]], size: int) -> Tensor:
    """How often each number occurs in each row: (n, size)."""
    counts = torch.zeros(len(rows), size)
    for row, found in zip(rows, counts, strict=True):
        found += torch.bincount(torch.tensor(row, dtype=torch.int64), minlength=size)
    return counts
