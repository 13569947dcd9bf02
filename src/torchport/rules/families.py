"""All families of rules, a file for each."""

from torchport.rules import (
    activation,
    addons,
    applications,
    attention,
    audio,
    augment,
    augment_mix,
    augment_place,
    categories,
    conv,
    conv_lstm,
    directions,
    dropout,
    einsum,
    embedding,
    hashing,
    linear,
    locally_connected,
    merge,
    multi_head,
    norm,
    operations,
    pool,
    positions,
    recurrent,
    rescale,
    reshape,
    resize,
    space,
    text,
    wrappers,
)

#: In the order in which they are shown.
FAMILIES = (
    conv, locally_connected, pool, space, resize, norm, linear, einsum, activation, dropout, reshape,
    merge, rescale, embedding, positions, recurrent, conv_lstm, wrappers, directions, multi_head, attention,
    categories, hashing, text, audio, augment, augment_place, augment_mix, applications, addons,
    *operations.FAMILIES,
)  # fmt: skip
