"""Where TensorFlow and PyTorch differ in numbers: each fact, and the case or test that holds a rule to it.

A fact whose case is taken away fails here. What weights start with, and how losses and optimizers differ,
is not of rules: tests of training have it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.layers.cases import CASES

TESTS = Path(__file__).parents[1]
#: A fact -> a pattern of a case, of a call in tests/functions/ported.txt, or a test by file and name.
FACTS: dict[str, str] = {
    # weights
    "convolutions are (h, w, i, o) -> (o, i, h, w)": r"^Conv2D\(filters=7,kernel_size=\(3,2\)",
    "grouped convolutions count inputs of a group": r"^Conv2D\(.*groups=2",
    "transposed convolutions are (h, w, o, i) -> (i, o, h, w), not turned": r"^Conv2DTranspose\(",
    "depthwise output channels are i * M + m": r"^DepthwiseConv2D\(.*depth_multiplier=2",
    "dense is transposed": r"^Dense\(units=",
    "dense after flatten has rows of (h, w, c)": r"^Flatten\(\)-.*Dense\(units=5\)\[2,3,5,7\]",
    "flatten of channels first moves channels last": r"^Flatten\(data_format=channels_first",
    "as after flatten, after reshape": r"^Reshape\(target_shape=\(105,\)\)-Dense",
    # padding
    "'same' has the extra one at the end: odd": r"^Conv2D\(.*strides=2,padding=same\)\[2,11,5,3\]",
    "'same' has the extra one at the end: even": r"^Conv2D\(.*strides=2,padding=same\)\[2,10,6,3\]",
    "'same' of an open size is counted as it runs": r"^Conv2D\(.*padding=same,strides=2\)\[\?,\?,\?,3\]",
    "'causal' pads the start": r"^Conv1D\(.*padding=causal",
    "max pooling pads with -inf": r"^MaxPooling2D\(.*padding=same",
    "average pooling leaves padding out": r"^AveragePooling2D\(.*padding=same",
    "transposed 'same' is cropped unevenly": r"^Conv2DTranspose\(.*kernel_size=3,strides=2.*padding=same",
    "symmetric padding, which torch has not": r"symmetric",
    # norms
    "batch norm: epsilon, and the momentum that is kept": r"^BatchNormalization\(scale=False,momentum=0.9\)",
    "the running variance is biased": "layers/test_layers.py::test_exact_batch_norm_keeps_keras_statistics",
    "and in fused layers of Keras 2": "field/test_refused_before.py::test_running_variances_of_keras_2",
    "a frozen norm is in inference mode": r"^BatchNormalization\(trainable=False\)",
    "batch norm over another axis": r"^BatchNormalization\(axis=2\)",
    "batch norm under a mask": "layers/test_recurrent.py::test_masked_statistics",
    "batch renormalisation": r"^BatchNormalization\(renorm=True",
    "layer norm over several axes": r"^LayerNormalization\(axis=\[1,3\]\)",
    "groups=-1 is a group for each channel": r"^GroupNormalization\(groups=-1",
    "RMS norm has 1e-6": r"^RMSNormalization\(\)",
    "unit norm has 1e-12, Keras 2 of the square": r"^tf_keras:layers.UnitNormalization\(.*1e-8",
    "normalisation divides by at least 1e-7": r"^Normalization\(.*variance=\[1.1,0.0,2.2\]\)",
    # activations
    "LeakyReLU has 0.3": r"^LeakyReLU\(\)",
    "gelu is exact, the operation is not": r"^ops.gelu\(x\)",
    "elu with alpha": r"^ELU\(alpha=",
    "hard_sigmoid of Keras 2": r"^tf_keras:.*hard_sigmoid",
    "hard_sigmoid of Keras 3": r"^activation:hard_sigmoid",
    "PReLU for each element, or shared": r"^PReLU\(shared_axes=",
    "softmax over a list of axes": r"^Softmax\(axis=\[",
    "ReLU with all its options": r"^ReLU\(max_value=.*threshold|^ReLU\(.*negative_slope.*",
    # recurrent
    "LSTM gates, and one bias": r"^LSTM\(units=5\)",
    "GRU gates, two biases": r"^GRU\(units=5\)",
    "GRU with reset_after=False": r"^GRU\(units=5,reset_after=False\)",
    "other activations go step by step": r"^LSTM\(units=5,recurrent_activation=hard_sigmoid\)",
    "recurrent dropout": r"^LSTM\(units=5,recurrent_dropout=0.2",
    "go_backwards leaves the output turned": r"^LSTM\(units=5,return_sequences=True,go_backwards=True",
    "both directions": r"^Bidirectional\(layer=LSTM",
    "masks carry the state": r"^Masking\(.*LSTM|Embedding\(.*LSTM",
    "stateful": "layers/test_recurrent.py::test_stateful",
    "steps before the batch": r"^tf_keras:LSTM\(units=5,time_major=True",
    "cuDNN's order of memory": "layers/test_cudnn.py::test_as_tf_keras_loads_the_file",
    # attention, embedding
    "key_dim is of each head": r"MultiHeadAttention\(2,4,value_dim=5",
    "a mask is True where it attends": r"MultiHeadAttention\(.*value_mask=",
    "where all is masked": r"MultiHeadAttention\(.*attention_mask=z>9",
    "a mask of numbers in Keras 2": r"^tf_keras:layers.MultiHeadAttention\(.*attention_mask=tf.cast",
    "mask_zero is no padding index": r"^Embedding\(.*mask_zero=True",
    "one_hot of what is out of range": r"ops.one_hot\(ops.cast\(x\*2",
    # resizing
    "bilinear, corners not aligned": r"^UpSampling2D\(.*bilinear|^Resizing\(.*bilinear|^Resizing\(",
    "the old way of TensorFlow 1": r"compat.v1.image.resize_bilinear",
    "corners aligned": r"align_corners=True",
    "nearest repeats": r"^UpSampling2D\(",
    "bicubic with -0.5": r"bicubic",
    "antialias": r"antialias=True",
    "depth_to_space": r"depth_to_space",
    # other
    "spatial dropout": "layers/test_layers.py::test_random_layers_have_tensorflows_distribution",
    "time distributed, step by step": "field/test_refused_before.py::test_statistics_of_each_step",
    "deviations are biased": r"ops.std\(",
    "% is floormod": r"tf.math.floormod\(i|i % j",
    "truncatemod": r"truncatemod\(i",
    "division of whole numbers": "field/test_raw_ops.py::test_is_equal_or_refused",
    "the first of equal maxima": r"tf.argmax\(t, 1\)",
    "whole numbers of both widths": r"tf.argmax\(x, 1, output_type=tf.int32\)",
    # dialects
    "Keras 1": "read/test_keras1.py::test_kernels_of_theano",
    "axis as a list": "read/test_config.py::test_old_terms",
}  # fmt: skip

TEXTS = [*map(str, CASES), *(TESTS / "functions" / "ported.txt").read_text().splitlines()]


@pytest.mark.parametrize("fact", FACTS)
def test_a_case_holds_it(fact: str) -> None:
    pattern = FACTS[fact]
    if "::" in pattern:
        file, _, name = pattern.partition("::")
        assert re.search(rf"^def {name}", (TESTS / file).read_text(), re.M), pattern
    else:
        assert any(re.search(pattern, it) for it in TEXTS), pattern
