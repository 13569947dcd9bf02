"""Forward time of the 31M U-Net on one 256 x 256 image, on the CPU: one framework a process.

    python bench/forward.py torch | keras-torch | tensorflow

The last line of stdout is JSON: the best of the rounds, in seconds. The port and the hand-written
U-Net take turns within one process, in alternating order, and their ratio is the median over the
rounds; a second copy of the hand-written one runs along, so that its ratio to the first shows the
noise.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

OUT = Path(__file__).parent / "out"
SOURCE = OUT / "unet31m.keras"
ROUNDS = 21
WARM_UP = 2

image = np.random.default_rng(0).random((1, 256, 256, 3), dtype=np.float32)


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turns(runs: dict[str, Callable[[], object]]) -> dict[str, list[float]]:
    """Each run's seconds, round by round; the order turns so that none is always first."""
    names = list(runs)
    for name in names * WARM_UP:
        runs[name]()
    times: dict[str, list[float]] = {name: [] for name in names}
    for i in range(ROUNDS):
        turn = i % len(names)
        for name in names[turn:] + names[:turn]:
            times[name].append(seconds(runs[name]))
    return times


def in_torch() -> dict[str, object]:
    import torch

    import torchport
    from unet31m import UNet

    port = torchport.convert(SOURCE).module().eval()
    models = {
        "port": port,
        "hand": UNet.from_pretrained(OUT / "hand.safetensors"),
        "twin": UNet.from_pretrained(OUT / "hand.safetensors"),
    }
    nchw = torch.from_numpy(image).movedim(-1, 1)
    result: dict[str, object] = {"parameters": sum(p.numel() for p in port.parameters())}
    with torch.inference_mode():
        result["difference"] = float((port(nchw) - models["hand"](nchw)).abs().max())
        for mode in ("eager", "channels_last", "compile"):
            if mode == "compile" and not any(map(shutil.which, ("g++", "clang++"))):
                result[mode] = "needs a C++ compiler"
                continue
            layout = torch.channels_last if mode == "channels_last" else torch.contiguous_format
            x = nchw.contiguous(memory_format=layout)
            runs = {}
            for name, model in models.items():
                model.to(memory_format=layout)
                called = torch.compile(model) if mode == "compile" else model
                runs[name] = lambda called=called, x=x: called(x)
            times = in_turns(runs)
            result[mode] = {
                **{name: min(ts) for name, ts in times.items()},
                "ratio": paired(times["port"], times["hand"]),
                "noise": paired(times["twin"], times["hand"]),
            }
    return result


def paired(a: list[float], b: list[float]) -> float:
    return statistics.median(x / y for x, y in zip(a, b, strict=True))


def in_keras_torch() -> dict[str, object]:
    os.environ["KERAS_BACKEND"] = "torch"
    import keras
    import torch

    model = keras.saving.load_model(SOURCE, compile=False)
    x = torch.from_numpy(image)
    with torch.inference_mode():
        times = in_turns({"keras": lambda: model(x, training=False)})
    return {"seconds": min(times["keras"])}


def in_tensorflow() -> dict[str, object]:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(SOURCE, compile=False)
    x = tf.constant(image)
    graph = tf.function(lambda x: model(x, training=False))
    times = in_turns({"tensorflow": lambda: graph(x).numpy()})
    return {"seconds": min(times["tensorflow"])}


if __name__ == "__main__":
    measure = {"torch": in_torch, "keras-torch": in_keras_torch, "tensorflow": in_tensorflow}
    print(json.dumps(measure[sys.argv[1]]()))
