"""Repeated structure becomes classes: the program with the shortest description.

The objective is the number of lines of model.py, as `block.py` estimates it: a class costs its header and its
body once and a line at every use; what it replaces costs its lines every time. `factor.py` is the search.
"""

from torchport.blocks.order import in_reading_order
from torchport.blocks.program import factor

__all__ = ["factor", "in_reading_order"]
