"""Layers that read text: the function beside the module makes the numbers that Keras makes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tests.quick import QUICK

import torchport
from torchport.errors import Refused

L = keras.layers
WORDS = ["the", "cat", "sat", "on", "mat", "it's", "its"]
TEXTS = [
    "The cat sat on the mat.", "", "   ", "It's\tits  own\u00a0mat!", "CAT cat Cat, dog-dog",
    "ÄRGER ärger naïve",
    "the " * 9, "a\u2028b\x1cc on", "l" * 70 + " sat", "[UNK] the", "!!! ??", "d" * 33 + " e" * 5,
]  # fmt: skip
#: Without the kinds of space at which Keras, reading a vocabulary from its file, cuts a word in two.
PLAIN = [text for text in TEXTS if "\u2028" not in text]
WEIGHTS = [0.1, 0.25, 0.5, 1.5, 0.75, 2.0, 0.3]


def vectorizer(**options: Any) -> Any:
    return L.TextVectorization(vocabulary=options.pop("vocabulary", WORDS), **options)


def lookup(**options: Any) -> Any:
    return L.StringLookup(vocabulary=options.pop("vocabulary", WORDS), **options)


def behind(layer: Any, shape: tuple[int, ...]) -> keras.Model:
    """A model that reads text and does little with its numbers."""
    inputs = keras.Input(shape, dtype="string", name="review")
    return keras.Model(inputs, keras.ops.cast(layer(inputs), "float32") * 2.0)


def same(model: keras.Model, texts: Any, source: Any = None) -> torchport.Port:
    port = torchport.convert(source or model)
    want = model(keras.ops.convert_to_tensor(texts)).numpy()
    np.testing.assert_array_equal(port.run(np.array(texts, dtype=object)), want)
    return port


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"output_sequence_length": 4},
        {"output_sequence_length": 12},
        {"standardize": None},
        {"standardize": "lower"},
        {"standardize": "strip_punctuation"},
        {"split": "character", "vocabulary": [*"abcet ß'"]},
        {"split": "character", "vocabulary": [*"abct"], "ngrams": 2, "standardize": "lower"},
        {"ngrams": 2, "vocabulary": [*WORDS, "the cat", "on the"]},
        {"ngrams": (2,), "vocabulary": ["the cat", "on the"]},
        {"ngrams": (3, 1), "vocabulary": [*WORDS, "the cat sat", "on the mat"]},
        {"vocabulary": ["", "[UNK]", *WORDS]},
        {"output_mode": "multi_hot"},
        {"output_mode": "count"},
        {"output_mode": "count", "vocabulary": ["[UNK]", *WORDS]},
        {"output_mode": "count", "max_tokens": 11, "pad_to_max_tokens": True},
        {"output_mode": "tf_idf", "idf_weights": WEIGHTS},
        {"output_mode": "tf_idf", "idf_weights": [0.9, *WEIGHTS], "vocabulary": ["[UNK]", *WORDS]},
        {"output_mode": "tf_idf", "idf_weights": WEIGHTS, "max_tokens": 11, "pad_to_max_tokens": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(), (1,)], ids=str)
def test_text_vectorization(options: dict[str, Any], shape: tuple[int, ...]) -> None:
    same(behind(vectorizer(**options), shape), np.reshape(TEXTS, (-1, *shape)).tolist())


@pytest.mark.parametrize("split", ["whitespace", "character"])
def test_letters_of_all_kinds(split: str) -> None:
    """Spaces, punctuation and cases of the whole of Unicode are those that TensorFlow sees."""
    rng = np.random.default_rng(0)
    codes = [*range(1, 0x700), *range(0x1E00, 0x3100), *range(0xFE00, 0x10000), 0x1F600, 0x10FFFF]
    letters = [chr(code) for code in codes]
    texts = ["".join(rng.choice(letters, 12)) + " " + rng.choice(letters) for _ in range(300)]
    texts += [f"a{letter}b" for letter in letters]
    words = sorted(
        {word for text in texts for word in (text.split(" ") if split == "whitespace" else text)} - {""}
    )
    same(
        behind(vectorizer(split=split, vocabulary=list(dict.fromkeys(["a", "b", "ab", *words[::2]]))), (1,)),
        [[it] for it in texts],
    )


ROWS = [["the", "cat"], ["dog", "the"], ["", "mat"], ["THE", "x" * 90], ["mat", "mat"]]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"mask_token": ""},
        {"num_oov_indices": 3},
        {"num_oov_indices": 3, "mask_token": "", "salt": (133, -7)},
        {"num_oov_indices": 2, "salt": 5},
        {"vocabulary": ["", "[UNK]", *WORDS], "mask_token": ""},
        {"output_mode": "one_hot"},
        {"output_mode": "one_hot", "mask_token": ""},
        {"output_mode": "multi_hot"},
        {"output_mode": "count", "num_oov_indices": 2},
        {"output_mode": "multi_hot", "mask_token": ""},
        {"output_mode": "count", "mask_token": "", "max_tokens": 12, "pad_to_max_tokens": True},
        {"output_mode": "tf_idf", "idf_weights": WEIGHTS, "num_oov_indices": 2},
    ],
    ids=str,
)
@pytest.mark.parametrize("shape", [(), (1,), (2,)], ids=str)
def test_string_lookup(options: dict[str, Any], shape: tuple[int, ...]) -> None:
    mode = options.get("output_mode", "int")
    if shape == () and mode != "int":
        pytest.skip("Keras makes one vector of the whole batch, or none")
    words = ROWS if shape == (2,) else np.reshape([it for row in ROWS for it in row], (-1, *shape)).tolist()
    same(behind(lookup(**options), shape), words)


@pytest.mark.parametrize("options", [{}, {"output_sequence_length": 5}, {"output_mode": "count"}], ids=str)
@pytest.mark.parametrize("shape", [(1,), (2,)], ids=str)
def test_vectorization_of_words(options: dict[str, Any], shape: tuple[int, ...]) -> None:
    """Without a split each text is a word."""
    words = ROWS if shape == (2,) else [[it] for row in ROWS for it in row]
    same(behind(vectorizer(split=None, **options), shape), words)


def test_unknown_words_are_an_error_in_both() -> None:
    model = behind(lookup(num_oov_indices=0), (1,))
    port = same(model, [["the"], ["mat"]])
    with pytest.raises(KeyError):
        port.run(np.array([["dog"]], dtype=object))
    with pytest.raises(Exception, match="in vocabulary"):
        model(keras.ops.convert_to_tensor([["dog"]]))


def classifier(layer: Any) -> keras.Sequential:
    depth = layer.vocabulary_size()
    return keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            layer,
            L.Embedding(depth, 4, mask_zero=True),
            L.LSTM(5),
            L.Dense(1, activation="sigmoid"),
        ]
    )


@pytest.mark.parametrize("how", ["file", "live"])
@pytest.mark.parametrize("options", [{}, {"output_sequence_length": 7}, {"max_tokens": 9}], ids=str)
def test_adapted_and_verified(tmp_path: Path, how: str, options: dict[str, Any]) -> None:
    """The vocabulary is in the archive's assets; a long one has a file beside the module."""
    layer = L.TextVectorization(**options)
    layer.adapt([*PLAIN, *(f"word{at} of many" for at in range(20))])
    model, path = classifier(layer), tmp_path / "model.keras"
    model.save(path)
    source = path if how == "file" else model
    port = torchport.convert(source)
    folder = port.save(tmp_path / "port")
    words = layer.get_vocabulary()[2:]
    if len(words) > 20:
        assert json.loads((folder / "vocabulary.json").read_text()) == words
    else:
        assert not (folder / "vocabulary.json").exists() and "VOCABULARY = [" in port.code
    found = torchport.verify(source, folder, **QUICK)
    assert found.passed, str(found)
    want = model(keras.ops.convert_to_tensor([[it] for it in TEXTS])).numpy()
    np.testing.assert_allclose(port.run(np.array(TEXTS, dtype=object)[:, None]), want, atol=1e-6)


