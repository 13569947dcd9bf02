"""What older Keras versions wrote, in today's terms: class names, and layers' configs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from torchport.errors import BadFile, TorchportError
from torchport.graph import is_keras_2
from torchport.read.document import mapping, text
from torchport.read.packages import foreign

#: Classes that were renamed, by their old name.
RENAMED = {
    "BatchNormalizationV1": "BatchNormalization",
    "BatchNormalizationV2": "BatchNormalization",
    "SyncBatchNormalization": "BatchNormalization",
    "LSTMV2": "LSTM",
    "GRUV2": "GRU",
    "DenseV2": "Dense",
    "Convolution1D": "Conv1D",
    "Convolution2D": "Conv2D",
    "Convolution3D": "Conv3D",
    "Convolution1DTranspose": "Conv1DTranspose",
    "Convolution2DTranspose": "Conv2DTranspose",
    "Convolution3DTranspose": "Conv3DTranspose",
    "SeparableConvolution1D": "SeparableConv1D",
    "SeparableConvolution2D": "SeparableConv2D",
    "DepthwiseConvolution2D": "DepthwiseConv2D",
    "GlobalAvgPool1D": "GlobalAveragePooling1D",
    "GlobalAvgPool2D": "GlobalAveragePooling2D",
    "GlobalAvgPool3D": "GlobalAveragePooling3D",
    "GlobalMaxPool1D": "GlobalMaxPooling1D",
    "GlobalMaxPool2D": "GlobalMaxPooling2D",
    "GlobalMaxPool3D": "GlobalMaxPooling3D",
    "AvgPool1D": "AveragePooling1D",
    "AvgPool2D": "AveragePooling2D",
    "AvgPool3D": "AveragePooling3D",
    "MaxPool1D": "MaxPooling1D",
    "MaxPool2D": "MaxPooling2D",
    "MaxPool3D": "MaxPooling3D",
}

#: Layers of packages that Keras has since, by the name that they were registered under.
#: Source: tensorflow_addons/layers/normalizations.py; an InstanceNormalization says groups=-1 itself.
#: SpectralNormalization is that of tf-keras (tensorflow_addons/layers/spectral_normalization.py).
ADOPTED = {
    "Addons>SpectralNormalization": "SpectralNormalization",
    "keras_hub>ReversibleEmbedding": "ReversibleEmbedding",
    "keras_nlp>ReversibleEmbedding": "ReversibleEmbedding",
    "Addons>GroupNormalization": "GroupNormalization",
    "Addons>InstanceNormalization": "GroupNormalization",
}

#: What the name of such a class says, and today's class has as an option.
IMPLIED: dict[str, dict[str, Any]] = {"SyncBatchNormalization": {"synchronized": True}}

#: Where Keras and its forks keep their own layers; a class from elsewhere is somebody's own.
PACKAGES = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")

#: Keras 3 gives `training=True` to these by default and records it on their nodes, so that it says
#: nothing about what the author wanted (the `call` signatures in keras/src/layers/preprocessing).
TRAINING_BY_DEFAULT = frozenset(
    "AugMix AutoContrast CenterCrop ContrastLimitedAdaptiveHistogramEqualization CutMix "
    "Equalization MaxNumBoundingBoxes MixUp Pipeline RandAugment RandomBrightness "
    "RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop "
    "RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale "
    "RandomHue RandomInvert RandomPerspective RandomPosterization RandomRotation "
    "RandomSaturation RandomSharpness RandomShear RandomTranslation RandomZoom Resizing "
    "Solarization".split()
)

#: Layers of Keras 3 whose config leaves out `trainable`: their `get_config` does not ask `Layer.get_config`.
BARE = frozenset(
    "SpatialDropout1D SpatialDropout2D SpatialDropout3D Discretization HashedCrossing Pipeline".split()
)

#: Keys that never changed what a layer computes.
IDLE = frozenset({"batch_input_shape", "batch_shape", "input_dtype", "autocast"})

#: Keys that one class wrote, that never changed what it computes.
IDLE_OF: dict[str, frozenset[str]] = {
    "BatchNormalization": frozenset({"fused"}),
    "Embedding": frozenset({"input_length"}),
    "MultiHeadAttention": frozenset({"query_shape", "key_shape", "value_shape"}),
    **dict.fromkeys(("LSTM", "GRU", "LSTMCell", "GRUCell", "SimpleRNN"), frozenset({"implementation"})),
    **dict.fromkeys(
        # A separable layer inherited these from Conv and read depthwise_… and pointwise_… instead.
        ("SeparableConv1D", "SeparableConv2D"),
        frozenset({"kernel_initializer", "kernel_regularizer", "kernel_constraint"}),
    ),
    **dict.fromkeys(
        # DepthwiseConv2D inherited them too; what it reads is called depthwise_….
        ("DepthwiseConv1D", "DepthwiseConv2D"),
        frozenset({"filters", "kernel_initializer", "kernel_regularizer", "kernel_constraint"}),
    ),
}

#: Keys of Keras 2 that meant nothing at this value: the layer has no such option any more.
NEUTRAL: dict[str, Any] = {
    "time_major": False,
    "softmax_robust_masking": False,
    "rng_type": "stateful",
    "ragged": False,
    "sparse": False,
    "virtual_batch_size": None,
    "adjustment": None,
}
#: Options that Keras 2 makes float32, and so writes with its error. Source: `cast_to_floatx` in
#: tf_keras/src/layers/activation/.
SINGLE = {
    "LeakyReLU": ("alpha", "negative_slope"), "ELU": ("alpha",), "ThresholdedReLU": ("theta",),
    "ReLU": ("max_value", "negative_slope", "threshold"),
}  # fmt: skip
UNGROUPED = frozenset(
    "Conv1DTranspose Conv2DTranspose Conv3DTranspose DepthwiseConv1D DepthwiseConv2D "
    "SeparableConv1D SeparableConv2D".split()
)


def check_version(version: str, where: str) -> str:
    """The version itself, if it wrote a dialect that is read: Keras 1 and later."""
    if version.split(".")[0] == "0":
        raise TorchportError(
            f"written by Keras {version}, whose configurations are not read",
            where=where,
            advice="load it with Keras 1 and save it again as .h5",
        )
    return version


def kind(entry: Mapping[str, Any], where: str) -> str:
    """The kind of an op: Keras's class name, or for anything else a name that no rule has."""
    name = text(entry.get("class_name"), "class_name", where)
    module = entry.get("module")
    registered = entry.get("registered_name")
    package, _, short = registered.rpartition(">") if isinstance(registered, str) else ("", "", name)
    if package in ("", "Custom") and (found := foreign(short, entry.get("config"), module)):
        return found
    if package:
        return ADOPTED.get(f"{package}>{short}", f"{package}>{short}")
    if module is not None and not is_layer_module(text(module, "module", where)):
        return f"{module}.{name}"
    return RENAMED.get(name, ADOPTED.get(name, name))


