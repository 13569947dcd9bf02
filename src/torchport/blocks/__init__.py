"""Repeated structure becomes classes: the program with the shortest description.

The objective is the number of lines of model.py. `cost.py` estimates it, candidates are compared by that:
regions (`families.py`), repeats (`repeats.py`), near matches of known blocks (`variants.py`), which
`align.py` makes one. `factor.py` takes them in turn; `program.py` measures the text, and gives up what does
not make it shorter. `structures.py` has the names of classes, a line for each.
"""

from torchport.blocks.order import in_reading_order
from torchport.blocks.program import factor

__all__ = ["factor", "in_reading_order"]
