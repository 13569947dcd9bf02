"""Operations of `keras.ops`, and of Keras 2 files, by subject."""

from torchport.rules.operations import axes, elementwise, image, index, nn, pieces, products, reduce

FAMILIES = (elementwise, reduce, axes, pieces, index, nn, products, image)