def is_layer_module(module: str) -> bool:
    """Whether a class of this module is one of Keras's layers or models."""
    parts = module.split(".")
    return "ops" not in parts and any(
        module == package or module.startswith(f"{package}.") for package in PACKAGES
    )


def is_operation(entry: Mapping[str, Any], version: str) -> bool:
    """Whether this is a call of `keras.ops`, which is a node of the graph but not a layer.

    A legacy HDF5 file leaves the module out; there an operation shows in that it alone has no
    `trainable` (`Operation.get_config` against `Layer.get_config`), but for some layers, `BARE`. It may
    have a `dtype`, as Cast has.
    """
    module = entry.get("module")
    if isinstance(module, str):
        return module.startswith("keras") and "ops" in module.split(".")
    config = entry.get("config")
    if is_keras_2(version) or not isinstance(config, dict) or entry.get("class_name") in BARE:
        return False
    return not config.keys() & {"trainable", "layers", "batch_shape", "batch_input_shape"}


def modernise(config: Mapping[str, Any], of: str, version: str, where: str) -> dict[str, Any]:
    """A layer's config in Keras 3 terms, wrapped layers included. `name` is left out."""
    new = {key: plain(value, version, where) for key, value in config.items() if key != "name"}
    if "dtype" in new:
        new["dtype"] = dtype_name(new["dtype"])
    idle = IDLE | IDLE_OF.get(of, frozenset())
    new = {key: value for key, value in new.items() if key not in idle}
    for key, neutral in NEUTRAL.items():
        if key in new and new[key] == neutral:
            del new[key]
    if new.get("groups") == 1 and of in UNGROUPED:
        del new["groups"]
    new = shortened(of, new)
    if of in CHANGES:
        CHANGES[of](new, version)
    if is_keras_2(version):
        for key in ("activation", "recurrent_activation"):
            # Keras 2 clips 0.2x + 0.5, Keras 3 clips x/6 + 0.5, under the same name.
            if new.get(key) == "hard_sigmoid" or names_function(new.get(key), "hard_sigmoid"):
                new[key] = "keras2>hard_sigmoid"
    return new


