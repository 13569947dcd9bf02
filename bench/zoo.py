"""Every network of keras.applications, converted and verified: make zoo, make zoo ARGS="--only VGG16"

    python bench/zoo.py [--only NAME,...] [--jobs 2] [--no-keras-torch] [--json]

Weights and statistics are random, by seed; nothing is downloaded. `NAME:features` is a network without its
top, at another size, not square. A process for each; converting has one of its own, which imports no
framework, so that its peak of memory is its own. Exit status 1 where a port failed, differs by more than
1e-10 in float64, or has a permute left.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")  # before keras is imported
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import argparse
import contextlib
import gc
import json
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

OUT = Path(__file__).parent / "out" / "zoo"

#: Networks, and the size of the images that they are tried on: small, but more than one pixel has to be left
#: for the last batch norms, since statistics of two values magnify rounding.
SIZES = {
    "Xception": 96, "VGG16": 64, "VGG19": 64,
    **dict.fromkeys(("ResNet50", "ResNet101", "ResNet152", "ResNet50V2", "ResNet101V2", "ResNet152V2"), 64),
    "InceptionV3": 171, "InceptionResNetV2": 171, "MobileNet": 64, "MobileNetV2": 64,
    "MobileNetV3Small": 64, "MobileNetV3Large": 64,
    **dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), 64), "NASNetMobile": 64, "NASNetLarge": 64,
    **{f"EfficientNetB{number}": 64 for number in range(8)},
    **{f"EfficientNetV2{name}": 64 for name in ("B0", "B1", "B2", "B3", "S", "M", "L")},
    **{f"ConvNeXt{name}": 64 for name in ("Tiny", "Small", "Base")},
    **{f"ConvNeXt{name}": 32 for name in ("Large", "XLarge")},  # without batch norms, and large
}  # fmt: skip
#: Networks that are tried without their top too, at another size.
FEATURES = ("ResNet50", "MobileNetV2", "DenseNet121", "EfficientNetB0", "NASNetMobile", "VGG16")
FEATURES_SIZE = (96, 128)

BATCH = 2
LIMIT = 1e-10  # of float64 errors
HUGE = 150_000_000  # parameters; beyond it no steps are trained: they need each weight three times more
LARGEST = 300_000_000  # parameters; beyond it float32 is not compared: 24 GB are too little
ROUNDS = 7  # of forward, best of


def build(name: str) -> Any:
    """The Keras model of `ResNet50` or `ResNet50:features`, with random weights."""
    import keras

    network, _, features = name.partition(":")
    size = FEATURES_SIZE if features else (SIZES[network],) * 2
    make = getattr(keras.applications, network)
    model = make(weights=None, include_top=not features, input_shape=(*size, 3))
    randomise(model, np.random.default_rng(zlib.crc32(name.encode())))
    return model


def image(name: str, shape: tuple[int, ...], batch: int = BATCH) -> np.ndarray:
    """Random pixels of a network's size."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return rng.standard_normal((batch, *shape)).astype(np.float32)


def randomise(model: Any, rng: np.random.Generator) -> None:
    """Give every variable of a model numbers of its own, of a size that activations keep.

    Statistics of batch norms are those of random images, then changed: the mean by a fifth of the deviation,
    the variance by a factor of 0.5 to 1.5.
    """
    import keras

    for layer in model.layers:
        for variable in layer.weights:
            variable.assign(random_weight(variable, rng))
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with copies
    norms = [it for it in model.layers if isinstance(it, keras.layers.BatchNormalization)]
    momenta = [it.momentum for it in norms]
    for it in norms:
        it.momentum = 0.0
    model(image("statistics", model.input_shape[1:]), training=True)
    for it, momentum in zip(norms, momenta, strict=True):
        it.momentum = momentum
        variance = np.maximum(it.moving_variance.numpy(), 0.05)
        shift = 0.2 * rng.standard_normal(variance.shape) * np.sqrt(variance)
        it.moving_mean.assign(it.moving_mean.numpy() + shift)
        it.moving_variance.assign(variance * rng.uniform(0.5, 1.5, variance.shape))


def random_weight(variable: Any, rng: np.random.Generator) -> np.ndarray:
    """Numbers for one variable, by its name and shape: kernels as He has them, scales near one."""
    shape, name = tuple(variable.shape), variable.name
    if not np.issubdtype(variable.dtype, np.floating):
        return variable.numpy()  # counts
    if "kernel" in name:
        fan_in = shape[0] * shape[1] if "depthwise" in name else np.prod(shape[:-1])
        return rng.standard_normal(shape) * np.sqrt(2 / fan_in)
    if name == "gamma":
        return 1 + 0.1 * rng.standard_normal(shape)
    if "variance" in name:
        return rng.uniform(0.5, 1.5, shape)
    return 0.1 * rng.standard_normal(shape)


