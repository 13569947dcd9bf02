"""Random options of the layers that read text, and random texts: the numbers are Keras's, or it is refused.

How many, and from which seed: tests/examples.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.examples import examples

import torchport
from torchport.errors import Refused

Draw = Callable[[st.SearchStrategy[Any]], Any]

#: Letters whose small letters, marks and spaces are odd, beside usual ones.
LETTERS = st.sampled_from("abcABC .,!-'\t\nßÄéİıσΣς\u0301\u00a0\u2003\u200bǅ中😀") | st.characters(
    exclude_categories=["Cs"], exclude_characters="\0"
)
TEXTS = st.text(LETTERS, max_size=12)
WORDS = st.text(st.sampled_from("abcäé'"), min_size=1, max_size=3)


@st.composite
def lookups(draw: Draw, kind: str) -> tuple[dict[str, Any], list[str]]:
    """The options of a layer, and texts of which some hold its words."""
    words = draw(st.lists(WORDS, min_size=1, max_size=6, unique=True))
    options: dict[str, Any] = {"vocabulary": words}
    options["output_mode"] = draw(st.sampled_from(["int", "multi_hot", "count"]))
    known = st.sampled_from(words)
    if kind == "StringLookup":
        if options["output_mode"] == "int" and draw(st.booleans()):
            options["mask_token"] = draw(st.sampled_from(["", "a", "[M]"]))
        options["num_oov_indices"] = draw(st.sampled_from([1, 1, 2]))
        return options, draw(st.lists(known | TEXTS, min_size=1, max_size=6))
    options["standardize"] = draw(
        st.sampled_from(["lower_and_strip_punctuation", "lower", "strip_punctuation", None])
    )
    options["split"] = draw(st.sampled_from(["whitespace", "character"]))
    if draw(st.booleans()):
        options["ngrams"] = draw(st.sampled_from([2, 3, (1, 2), (2,)]))
    if options["output_mode"] == "int" and draw(st.booleans()):
        options["output_sequence_length"] = draw(st.integers(1, 8))
    sentences = st.lists(known | TEXTS, max_size=5).map(" ".join)
    return options, draw(st.lists(sentences, min_size=1, max_size=4))


@pytest.mark.parametrize("kind", ["StringLookup", "TextVectorization"])
def test_numbers_are_keras_numbers(kind: str) -> None:
    agreed, refusals = 0, []

    @examples(10)
    @given(lookups(kind))
    def check(drawn: tuple[dict[str, Any], list[str]]) -> None:
        nonlocal agreed
        options, texts = drawn
        x = keras.Input((1,), dtype="string", name="text")
        try:
            made = getattr(keras.layers, kind)(**options)(x)
            model = keras.Model(x, keras.ops.cast(made, "float32") * 2.0)
            given = np.reshape(texts, (-1, 1)).tolist()
            want = model(keras.ops.convert_to_tensor(given)).numpy()
        except ValueError:  # two tokens that are one
            assume(False)
        try:
            port = torchport.convert(model)
        except Refused as refused:
            refusals.extend(it.why for it in refused.refusals)
            return
        np.testing.assert_array_equal(port.run(np.array(given, dtype=object)), want)
        agreed += 1

    check()
    assert agreed > len(refusals), refusals
