"""Model files for the tests of the commands, made from the tissue U-Net without any framework."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py

UNET = Path(__file__).parents[2] / "examples" / "ihc_unet" / "ihc_unet.keras"
HOSTILE = 'x"); import os #'


def changed(
    target: Path,
    config: Callable[[Any], Any] = lambda config: config,
    renamed: dict[str, str] | None = None,
    groups: dict[str, str] | None = None,
) -> Path:
    """The U-Net's file with another config; other names of layers; other groups of weights."""
    with zipfile.ZipFile(UNET) as source, zipfile.ZipFile(target, "w") as archive:
        text = source.read("config.json").decode()
        for old, new in (renamed or {}).items():
            text = text.replace(json.dumps(old), json.dumps(new))
        archive.writestr("metadata.json", source.read("metadata.json"))
        archive.writestr("config.json", json.dumps(config(json.loads(text))))
        weights = io.BytesIO(source.read("model.weights.h5"))
        with h5py.File(weights, "r+") as file:
            for group in file["layers"].values():
                for holder in (group, group["vars"]):
                    if holder.attrs.get("name") in (renamed or {}):
                        holder.attrs["name"] = renamed[holder.attrs["name"]]
            for old, new in (groups or {}).items():
                file.move(f"layers/{old}", f"layers/{new}")
        archive.writestr("model.weights.h5", weights.getvalue())
    return target


def layer(config: Any, name: str) -> Any:
    """The entry of a layer in a model's config."""
    return next(it for it in config["config"]["layers"] if it["name"] == name)
