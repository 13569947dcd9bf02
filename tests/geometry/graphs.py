"""Networks that the page is tested on, as graphs: no TensorFlow is started for them.

`python -m tests.geometry.graphs DIR` keeps those of the .keras files in a folder: what `read` gives, but for
the numbers of their weights, which are 1, 2, 3, … here.
"""

from __future__ import annotations

import json
import lzma
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

from tests.replay.codec import decode, encode
from tests.replay.replay import CORPUS, load

from torchport import pipeline, training
from torchport.geometry import Explanation
from torchport.graph import Graph
from torchport.options import DEFAULT
from torchport.port import Port

KEPT = Path(__file__).with_name("graphs.json.xz")
UNET = Path(__file__).parents[2] / "examples" / "ihc_unet" / "ihc_unet.keras"
#: What a name must not become: markup, the end of the script that it stands in, an attribute.
HOSTILE = ("<img src=x onerror=\"document.title='hit'\">", "</script><script>document.title='hit'</script>")


@cache
def graphs() -> dict[str, Graph]:
    """All kept networks by name, `ResNet50` of the replay, and `hostile`, whose layers have such names."""
    found = json.loads(lzma.decompress(KEPT.read_bytes()))
    text = json.dumps(found["first"])
    for name, hostile in zip(("c1", "t1"), HOSTILE, strict=True):
        text = text.replace(f'"{name}', json.dumps(hostile)[:-1])
    found |= {"hostile": json.loads(text), "ResNet50": load(CORPUS, "networks")["ResNet50"]}
    return {name: decode(it) for name, it in found.items()}


@cache
def explanation(name: str) -> Explanation:
    """A network explained."""
    if name == "ihc_unet":
        import torchport.geometry

        return torchport.geometry.explain(UNET)
    graph = graphs()[name]
    program = replace(pipeline.written(graph, "Network"), training=training.record(graph))
    return Explanation(Port(program, f"{name}.keras", DEFAULT))


def main(folder: Path) -> None:
    from torchport.read import read

    found = {path.stem: encode(read(path)) for path in sorted(folder.glob("*.keras"))}
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    KEPT.write_bytes(lzma.compress(text.encode(), preset=9))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
