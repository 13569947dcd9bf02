"""What is known of a layer whatever its options: masks, what it does in training, what it is linear in."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Reads(Enum):
    """The masks that a layer is given."""

    NONE = "none"
    FIRST = "that of its first argument"
    STEPS = "that of its first argument; in Keras 3 none, where it is given states too"
    TRAINING = "that of its first argument, where it acts as in training"
    INNER = "that of its first argument, if the layer inside of it reads one"
    LIST = "a list, one for each tensor that it takes"
    ANY = "a list, if any of its tensors has one"
    EACH = "one for each argument, by its name"


class Gives(Enum):
    """The mask that the output of a layer carries on."""

    NONE = "none"
    FIRST = "that of its first argument"
    STEPS = "that of its first argument, if it gives all steps"
    INNER = "what the layer inside of it makes of that of its first argument, at every step"
    LIST = "the first of its list"
    MERGED = "one made of those of all its tensors"
    LOOKUP = "what is not zero, with mask_zero"
    VALUES = "the steps of which any value is unlike mask_value"


@dataclass(frozen=True)
class Masks:
    """What a layer does with the masks that Keras carries from tensor to tensor: its `compute_mask`.

    `removes`: in Keras 3 it takes the mask off what it reads. `keras_2`: what it does there, where that is
    something else.
    """

    reads: Reads = Reads.NONE
    gives: Gives = Gives.NONE
    removes: bool = False
    keras_2: Masks | None = None

    def of(self, is_keras_2: bool) -> Masks:
        """The same in that version."""
        return self.keras_2 if is_keras_2 and self.keras_2 else self


#: The mask ends here.
DROPS = Masks()
#: `supports_masking`: the mask of the first argument goes on.
PASSES = Masks(gives=Gives.FIRST)
#: The same, in Keras 3 alone.
PASSES_NEWLY = Masks(gives=Gives.FIRST, keras_2=DROPS)
MERGES = Masks(gives=Gives.MERGED)
RECURRENT = Masks(Reads.STEPS, Gives.STEPS)


@dataclass(frozen=True)
class Linear:
    """What an affine layer is linear in: in evaluation, and before its activation, y = A x + b.

    `matrix`: the weights that A is made of; none of a layer whose options alone say it, such as a mean, a cut
    or a sum of its inputs. `shift`: those beside them that b is made of: without them, or where they are
    zero, b is zero, or what the options say (the offset of a Rescaling, the value of a margin).
    """

    matrix: tuple[str, ...] = ()
    shift: tuple[str, ...] = ()


#: A has no weights, b is nothing that is trained.
LINEAR = Linear()
#: As most layers with weights.
KERNEL = Linear(("kernel",), ("bias",))


@dataclass(frozen=True)
class Training:
    """What a layer does in training that it does not do otherwise.

    `amount`: the option that says how random it is, where one does. `rests`: what it is written as where a
    call says training=False: the identity, or the layer with other options (None: that is refused). `lasts`:
    whether its module may be in training whatever mode the model is in. `is_image`: it draws new images.
    """

    amount: str = ""
    rests: str | dict[str, object] | None = "Identity"
    lasts: bool = False
    is_image: bool = False


#: A share of values is dropped, or noise as strong is made.
DROPOUT = Training("rate", lasts=True)
NOISE = Training("stddev", lasts=True)
#: Another image than that which it is given.
AUGMENTS = Training(is_image=True)