def shortened(of: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """A layer's config where a number that Keras 2 made float32 is the one that people wrote: 0.2.

    Of layers that compute in float64 it is what it says, 0.20000000298023224.
    """
    new = dict(config)
    for key in SINGLE.get(of, ()) if dtype_name(config.get("dtype")) != "float64" else ():
        value = config.get(key)
        if isinstance(value, float) and float(np.float32(value)) == value:
            new[key] = shortest(np.float32(value))
    return new


def shortest(number: Any) -> float:
    """A number of numpy's, of no axes, by the shortest decimal that gives it in its dtype."""
    return float(str(number[()]))


def names_function(spec: Any, name: str) -> bool:
    """Whether a value is a function of this name, written as an object."""
    known = isinstance(spec, Mapping) and spec.get("class_name") == "function" and not spec.get("owner")
    return known and spec.get("config") == name


def plain(value: Any, version: str, where: str) -> Any:
    """A value of a config; serialized layers inside it are modernised as well."""
    if isinstance(value, (list, tuple)):
        return [plain(item, version, where) for item in value]
    if not isinstance(value, Mapping):
        return value
    if isinstance(value.get("class_name"), str) and isinstance(value.get("config"), Mapping):
        if is_policy(value):
            return dtype_name(value)
        inner, of = value["config"], str(RENAMED.get(value["class_name"], value["class_name"]))
        new = {key: item for key, item in value.items() if key != "shared_object_id"}
        if "trainable" in inner:  # a layer; an initialiser has none
            name = {"name": inner["name"]} if "name" in inner else {}
            implied = IMPLIED.get(value["class_name"], {})
            return {
                **new,
                "class_name": of,
                "config": {**name, **modernise({**implied, **inner}, of, version, where)},
            }
        return {**new, "config": {key: plain(item, version, where) for key, item in inner.items()}}
    return {key: plain(item, version, where) for key, item in value.items()}


def is_policy(value: Mapping[str, Any]) -> bool:
    return str(value["class_name"]).endswith(("Policy", "PolicyV1", "DTypePolicyMap"))


#: Policies under which variables are float32, and computation is in half of that: PyTorch has torch.autocast.
MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


def dtype_name(value: Any) -> Any:
    """A dtype policy as its name: `float32`, `int8_from_float32`; of a mixed one that of its variables."""
    name = policy_name(value)
    return "float32" if isinstance(name, str) and name in MIXED else name


def policy_name(value: Any) -> Any:
    """A dtype policy as Keras calls it; a map of policies as the one of them that is not of plain numbers.

    Source: keras/src/dtype_policies/dtype_policy.py, dtype_policy_map.py.
    """
    if not isinstance(value, Mapping):
        return value
    config = value.get("config")
    if not isinstance(config, Mapping):
        return str(value.get("class_name", "unknown"))
    if isinstance(config.get("policy_map"), Mapping):
        inside = [policy_name(it) for it in (*config["policy_map"].values(), config.get("default_policy"))]
        names = [it for it in inside if isinstance(it, str)]
        return next((it for it in names if "_from_" in it), names[0] if names else None)
    if isinstance(config.get("mode"), str):
        return f"{config['mode']}_from_{config.get('source_name') or 'float32'}"
    name = config.get("name")
    return name if isinstance(name, str) else str(value.get("class_name", "unknown"))


def input_config(entry: Mapping[str, Any], where: str) -> tuple[Any, str]:
    """Batch shape and dtype that an InputLayer, or a first layer acting as one, declares."""
    config = mapping(entry.get("config"), "config", where)
    declared = config.get("batch_shape", config.get("batch_input_shape"))
    if declared is None and config.get("input_shape") is not None:  # tf.keras 1
        declared = [None, *config["input_shape"]] if isinstance(config["input_shape"], list) else None
    dtype = dtype_name(config.get("input_dtype", config.get("dtype")))
    if dtype is not None and not isinstance(dtype, str):
        raise BadFile(f"the dtype {dtype!r} is not a name", where=where)
    return declared, dtype or "float32"


def leaky_relu(config: dict[str, Any], version: str) -> None:
    if "alpha" in config:
        config["negative_slope"] = config.pop("alpha")


def batch_normalization(config: dict[str, Any], version: str) -> None:
    axis = config.get("axis")
    if isinstance(axis, list) and len(axis) == 1:  # tf.keras saves a list, of one axis except in v1
        config["axis"] = axis[0]
    if config.get("renorm") is False:
        for key in ("renorm", "renorm_clipping", "renorm_momentum"):
            config.pop(key, None)


def gru(config: dict[str, Any], version: str) -> None:
    if is_keras_2(version):
        # Keras before 2.1 had no such option, and computed what False stands for now.
        config.setdefault("reset_after", False)


CHANGES: dict[str, Callable[[dict[str, Any], str], None]] = {
    "LeakyReLU": leaky_relu,
    "BatchNormalization": batch_normalization,
    "GRU": gru,
    "GRUCell": gru,
}
