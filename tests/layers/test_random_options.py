"""Random options of every layer: the port agrees with TensorFlow or refuses, and never differs.

How many, and from which seed: tests/examples.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import keras
import pytest
import tensorflow as tf
from hypothesis import assume, given
from tests.examples import examples
from tests.layers import random_features, random_images, random_sequences, random_shapes  # noqa: F401
from tests.layers.draws import FAMILIES
from tests.layers.harness import Case, Reference, pins, ports, problems

from torchport.errors import Refused
from torchport.rules import TABLE
from torchport.rules.refused import ELSEWHERE

#: What is refused of the options that are drawn: anything else is a port that is missing.
REFUSALS = re.compile(
    "|".join(
        [
            "^Keras adds its bias along a",
            "^axis=.*: Keras itself runs it over the last axes only",  # of RMSNormalization
            "^in training Keras 3 takes the statistics of those steps alone",  # of BatchNormalization
            "^its layers' weights cannot be told apart",  # of Pipeline
            "^(multi_hot|count) of a tensor with 3 axes",
            "^a mask_token with vectors",
            "^(a crop|padding) of images whose size is not known",
            "^padding='same' with strides",  # of ConvLSTM
        ]
    )
)


@pytest.fixture(autouse=True, scope="module")
def _pins() -> Iterator[None]:
    with pins():
        yield


@pytest.mark.parametrize("family", FAMILIES, ids="-".join)
def test_agrees_or_refuses(family: tuple[str, str]) -> None:
    tried, agreed, refusals = 0, 0, []

    @examples(2)
    @given(FAMILIES[family])
    def check(case: Case) -> None:
        nonlocal tried, agreed
        assert family[1] in str(case), "a case of another kind than its family says"
        tried += 1
        try:
            reference = Reference(case)
            reference.gradients  # noqa: B018
            assume(reference.output.size)  # torch has no empty results of pooling
        except (ValueError, TypeError, tf.errors.OpError):  # Keras or TensorFlow does not take it
            assume(False)
        try:
            made = ports(reference.model, ("free", "first first", "keep_io"))
        except Refused as refused:
            refusals.extend(it.why for it in refused.refusals)
            return
        for port in made:
            found = problems(case, reference, port)
            assert not found, "\n".join([port.layout, *found, port.code])
        agreed += 1

    check()
    assert not [why for why in refusals if not REFUSALS.search(why)]
    assert agreed >= tried / 4, f"{agreed} of {tried} examples agree, {len(refusals)} are refused"


def test_every_layer_is_drawn() -> None:
    """All that are ported but augmentation, which is random itself: see test_preprocessing.py."""
    drawn = {kind for _, kind in FAMILIES}
    names = {name for name in dir(keras.layers) if isinstance(getattr(keras.layers, name), type)}
    cells = {name for name in ELSEWHERE if "Cell" in name}
    ported = {name for name in names & TABLE.keys() if not TABLE[name].family.startswith("augment")}
    ported -= {"StringLookup", "TextVectorization"}  # tests/text/test_random_texts.py
    assert ported | cells == {kind for kind in drawn if not kind.startswith("activation:")}
    # `threshold` has arguments without defaults, so that no config can name it.
    functions = {kind for kind in TABLE if kind.startswith("activation:") and ">" not in kind}
    assert functions - {"activation:threshold"} == {kind for kind in drawn if kind.startswith("activation:")}
