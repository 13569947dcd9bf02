"""Train the tissue U-Net with Keras on TensorFlow: python examples/ihc_unet/train.py"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "tensorflow"  # before keras is imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from pathlib import Path

import keras
import tensorflow as tf
from keras import layers

from data import dice, tissue, training_batches

HERE = Path(__file__).parent
CHANNELS = (16, 32, 64, 128)
EPOCHS, STEPS, BATCH = 6, 40, 4
SEED = 7


def double_conv(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """Twice convolution, batch normalisation, ReLU."""
    for i in (1, 2):
        x = layers.Conv2D(channels, 3, padding="same", name=f"{name}_conv{i}")(x)
        x = layers.BatchNormalization(momentum=0.95, name=f"{name}_bn{i}")(x)
        x = layers.Activation("relu", name=f"{name}_relu{i}")(x)
    return x


def unet() -> keras.Model:
    """A four-level U-Net: (n, h, w, 3) in 0..1 -> (n, h, w, 1) probability; h, w multiples of 8."""
    *encoder, bottom = CHANNELS
    image = keras.Input((None, None, 3), name="image")
    x, skips = image, []
    for level, channels in enumerate(encoder, start=1):
        x = double_conv(x, channels, f"enc{level}")
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"pool{level}")(x)
        if level == len(encoder):
            x = layers.Dropout(0.2, name=f"drop{level}")(x)

    x = double_conv(x, bottom, "bottleneck")
    x = layers.Dropout(0.3, name="bottleneck_drop")(x)

    for level, channels in reversed(list(enumerate(encoder, start=1))):
        up = layers.Conv2DTranspose(channels, 2, strides=2, padding="same", name=f"up{level}")(x)
        x = layers.Concatenate(name=f"skip{level}")([skips.pop(), up])
        x = double_conv(x, channels, f"dec{level}")

    mask = layers.Conv2D(1, 1, activation="sigmoid", name="head")(x)
    return keras.Model(image, mask, name="ihc_unet")


def compiled(model: keras.Model) -> keras.Model:
    schedule = keras.optimizers.schedules.CosineDecay(2e-3, EPOCHS * STEPS)
    model.compile(keras.optimizers.Adam(schedule), "binary_crossentropy")
    return model


def main() -> None:
    keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()

    whole = tissue()
    model = compiled(unet())
    batches = training_batches(whole, BATCH, SEED)
    model.fit(batches, epochs=EPOCHS, steps_per_epoch=STEPS, verbose=2)

    kept = whole.kept
    score = dice(model.predict(kept.image[None], verbose=0)[0], kept.target)

    # Adam's moments would triple the file: save a copy that is compiled but not yet trained on.
    slim = compiled(unet())
    slim.set_weights(model.get_weights())
    path = HERE / "ihc_unet.keras"
    slim.save(path)
    print(f"{model.count_params():,} parameters, {path.stat().st_size / 1e6:.2f} MB")
    print(f"Dice on the kept quarter: {score:.4f}")


if __name__ == "__main__":
    main()
