"""All measurements in one run: make bench, or make bench ARGS=--json

Every number comes from a process of its own, started here; this one stays small, because Linux
counts the parent's memory at the fork as the child's. Exit status 1 where a measurement failed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

BENCH = Path(__file__).parent
OUT = BENCH / "out"
SOURCE = OUT / "unet31m.keras"
PEERS = BENCH.parent / ".venv-peers"
PEERS_READY = PEERS / "ready"
CONVERSIONS = 7  # best of
#: A package that pip has installed is compiled; one that is edited in place is only if Python may write that.
ENV = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONDONTWRITEBYTECODE": ""}
GOALS = {"time": 2.2, "peak": 120, "forward": 1.02, "factor": 2.0, "small": 0.35, "many": 5}
#: The page of a network: megabytes, and seconds until it can be used; None: no goal. Seconds to write one.
PAGES: dict[str, tuple[float | None, float]] = {"ResNet50": (0.5, 1.0), "NASNetMobile": (None, 1.5)}
WRITE = 3
#: How many small files are converted in one call, and how many of them also one by one.
MANY, ALONE = 200, 10

console = Console(stderr=True)


@dataclass(frozen=True)
class Run:
    """One finished process: its wall time, the CPU of all in it, the peak of its largest, its last line."""

    seconds: float
    cpu: float
    peak_mb: float
    last_line: str


class Failed(Exception):
    """A process that ended with an error; str() is the last line it said."""


def run(*command: str | Path, **env: str) -> Run:
    """Run a command to its end, alone. Raises Failed."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = perf_counter()
        process = subprocess.Popen(command, stdout=out, stderr=err, env={**os.environ, **ENV, **env})
        _, status, usage = os.wait4(process.pid, 0)
        seconds = perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        said, complaint = out.read().decode(), err.read().decode()
    if process.returncode:
        words = (complaint.strip() or said.strip()).splitlines() or ["no output"]
        raise Failed(f"exit status {process.returncode}: {words[-1].strip()}")
    # ru_maxrss: KiB on Linux, bytes on macOS
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Run(seconds, usage.ru_utime + usage.ru_stime, peak / 1e6, (said.strip().splitlines() or [""])[-1])


def attempt(measure, *arguments) -> dict[str, object]:
    """What the measurement found, or {"failed": why}."""
    try:
        return measure(*arguments)
    except Failed as failure:
        return {"failed": str(failure)}


def convert_against_floor() -> dict[str, object]:
    """Best of several, in turns: whole processes, from start of Python to exit."""
    floor_command = (sys.executable, BENCH / "floor.py", SOURCE, OUT / "floor.safetensors")
    torchport = Path(sys.executable).with_name("torchport")
    convert_command = (torchport, "convert", SOURCE, "-o", OUT / "port", "--force")
    floors, converts = [], []
    for _ in range(CONVERSIONS):
        floors.append(run(*floor_command))
        converts.append(run(*convert_command))
    return {
        "floor": best(floors),
        "torchport": best(converts),
        "ratio": best(converts)["seconds"] / best(floors)["seconds"],
    }


def floor_alone() -> dict[str, object]:
    command = (sys.executable, BENCH / "floor.py", SOURCE, OUT / "floor.safetensors")
    return {"floor": best([run(*command) for _ in range(CONVERSIONS)])}


def best(runs: list[Run]) -> dict[str, float]:
    return {
        "seconds": min(run.seconds for run in runs),
        "peak_mb": max(run.peak_mb for run in runs),
    }


def peers() -> dict[str, object]:
    """One conversion by tf2onnx + onnx2torch, in their own environment, made if need be."""
    python = PEERS / "bin" / "python"
    if not PEERS_READY.exists():
        run(sys.executable, "-m", "venv", PEERS)
        run(python, "-m", "pip", "install", "--quiet", "-r", BENCH / "peers.txt")
        PEERS_READY.touch()
    command = (python, BENCH / "peers.py", SOURCE, OUT / "peers.pt")
    return best([run(*command, KERAS_BACKEND="tensorflow")])


def forward(framework: str) -> dict[str, object]:
    return json.loads(run(sys.executable, BENCH / "forward.py", framework).last_line)


