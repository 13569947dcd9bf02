"""The table of rules: all that is known of each layer and operation stands in one entry of it.

A rule is a function that writes one call in PyTorch. Its keyword arguments are the layer's options
with the source's defaults; an option it does not name is refused. The decorator states the rest:
what the layer does to the order of axes, the shapes of its weights and of its output.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass, replace
from enum import Enum
from typing import Any

from torchport.axes import Order, position, to_order
from torchport.errors import TorchportError, Unsupported
from torchport.graph import Shape, Tensor, map_refs
from torchport.names import short_name
from torchport.program import Expr, Var
from torchport.rules import book, facts, guard
from torchport.rules.facts import DROPS, Masks, Reads, Training
from torchport.rules.window import Reading

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


class Bound:
    """An entry with the options of one op: what the other rooms ask. `y` is what the op writes."""

    @property
    def has_parts(self) -> bool:
        """Whether it says what flat axes are made of."""
        return False

    @property
    def has_weights(self) -> bool:
        """Whether it says what its weights are."""
        return True

    def shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shape of the output, or a list of those of several; None: that of the first input."""
        raise NotImplementedError

    def sizes(self, *args: Any, **kwargs: Any) -> Mapping[str, Shape]:
        """The shapes of the weights by name, in the order in which Keras makes them."""
        raise NotImplementedError

    def wants(self, *args: Any, **kwargs: Any) -> Wants:
        """The orders that it wants its tensors in."""
        raise NotImplementedError

    def parts(self, *args: Any, **kwargs: Any) -> Mapping[str, tuple[tuple[int, ...], ...]]:
        """What flat axes are made of, by the tensor's name."""
        return {}

    def dtype(self, *args: Any, **kwargs: Any) -> Any:
        """That of the output, or a list of those of several; "": that of the first input."""
        return ""

    def reads(self, *args: Any) -> Mapping[int, Reading]:
        """What an output step reads along each axis of the first input over which something slides."""
        return {}

    def expression(self, *args: Any, **kwargs: Any) -> Any:
        """What is written for a call."""
        raise NotImplementedError


@dataclass(frozen=True)
class Functions(Bound):
    """The functions of a rule, with those of the options that each names."""

    rule: Rule
    options: Mapping[str, Any]

    @property
    def has_parts(self) -> bool:
        return self.rule.parts is not None

    @property
    def has_weights(self) -> bool:
        return self.rule.weights is not None

    def shape(self, *args: Any) -> Any:
        return apply(self.rule.shape, args, self.options) if self.rule.shape else None

    def sizes(self, *args: Any, y: Any = None) -> Mapping[str, Shape]:
        return apply(self.rule.weights, args, self.options) if self.rule.weights else {}

    def wants(self, *args: Any, y: Any) -> Wants:
        wants = self.rule.wants
        return apply(wants, args, {**self.options, "out": y}) if callable(wants) else wants

    def parts(self, *args: Any, y: Any) -> Mapping[str, tuple[tuple[int, ...], ...]]:
        return apply(self.rule.parts, args, {**self.options, "out": y}) if self.rule.parts else {}

    def dtype(self, *args: Any) -> Any:
        dtype = self.rule.dtype
        return apply(dtype, args, self.options) if callable(dtype) else dtype

    def reads(self, *args: Any) -> Mapping[int, Reading]:
        return apply(self.rule.reads, args, self.options) if self.rule.reads else {}

    def expression(self, *args: Any, y: Any) -> Any:
        return apply(self.rule.write, args, {**self.options, "out": y})


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
    reads: Callable[..., Mapping[int, Reading]] | None = None

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

    @property
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


TABLE: dict[str, Rule] = {}


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
    reads: Callable[..., Mapping[int, Reading]] | None = None,
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
    over which something slides, by the axis.
    """
    if isinstance(masks, str) and masks and masks not in MASKS:
        raise TorchportError(f"masks={masks!r}", advice=f"say {' or '.join(map(repr, MASKS))}")

    def masks_of(kind: str, is_theirs: bool) -> Masks | None:
        found = masks.get(kind, DROPS) if isinstance(masks, Mapping) else masks
        return found if isinstance(found, Masks) else MASKS.get(found, None if is_theirs else DROPS)

    def enter(write: Callable[..., Any]) -> Callable[..., Any]:
        opened = book.opened()
        is_theirs = opened is not None or not str(write.__module__).startswith("torchport.")
        functions = [it for it in (write, wants, shape, weights, parts, dtype, reads) if callable(it)]
        given = {name for function in functions for name in named(function)}
        entry = Rule(
            kinds, write, wants, shape, weights, parts, activation, frozenset(ignores.split()),
            write.__module__.removeprefix("torchport.rules."), frozenset(given - RESERVED), only or {},
            constants, dtype, is_theirs, None, training, frozenset(statistics.split()), noun, value or noun,
            indexes, reads,
        )  # fmt: skip
        table = (opened or book.PROCESS).rules if is_theirs else TABLE
        for kind in kinds:
            if kind in TABLE or kind in table:
                known = (TABLE.get(kind) or table[kind]).write.__module__
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


#: Keyword arguments of a rule that are not options: the outputs as `Value`s, the Keras version, whether
#: BatchNorm has to match to the last bit, the shapes of the weights by name.
RESERVED = frozenset({"out", "dialect", "exact", "weight_shapes"})


def named(function: Callable[..., Any]) -> tuple[str, ...]:
    """The keyword-only parameters of a function, or of the one that it wraps."""
    if isinstance(function, type):  # its own options, then those of what it is made of
        return tuple(dict.fromkeys(name for cls in function.__mro__ for name in fields_of(cls)))
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:  # a partial: rare
        parameters = inspect.signature(function).parameters.values()
        return tuple(it.name for it in parameters if it.kind is it.KEYWORD_ONLY)
    return code.co_varnames[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]  # type: ignore[no-any-return]


def fields_of(cls: type) -> list[str]:
    """The fields that a dataclass declares itself."""
    known = {it.name for it in fields(cls)} if is_dataclass(cls) else set()
    return [name for name in cls.__dict__.get("__annotations__", {}) if name in known]


def apply(function: Callable[..., Any], args: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """Call a rule's function with the tensors and those of the options that it names."""
    return function(*args, **{name: options[name] for name in named(function) if name in options})


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
