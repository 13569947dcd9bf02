"""Programs in the styles in which people write models: what a reader would strike out is not there."""

from __future__ import annotations

from typing import Any

import keras
import pytest
from tests.quick import QUICK

import torchport

L = keras.layers


def text_of(model: keras.Model, verified: bool = True) -> str:
    port = torchport.convert(model)
    if verified:
        found = torchport.verify(model, port, **QUICK)
        assert found.passed, f"{found}\n{port.code}"
    return port.code


def forward(code: str) -> str:
    """The last class's `forward`."""
    return code.rpartition("def forward")[2]


def test_nested_models_without_names_are_called_by_what_they_are() -> None:
    encode = keras.Sequential(
        [keras.Input((11, 11, 1)), *(L.Conv2D(3, 3, activation="relu") for _ in range(3)), L.Flatten()]
    )
    one, other = keras.Input((11, 11, 1)), keras.Input((11, 11, 1))
    code = text_of(keras.Model([one, other], L.Dense(1)(abs(encode(one) - encode(other)))))
    assert "class Encoder(nn.Module)" in code and "self.encoder = Encoder()" in code
    x = keras.Input((5,))
    mlp = keras.Sequential([keras.Input((5,)), L.Dense(7, activation="relu"), L.Dense(5)])
    assert "self.mlp = nn.Sequential(" in text_of(keras.Model(x, L.Add()([x, mlp(x)])))


def test_a_branch_is_written_whole() -> None:
    """Not its last call where branches meet, behind all the other branch."""
    numbers, image = keras.Input((10,), name="numbers"), keras.Input((16, 16, 3), name="image")
    x = L.Dense(4, activation="relu")(L.Dense(8, activation="relu")(numbers))
    y = image
    for width in (3, 5):
        y = L.MaxPooling2D()(L.Conv2D(width, 3, padding="same", activation="relu")(y))
    y = L.Dense(4, activation="relu")(L.Dense(7)(L.Flatten()(y)))
    code = forward(text_of(keras.Model([numbers, image], L.Dense(1)(L.Concatenate()([x, y])))))
    assert code.index("self.fc2(") < code.index("self.conv1("), code


def test_a_pyramid_is_written_before_its_heads() -> None:
    image = keras.Input((32, 32, 3))
    x, scales = image, []
    for width in (3, 5, 7):
        x = L.Conv2D(width, 3, strides=2, padding="same", activation="relu")(x)
        scales.append(x)
    p3 = L.Conv2D(6, 1, name="lateral3")(scales[2])
    p2 = L.Add()([L.UpSampling2D()(p3), L.Conv2D(6, 1, name="lateral2")(scales[1])])
    p1 = L.Add()([L.UpSampling2D()(p2), L.Conv2D(6, 1, name="lateral1")(scales[0])])
    heads = []
    for at, it in enumerate((p3, p2, p1)):
        y = L.Conv2D(4, 3, padding="same", activation="relu", name=f"head{at}")(it)
        heads.append(y if at == 2 else L.UpSampling2D(2 ** (2 - at))(y))
    code = forward(text_of(keras.Model(image, L.Conv2D(2, 1)(L.Concatenate()(heads)))))
    assert code.index("self.lateral1(") < code.index("self.head0("), code


def test_heads_for_several_scales_stand_behind_all_maps() -> None:
    """As a single-shot detector has them: classes and boxes, whatever the sizes of the maps."""
    x = image = keras.Input((64, 96, 3))
    maps, rows = [], []
    for width in (4, 6, 6, 5):
        x = L.ELU()(L.BatchNormalization()(L.Conv2D(width, 3, padding="same")(L.MaxPooling2D()(x))))
        maps.append(x)
    for size in (7, 4):
        heads = [L.Conv2D(3 * size, 3, padding="same")(it) for it in maps]
        rows.append(L.Concatenate(axis=1)([L.Reshape((-1, size))(it) for it in heads]))
    code = text_of(keras.Model(image, L.Concatenate()([L.Softmax()(rows[0]), rows[1]])))
    assert "1536" not in code and code.index("self.bn4(") < code.index("self.conv5("), code


def inception(x: Any, widths: tuple[int, ...], name: str) -> Any:
    def conv(x: Any, width: int, size: int) -> Any:
        return L.Conv2D(width, size, padding="same", activation="relu")(x)

    pooled = L.MaxPooling2D(3, strides=1, padding="same")(x)
    branches = [conv(x, widths[0], 1), conv(conv(x, widths[1], 1), widths[2], 3)]
    branches += [conv(conv(x, widths[3], 1), widths[4], 5), conv(pooled, widths[5], 1)]
    return L.Concatenate(name=name)(branches)


