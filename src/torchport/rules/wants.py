"""Tensors as rules see them, and the orders that ops want them in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from torchport.axes import Order, position, to_order
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Var


class Want(Enum):
    """The order that an op wants one of its tensors in."""

    SOURCE = "the source's order"
    CHANNELS_FIRST = "channels first"
    SAME = "the order this op ends up in"
    ANY = "either: it turns weights instead"


@dataclass(frozen=True)
class Wants:
    """What an op wants of its tensors' orders: one entry for all inputs, one for all outputs.

    `cost` is what being channels first costs, in permutes, where the op can do it but not as well; a negative
    one, what the source's order costs.
    `why` is said when a permute is left because of this op.
    """

    inputs: Want
    outputs: Want
    why: str = ""
    cost: float = 0


#: Goes with its neighbours; axis arguments are turned by name.
FOLLOWS = Wants(Want.SAME, Want.SAME)
#: Looks at memory order.
MEMORY = Wants(Want.SOURCE, Want.SOURCE, "it reads values in the order of memory")
#: Wants channels behind the batch, as PyTorch's image modules do.
CHANNELS_FIRST = Wants(Want.CHANNELS_FIRST, Want.CHANNELS_FIRST, "its module wants channels first")
#: Wants the order in which the source has them.
SOURCE = Wants(Want.SOURCE, Want.SOURCE, "its module wants features last")


def image(x: Tensor, *, data_format: str | None) -> Wants:
    """Channels behind the batch: where the source has them last, that is another order."""
    return SOURCE if data_format == "channels_first" else CHANNELS_FIRST


@dataclass(frozen=True)
class Value(Expr):
    """A tensor as a rule sees it: its shape as in the source, and the order PyTorch holds it in."""

    tensor: Tensor
    order: Order

    @property
    def var(self) -> Var:
        return Var(self.tensor.name)

    @property
    def shape(self) -> Shape:
        """Sizes in the source's order."""
        return self.tensor.shape

    @property
    def sizes(self) -> Shape:
        """Sizes in the order in which PyTorch holds them."""
        return to_order(self.shape, self.order)

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def regroup(self) -> tuple[tuple[int, ...], ...]:
        """The pieces of a flattened axis that PyTorch holds channels first; () if as the source."""
        return self.tensor.parts if self.order is Order.CHANNELS_FIRST else ()

    def dim(self, axis: int) -> int:
        """Where PyTorch holds the source's axis number `axis`."""
        return position(axis, self.rank, self.order)
