"""Random functional graphs: the port agrees with TensorFlow or refuses, and never differs.

How many, and from which seed: tests/examples.py. A failure shows the script of its model.
"""

from __future__ import annotations

import re

import numpy as np
from hypothesis import assume, given
from tests.examples import examples
from tests.graphs.agree import Graph, apart
from tests.graphs.draws import graphs
from tests.graphs.script import NOT_TAKEN, Script

from torchport.errors import Refused

#: What is refused of the graphs that are drawn: anything else is a port that is missing.
REFUSALS = re.compile(
    "|".join(
        [
            "it shares its weights with .*, in another model",
            "where a tensor is masked Keras 3 takes the other's values",
            "masked tensors that are broadcast",
            "the number of channels is not known",
            "a mask over other things than steps",
            "its mask crosses the border of the nested model",
        ]
    )
)


def test_agrees_or_refuses() -> None:
    tried, agreed, refusals = 0, 0, []

    @examples(20)
    @given(graphs())
    def check(script: Script) -> None:
        nonlocal tried, agreed
        tried += 1
        try:
            graph = Graph(script)
            modes = (False, True) if graph.trains else (False,)
            expected = {training: graph.reference(training) for training in modes}
        except NOT_TAKEN:  # Keras takes it for its shapes, TensorFlow does not
            assume(False)
        assume(all(it.size for it in expected[False].outputs))
        assume(all(np.abs(it).max(initial=0) < 1e6 for it in expected[False].named.values()))
        try:
            ports = graph.ports()
        except Refused as refused:
            refusals.extend(it.why for it in refused.refusals)
            return
        for port in ports:
            for training in modes:
                found = apart(graph.computed(port, training), graph.as_ported(port, expected[training]))
                assume(not found or not graph.is_ill_conditioned(training, expected[training], found))
                assert not found, f"{script}\n\n{found}\n\n{port.code}"
        agreed += 1

    check()
    assert not [why for why in refusals if not REFUSALS.search(why)]
    assert agreed >= tried / 2, f"{agreed} of {tried} examples agree, {len(refusals)} are refused"