def test_an_inception_block_is_whole_and_its_sizes_have_names() -> None:
    x = image = keras.Input((16, 16, 3))
    sizes = ((3, 5, 7, 2, 4, 6), (5, 6, 8, 2, 5, 7), (4, 7, 9, 3, 5, 5), (6, 8, 9, 3, 7, 4))
    for at, widths in enumerate(sizes):
        x = inception(x, widths, f"inception_{3 + at // 2}{'ab'[at % 2]}")
        x = L.MaxPooling2D()(x)
    code = text_of(keras.Model(image, L.Dense(2)(L.Flatten()(x))))
    assert "channels_3x3_reduce: int" in code and "channels_pool: int" in code, code
    assert "self.inception_3a = InceptionBlock(3, 3, 5, 7, 2, 4, 6)" in code, code


def test_what_is_returned_stands_on_one_line() -> None:
    x = keras.Input((9,))
    outputs = []
    y = x
    for at in range(3):
        y = L.Dense(7, activation="relu")(y)
        outputs.append(L.Dense(4, activation="softmax", name=f"auxiliary_classifier_{at}")(y))
    code = forward(text_of(keras.Model(x, outputs)))
    assert "return auxiliary_classifier_0, auxiliary_classifier_1, " in code, code


def test_blocks_are_called_as_their_layers_without_numbers() -> None:
    x = image = keras.Input((16, 16, 3))
    for at in range(1, 6):
        for part in (1, 2):
            x = L.Conv2D(4 + at, 3, padding="same", activation="elu", name=f"conv{at}1_{part}")(x)
            x = L.Dropout(0.2, name=f"drop{at}1_{part}")(x)
        x = L.MaxPooling2D()(x) if at < 4 else x
    code = text_of(keras.Model(image, x), verified=False)
    assert "self.conv21 = DoubleConv(5, 6)" in code, code


def test_a_mixer_has_one_block() -> None:
    """Without flags for what is permuted, and without a norm over channels that come first."""
    image = keras.Input((16, 16, 3))
    x = L.Reshape((16, 24))(L.Conv2D(24, 4, strides=4)(image))
    for _ in range(4):
        y = L.Permute((2, 1))(L.LayerNormalization()(x))
        y = L.Permute((2, 1))(L.Dense(16)(L.Dense(32, activation="gelu")(y)))
        x = L.Add()([x, y])
        x = L.Add()([x, L.Dense(24)(L.Dense(48, activation="gelu")(L.LayerNormalization()(x)))])
    code = text_of(keras.Model(image, L.Dense(2)(L.GlobalAveragePooling1D()(x))))
    assert "MixerBlock() for _ in range(4)" in code and "ChannelLayerNorm" not in code, code
    assert "nn.Conv1d" not in code


@pytest.mark.parametrize("both", [False, True])
def test_last_states_go_on_as_first_ones(both: bool) -> None:
    """Of a module that goes both ways each direction's apart: h[-1] is one of two."""
    source, target = keras.Input((7, 5)), keras.Input((6, 4))
    layer = L.LSTM(3, return_state=True)
    _, *states = (L.Bidirectional(layer) if both else layer)(source)
    y = L.LSTM(3, return_sequences=True)(target, initial_state=states[-2:])
    code = text_of(keras.Model([source, target], L.Dense(2)(y)))
    assert both or "(h, c))" in code and "unsqueeze" not in code, code


@pytest.mark.parametrize("cell", [L.LSTM, L.GRU])
def test_both_ways_are_called_by_the_cell(cell: type[keras.Layer]) -> None:
    x = keras.Input((7, 5))
    y = L.Bidirectional(cell(3, return_sequences=True, dropout=0.2))(x)
    code = text_of(keras.Model(x, L.Dense(2)(y)), verified=False)
    assert f"self.{cell.__name__.lower()}_forward = nn.{cell.__name__}(" in code, code


def test_a_norm_does_not_shift_a_block() -> None:
    """A decoder's step of attention with its norm behind is cut behind the norm."""
    words = keras.Input((12, 16))
    x = words
    for _ in range(3):
        y = L.MultiHeadAttention(2, 8)(x, x)
        x = L.LayerNormalization()(L.Add()([x, y]))
        y = L.Dense(16)(L.Dense(32, activation="gelu")(x))
        x = L.LayerNormalization()(L.Add()([x, y]))
    code = text_of(keras.Model(words, L.Dense(2)(x)), verified=False)
    assert "TransformerBlock() for _ in range(3)" in code, code
