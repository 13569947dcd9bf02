"""Time of finding blocks, torchport.blocks.factor alone, on NASNetMobile and on chains of layers.

    python bench/factor.py [--json] [--layers 1000,2000]

The chains are of convolution, batch normalisation, ReLU and residual additions, in stages that double
their width; no TensorFlow is needed for them. `per n log2 n` is the time over that, in microseconds: it
does not grow where the cost grows no faster than n log n. With --json the last line of stdout is JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from math import log2
from pathlib import Path
from time import perf_counter

import numpy as np

from torchport.blocks import factor, in_reading_order
from torchport.graph import Graph, Op, Ref, Tensor, Weight
from torchport.infer import infer
from torchport.layout import choose_orders, write
from torchport.normalise import normalise
from torchport.program import Definition
from torchport.read import read

OUT = Path(__file__).parent / "out"
NETWORK = "NASNetMobile"
LAYERS = (1000, 2000, 4000, 8000)
ROUNDS = 3  # best of

#: Layers of one residual block: two of convolution, batch normalisation, ReLU, and the addition.
BLOCK, STAGES, WIDTH = 7, 4, 16


class Chain:
    """A graph that grows at its end."""

    def __init__(self) -> None:
        self.ops: list[Op] = []

    def layer(self, kind: str, inputs: list[str], config: dict, *shapes: tuple[int, ...]) -> str:
        """A layer, named as Keras names it; its output's name."""
        name = f"{kind.lower()}_{len(self.ops)}"
        stored = {
            str(at): Weight(f"{name}/{at}", shape, "float32", lambda shape=shape: np.zeros(shape))
            for at, shape in enumerate(shapes)
        }
        refs = tuple(map(Ref, inputs))
        args = (refs[0],) if len(refs) == 1 else (list(refs),)
        self.ops.append(Op(name, kind, args, (name,), config, layer=name, stored=stored))
        return name

    def conv_norm_relu(self, x: str, before: int, width: int, stride: int) -> str:
        conv = {"filters": width, "kernel_size": [3, 3], "strides": [stride, stride], "padding": "same"}
        x = self.layer("Conv2D", [x], conv, (3, 3, before, width), (width,))
        x = self.layer("BatchNormalization", [x], {}, *[(width,)] * 4)
        return self.layer("Activation", [x], {"activation": "relu"})


def chain(count: int) -> Graph:
    """A residual network of about `count` layers."""
    made, x, before = Chain(), "image", 3
    blocks = count // BLOCK
    for at in range(blocks):
        width = WIDTH * 2 ** (at * STAGES // blocks)
        first = made.conv_norm_relu(x, before, width, 1)
        last = made.conv_norm_relu(first, width, width, 1)
        x, before = made.layer("Add", [first, last], {}), width
    image = Tensor("image", (None, 64, 64, 3))
    return Graph("chain", ("image",), (x,), tuple(made.ops), {"image": image}, "3.15.0")


def definition(graph: Graph) -> Definition:
    """What `factor` is given: the stages before it, as in pipeline.py."""
    graph = infer(normalise(graph.check()), [])
    return in_reading_order(write(graph, choose_orders(graph, False), False))


def network() -> Path:
    """The file of NASNetMobile, built with TensorFlow if it is not there."""
    path = OUT / f"{NETWORK}.keras"
    if not path.exists():
        OUT.mkdir(exist_ok=True)
        build = f"import keras; keras.applications.{NETWORK}(weights=None).save({str(path)!r})"
        quiet = {**os.environ, "KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3"}
        subprocess.run([sys.executable, "-c", build], check=True, env=quiet, stderr=subprocess.DEVNULL)
    return path


def measured(name: str, graph: Graph) -> dict[str, object]:
    """Time of `factor`, best of the rounds, and how many lines of steps are left of the model's own body."""
    given, times = definition(graph), []
    for _ in range(ROUNDS):
        gc.collect()
        gc.disable()  # as the command line does
        start = perf_counter()
        made = factor(given, "Chain")
        times.append(perf_counter() - start)
        gc.enable()
    count = len(graph.ops)
    unit = min(times) / (count * log2(count))
    return {
        "name": name, "layers": count, "seconds": min(times), "unit": unit,
        "steps": len(made.steps), "classes": len({part.name for part in made.parts.values()}),
    }  # fmt: skip


def measurements(layers: list[int]) -> Iterator[dict[str, object]]:
    yield measured(NETWORK, read(network()))
    for count in layers:
        yield measured(f"chain of {count:,}", chain(count))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--json", action="store_true", help="JSON in the last line")
    arguments.add_argument("--layers", default=",".join(map(str, LAYERS)), help="lengths of the chains")
    options = arguments.parse_args()

    rows = []
    for row in measurements([int(it) for it in options.layers.split(",") if it]):
        rows.append(row)
        if not options.json:
            print(
                f"{row['name']:>16}  {row['layers']:>5} layers  {row['seconds']:7.2f} s  "
                f"{row['unit'] * 1e6:6.1f} us per n log2 n  "
                f"-> {row['steps']} steps, {row['classes']} classes",
                flush=True,
            )
    if options.json:
        print(json.dumps(rows))


if __name__ == "__main__":
    main()