def test_tf_idf_adapted(tmp_path: Path) -> None:
    layer = L.TextVectorization(output_mode="tf_idf")
    layer.adapt(PLAIN)
    inputs = keras.Input((1,), dtype="string")
    model = keras.Model(inputs, L.Dense(3)(layer(inputs)))
    path = tmp_path / "model.keras"
    model.save(path)
    for source in (path, model):
        assert torchport.verify(source, torchport.convert(source), **QUICK).passed


def test_two_texts_and_numbers(tmp_path: Path) -> None:
    title, body = (
        keras.Input((1,), dtype="string", name="title"),
        keras.Input((), dtype="string", name="body"),
    )
    price = keras.Input((2,), name="price")
    words, tags = L.TextVectorization(output_mode="multi_hot"), lookup(output_mode="one_hot")
    words.adapt(PLAIN)
    model = keras.Model([title, price, body], L.Dense(3)(L.Concatenate()([words(body), tags(title), price])))
    path = tmp_path / "model.keras"
    model.save(path)
    port = torchport.convert(path)
    assert "def encode_title(" in port.code and "def encode_body(" in port.code
    folder = port.save(tmp_path / "port")
    assert {it.name for it in folder.glob("*.json")} == {"port.json", "body_vocabulary.json"}
    found = torchport.verify(path, folder, **QUICK)
    assert found.passed, str(found)
    port.save(folder, force=True)


