"""Embeddings of positions, of keras_hub (keras_nlp before) and of keras_pos_embd."""

from __future__ import annotations

from collections.abc import Mapping

from torchport.errors import Unsupported
from torchport.graph import Shape, Tensor
from torchport.program import Expr, Load, State, call, module
from torchport.rules.arguments import default, unless
from torchport.rules.dtypes import as_index
from torchport.rules.embedding import LOOKUP
from torchport.rules.facts import PASSES
from torchport.rules.sizes import features
from torchport.rules.table import SOURCE, Value, rule


def of_steps(x: Value, name: str, weight: str, size: int, width: int) -> Expr:
    """A row for each step of `x`, the first of a parameter. Raises Unsupported where it has too few."""
    count = x.shape[1]
    if count is not None and count > size:
        why = f"{count} steps, and positions for {size}"
        raise Unsupported(why, "embed as many positions as there are steps")
    table = State(name, Load.of(weight, "t c -> t c"), (size, width))
    return table if count == size else table[(slice(None, call(".size", x, 1)),)]


def check_steps(x: Tensor, rank: int) -> Shape:
    """The shape of a sequence of this rank. Raises Unsupported for another."""
    if len(x.shape) != rank:
        raise Unsupported(f"a tensor with {len(x.shape)} axes", "give it sequences")
    return x.shape


def sequence_shape(x: Tensor) -> Shape:
    return check_steps(x, 3)


def position_weights(x: Tensor, *, sequence_length: int) -> Mapping[str, Shape]:
    return {"embeddings": (sequence_length, features(x))}


@rule(
    "keras_hub>PositionEmbedding", "keras_nlp>PositionEmbedding", wants=SOURCE, shape=sequence_shape,
    weights=position_weights, ignores="initializer",
)  # fmt: skip
def position_embedding(x: Value, *, sequence_length: int) -> Expr:
    """A parameter, for each sample. Source: keras_hub/src/layers/modeling/position_embedding.py."""
    return call(".expand_as", of_steps(x, "positions", "embeddings", sequence_length, features(x)), x)


def tokens_shape(x: Tensor, *, embedding_dim: int) -> Shape:
    return (*check_steps(x, 2), embedding_dim)


def tokens_weights(
    x: Tensor, *, vocabulary_size: int, sequence_length: int, embedding_dim: int
) -> Mapping[str, Shape]:
    return {
        "token_embedding/embeddings": (vocabulary_size, embedding_dim),
        "position_embedding/embeddings": (sequence_length, embedding_dim),
    }


@rule(
    "keras_hub>TokenAndPositionEmbedding", "keras_nlp>TokenAndPositionEmbedding", wants=SOURCE,
    shape=tokens_shape, weights=tokens_weights, dtype="float32", ignores="mask_zero",
    only={"tie_weights": (True,)}, masks=LOOKUP, indexes=True,
)  # fmt: skip
def token_and_position_embedding(
    x: Value, *, vocabulary_size: int, sequence_length: int, embedding_dim: int, tie_weights: bool = True
) -> Expr:
    """nn.Embedding, and a parameter of the positions.

    Source: keras_hub/src/layers/modeling/token_and_position_embedding.py.
    """
    loads = {"weight": Load.of("token_embedding/embeddings", "v d -> v d")}
    table = module("nn.Embedding", vocabulary_size, embedding_dim, role="tokens", loads=loads)
    rows = of_steps(x, "positions", "position_embedding/embeddings", sequence_length, embedding_dim)
    return table(as_index(x)) + rows


@rule("keras_hub>SinePositionEncoding", "keras_nlp>SinePositionEncoding", wants=SOURCE, shape=sequence_shape)
def sine_position_encoding(x: Value, *, max_wavelength: float = 10000) -> Expr:
    """A helper of a few lines. Source: keras_hub/src/layers/modeling/sine_position_encoding.py, call."""
    return call(".expand_as", call("sine_positions", x, *unless(max_wavelength, 10000)), x)


def rotary_shape(x: Tensor, *, sequence_axis: int, feature_axis: int) -> Shape:
    if (
        len(x.shape) < 3
        or sequence_axis % len(x.shape) != 1
        or feature_axis % len(x.shape) != len(x.shape) - 1
    ):
        raise Unsupported(
            f"sequence_axis={sequence_axis}, feature_axis={feature_axis}", "steps first, features last"
        )
    if features(x) % 2:
        raise Unsupported(f"of {features(x)} features", "give it an even number of them")
    return x.shape


@rule(
    "keras_hub>RotaryEmbedding", "keras_nlp>RotaryEmbedding", wants=SOURCE, shape=rotary_shape,
    only={"rope_type": ("linear",), "denominator_dim": (None,), "positions": (None,), "start_index": (0,)},
    ignores="beta_fast beta_slow original_max_position_embeddings truncate rope_type denominator_dim "
    "positions start_index",
)  # fmt: skip
def rotary_embedding(
    x: Value, *, max_wavelength: float = 10000, scaling_factor: float = 1.0, sequence_axis: int = 1,
    feature_axis: int = -1,
) -> Expr:  # fmt: skip
    """A helper of a few lines. Source: keras_hub/src/layers/modeling/rotary_embedding.py, call."""
    options = {
        "max_wavelength": default(float(max_wavelength), 10000.0),
        "scale": default(float(scaling_factor), 1.0),
    }
    return call("rotate_positions", x, **options)


@rule(
    "keras_pos_embd>TrigPosEmbedding", wants=SOURCE, shape=sequence_shape, masks=PASSES,
    only={"mode": ("add",)}, ignores="output_dim",
)  # fmt: skip
def trigonometric_embedding(x: Value, *, mode: str = "add") -> Expr:
    """Added to x. Source: keras_pos_embd/trig_pos_embd.py, call."""
    return x + call("sine_positions", x)


def added_weights(x: Tensor, *, input_dim: int, output_dim: int) -> Mapping[str, Shape]:
    if output_dim != features(x):
        raise Unsupported(f"output_dim={output_dim} of {features(x)} features", "make them the same")
    return {"embeddings": (input_dim, output_dim)}


@rule(
    "keras_pos_embd>PositionEmbedding", wants=SOURCE, shape=sequence_shape, weights=added_weights,
    masks=PASSES, only={"mode": ("add",)}, ignores="mask_zero",
)  # fmt: skip
def added_embedding(x: Value, *, input_dim: int, output_dim: int, mode: str = "add") -> Expr:
    """A parameter added to x. Source: keras_pos_embd/pos_embd.py, call."""
    return x + of_steps(x, "positions", "embeddings", input_dim, output_dim)
