"""Small models in a folder, as many as asked for: python bench/small.py DIR COUNT"""

import sys
from pathlib import Path

import keras


def main(folder: Path, count: int) -> None:
    for at in range(count):
        model = keras.Sequential(
            [
                keras.Input((32, 32, 3)),
                keras.layers.Conv2D(8 + at % 5, 3, padding="same", activation="relu"),
                keras.layers.BatchNormalization(),
                keras.layers.MaxPooling2D(),
                keras.layers.Flatten(),
                keras.layers.Dense(10, activation="softmax"),
            ],
            name=f"small_{at}",
        )
        model.save(folder / f"small_{at}.h5")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
