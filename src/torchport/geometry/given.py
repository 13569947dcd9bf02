"""The input that the user gives: an array of numpy, or a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from torchport.errors import BadFile, TorchportError
from torchport.geometry.pictures import Basis, encode, grey, image, pillow
from torchport.graph import Graph, Tensor

if TYPE_CHECKING:
    from torchport.geometry.network import Side

#: Layers that scale pixels themselves: what reaches them is 0 to 255.
SCALES = ("Rescaling", "Normalization")
#: Modes of Pillow by how many channels a model takes.
MODES = {1: "L", 3: "RGB", 4: "RGBA"}


def read(source: Any, graph: Graph, tensor: Tensor) -> tuple[np.ndarray, str]:
    """An input of the model with one sample, in the source's axes, and what was done to it in words.

    Raises BadFile for a file that is none, TorchportError for one that does not fit.
    """
    if isinstance(source, (str, Path)):
        path = Path(source)
        check(path)
        if path.suffix.lower() not in (".npy", ".npz"):
            return pixels(path, graph, tensor)
        array = load(path, tensor.name)
    else:
        array = np.asarray(source)
    where = str(source) if isinstance(source, (str, Path)) else f"the input {tensor.name!r}"
    if array.dtype.kind not in "biuf" and tensor.name not in graph.texts:
        raise TorchportError(f"holds {array.dtype}, no numbers", where=where, advice="give numbers")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        what = "holds numbers that are not finite: no picture can be made of what follows"
        raise TorchportError(what, where=where, advice="give it without NaN and infinity")
    if array.ndim == len(tensor.shape) - 1:
        array = array[None]
    return array[:1], ""


def check(path: Path) -> None:
    """Raises BadFile for what is no file."""
    if not path.is_file():
        what = "is a directory" if path.is_dir() else "there is no such file"
        raise BadFile(what, where=str(path), advice="check the path: a PNG, a JPEG, an .npy or .npz file")


def load(path: Path, name: str) -> np.ndarray:
    """The array of an .npy file, the one of an .npz file or that with the input's name; nothing is run."""
    try:
        found = np.load(path, allow_pickle=False)
        if not isinstance(found, np.lib.npyio.NpzFile):
            return np.asarray(found)
        with found:
            names = found.files
            if name in names or len(names) == 1:
                return np.asarray(found[name if name in names else names[0]])
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        advice = f"write it with numpy.save, or numpy.savez(file, {name}=array)"
        raise BadFile(f"is no array of numpy ({error})", where=str(path), advice=advice) from error
    what = f"has no array {name!r}, but {', '.join(names) or 'none'}"
    raise BadFile(what, where=str(path), advice=f"write it with numpy.savez(file, {name}=array)")


def pixels(path: Path, graph: Graph, tensor: Tensor) -> tuple[np.ndarray, str]:
    """A picture as the model takes it: its channels, and its size where the model fixes one.

    Pixels are 0 to 1, and 0 to 255 where the model scales them itself.
    """
    Image = pillow()
    axes = [str(it) for it in tensor.axes]
    if sorted(axes) != sorted("nhwc"):
        where = f"the input {tensor.name!r}"
        raise TorchportError(
            "takes no picture: its axes are " + " ".join(axes), where=where, advice="give an .npy file"
        )
    sizes = dict(zip(axes, tensor.shape, strict=True))
    mode = MODES.get(sizes["c"] or 3)
    if mode is None:
        where = f"the input {tensor.name!r}"
        raise TorchportError(
            f"has {sizes['c']} channels, a picture has not", where=where, advice="give an .npy file"
        )
    try:
        with Image.open(path) as file:
            made = file.convert(mode)
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        advice = "give a PNG, a JPEG, an .npy or .npz file"
        reason = str(error).replace(f" {str(path)!r}", "")
        raise BadFile(f"is no picture ({reason})", where=str(path), advice=advice) from error
    notes = []
    wanted = (sizes["w"] or made.width, sizes["h"] or made.height)
    if made.size != wanted:
        notes.append(f"The picture was resized from {made.width}×{made.height} to {wanted[0]}×{wanted[1]}.")
        made = made.resize(wanted, Image.Resampling.BILINEAR)
    array = np.asarray(made, np.float32).reshape(wanted[1], wanted[0], -1)
    if first_layer(graph, tensor.name) not in SCALES:
        array = array / np.float32(255)
        notes.append("Its pixels were divided by 255.")
    array = array.transpose(["hwc".index(axis) for axis in axes[1:]])
    return array[None].astype(np.float32), " ".join(notes)


def first_layer(graph: Graph, name: str) -> str:
    """The kind of what reads an input."""
    return next((op.kind for op in graph.ops if name in op.inputs), "")


def open_sizes(array: np.ndarray, tensor: Tensor) -> list[int]:
    """Sizes of the axes that the model leaves open, as an array has them."""
    return [int(have) for size, have in zip(tensor.shape[1:], array.shape[1:], strict=False) if size is None]


def shown(array: np.ndarray, side: Side) -> str:
    """The input as a picture: its own colours where it has three channels between 0 and 1, or 0 and 255."""
    found = image(array, side.axes)
    if found is None:
        return ""
    found = found.astype(np.float64)
    low, high = float(found.min()), float(found.max())
    if found.shape[-1] in (1, 3) and low >= 0 and high <= 255:
        values = found / (255 if high > 1 else 1)
        return encode((values * 255).astype(np.uint8) if found.shape[-1] == 3 else grey(values[..., 0]), 256)
    return encode(Basis.of(found).colours(found), 256)


def read_all(sources: Sequence[Any], graph: Graph) -> tuple[list[np.ndarray], str]:
    """All inputs of a model, in order: files or arrays; one .npz file has all by name."""
    if len(sources) == 1 and isinstance(sources[0], (str, Path)) and Path(sources[0]).suffix == ".npz":
        sources = [sources[0]] * len(graph.inputs)
    if len(sources) != len(graph.inputs):
        names = ", ".join(graph.inputs)
        what = f"the model takes {len(graph.inputs)} inputs ({names}), given are {len(sources)}"
        raise TorchportError(what, where="--input", advice="repeat --input for each, in this order")
    found = [read(it, graph, graph.tensors[name]) for it, name in zip(sources, graph.inputs, strict=True)]
    return [array for array, _ in found], " ".join(filter(None, (note for _, note in found)))
