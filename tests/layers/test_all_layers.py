"""Every name in `keras.layers` is ported, and has a case, or is refused with a reason and an alternative."""

from __future__ import annotations

import keras
import pytest
from tests.layers.cases import CASES, UNREACHABLE

from torchport.rules import TABLE
from torchport.rules.refused import ELSEWHERE, KERAS, REFUSED

NAMES = {
    name: found.__name__
    for name in dir(keras.layers)
    if isinstance(found := getattr(keras.layers, name), type)
}
HAVE_CASES = {kind for case in CASES for kind in case.kinds}


@pytest.mark.parametrize("name", NAMES)
def test_is_ported_or_refused(name: str) -> None:
    kind = name if name in TABLE else NAMES[name]  # Keras saves some by the name it exports
    places = [kind in TABLE, kind in ELSEWHERE, kind in REFUSED]
    assert sum(places) == 1, "neither ported nor refused" if not any(places) else "both"
    if kind in TABLE:
        assert kind in HAVE_CASES | UNREACHABLE


def test_the_tables_name_nothing_else() -> None:
    assert REFUSED.keys() | ELSEWHERE.keys() <= set(NAMES.values())
    assert set(NAMES) <= KERAS
    assert all(why and advice for why, advice in REFUSED.values())


def test_most_are_ported() -> None:
    refused = [name for name, kind in NAMES.items() if kind in REFUSED]
    assert len(NAMES) - len(refused) >= 154, refused
