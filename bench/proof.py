"""What a verification takes: python bench/proof.py [unet | vgg | FILE] [float64 | float32]

unet: 1.8M parameters on images of 256x256; its activations are what is large. vgg: 1.6 GB of weights in two
Dense layers; they are what is large. Prints wall time, CPU time of all processes, and the peak of what they
held together: verify runs TensorFlow in a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Event, Thread
from time import perf_counter


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


def main() -> None:
    what, precision = (*sys.argv[1:], *("unet", "both")[len(sys.argv) - 1 :])[:2]
    torchport = [sys.executable, "-m", "torchport"]
    with tempfile.TemporaryDirectory() as scratch:
        source = Path(what)
        if what in ("unet", "vgg"):
            source = Path(scratch) / f"{what}.keras"
            make = [sys.executable, __file__, "make", what, str(source)]
            subprocess.run(make, check=True)
        port = f"{scratch}/port"
        subprocess.run([*torchport, "convert", source, "-o", port], check=True, stdout=subprocess.DEVNULL)
        start = perf_counter()
        command = [*torchport, "verify", source, port, "--precision", precision]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout
        peak = Peak(process.pid)
        peak.start()
        said = process.stdout.read().decode()
        _, status, usage = os.wait4(process.pid, 0)
        peak.done.set()
        wall, cpu = perf_counter() - start, usage.ru_utime + usage.ru_stime
    print(said)
    print(f"{what} in {precision}: status {os.waitstatus_to_exitcode(status)}, {wall:.0f} s, ", end="")
    print(f"{cpu:.0f} s of CPU, {peak.bytes / 1e9:.2f} GB")


if __name__ == "__main__":
    if sys.argv[1:2] == ["make"]:
        {"unet": unet, "vgg": vgg}[sys.argv[2]](Path(sys.argv[3]))
    else:
        main()
