"""What a model returns, nested as in the source: dictionaries, lists, and one tensor at each leaf.

The leaves have Keras's order: those of a dictionary by its sorted keys (`tree.flatten`, `tf.nest.flatten`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


def leaves(tree: Any) -> Iterator[Any]:
    """The leaves of whatever is nested."""
    if isinstance(tree, Mapping):
        for key in sorted(tree):
            yield from leaves(tree[key])
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from leaves(item)
    else:
        yield tree


def flat(value: Any, like: Any) -> list[Any]:
    """The leaves of a value that is nested like `like`. Raises ValueError where it is not."""
    return list(_leaves(value, like, "what is returned"))


def _leaves(value: Any, like: Any, where: str) -> Iterator[Any]:
    if isinstance(like, Mapping):
        if not isinstance(value, Mapping) or set(value) != set(like):
            given = (
                f"the keys {sorted(map(str, value))}" if isinstance(value, Mapping) else type(value).__name__
            )
            raise ValueError(f"{where} has {given}, not the keys {sorted(like)}")
        for key in sorted(like):
            yield from _leaves(value[key], like[key], f"{where}[{key!r}]")
    elif isinstance(like, (tuple, list)):
        if not isinstance(value, (tuple, list)) or len(value) != len(like):
            given = f"{len(value)} items" if isinstance(value, (tuple, list)) else type(value).__name__
            raise ValueError(f"{where} has {given}, not {len(like)} items")
        for at, (item, inner) in enumerate(zip(value, like, strict=True)):
            yield from _leaves(item, inner, f"{where}[{at}]")
    else:
        yield value


def packed(leaves: Sequence[Any], like: Any) -> Any:
    """Leaves nested like `like`: dictionaries with its keys in its order, lists as tuples."""
    left = iter(leaves)

    def pack(inner: Any) -> Any:
        if isinstance(inner, Mapping):
            made = {key: pack(inner[key]) for key in sorted(inner)}
            return {key: made[key] for key in inner}
        return tuple(map(pack, inner)) if isinstance(inner, (tuple, list)) else next(left)

    return pack(like)


def described(like: Any, leaf: Any) -> str:
    """A nest as text for a docstring; `leaf` gives that of a leaf."""
    if isinstance(like, Mapping):
        items = (f"{quoted(key)}: {described(it, leaf)}" for key, it in like.items())
        return f"{{{', '.join(items)}}}"
    if isinstance(like, (tuple, list)):
        inside = ", ".join(described(it, leaf) for it in like)
        return f"({inside}{',' * (len(like) == 1)})"
    return str(leaf(like))


def quoted(key: str) -> str:
    """A key as it may stand in a docstring, whatever is in it."""
    return ascii(key).replace("\\", "\\\\").replace('"', '\\"')


def annotation(like: Any) -> str:
    """The type of a nest of tensors: `dict[str, Tensor]`."""
    if isinstance(like, Mapping):
        kinds = dict.fromkeys(annotation(it) for it in like.values())
        return f"dict[str, {' | '.join(kinds) or 'Tensor'}]"
    if isinstance(like, (tuple, list)):
        return f"tuple[{', '.join(map(annotation, like)) or '()'}]"
    return "Tensor"
