"""The table of rules: all that is known of each layer and operation stands in one entry of it.

An entry is a class (`entry.py`), whose fields are the layer's options, or a function that writes one call in
PyTorch: its keyword arguments are the options with the source's defaults. One that is not named is refused.
The decorator states what is known whatever the options are.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from torchport.errors import TorchportError, Unsupported
from torchport.graph import Shape, map_refs
from torchport.names import short_name
from torchport.rules import book, facts, guard
from torchport.rules.bound import RESERVED, Bound, Functions, apply, named
from torchport.rules.facts import DROPS, Linear, Masks, Reads, Training
from torchport.rules.wants import CHANNELS_FIRST, FOLLOWS, MEMORY, SOURCE, Value, Want, Wants, image
from torchport.rules.window import Reading

#: What rules are written with, beside the table.
__all__ = [
    "CHANNELS_FIRST", "FOLLOWS", "MEMORY", "RESERVED", "SOURCE", "Bound", "Value", "Want", "Wants", "apply",
    "image", "named",
    "HALF", "IGNORED", "QUANTISED", "TABLE", "Rule", "find", "is_statistic", "rule", "rule_for",
]  # fmt: skip

#: Options that change how a model is trained or named, not what it computes.
IGNORED = frozenset(
    "name dtype trainable build_config batch_input_shape batch_shape input_shape input_dim "
    "input_length kernel_initializer bias_initializer kernel_regularizer bias_regularizer "
    "activity_regularizer kernel_constraint bias_constraint depthwise_initializer "
    "depthwise_regularizer depthwise_constraint pointwise_initializer pointwise_regularizer "
    "pointwise_constraint beta_initializer gamma_initializer beta_regularizer gamma_regularizer "
    "beta_constraint gamma_constraint moving_mean_initializer moving_variance_initializer "
    "alpha_initializer alpha_regularizer alpha_constraint seed synchronized "
    "recurrent_initializer recurrent_regularizer recurrent_constraint embeddings_initializer "
    "embeddings_regularizer embeddings_constraint".split()
)

#: Policies of half precision, and those of quantised weights.
HALF, QUANTISED = re.compile(r"float16"), re.compile(r"^(\w+?)(/\S+)?_from_")


LORA = "set the sums into layers without them: new.set_weights([old.kernel, old.bias])"

#: What a rule may say of masks in words.
MASKS = {"passes": facts.PASSES, "drops": facts.DROPS}


@dataclass(frozen=True)
class Rule:
    """One entry of the table: what is known of its kinds, and a function, or a class, for their options."""

    kinds: tuple[str, ...]
    write: Callable[..., Any]
    wants: Wants | Callable[..., Wants]
    shape: Callable[..., Any] | None
    weights: Callable[..., Mapping[str, Shape]] | None
    parts: Callable[..., Mapping[str, tuple[tuple[int, ...], ...]]] | None
    splits_activation: bool
    ignores: frozenset[str]
    family: str
    options: frozenset[str] = field(default=frozenset())
    only: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    constants: bool = False
    dtype: str | Callable[..., Any] = ""
    #: Whether it is no rule of torchport's own.
    is_theirs: bool = False
    #: None: a rule of the user's does not say.
    masks: Masks | None = DROPS
    training: Training | None = None
    #: Its weights that are statistics or counters, not trained.
    statistics: frozenset[str] = frozenset()
    noun: str = ""
    value: str = ""
    #: Whether what it reads are numbers of rows in a table: steps, not features.
    indexes: bool = False
    reads: Callable[..., Mapping[int, Reading] | Sequence[Mapping[int, Reading]]] | None = None
    #: None: of a layer that is not affine, or does not say so.
    linear: Linear | None = None
    products: Callable[..., int | None] | None = None

    @property
    def is_recurrent(self) -> bool:
        """Whether it goes step by step, and may be given the states to start from."""
        return self.masks is not None and self.masks.reads is Reads.STEPS

    def bind(
        self, options: Mapping[str, Any], tensor: Callable[[str], Any] | None = None, **reserved: Any
    ) -> Bound:
        """The entry with the options of one op. Raises Unsupported for one that is not known, or missing.

        `tensor` looks up those among the options, by name; `reserved`: of RESERVED what is known.
        """
        given = self.accept(options)
        if tensor is not None:
            given = {name: map_refs(value, tensor) for name, value in given.items()}
        if not isinstance(self.write, type):
            return Functions(self, {**given, **reserved})
        if missing := sorted(self.options - given.keys()):
            raise Unsupported(f"the option {', '.join(missing)} is missing")
        own = {name: it for name, it in reserved.items() if name in ("dialect", "exact")}
        return self.write(**given, **own)  # type: ignore[no-any-return]

    def accept(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """The options that the rule names. Raises Unsupported for one, or a value, that it does not."""
        if not self.is_theirs and options.get("lora_rank"):
            raise Unsupported(
                f"lora_rank={options['lora_rank']!r}: two small matrices train, not the kernel", LORA
            )
        unknown = set(options) - {"lora_rank", "lora_alpha"} - self.options - self.ignores - IGNORED
        if unknown:
            named = ", ".join(f"{name}={options[name]!r}" for name in sorted(unknown))
            advice = guard.missing(self.write, unknown) if self.is_theirs else ""
            raise Unsupported(f"the option {named} is not ported", advice)
        for name, values in self.only.items():
            if options.get(name, values[0]) not in values:
                ported = " or ".join(map(repr, values))
                raise Unsupported(f"{name}={options[name]!r} is not ported", f"{ported} is")
        policy = options.get("dtype")
        if (how := QUANTISED.match(str(policy))) is not None:
            raise Unsupported(
                f"its weights are quantised ({how[1]})",
                "add --dequantise (dequantise=True) for the network of floats that they stand for",
            )
        if "dtype" not in self.options and (isinstance(policy, Mapping) or HALF.search(str(policy))):
            raise Unsupported(
                f"the dtype policy {policy!r} is not ported",
                "build the model with dtype float32, set_weights(old.get_weights()), and save that",
            )
        given = {name: value for name, value in options.items() if name in self.options}
        return {**self.defaults, **given}

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """The source's defaults, as the rule's signature states them."""
        write = inspect.unwrap(self.write)
        if hasattr(write, "__code__"):
            return dict(write.__kwdefaults__ or {})
        parameters = inspect.signature(self.write).parameters.values()
        return {
            it.name: it.default
            for it in parameters
            if it.kind is it.KEYWORD_ONLY and it.default is not it.empty and it.name not in RESERVED
        }


class Table(Mapping[str, Rule]):
    """The rules of torchport's own by kind. Those of the usual layers come with the package; all others are
    imported when a kind is asked for that is not among them, or all kinds are.
    """

    def __init__(self) -> None:
        self.entered: dict[str, Rule] = {}

    @cached_property
    def whole(self) -> dict[str, Rule]:
        with book.entering(None):  # they are not those of the user's file that asks for them
            importlib.import_module("torchport.rules.families")
        return self.entered

    def __getitem__(self, kind: str) -> Rule:
        return self.entered.get(kind) or self.whole[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole)

    def __len__(self) -> int:
        return len(self.whole)


TABLE = Table()


def rule(
    *kinds: str,
    wants: Wants | Callable[..., Wants] = FOLLOWS,
    shape: Callable[..., Any] | None = None,
    weights: Callable[..., Mapping[str, Shape]] | None = None,
    parts: Callable[..., Mapping[str, tuple[tuple[int, ...], ...]]] | None = None,
    activation: bool = False,
    ignores: str = "",
    only: Mapping[str, tuple[Any, ...]] | None = None,
    constants: bool = False,
    dtype: str | Callable[..., Any] = "",
    masks: str | Masks | Mapping[str, Masks] = "",
    training: Training | None = None,
    statistics: str = "",
    noun: str = "",
    value: str = "",
    indexes: bool = False,
    reads: Callable[..., Mapping[int, Reading] | Sequence[Mapping[int, Reading]]] | None = None,
    linear: Linear | None = None,
    products: Callable[..., int | None] | None = None,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Enter a function in the table under one or more kinds.

    `wants`, `shape` and `weights` are called with the op's tensors and those of its options that
    they name; `shape=None` keeps the first input's. `parts` says what a flattened axis is made of.
    `activation=True`: the option `activation` is applied to the output, and split off before the
    rule is called. `ignores`: further options that change nothing here.
    `only`: the values of an option that are ported, where others are not. `constants`: the class
    keeps values from the options, in the order that all calls of the layer share. `dtype`: that of
    the output, or a function as `shape` (a list where outputs differ), where it is not the first input's.
    `masks`: what becomes of the mask that its first argument carries: "passes" on, or is gone ("drops"); more
    in `facts.Masks`, by kind where kinds differ. An option `mask` of the rule gets the mask itself.
    `training`: what it does in training alone. `statistics`: its weights that are not trained.
    `noun`: what a person calls such a layer, `value` what they call its output. `indexes`: what it reads are
    numbers of rows in a table. `reads`: a function as `shape`: what an output step reads along each axis
    over which something slides, by the axis; a list of these where inputs differ. `linear`: of an affine
    layer, what it is linear in.
    `products`: a function as `wants`: multiply-adds for one sample, where they are not those of its kernels
    at every step of the output; it gives None where they are not counted.
    """
    if isinstance(masks, str) and masks and masks not in MASKS:
        raise TorchportError(f"masks={masks!r}", advice=f"say {' or '.join(map(repr, MASKS))}")

    def masks_of(kind: str, is_theirs: bool) -> Masks | None:
        found = masks.get(kind, DROPS) if isinstance(masks, Mapping) else masks
        return found if isinstance(found, Masks) else MASKS.get(found, None if is_theirs else DROPS)

    def enter(write: Callable[..., Any]) -> Callable[..., Any]:
        opened = book.opened()
        is_theirs = opened is not None or not str(write.__module__).startswith("torchport.")
        asked = (write, wants, shape, weights, parts, dtype, reads, products)
        functions = [it for it in asked if callable(it)]
        given = {name for function in functions for name in named(function)}
        entry = Rule(
            kinds, write, wants, shape, weights, parts, activation, frozenset(ignores.split()),
            write.__module__.removeprefix("torchport.rules."), frozenset(given - RESERVED), only or {},
            constants, dtype, is_theirs, None, training, frozenset(statistics.split()), noun, value or noun,
            indexes, reads, linear, products,
        )  # fmt: skip
        table = (opened or book.PROCESS).rules if is_theirs else TABLE.entered
        known_here = {**TABLE, **table} if is_theirs else table
        for kind in kinds:
            if kind in known_here:
                known = known_here[kind].write.__module__
                advice = "give yours another name; a rule of torchport's own cannot be replaced"
                raise TorchportError(f"there already is a rule for {kind}, in {known}", advice=advice)
            own = replace(entry, masks=masks_of(kind, is_theirs))
            table[kind] = careful(own, kind) if is_theirs else own
        return write

    return enter


