"""A U-Net for semantic segmentation, with attention gates on its skip connections if they are asked for."""

import tensorflow as tf
from tensorflow import keras
from tensorflow.keras import layers


class SqueezeExcite(layers.Layer):
    """Weighs the channels of an image by what is in all of it."""

    def __init__(self, channels, ratio=4, **kwargs):
        super().__init__(**kwargs)
        self.channels = channels
        self.ratio = ratio
        self.squeeze = layers.Dense(channels // ratio, activation="relu")
        self.excite = layers.Dense(channels, activation="sigmoid")

    def call(self, x):
        # one number for each channel
        weights = tf.reduce_mean(x, axis=[1, 2], keepdims=True)
        weights = self.excite(self.squeeze(weights))
        return x * weights

    def get_config(self):
        return {**super().get_config(), "channels": self.channels, "ratio": self.ratio}


def conv_block(x, filters, dropout=0.0):
    """Two convolutions, each with batch normalization."""
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)

    x = layers.Conv2D(filters, 3, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.Activation("relu")(x)
    return layers.Dropout(dropout)(x)


def encoder_block(x, filters, dropout=0.0):
    """A block, and the image at half its size."""
    skip = conv_block(x, filters, dropout)
    return skip, layers.MaxPooling2D(2)(skip)


def attention_gate(skip, gate, filters):
    """Lets through of the skip connection what the coarser image asks for."""
    query = layers.Conv2D(filters, 1)(gate)
    key = layers.Conv2D(filters, 1)(skip)
    scores = layers.Activation("relu")(layers.Add()([query, key]))
    scores = layers.Conv2D(1, 1, activation="sigmoid")(scores)  # one map for all channels
    return layers.Multiply()([skip, scores])


def decoder_block(x, skip, filters, attention=False):
    """Doubles the image and joins it with that of the encoder."""
    x = layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(x)
    if attention:
        skip = attention_gate(skip, x, filters // 2)
    x = layers.Concatenate()([x, skip])
    return conv_block(x, filters)


def build_unet(input_shape=(32, 32, 3), classes=2, widths=(8, 16, 32), dropout=0.1, attention=True):
    """The whole network: an encoder, a bridge and a decoder."""
    inputs = keras.Input(shape=input_shape)
    x = inputs

    # The encoder: keep what was there before each halving.
    skips = []
    for width in widths:
        skip, x = encoder_block(x, width, dropout)
        skips.append(skip)

    # The bridge is twice as wide as the last level.
    x = conv_block(x, widths[-1] * 2, dropout)
    x = SqueezeExcite(widths[-1] * 2)(x)

    # The decoder goes the same way back.
    for width in reversed(widths):
        x = decoder_block(x, skips.pop(), width, attention)

    outputs = layers.Conv2D(classes, 1, activation="softmax")(x)
    return keras.Model(inputs, outputs, name="unet")


def dice_loss(y_true, y_pred, smooth=1.0):
    """One less the Dice coefficient of the whole batch."""
    intersection = tf.reduce_sum(y_true * y_pred)
    total = tf.reduce_sum(y_true) + tf.reduce_sum(y_pred)
    return 1.0 - (2.0 * intersection + smooth) / (total + smooth)


if __name__ == "__main__":
    model = build_unet()
    model.compile(optimizer="adam", loss=dice_loss)
    model.summary()
