"""What a verification takes: python bench/proof.py [unet|unet31m|vgg|convnext|FILE] [both|float64|float32]

unet: 1.8M parameters on images of 256x256; its activations are what is large. unet31m, and vgg with 1.6 GB
in two Dense layers: their weights are. Prints wall time, CPU time of all processes, the peak of what they
held together (verify runs TensorFlow in a process of its own), and the bound on that: four times the weights
in float32, which a module in float64 and its gradients take, the activations of one side, and what the
frameworks take to verify a model of two parameters.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from time import perf_counter
from typing import Any


def unet(path: Path) -> None:
    """Four levels of 16 to 256 channels, batch normalisation after each convolution."""
    import keras

    L = keras.layers

    def block(x, count):
        for _ in range(2):
            x = L.ReLU()(L.BatchNormalization()(L.Conv2D(count, 3, padding="same")(x)))
        return x

    x = image = keras.Input((256, 256, 3))
    skips = []
    for count in (16, 32, 64, 128):
        skips.append(x := block(x, count))
        x = L.MaxPooling2D()(x)
    x = block(x, 256)
    for count, skip in zip((128, 64, 32, 16), reversed(skips), strict=True):
        x = block(L.Concatenate()([skip, L.Conv2DTranspose(count, 2, strides=2)(x)]), count)
    model = keras.Model(image, L.Conv2D(1, 1, activation="sigmoid")(x), name="unet")
    print(f"{model.count_params():,} parameters", file=sys.stderr)
    model.save(path)


def vgg(path: Path) -> None:
    """400M parameters."""
    import keras

    L = keras.layers
    layers = [L.Conv2D(64, 3, strides=2), L.Flatten(), L.Dense(15_000, activation="relu"), L.Dense(10)]
    model = keras.Sequential([keras.Input((42, 42, 3)), *layers], name="vgg")
    print(f"{model.count_params():,} parameters", file=sys.stderr)
    model.save(path)


def unet31m(path: Path) -> None:
    """The classic U-Net, of 31M parameters."""
    sys.path.insert(0, str(Path(__file__).parent))
    from unet31m import keras_unet

    keras_unet().save(path)


def convnext(path: Path) -> None:
    """ConvNeXtXLarge: 350M parameters in 36 blocks."""
    import keras

    keras.applications.ConvNeXtXLarge(weights=None, input_shape=(64, 64, 3)).save(path)


def small(path: Path) -> None:
    """Two parameters."""
    import keras

    keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)], name="small").save(path)


MODELS = {it.__name__: it for it in (unet, unet31m, vgg, convnext, small)}
TORCHPORT = (sys.executable, "-m", "torchport")


@dataclass(frozen=True)
class Taken:
    """Seconds, seconds of CPU of all processes, and the most bytes that they held together."""

    wall: float
    cpu: float
    bytes: int


def family(pid: int) -> list[int]:
    """A process and all below it. Linux has both in /proc."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += family(int(child))
    return found


def resident(pid: int) -> int:
    """The bytes of memory that a process holds now, what it shares counted in part."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:  # it has ended
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


class Peak(Thread):
    """The largest sum of what a process and those below it hold, looked at twenty times a second."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.bytes, self.done = pid, 0, Event()

    def run(self) -> None:
        while not self.done.wait(0.05):
            try:
                self.bytes = max(self.bytes, sum(map(resident, family(self.pid))))
            except OSError:
                continue


def activations(source: Path, shapes: list[list[int]]) -> int:
    """The bytes of all layers' outputs in float64, for inputs of these shapes: what training needs."""
    import keras

    model = keras.models.load_model(source, compile=False)
    every = keras.Model(model.inputs, [layer.output for layer in model.layers])
    found = every.compute_output_shape([tuple(it) for it in shapes] if len(shapes) > 1 else tuple(shapes[0]))
    return sum(8 * math.prod(shape) for shape in found)


def made(scratch: Path, what: str) -> Path:
    """The file of a model, made in a process of its own."""
    path = scratch / f"{what}.keras"
    subprocess.run([sys.executable, __file__, "make", what, str(path)], check=True)
    return path


def ported(source: Path, folder: Path) -> Path:
    command = [*TORCHPORT, "convert", source, "-o", folder]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder


def verified(source: Path, port: Path, precision: str) -> tuple[dict[str, Any], Taken]:
    """What verify says, and what it took."""
    start = perf_counter()
    command = [*TORCHPORT, "verify", source, port, "--precision", precision, "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    assert process.stdout
    peak = Peak(process.pid)
    peak.start()
    said = json.loads(process.stdout.read())
    _, _, usage = os.wait4(process.pid, 0)
    peak.done.set()
    return said, Taken(perf_counter() - start, usage.ru_utime + usage.ru_stime, peak.bytes)


def main() -> None:
    what, precision = (*sys.argv[1:], *("unet", "both")[len(sys.argv) - 1 :])[:2]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        source = made(scratch, what) if what in MODELS else Path(what)
        port = ported(source, scratch / "port")
        said, taken = verified(source, port, precision)
        small = made(scratch, "small")
        _, least = verified(small, ported(small, scratch / "least"), precision)
        shapes = json.dumps([it["shape"] for it in said["inputs"]])
        command = [sys.executable, __file__, "activations", str(source), shapes]
        held = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])
        weights = sum(it.stat().st_size for it in port.glob("*.safetensors"))
    print(f"{what} in {precision}: {said['verdict']}, inputs {shapes}", *said["notes"], sep="\n  ")
    print(f"{taken.wall:.0f} s, {taken.cpu:.0f} s of CPU, {taken.bytes / 1e9:.2f} GB")
    bound = 4 * weights + held + least.bytes
    parts = {"4 times the weights": 4 * weights, "activations": held, "frameworks": least.bytes}
    bound = sum(parts.values())
    print(
        f"bound {bound / 1e9:.2f} GB:", ", ".join(f"{name} {size / 1e9:.2f}" for name, size in parts.items())
    )
    print("held" if taken.bytes <= bound else f"EXCEEDED by {(taken.bytes - bound) / 1e9:.2f} GB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        MODELS[sys.argv[2]](Path(sys.argv[3]))
    elif sys.argv[1:2] == ["activations"]:
        print(activations(Path(sys.argv[2]), json.loads(sys.argv[3])))
    else:
        main()
