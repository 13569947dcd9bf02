"""What a file or folder is that is no Keras model, by what is in it; and what to do with it."""

from __future__ import annotations

import ast
import json
import zipfile
from pathlib import Path

from torchport.errors import BadFile, TorchportError
from torchport.read.wire import fields

#: What becomes of models that are TensorFlow's operations.
OPERATIONS = "load the Keras model that it was made of, and save it as .keras or .h5"
#: What a checkpoint lacks.
CHECKPOINT = (
    "is a TensorFlow checkpoint: weights without a model",
    "give the architecture too, --config model.json",
)
#: What files start with: what they are, and what to do.
STARTS = (
    (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", "is PyTorch's already (torch.save)", "use it as it is"),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file itself", "run git lfs pull"),
    (b"\x1f\x8b", "is packed with gzip", "unpack it, and give what is inside"),
    (b"7z\xbc\xaf\x27\x1c", "is packed with 7-Zip", "unpack it, and give what is inside"),
    (b"Rar!", "is packed with RAR", "unpack it, and give what is inside"),
    (b"\x93NUMPY", "is NumPy's .npy: one array", "give the model itself"),
    (b"GGUF", "is a GGUF file, of llama.cpp", "it was no Keras model: nothing here reads it"),
    (b"MATLAB", "is a MATLAB file", "export the network to Keras, and give that"),
    (b"<", "is a web page or XML: the download went wrong", "download the model itself"),
)
#: A pickle starts so, and what joblib packs it with.
PICKLES = (*(b"\x80" + bytes([it]) for it in (2, 3, 4, 5)), b"x\x9c", b"x\x01", b"x\xda", b"ZF")
#: Field numbers of a MetaGraphDef: its information, graph, saver, collections, signatures.
META = frozenset({1, 2, 3, 4, 5, 6, 7})
#: Field numbers of messages of ONNX (ModelProto) and of a TensorFlow graph (GraphDef).
ONNX, GRAPH_DEF = frozenset({1, 2, 3, 4, 5, 6, 7, 8, 14, 20, 25, 26}), frozenset({1, 2, 3, 4})
#: Bytes that are looked at.
LOOKED_AT = 2**20
KNOWN = "give a .keras or .h5 file, a SavedModel of Keras 2, or TensorFlow.js's model.json"


def unknown(path: Path, start: bytes) -> BadFile:
    """The refusal of a file that no reader takes."""
    what, advice = described(path, start)
    return BadFile(what, where=str(path), advice=advice)


def described(path: Path, start: bytes) -> tuple[str, str]:
    for begin, what, advice in STARTS:
        if start.lstrip()[: len(begin)] == begin:
            return what, advice
    if start.startswith(PICKLES):
        advice = (
            "a pickle runs code when it is loaded: load it yourself, and save the Keras model in it as .keras"
        )
        return "is a pickle (or joblib's)", advice
    if start[4:8] == b"TFL3":
        return "is a TensorFlow Lite model: operations, no layers", OPERATIONS
    if is_safetensors(path, start):
        advice = "give the Keras model; PyTorch reads these weights with safetensors.torch.load_file"
        return "is a safetensors file: weights without a model", advice
    with path.open("rb") as file:
        data = memoryview(file.read(LOOKED_AT))
    if (found := message(data, path.stat().st_size)) is not None:
        return found
    if is_python(data):
        advice = "run it, and save the model that it builds as .keras; weights need --config FILE.py:FUNCTION"
        return "is Python source, no model file", advice
    return (
        "is neither a Keras archive (a zip file), nor an HDF5 file, nor TensorFlow.js's model.json",
        "save the model as .keras or .h5; if it is one, the file is damaged",
    )


def is_safetensors(path: Path, start: bytes) -> bool:
    size = int.from_bytes(start[:8], "little")
    return start[8:9] == b"{" and 2 <= size <= path.stat().st_size - 8


def message(data: memoryview, size: int) -> tuple[str, str] | None:
    """What a protocol buffer is, by its first fields; None if it is none that is known."""
    numbers: list[tuple[int, bool]] = []
    nodes = 0
    try:
        for number, value in fields(data, ""):
            numbers.append((number, isinstance(value, int)))
            if number == 1 and not isinstance(value, int):
                inner = dict(fields(value, ""))
                nodes += 1 in inner and 2 in inner and isinstance(inner[2], memoryview)
    except TorchportError:
        if len(data) == size:
            return None
        # The last field goes on behind what was looked at.
    kinds = dict(reversed(numbers))
    if not kinds:
        return None
    if kinds.get(1) is True and kinds.get(2) is False and kinds.keys() <= {1, 2}:
        return "is a SavedModel's saved_model.pb under another name", "give the folder that it was in"
    if kinds.get(1) is True and kinds.keys() <= ONNX and (7 in kinds or 2 in kinds):
        return "is an ONNX model: operations, no layers", OPERATIONS
    if nodes and kinds.get(1) is False and kinds.keys() <= GRAPH_DEF:
        return "is a TensorFlow graph (a frozen graph, GraphDef): operations, no layers", OPERATIONS
    if kinds.get(1) is False and kinds.get(2) is False and kinds.keys() <= META and not nodes:
        return "is a graph of TensorFlow 1 (the .meta beside a checkpoint): operations, no layers", OPERATIONS
    return None


def is_python(data: memoryview) -> bool:
    try:
        tree = ast.parse(bytes(data).decode("utf-8"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    kinds = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    return any(isinstance(it, kinds) for it in tree.body)


def check_archive(path: Path) -> None:
    """Raises BadFile for a zip file that is known to be something else than a Keras archive."""
    try:
        with zipfile.ZipFile(path) as file:
            names = file.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return
    last = {name.rpartition("/")[2] for name in names}
    if {"config.json", "metadata.json"} & set(names):  # one that is damaged says so by itself
        return
    if "constants.pkl" in last:
        found = "is TorchScript: PyTorch's already", "use it as it is: torch.jit.load"
    elif "data.pkl" in last:
        found = "is PyTorch's already (torch.save)", "use it as it is: torch.load"
    elif names and all(name.endswith(".npy") for name in names):
        advice = "load the arrays into the Keras model with set_weights, and save that as .keras"
        found = "is NumPy's .npz: arrays without a model", advice
    elif "saved_model.pb" in last or any(name.endswith((".h5", ".hdf5", ".keras")) for name in names):
        found = "is a packed model", "unpack it, and give what is inside"
    elif any(name.startswith("word/") or name == "[Content_Types].xml" for name in names):
        found = "is an Office document", KNOWN
    elif names:
        found = "is a zip file, but no Keras archive: it has no config.json", KNOWN
    else:
        return
    raise BadFile(found[0], where=str(path), advice=found[1])


def folder(path: Path) -> TorchportError:
    """The refusal of a folder that is no model."""
    names = {it.name for it in path.iterdir()}
    endings = sorted(name for name in names if name.endswith((".keras", ".h5", ".hdf5")))
    if {"model.py", "port.json"} <= names:
        found = "is a port that torchport wrote", "give the model that it was made of"
    elif {"config.json", "metadata.json"} <= names and "model.weights.h5" in names:
        advice = f"pack it again: cd {path.name} && zip -0 -r ../{path.name}.keras ."
        found = "is an unpacked .keras file", advice
    elif "saved_model.pbtxt" in names:
        found = "is a SavedModel as text", "load it with TensorFlow, and save the Keras model as .keras"
    elif "tfhub_module.pb" in names:
        found = "is a module of TensorFlow Hub: operations, no layers", OPERATIONS
    elif "checkpoint" in names or any(name.endswith(".index") for name in names):
        found = (
            "is a TensorFlow checkpoint: weights without a model",
            "give the architecture too, --config model.json",
        )
    elif "config.json" in names and is_transformers(path / "config.json"):
        found = "is a model of Hugging Face's transformers", "load it there with its PyTorch class"
    elif "task.json" in names or "preprocessor.json" in names:
        found = "is a preset of KerasHub", "load it with from_preset(...), and save its backbone as .keras"
    elif len(endings) == 1:
        found = "is a folder", f"give the file in it, {endings[0]}"
    else:
        found = "is a folder, and no SavedModel", KNOWN
    return BadFile(found[0], where=str(path), advice=found[1])


def is_transformers(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            tree = json.loads(file.read(LOOKED_AT))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(tree, dict) and bool(
        {"model_type", "architectures", "transformers_version"} & tree.keys()
    )
