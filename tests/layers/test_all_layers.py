"""Every layer of Keras 3 and of tf-keras is ported, and has a case, or is refused with a reason.

A name that either of them exports and that is not known here fails: so does every option of a class that is
neither ported nor said to have no effect.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from typing import Any

import keras
import pytest
import tf_keras
from tests.layers.cases import CASES, UNREACHABLE

from torchport.errors import Unsupported
from torchport.rules import TABLE
from torchport.rules.refused import ELSEWHERE, KERAS, REFUSED
from torchport.rules.table import IGNORED

#: What a file calls a class that is exported by another name.
SAVED = {"GroupedQueryAttention": "GroupQueryAttention"}
OLD = tf_keras.layers.experimental
PLACES = {
    "keras.layers": keras.layers, "tf_keras.layers": tf_keras.layers, "experimental": OLD,
    "preprocessing": OLD.preprocessing, "tf_keras.experimental": tf_keras.experimental,
}  # fmt: skip


def classes(module: Any) -> Iterator[tuple[str, type]]:
    """The layers and models that a module exports, and what a layer is told of its inputs."""
    for name in dir(module):
        found = getattr(module, name)
        bases = (keras.layers.Layer, tf_keras.layers.Layer, keras.layers.InputSpec, tf_keras.layers.InputSpec)
        if isinstance(found, type) and issubclass(found, bases):
            yield name, found


ALL = {f"{place}.{name}": (name, found) for place, it in PLACES.items() for name, found in classes(it)}
HAVE_CASES = {kind for case in CASES for kind in case.kinds}


def kind_of(name: str, cls: type) -> str:
    """The name that a class has in files."""
    own = SAVED.get(cls.__name__, cls.__name__)
    return own if own in TABLE or name not in TABLE else name


@pytest.mark.parametrize("where", ALL)
def test_is_ported_or_refused(where: str) -> None:
    kind = kind_of(*ALL[where])
    places = [kind in TABLE, kind in ELSEWHERE, kind in REFUSED]
    assert sum(places) == 1, "neither ported nor refused" if not any(places) else "both"
    assert kind in KERAS, "it would be taken for a class of somebody's own"
    if kind in TABLE:
        assert kind in HAVE_CASES | UNREACHABLE


def test_the_tables_name_nothing_else() -> None:
    kinds = {kind_of(*it) for it in ALL.values()}
    own = {it for it in REFUSED.keys() | ELSEWHERE.keys() if ">" not in it}  # others are of packages
    assert own <= kinds
    assert all(why and advice for why, advice in REFUSED.values())


def test_most_are_ported() -> None:
    refused = {kind_of(*it) for it in ALL.values()} & REFUSED.keys()
    assert len({kind_of(*it) for it in ALL.values()}) - len(refused) >= 140, refused


#: Options that no rule reads: why they change nothing in a port.
WITHOUT_EFFECT = {
    option: why
    for why, options in {
        "a shape, which the graph knows": "input_shape input_dim input_length batch_input_shape batch_size",
        "how TensorFlow computes the same": "implementation unroll use_cudnn flash_attention dynamic",
        "how a weight starts": "unit_forget_bias scale",
        "the file has what was made of it": "num_bins epsilon window periodic scaling vocabulary_dtype "
        "idf_weights",
        "how whole numbers were made, which --dequantise reads": "quantization_config "
        "gptq_unpacked_column_size",
        "it says nothing without lora_rank, which is refused": "lora_alpha",
        "a part of the loss, of which a note says that it is not carried over": "l1 l2",
        "masks are written before the rules": "mask_zero mask_value zero_output_for_mask",
        "what a layer is called": "name",
        "a policy of another precision is refused by name": "dtype autocast",
        "read before the rule: what does not train is frozen": "trainable",
        "torch draws with a generator of its own": "seed",
        "of several devices; a note says so": "synchronized",
        "of boxes beside the images": "bounding_box_format",
        "an option of the layer inside, which has it": "data_format",
        "read by layers that invert": "value_range factor",
        "no tensor of torch is so": "sparse ragged",
    }.items()
    for option in options.split()
}
STARTS = ("_initializer", "_regularizer", "_constraint")


def options(cls: type) -> Iterator[inspect.Parameter]:
    kept = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    for it in list(inspect.signature(cls.__init__).parameters.values())[1:]:
        if it.kind in kept:
            yield it


PORTED = {where: it for where, it in ALL.items() if kind_of(*it) in TABLE}


@pytest.mark.parametrize("where", PORTED)
def test_no_option_is_left_out_without_a_word(where: str) -> None:
    """It is ported; or it is refused by name where it is given; or this file says why it has no effect."""
    name, cls = PORTED[where]
    rule = TABLE[kind_of(name, cls)]
    for option in options(cls):
        own = rule.options | ({"activation"} if rule.splits_activation else set())
        if option.name in own | rule.only.keys() or option.name.endswith(STARTS):
            continue
        if option.name in rule.ignores | IGNORED | {"lora_alpha"}:
            assert option.name in WITHOUT_EFFECT, f"{option.name} is ignored, and nothing says why"
            continue
        given = {**required(cls), option.name: "a value that no layer has"}
        with pytest.raises(Unsupported, match=option.name):
            rule.accept(given)


def required(cls: type) -> dict[str, Any]:
    return {it.name: None for it in options(cls) if it.default is it.empty}


def test_reasons_are_of_options_that_there_are() -> None:
    known = {option.name for _, cls in ALL.values() for option in options(cls)}
    ignored = IGNORED.union(*(rule.ignores for rule in TABLE.values()))
    assert WITHOUT_EFFECT.keys() <= known | ignored