def careful(entry: Rule, kind: str) -> Rule:
    """A rule of the user's, whose functions say what is wrong in them."""

    def checked(function: Any, wrong: Callable[[Any], str]) -> Any:
        return guard.guarded(function, kind, wrong) if callable(function) else function

    return replace(
        entry,
        write=guard.named_here(checked(entry.write, guard.not_expression), kind),
        wants=checked(entry.wants, guard.unlike(Wants)),
        shape=checked(entry.shape, guard.not_shapes),
        weights=checked(entry.weights, guard.not_weights),
        dtype=checked(entry.dtype, guard.not_dtypes),
    )


def find(kind: str) -> Rule | None:
    """The rule of a kind; for a class from elsewhere, a rule of the user's for a class of that name."""
    theirs = book.active().rules
    return TABLE.get(kind) or theirs.get(kind) or theirs.get(short_name(kind))


def is_statistic(name: str, kind: str = "") -> bool:
    """Whether a weight of a layer is a statistic or counter; where the kind says nothing, by its name."""
    entry = find(kind)
    known = TABLE.values() if entry is None or entry.is_theirs else (entry,)
    return any(name.rpartition("/")[2] in it.statistics for it in known)


def rule_for(kind: str) -> Rule:
    """The rule of a kind. Raises Unsupported where there is none."""
    found = find(kind)
    if found is None:
        raise Unsupported("this layer is not ported", "`torchport rules` lists those that are")
    return found