def test_integers_adapted(tmp_path: Path) -> None:
    layer = L.IntegerLookup(mask_token=0)
    layer.adapt([[3], [4], [3], [9]])
    inputs = keras.Input((1,), dtype="int64")
    model = keras.Model(inputs, L.Embedding(7, 2)(layer(inputs)))
    path = tmp_path / "model.keras"
    model.save(path)
    given = np.array([[0], [3], [4], [9], [5], [-1]])
    for source in (path, model):
        port = torchport.convert(source)
        np.testing.assert_array_equal(port.run(given), model.predict(given, verbose=0))


def test_vectors_of_integers_are_verified() -> None:
    inputs = keras.Input((3,), dtype="int64")
    layer = L.IntegerLookup(vocabulary=[1, 2, 5], output_mode="multi_hot")
    model = keras.Model(inputs, L.Dense(2)(layer(inputs)))
    found = torchport.verify(model, torchport.convert(model), **QUICK)
    assert found.passed, str(found)


def refused(model: keras.Model) -> str:
    with pytest.raises(Refused) as caught:
        torchport.convert(model)
    return str(caught.value)


def test_what_is_refused() -> None:
    text = keras.Input((1,), dtype="string")
    both = keras.Model(
        text, [L.Embedding(9, 2)(lookup()(text)), L.Dense(2)(lookup(output_mode="count")(text))]
    )
    assert "several layers read" in refused(both)
    inner = keras.Model(text, L.Embedding(9, 2)(lookup()(text)))
    assert "nested model" in refused(keras.Model(text, inner(text)))
    assert "no tensors of text" in refused(keras.Model(text, L.Embedding(9, 2)(L.Hashing(9)(text))))
    assert "ragged=True" in refused(keras.Model(text, L.Identity()(vectorizer(ragged=True)(text))))
    assert "as they are" in refused(keras.Model(text, lookup()(text)))
    numbers = keras.Input((1,), dtype="int64")
    assert "no tensors of text" in refused(keras.Model(numbers, lookup(invert=True)(numbers)))
    assert "no vocabulary" in refused(keras.Model(text, L.Identity()(L.TextVectorization()(text))))


def test_words_cannot_leave_their_quotes() -> None:
    """A vocabulary is data: it is escaped where it stands in the source."""
    words = ['"', "'''", "\\", "\n", '"""\nimport os\n"""', "{x}", "\u2028", "%s"]
    port = same(behind(lookup(vocabulary=words), (1,)), [[it] for it in [*words, "other"]])
    assert "\nimport os" not in port.code


@pytest.mark.parametrize(
    "layer",
    [
        lambda: vectorizer(ngrams=2, output_sequence_length=4),
        lambda: vectorizer(output_mode="tf_idf", idf_weights=WEIGHTS),
        lambda: lookup(num_oov_indices=3, mask_token="", vocabulary=[f"word{at}" for at in range(40)]),
        lambda: lookup(num_oov_indices=3, salt=(1, 2), output_mode="one_hot"),
        lambda: lookup(output_mode="multi_hot", mask_token=""),
    ],
)
def test_source_is_clean(layer: Any, tmp_path: Path) -> None:
    (tmp_path / "model.py").write_text(torchport.convert(behind(layer(), (1,))).code)
    ruff = [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length=100", "--no-cache"]
    rules = ["--select=E,F,W,B,I,UP", "--target-version=py311", "--output-format=concise"]
    checked = subprocess.run([*ruff, *rules, "."], cwd=tmp_path, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
