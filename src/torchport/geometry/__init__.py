"""What happened to every tensor, kernel and transpose of a model: facts, table, cards, matrices."""

from __future__ import annotations

from torchport.geometry.explanation import Explanation, explain

__all__ = ["Explanation", "explain"]