def small() -> dict[str, object]:
    """Small models: one alone, many one by one, and as many in one call."""
    torchport = Path(sys.executable).with_name("torchport")
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, BENCH / "small.py", folder, str(MANY), KERAS_BACKEND="tensorflow")
        files = sorted(Path(folder).glob("*.h5"))
        ports = Path(folder) / "ports"
        run(torchport, "convert", files[0], "-o", ports / "first")  # compiles what was never run
        alone = [run(torchport, "convert", file, "-o", ports / file.stem) for file in files[:ALONE]]
        together = run(torchport, "convert", *files, "-o", Path(folder) / "together")
    each = sum(it.seconds for it in alone) / ALONE
    return {
        "cpu": min(it.cpu for it in alone),
        "one_by_one": each * MANY,
        "together": together.seconds,
        "ratio": each * MANY / together.seconds,
    }


def factor() -> dict[str, object]:
    """Time of finding blocks, on a network and on chains of layers."""
    return {"rows": json.loads(run(sys.executable, BENCH / "factor.py", "--json").last_line)}


def page() -> dict[str, object]:
    """The page of torchport explain, of two networks."""
    models = [OUT / f"{name}.keras" for name in PAGES]
    if not all(it.exists() for it in models):
        run(sys.executable, BENCH / "applications.py", OUT, *PAGES, KERAS_BACKEND="tensorflow")
    return {"rows": json.loads(run(sys.executable, BENCH / "page.py", *models).last_line)}


def machine() -> dict[str, str]:
    packages = ("torch", "tensorflow", "keras", "h5py", "safetensors", "numpy")
    return {
        "cpu": cpu_name(),
        "cores": str(len(os.sched_getaffinity(0))),
        "system": platform.platform(),
        "python": platform.python_version(),
        **{package: importlib.metadata.version(package) for package in packages},
    }


def cpu_name() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def measure_all(with_peers: bool) -> dict[str, object]:
    results: dict[str, object] = {"machine": machine()}
    if not (SOURCE.exists() and (OUT / "hand.safetensors").exists()):
        with console.status("building the 31M U-Net"):
            run(sys.executable, BENCH / "unet31m.py", KERAS_BACKEND="tensorflow")
    with console.status("conversion against the floor"):
        results["convert"] = attempt(convert_against_floor)
        if "failed" in results["convert"]:
            results["convert"] |= attempt(floor_alone)
    if with_peers:
        with console.status("conversion by tf2onnx + onnx2torch"):
            results["peers"] = attempt(peers)
    for framework in ("torch", "keras-torch", "tensorflow"):
        with console.status(f"forward: {framework}"):
            results[framework] = attempt(forward, framework)
    with console.status("small models"):
        results["small"] = attempt(small)
    with console.status("finding blocks"):
        results["factor"] = attempt(factor)
    with console.status("the page"):
        results["page"] = attempt(page)
    return results


def verdict(value: float, goal: float) -> str:
    return f"[green]≤ {goal:g}[/]" if value <= goal else f"[red]over {goal:g}[/]"


def table(title: str, *columns: str) -> Table:
    made = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for column in columns:
        made.add_column(column, justify="left" if column in ("", "goal") else "right")
    return made


def show_conversion(results: dict) -> Table:
    shown = table(
        f"Convert the 31M U-Net, whole process (best time, highest peak of {CONVERSIONS})",
        *("", "time", "of floor", "goal", "peak", "goal"),
    )
    convert, route = results["convert"], results.get("peers")
    floor = convert.get("floor")
    if floor:
        shown.add_row("floor: copy the weights", *cost(floor, floor), "", mb(floor))
    if "failed" in convert:
        shown.add_row("torchport", "failed")
    else:
        port = convert["torchport"]
        within = verdict(convert["ratio"], GOALS["time"]), verdict(port["peak_mb"], GOALS["peak"])
        shown.add_row("torchport", *cost(port, floor), within[0], mb(port), within[1])
    if route and ("failed" in route or not floor):
        shown.add_row("tf2onnx, onnx2torch *", "failed")
    elif route:
        shown.add_row("tf2onnx, onnx2torch *", *cost(route, floor), "", mb(route))
    if route:
        shown.caption = "* once, at a fixed 256 x 256: onnx2torch refuses unknown sizes here"
    return shown


def cost(entry: dict[str, float], floor: dict[str, float]) -> tuple[str, str]:
    return f"{entry['seconds']:.2f} s", f"{entry['seconds'] / floor['seconds']:.2f}x"


def mb(entry: dict[str, float]) -> str:
    return f"{entry['peak_mb']:,.0f} MB"


