"""Functions beside the module that make numbers of text, and the files of their words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torchport.emit.expression import number
from torchport.graph import Text
from torchport.program import Definition

#: A list that is written into the source, by its length in characters; others get a file of their own.
SHORT = 80


def names(definition: Definition, inputs: Mapping[str, str]) -> dict[str, str]:
    """The function for each input of text: `encode`, or with several `encode_title`."""
    several = len(definition.texts) > 1
    return {name: f"encode_{inputs[name]}" if several else "encode" for name in definition.texts}


def prefix(function: str) -> str:
    """What stands before the names of a function's lists: `title_`, or nothing."""
    rest = function.removeprefix("encode").lstrip("_")
    return f"{rest}_" if rest else ""


def files(definition: Definition, inputs: Mapping[str, str]) -> Iterator[tuple[str, list[Any]]]:
    """Lists that are too long for the source: the file's name, and what JSON it holds."""
    for name, function in names(definition, inputs).items():
        text = definition.texts[name]
        for what, values in (("vocabulary", text.tokens), ("idf_weights", text.weights)):
            if len(inline(values)) > SHORT:
                yield f"{prefix(function)}{what}.json", list(values)


def inline(values: tuple[Any, ...]) -> str:
    """A list as source text."""
    return f"[{', '.join(number(it) if isinstance(it, float) else repr(it) for it in values)}]"


def listed(what: str, function: str, values: tuple[Any, ...]) -> str:
    """A constant with the values: as they are, or read from their file."""
    name, text = f"{prefix(function)}{what}", inline(values)
    if len(text) > SHORT:
        text = f'json.loads(Path(__file__).with_name("{name}.json").read_text(encoding="utf-8"))'
    return f"{name.upper()} = {text}"


def functions(definition: Definition, inputs: Mapping[str, str]) -> list[str]:
    """The source text of the functions, each with its lists."""
    found = []
    for name, function in names(definition, inputs).items():
        text = definition.texts[name]
        spec = next(it for it in definition.inputs if it.name == name)
        found.append("\n".join(constants(function, text)))
        shape = ", ".join(str(size or ("n" if not at else "t")) for at, size in enumerate(spec.shape))
        found.append(body(function, text, inputs[name], f"({shape}{',' * (len(spec.shape) == 1)})"))
    return found


def constants(function: str, text: Text) -> Iterator[str]:
    names = f"{prefix(function)}vocabulary".upper()
    yield listed("vocabulary", function, text.tokens)
    start = f", {text.start}" if text.start else ""
    places = f"{{word: place for place, word in enumerate({names}{start})}}"
    mask = {"int": 0, "one_hot": -1}.get(text.mode)
    if text.mask is not None and mask is not None and not text.split:
        places = f"{{{text.mask!r}: {mask}}} | {places}"
    yield f"{prefix(function)}places".upper() + f" = {places}"
    if text.weights:
        yield listed("idf_weights", function, text.weights)


def body(function: str, text: Text, argument: str, shape: str) -> str:
    """The function itself."""
    each = "Sequence[Sequence[str]]" if rows_given(text) else "Sequence[str]"
    word = place(text, f"{prefix(function)}places".upper())
    if text.mask is not None and text.mode not in ("int", "one_hot") and not text.split:
        condition = f" if word != {text.mask!r}"
    else:
        condition = ""
    if text.split:
        rows = f"[[{word} for word in {words(text)}] for text in texts]"
    elif rows_given(text):
        rows = f"[[{word} for word in {plain('row', text)}{condition}] for row in texts]"
    elif len(text.shape) == 1:
        rows = f"[{word} for word in {plain('texts', text)}]"
    else:
        inside = f"[{word}]{condition} else []" if condition else f"[{word}]"
        rows = f"[{inside} for word in {plain('texts', text)}]"
    what = "Texts" if text.split else "Words"
    lines = [
        f"def {function}(texts: {each}) -> Tensor:",
        f'    """{what} as `forward` takes them for `{argument}`: {shape}.',
        "",
        f"    {meaning(text)}",
        '    """',
        f"    rows = {rows}",
        f"    return {result(text, f'{prefix(function)}idf_weights'.upper())}",
    ]
    return "\n".join(lines)


def rows_given(text: Text) -> bool:
    """Whether each entry of the batch is several words."""
    return not text.split and len(text.shape) == 2 and text.shape[1] != 1


def place(text: Text, places: str) -> str:
    """The number of `word`."""
    if text.unknown == 0:
        return f"{places}[word]"
    first = text.start - text.unknown
    if text.unknown == 1:
        return f"{places}.get(word, {first})"
    hashed = "text_fingerprint(word.encode())"
    if text.salt is not None:
        hashed = f"sip_hash(word.encode(), {text.salt})"
    unknown = f"{hashed} % {text.unknown}" + (f" + {first}" if first else "")
    return f"{places}[word] if word in {places} else {unknown}"


def standardized(argument: str, text: Text) -> str:
    if "lower" in text.standardize:
        argument = f"ascii_lower({argument})"
    return f"strip_punctuation({argument})" if "strip" in text.standardize else argument


def plain(argument: str, text: Text) -> str:
    """Words that are not split, in their plain form."""
    return f"({standardized('it', text)} for it in {argument})" if text.standardize else argument


def words(text: Text) -> str:
    """The words of `text`."""
    found = standardized("text", text)
    if text.split == "whitespace":
        found = f"ascii_words({found})"
    lengths = f"({text.ngrams[0]},)" if len(text.ngrams) == 1 else str(text.ngrams)
    return f"word_ngrams({found}, {lengths})" if text.ngrams else found


def meaning(text: Text) -> str:
    """What the numbers stand for."""
    if text.mode == "int":
        first = text.start - text.unknown
        unknown = (
            f"{first} is an unknown word"
            if text.unknown == 1
            else f"{first} to {text.start - 1} are unknown words"
        )
        parts = ["0 is padding" if text.pads else "0 is masked"] if first else []
        parts += [unknown] if text.unknown else ["all words must be known"]
        return f"{', '.join(parts)}."
    return {
        "one_hot": "A vector for each word.", "multi_hot": "Which words occur.",
        "count": "How often each word occurs.", "tf_idf": "How often each word occurs, times its weight.",
    }[text.mode]  # fmt: skip


def result(text: Text, weights: str) -> str:
    """What the rows of numbers become."""
    if text.mode == "int":
        if text.pads:
            return f"padded_rows(rows{'' if text.length is None else f', {text.length}'})"
        return "torch.tensor(rows, dtype=torch.int64)"
    if text.mode == "one_hot":
        rows = "torch.tensor(rows)"
        if len(text.shape) == 2 and text.shape[1] == 1:
            rows += ".squeeze(1)"
        return f"one_hot_vectors({rows}, {text.depth})"
    counts = f"row_counts(rows, {text.depth})"
    if text.mode == "multi_hot":
        return f"{counts}.clamp(max=1)"
    return f"{counts} * torch.tensor({weights})" if text.weights else counts


def flat(given: Any) -> list[Any]:
    """Texts as the functions take them: of an array (n, 1) its entries, of (n, m) its rows."""
    rows = given.tolist() if hasattr(given, "tolist") else list(given)
    return [it[0] if isinstance(it, (list, tuple)) and len(it) == 1 else it for it in rows]
