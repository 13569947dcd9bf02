"""Operations of `keras.ops` that are not ported: why, and what to do instead."""

from __future__ import annotations

FUNCTION = "it calls a Python function, which is not in the file in a form that could be read safely"
LAYER = "write it as a layer class of your own and give --rules"
SIZES = "how large its result is depends on the values"
CONSTANT = "it makes a tensor of numbers that are only known when it runs"
LOSS = "it is a loss, and reads the logits behind a sigmoid or softmax, which the graph does not say"
LATER = "take it out of the model, and compute it in training, with torch.nn.functional"
BROKEN = "Keras itself cannot run it in a graph with TensorFlow"
NUMPY = "give the numbers themselves as an array"
OUTSIDE = "take it out of the model and compute it on the result"

#: Class of keras.ops -> (why it has no exact equivalent here, the alternative).
REFUSED_OPERATIONS: dict[str, tuple[str, str]] = {
    **{
        name: (FUNCTION, LAYER)
        for name in (
            "AssociativeScan", "Cond", "ForiLoop", "JVP", "Map", "Scan", "Switch", "VectorizedMap",
            "WhileLoop",
        )
    },
    **{
        name: (CONSTANT, NUMPY)
        for name in ("Arange", "Array", "Full", "Geomspace", "Linspace", "Logspace")
    },
    "Nonzero": (SIZES, "multiply by a mask, or use keras.ops.where with three arguments"),
    "Unique": (SIZES, OUTSIDE),
    **{
        name: (LOSS, LATER)
        for name in ("BinaryCrossentropy", "CategoricalCrossentropy", "SparseCategoricalCrossentropy")
    },
    "CTCLoss": ("it is a loss, which TensorFlow and torch count otherwise where it is infinite", LATER),
    "CTCDecode": ("its search through the steps is not ported", OUTSIDE),
    "Argpartition": ("in which order it leaves equal parts is not said", "use keras.ops.argsort"),
    "Eig": ("the order and the signs of eigenvectors are free", OUTSIDE),
    "Eigh": ("the signs of eigenvectors are free", "keras.ops.svd with compute_uv=False is ported"),
    "LuFactor": ("torch counts its pivots otherwise", "use keras.ops.solve, keras.ops.inv or keras.ops.det"),
    "EmptyLike": ("its values are not said", "use keras.ops.zeros_like"),
    "View": ("it reads the bits of numbers, which depend on their precision", "use keras.ops.cast"),
    "Correlate": ("it runs over vectors without a batch", "use keras.ops.conv"),
    "ISTFT": (
        "TensorFlow divides by the sum of windows as it is far from the borders, torch by that at each place",
        OUTSIDE,
    ),
    "Nanargmax": ("it gives -1 where all is NaN", "use keras.ops.argmax after keras.ops.nan_to_num"),
    "Nanargmin": ("it gives -1 where all is NaN", "use keras.ops.argmin after keras.ops.nan_to_num"),
    # Source: keras/src/ops/nn.py, ConvTranspose.call: padding and output_padding change places.
    "ConvTranspose": (BROKEN, "use the layer Conv2DTranspose"),
    # Source: keras/src/ops/numpy.py, Histogram.call: the backend has no math.histogram.
    "Histogram": (BROKEN, OUTSIDE),
    # Source: keras/src/ops/math.py, _view_as_complex: it adds 1j times a float to a float.
    "ViewAsComplex": (BROKEN, "keep the two parts apart, as keras.ops.fft has them"),
    # Source: keras/src/ops/numpy.py, Ndim: the shape that it declares is not a number's.
    "Ndim": ("Keras declares another shape for it than it has", "use len(x.shape)"),
    "ElasticTransform": (
        "it draws anew at every call",
        "take it out of the model and augment in the data loader, with torchvision.transforms.v2",
    ),
    "PerspectiveTransform": (
        "TensorFlow finds its eight numbers in float32", "use keras.ops.image.affine_transform with them",
    ),
    "MapCoordinates": ("it runs over all axes, the batch as well", LAYER),
    "ScaleAndTranslate": ("its kernels are not ported", "use keras.ops.image.resize"),
    "SSIM": ("it is a measure of results, not a part of a model", OUTSIDE),
}  # fmt: skip
