"""The same conversion by tf2onnx and onnx2torch: .keras -> ONNX -> a torch module on disk.

.venv-peers/bin/python bench/peers.py SOURCE.keras MODULE.pt
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import tensorflow as tf
import tf2onnx
import torch

# onnx2torch imports torchvision, whose PyPI wheel loads its operators only beside a CUDA build of
# torch and otherwise fails to import. A U-Net uses none of them: their names are enough.
try:
    import torchvision  # noqa: F401
except RuntimeError:
    names = torch.library.Library("torchvision", "DEF")
    for operator in ("nms", "qnms"):
        names.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")

import onnx2torch


def main(source: str, destination: str) -> None:
    model = keras.saving.load_model(source, compile=False)
    # Height and width are fixed: at unknown sizes onnx2torch refuses what "same" padding becomes.
    signature = [tf.TensorSpec((None, 256, 256, 3), tf.float32, name="image")]
    forward = tf.function(lambda image: model(image, training=False))
    onnx = Path(destination).with_suffix(".onnx")
    tf2onnx.convert.from_function(forward, signature, output_path=str(onnx))
    torch.save(onnx2torch.convert(onnx), destination)


if __name__ == "__main__":
    main(*sys.argv[1:])