def examine(name: str, with_keras_torch: bool) -> dict[str, Any]:
    """All that is known of one network; JSON."""
    import keras

    import torchport

    row: dict[str, Any] = {"name": name}
    keras.utils.set_random_seed(0)
    model = build(name)
    with tempfile.TemporaryDirectory(prefix=f"{name.replace(':', '-')}-", dir=OUT) as folder:
        path = Path(folder) / "source.keras"
        model.save(path)
        row |= {"size": list(model.input_shape[1:3]), "layers": len(model.layers),
                "parameters": model.count_params()}  # fmt: skip
        converted = subprocess.run(
            [sys.executable, __file__, "--convert", str(path)], capture_output=True, text=True
        )
        if converted.returncode:
            return {**row, "failed": last_line(converted.stderr)}
        row |= json.loads(converted.stdout)
        port = torchport.convert(path)
        x = image(name, model.input_shape[1:])
        parameters = model.count_params()
        steps = 3 if parameters < HUGE else 0
        del model  # the largest of them fits once less
        gc.collect()
        start = perf_counter()
        result = torchport.verify(
            path, port, inputs=[x], steps=steps, precision="both" if parameters < LARGEST else "float64"
        )
        row["verify_seconds"] = perf_counter() - start
        row |= {
            "agrees": result.passed, "says": str(result), "precision": result.precision,
            "forward64": worst(result, "error64", "inference", "training"),
            "forward32": worst(result, "error32", "inference", "training"),
            "gradient64": worst(result, "error64", "gradient"),
            "gradient32": worst(result, "error32", "gradient"),
            "reference32": worst(result, "reference32", "inference", "training", "gradient"),
            "compared": len(result.rows), "notes": list(result.notes),
        }  # fmt: skip
        row |= forward(keras.saving.load_model(path, compile=False), port, x[:1])
        if with_keras_torch:
            command = [sys.executable, __file__, "--keras-torch-forward", str(path)]
            ran = subprocess.run(
                command, capture_output=True, text=True, env={**os.environ, "KERAS_BACKEND": "torch"}
            )
            row["keras_torch_seconds"] = None if ran.returncode else float(last_line(ran.stdout))
    row["passed"] = is_passed(row)
    return row


def is_passed(row: dict[str, Any]) -> bool:
    """Whether a port agrees, to 1e-10 in float64, and has no permute left."""
    errors = [row.get("forward64"), row.get("gradient64")]
    small = all(it is not None and it <= LIMIT for it in errors)
    return small and row["agrees"] and not row["permutes"]


def worst(result: Any, field: str, *checks: str) -> float | None:
    found = [it for check in checks if (it := result.worst(check, field)) is not None]
    return max(found, default=None)


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no output"])[-1]


def convert(path: str) -> dict[str, Any]:
    """Convert a file without writing it: seconds from the call to the text, this process's peak of memory."""
    import torchport

    gc.disable()  # as the command line does
    start = perf_counter()
    port = torchport.convert(path)
    code = port.code
    seconds = perf_counter() - start
    return {
        "digest": sha256(code.encode()).hexdigest()[:12],
        "permutes": len(port.permutes), "lines": len(code.splitlines()), "convert_seconds": seconds,
        "peak_mb": peak_mb(), "imported": sorted({"tensorflow", "keras", "torch"} & set(sys.modules)),
    }  # fmt: skip