def show_forward(results: dict) -> Table:
    shown = table(
        "Forward, 1 x 256 x 256 x 3, CPU (best time, median ratio of 21)",
        *("", "port", "by hand", "ratio", "noise *", "goal"),
    )
    ours = results["torch"]
    if "failed" in ours:
        shown.add_row("torch", "failed")
    else:
        for mode in ("eager", "channels_last", "compile"):
            entry = ours[mode]
            if isinstance(entry, str):
                shown.add_row(f"torch, {mode}", entry)
                continue
            ratios = f"{entry['ratio']:.3f}", f"{entry['noise']:.3f}"
            within = verdict(entry["ratio"], GOALS["forward"])
            shown.add_row(f"torch, {mode}", ms(entry["port"]), ms(entry["hand"]), *ratios, within)
    for framework, name in (
        ("keras-torch", "source: Keras on torch"),
        ("tensorflow", "source: TensorFlow"),
    ):
        entry = results[framework]
        shown.add_row(name, "failed" if "failed" in entry else ms(entry["seconds"]))
    if "difference" in ours:
        shown.caption = (
            "* the hand-written U-Net against a second copy of itself\n"
            f"largest difference of the port's output from it: {ours['difference']:.1e}"
        )
    return shown


def show_small(results: dict) -> Table:
    shown = table("Convert small models, whole processes", *("", "", "goal"))
    entry = results["small"]
    if "failed" not in entry:
        shown.add_row("one, CPU", f"{entry['cpu']:.2f} s", verdict(entry["cpu"], GOALS["small"]))
        shown.add_row(f"{MANY}, one by one *", f"{entry['one_by_one']:.1f} s")
        faster = f"[green]≥ {GOALS['many']}x[/]" if entry["ratio"] >= GOALS["many"] else "[red]slower[/]"
        shown.add_row(f"{MANY} in one call", f"{entry['together']:.1f} s", faster)
        shown.add_row("times as fast", f"{entry['ratio']:.1f}x")
        shown.caption = f"* as {ALONE} of them took"
    return shown


def show_factor(results: dict) -> Table:
    shown = table("Find blocks (best time of 3)", *("", "layers", "time", "per n log2 n", "goal"))
    for at, row in enumerate(results["factor"].get("rows", ())):
        goal = verdict(row["seconds"], GOALS["factor"]) if at == 0 else ""
        unit = f"{row['unit'] * 1e6:.0f} us"
        shown.add_row(row["name"], f"{row['layers']:,}", f"{row['seconds']:.2f} s", unit, goal)
    return shown


def show_page(results: dict) -> Table:
    columns = ("", "size", "goal", "written in", "goal", "CPU", "usable in", "goal")
    shown = table("The page of torchport explain", *columns)
    for row in results["page"].get("rows", ()):
        size, ready = PAGES[row["name"]]
        usable = ("no Chromium", "")
        if row["ready"] is not None:
            usable = f"{row['ready']:.2f} s", verdict(row["ready"], ready)
        shown.add_row(
            row["name"], f"{row['megabytes']:.2f} MB", verdict(row["megabytes"], size) if size else "",
            f"{row['write']:.2f} s", verdict(row["write"], WRITE), f"{row['write_cpu']:.2f} s",
            *usable,
        )  # fmt: skip
    return shown


def ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f} ms"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--json", action="store_true", help="print JSON instead of tables")
    arguments.add_argument("--no-peers", action="store_true", help="leave out tf2onnx + onnx2torch")
    options = arguments.parse_args()

    results = measure_all(with_peers=not options.no_peers)
    if options.json:
        print(json.dumps(results, indent=2))
    else:
        shown = Console()
        facts = results["machine"]
        shown.print(f"{facts['cpu']}, {facts['cores']} cores, {facts['system']}")
        names = ("python", "torch", "tensorflow", "keras", "h5py", "safetensors", "numpy")
        shown.print(", ".join(f"{name} {facts[name]}" for name in names) + "\n")
        shown.print(show_conversion(results), "", show_forward(results), "", show_small(results))
        shown.print("", show_factor(results), "", show_page(results))
        for name, part in results.items():
            if "failed" in part:
                shown.print(f"[red]{name} failed:[/] {escape(part['failed'])}")
    sys.exit(any("failed" in part for part in results.values()))


if __name__ == "__main__":
    main()
