"""Random options of every layer: the port agrees with TensorFlow or refuses, and never differs.

How many, and from which seed: tests/examples.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import pytest
import tensorflow as tf
from hypothesis import HealthCheck, Phase, assume, given, settings
from tests.examples import examples
from tests.layers import random_features, random_images, random_sequences, random_shapes  # noqa: F401
from tests.layers.draws import FAMILIES
from tests.layers.harness import Case, Inner, Reference, pins, ports, problems

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


#: Options that no draw gives, and where they are held instead.
ELSEWHERE_HELD = {
    option: where
    for where, options in {
        "test_recurrent.py": "stateful return_state initial_state",
        "cases_masks.py": "mask query_mask value_mask key_mask attention_mask",
        "cases.py, channels first": "data_format",
        "test_refused_before.py": "steps renorm_clipping states",
        "field/test_layers_people_write.py": "synchronized virtual_batch_size",
        "refused by name": "sparse fill_mode reverse_dtype",
        "tests/text": "invert max_tokens num_oov_indices oov_method pad_to_max_tokens salt vocabulary",
        "test_preprocessing.py": "count_weights min_power interpolation mode",
        "test_refusals.py": "noise_shape",
        "a policy, refused by name": "dtype",
        "test_training.py": "trainable",
        "of other kinds that share the rule": "reset_after recurrent_activation dilation_rate",
        "the cases of attention": "key use_causal_mask",
        "the sizes of its call": "input_dim output_dim",
    }.items()
    for option in options.split()
}


def test_every_option_is_drawn() -> None:
    """Of each layer that is drawn: in 100 draws, or held by another test that is named.

    Families whose kinds have had all theirs in fewer draws are asked for no more.
    """
    drawn: dict[str, set[str]] = {}

    def note(kind: str, options: Mapping[str, Any]) -> Iterator[str]:
        drawn.setdefault(kind, set()).update(options)
        yield kind
        values = (it for value in options.values() for it in (value if isinstance(value, list) else [value]))
        for it in values:
            if isinstance(it, Inner):
                yield from note(it.kind, it.options)

    def kinds_of(strategy: Any, count: int) -> set[str]:
        """The kinds in so many draws."""
        seen = set()

        @settings(
            max_examples=count,
            derandomize=True,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy)
        def draw(case: Case) -> None:
            for it in ((case.kind, case.options), *case.then):
                seen.update(note(*it))
            drawn[case.kind].update(re.findall(r"(\w+)=", case.call))

        draw()
        return seen

    def left() -> set[tuple[str, str]]:
        return {
            (kind, option)
            for kind, options in drawn.items()
            if kind in TABLE and not kind.startswith("activation:")
            for option in TABLE[kind].options - options - ELSEWHERE_HELD.keys()
        }

    kinds = {family: kinds_of(strategy, 10) for family, strategy in FAMILIES.items()}
    missing = {kind for kind, _ in left()}
    for family, strategy in FAMILIES.items():
        if missing & kinds[family]:
            kinds_of(strategy, 100)
    assert not left()


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
