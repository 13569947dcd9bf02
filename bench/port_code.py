"""Functions and classes of other people's files, ported one by one: what is ported, refused, different.

    python bench/port_code.py FOLDER [--json]

FOLDER is a checkout, for instance of github.com/LukeWood/keras-io, examples of 2023. Its code is run, nothing
of it is kept here. `bench/theirs/port_code.toml` says what to call, by file.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
CALLS = tomllib.loads((Path(__file__).parent / "theirs" / "port_code.toml").read_text(encoding="utf-8"))
SECONDS = 240
SCRIPT = """
import json, sys
from torchport.source import port_source
try:
    found = port_source(sys.argv[1], calls=sys.argv[2:], partial=True)
except Exception as error:
    print("FOUND", json.dumps({"error": f"{type(error).__name__}: {error}"}))
else:
    source = found.source.text.splitlines()
    units = [
        {"name": it.name, "lines": it.text.count("\\n") + 1, "cases": len(found.proofs[it.name].cases)}
        for it in found.units
    ]
    print("FOUND", json.dumps({
        "units": units, "refusals": [vars(it) for it in found.refusals],
        "source": {it.name: it.end_lineno - it.lineno + 1 for it in found.source.definitions()},
    }))
"""


def port(path: Path, calls: list[str]) -> dict[str, object]:
    """What became of one file, in a process of its own."""
    command = [sys.executable, "-c", SCRIPT, str(path), *calls]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return {"error": f"took more than {SECONDS} s"}
    line = next((it for it in done.stdout.splitlines() if it.startswith("FOUND ")), "")
    return json.loads(line[6:]) if line else {"error": done.stderr.strip().splitlines()[-1:]}


def main() -> int:
    folder, rows = Path(sys.argv[1]), {}
    counts: Counter[str] = Counter()
    shares = []
    for name, calls in CALLS.items():
        found = rows[name] = port(folder / name, calls)
        if "error" in found:
            counts["not run"] += 1
            print(f"{name}: {found['error']}")
            continue
        for it in found["units"]:
            counts["ported"] += 1
            shares.append(it["lines"] / found["source"][it["name"]])
        for it in found["refusals"]:
            verdict = "different" if "not the same" in it["why"] else "refused"
            counts[verdict] += 1
            print(f"{name}:{it['line']}:{it['column']}  {it['unit']}  {it['text']}: {it['why']}")
    if "--json" in sys.argv:
        print(json.dumps(rows, indent=1))
    said = ", ".join(f"{count} {what}" for what, count in counts.most_common())
    print(f"{said}; {statistics.median(shares or [0]):.2f} lines for one of the source's")
    return 1 if counts["different"] else 0


if __name__ == "__main__":
    sys.exit(main())
