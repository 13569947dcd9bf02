"""Operations of `keras.ops`, and of Keras 2 files, by subject."""

from torchport.rules.operations import (
    adjust,
    axes,
    casts,
    conv,
    elementwise,
    fills,
    image,
    index,
    losses,
    matrices,
    nn,
    numpy,
    patches,
    pieces,
    products,
    reduce,
    scatter,
    sorting,
    special,
    spectra,
    waves,
)

FAMILIES = (
    elementwise, casts, reduce, sorting, axes, pieces, numpy, index, scatter, nn, conv, products, matrices,
    waves, image, patches, special, fills, adjust, spectra, losses,
)  # fmt: skip
