"""An order for the axes of every tensor, so that the fewest permutes are left; the program in that order."""

from torchport.layout.cut import Orders, choose_orders, is_permutable
from torchport.layout.write import refused, write

__all__ = ["Orders", "choose_orders", "is_permutable", "refused", "write"]
