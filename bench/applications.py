"""Models of keras.applications with random weights, as files: python bench/applications.py DIR NAME..."""

from __future__ import annotations

import sys
from pathlib import Path

import keras

if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    for name in sys.argv[2:]:
        getattr(keras.applications, name)(weights=None).save(Path(sys.argv[1]) / f"{name}.keras")