def peak_mb() -> float:
    """The most memory that this process has held. Linux; ru_maxrss would count the parent's as well."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError("/proc/self/status does not say")


def forward(model: Any, port: Any, x: np.ndarray) -> dict[str, float]:
    """Seconds of one image: the port in torch, the source in TensorFlow as a graph; best of the rounds."""
    import tensorflow as tf
    import torch

    module, given = port.module(), torch.from_numpy(x).movedim(-1, 1).contiguous()
    source = tf.function(lambda x: model(x, training=False))
    with torch.inference_mode():
        ours = best(lambda: module(given))
    return {"torch_seconds": ours, "tensorflow_seconds": best(lambda: source(x).numpy())}


def keras_torch_forward(path: str) -> float:
    """Seconds of one image with Keras on torch."""
    import keras
    import torch

    model = keras.saving.load_model(path, compile=False)
    x = torch.from_numpy(image("image", model.input_shape[1:], 1))
    with torch.inference_mode():
        return best(lambda: model(x, training=False))


def best(run: Callable[[], object]) -> float:
    times = []
    for _ in range(2 + ROUNDS):
        start = perf_counter()
        run()
        times.append(perf_counter() - start)
    return min(times[2:])


def in_a_process(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """`examine` in a process of its own."""
    command = [sys.executable, __file__, "--one", name]
    command += [] if options.keras_torch else ["--no-keras-torch"]
    threads = max(1, len(os.sched_getaffinity(0)) // options.jobs)
    env = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    ran = subprocess.run(command, capture_output=True, text=True, env=env)
    try:
        return json.loads(last_line(ran.stdout))
    except json.JSONDecodeError:
        return {"name": name, "failed": f"exit status {ran.returncode}: {last_line(ran.stderr)}"}


def names(only: str) -> list[str]:
    every = [*SIZES, *(f"{name}:features" for name in FEATURES)]
    chosen = [it.strip() for it in only.split(",") if it.strip()]
    unknown = [it for it in chosen if it.partition(":")[0] not in SIZES]
    if unknown:
        sys.exit(f"no such network: {', '.join(unknown)}; there are {', '.join(every)}")
    return chosen or every


def results(wanted: list[str], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """In the order wanted, each as soon as it and those before it are done."""
    with ThreadPoolExecutor(options.jobs) as pool:
        yield from pool.map(lambda name: in_a_process(name, options), wanted)


#: Heading, and what stands under it.
COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "size": lambda row: "x".join(map(str, row["size"])),
    "layers": lambda row: f"{row['layers']}",
    "permutes": lambda row: f"{row['permutes']}",
    "forward\nfloat64": lambda row: number(row.get("forward64")),
    "forward\nfloat32": lambda row: number(row.get("forward32")),
    "gradient\nfloat64": lambda row: number(row.get("gradient64")),
    "gradient\nfloat32": lambda row: number(row.get("gradient32")),
    "lines": lambda row: f"{row['lines']}",
    "convert": lambda row: f"{row['convert_seconds']:.2f} s",
    "peak": lambda row: f"{row['peak_mb']:.0f} MB",
    "torch": lambda row: milliseconds(row.get("torch_seconds")),
    "TensorFlow": lambda row: milliseconds(row.get("tensorflow_seconds")),
}
KERAS_TORCH = "Keras on\ntorch"


def number(error: float | None) -> str:
    return "" if error is None else f"{error:.0e}"


def milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1e3:.0f} ms"


def show(rows: list[dict[str, Any]], with_keras_torch: bool) -> None:
    """The table for a person, and what failed."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    columns = dict(COLUMNS)
    if with_keras_torch:
        columns[KERAS_TORCH] = lambda row: milliseconds(row.get("keras_torch_seconds"))
    table = Table(box=SIMPLE_HEAD, padding=(0, 1))
    table.add_column("network", no_wrap=True)
    for heading in columns:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for row in rows:
        made = [text(row) if "lines" in row else "" for text in columns.values()]
        verdict = "[red]failed[/]" if "failed" in row else "[red]no[/]"
        verdict = "[green]yes[/]" if row.get("passed") else verdict
        table.add_row(row["name"], *made, verdict)
    # as wide as it needs: a table that is cut says nothing
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)
    for row in rows:
        if not row.get("passed"):
            why = row.get("failed") or row.get("says") or ""
            console.print(f"[bold]{row['name']}[/] {escape(why)}", soft_wrap=True)
    passed = sum(bool(row.get("passed")) for row in rows)
    console.print(f"{passed} of {len(rows)} agree to {LIMIT:g} in float64 without a permute left")
    slowest = max(rows, key=lambda row: row.get("convert_seconds", 0.0))
    if "convert_seconds" in slowest:
        console.print(f"slowest to convert: {slowest['name']}, {slowest['convert_seconds']:.2f} s")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--only", default="", metavar="NAME,...", help="these networks alone")
    arguments.add_argument(
        "--jobs", type=int, default=1, help="processes at a time; times then disturb each other"
    )
    arguments.add_argument(
        "--keras-torch", action=argparse.BooleanOptionalAction, default=True,
        help="time the source with Keras on torch too",
    )  # fmt: skip
    arguments.add_argument("--json", action="store_true", help="print JSON instead of a table")
    for name in ("--one", "--convert", "--keras-torch-forward"):
        arguments.add_argument(name, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.convert:
        print(json.dumps(convert(options.convert)))
        return
    if options.keras_torch_forward:
        print(keras_torch_forward(options.keras_torch_forward))
        return
    OUT.mkdir(parents=True, exist_ok=True)
    if options.one:
        try:
            row = examine(options.one, options.keras_torch)
        except Exception as error:  # whatever fails is a finding
            row = {"name": options.one, "failed": f"{type(error).__name__}: {error}".splitlines()[0]}
        print(json.dumps(row))
        return

    rows = []
    wanted = names(options.only)
    kept = OUT / "rows.jsonl"  # as they come: a run takes an hour
    kept.write_text("")
    for at, row in enumerate(results(wanted, options), start=1):
        rows.append(row)
        with kept.open("a") as file:
            print(json.dumps(row), file=file)
        state = "ok" if row.get("passed") else row.get("failed") or row.get("says") or "permutes are left"
        with contextlib.suppress(BrokenPipeError):
            print(f"{at}/{len(wanted)} {row['name']}: {state}", file=sys.stderr, flush=True)
    if options.json:
        print(json.dumps(rows, indent=1))
    else:
        show(rows, options.keras_torch)
    sys.exit(not all(row.get("passed") for row in rows))


if __name__ == "__main__":
    main()
