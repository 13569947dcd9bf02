"""Cases of preprocessing and augmentation inside a model."""

from __future__ import annotations

from typing import Any

from tests.layers.harness import Case, Inner

FLOAT32 = "TensorFlow resizes in float32"
FIRST = {"data_format": "channels_first"}
EMBED = (("Embedding", {"input_dim": 9, "output_dim": 3}),)


def resizing(shape: str = "2 7 11 3", within: float = 1e-6, **options: Any) -> Case:
    kernel = options.get("antialias") or "lanczos" in options.get("interpolation", "")
    dtype = "float32" if kernel else "float64"  # ScaleAndTranslateGrad takes no other
    options = {"height": 5, "width": 13, **options}
    return Case("Resizing", options, shape, within=within, why=FLOAT32, dtype=dtype)


CATEGORIES = [
    Case("CategoryEncoding", {"num_tokens": 7}, "3 5", below=7),
    Case("CategoryEncoding", {"num_tokens": 7, "output_mode": "count"}, "3 5", below=7),
    Case("CategoryEncoding", {"num_tokens": 7, "output_mode": "one_hot"}, "3 1", below=7),
    Case("CategoryEncoding", {"num_tokens": 7, "output_mode": "one_hot"}, "3 5", below=7),
    Case("CategoryEncoding", {"num_tokens": 7, "output_mode": "one_hot"}, "3 5 2", below=7),
    Case("CategoryEncoding", {"num_tokens": 5, "output_mode": "one_hot"}, "3 5", below=7),
    Case("Discretization", {"bin_boundaries": [-1.0, 0.1, 0.7]}, "3 5", then=EMBED),
    Case("Discretization", {"bin_boundaries": [-1.0, 0.1, 0.7], "output_mode": "one_hot"}, "3 5"),
    Case("Discretization", {"bin_boundaries": [-1.0, 0.1, 0.7], "output_mode": "multi_hot"}, "3 5"),
    Case("Discretization", {"bin_boundaries": [-1.0, 0.1, 0.7], "output_mode": "count"}, "3 5"),
    Case("Discretization", {"bin_boundaries": [1.0, 2.0, 4.5]}, "3 5", below=7, then=EMBED),
    Case("IntegerLookup", {"vocabulary": [4, 2, 6]}, "3 5", below=7, then=EMBED),
    Case("IntegerLookup", {"vocabulary": [4, 2, 6], "mask_token": 0}, "3 5", below=7, then=EMBED),
    Case("IntegerLookup", {"vocabulary": [0, -1, 4, 2, 6], "mask_token": 0}, "3 5", below=7, then=EMBED),
    Case("IntegerLookup", {"vocabulary": [-1, 4, 2, 6]}, "3 5", below=7, then=EMBED),
    Case("IntegerLookup", {"vocabulary": [3, 4, 2, 6], "oov_token": 3}, "3 5", below=7, then=EMBED),
    *(
        Case("IntegerLookup", {"vocabulary": [4, 2, 6], "output_mode": mode, **options}, x, below=7)
        for mode, x in (("one_hot", "3 1"), ("one_hot", "3 5"), ("multi_hot", "3 5"), ("count", "3 5"))
        for options in ({}, {"mask_token": 5}, {"max_tokens": 7, "pad_to_max_tokens": True})
    ),
]  # fmt: skip

INT: dict[str, Any] = {"dtype": "int64"}
HASHING = [
    Case("Hashing", {"num_bins": 9, **INT}, "3 5", below=700, then=EMBED),
    Case("Hashing", {"num_bins": 9, "salt": 133, **INT}, "3 5", below=700, then=EMBED),
    Case("Hashing", {"num_bins": 9, "salt": [-133, 2**62], **INT}, "3 5", below=700, then=EMBED),
    Case("Hashing", {"num_bins": 9, "mask_value": 2, **INT}, "3 5", below=7, then=EMBED),
    Case("Hashing", {"num_bins": 9, "mask_value": 2, "salt": 5, **INT}, "3 5", below=7, then=EMBED),
    Case("Hashing", {"num_bins": 1, "mask_value": 2, **INT}, "3 5", below=7, then=EMBED),
    Case("Hashing", {"num_bins": 9, **INT}, "3 5", then=EMBED),
    Case("Hashing", {"num_bins": 9, "output_mode": "one_hot"}, "3 1", below=700),
    Case("Hashing", {"num_bins": 9, "output_mode": "one_hot"}, "3 5", below=700),
    Case("Hashing", {"num_bins": 9, "output_mode": "multi_hot"}, "3 5", below=700),
    Case("Hashing", {"num_bins": 9, "output_mode": "count", "salt": [1, 2]}, "3 5", below=700),
    Case("HashedCrossing", {"num_bins": 9, **INT}, ("7 1", "7 1"), below=700, then=EMBED),
    Case("HashedCrossing", {"num_bins": 9, "output_mode": "one_hot"}, ("7 1", "7 1"), below=700),
    Case("Hashing", {"num_bins": 9, **INT}, "3 5", below=700, then=EMBED, of="tf_keras"),
]  # fmt: skip

RESIZE = [
    resizing(),
    resizing(interpolation="nearest"),
    resizing(interpolation="bicubic", within=1e-5),
    resizing(interpolation="lanczos3", within=1e-5),
    resizing(interpolation="lanczos5", within=1e-5),
    resizing(antialias=True, within=1e-5),
    resizing(interpolation="bicubic", antialias=True, within=1e-5),
    resizing(interpolation="lanczos3", antialias=True, within=1e-5),
    resizing(interpolation="nearest", height=3, width=17),
    resizing(crop_to_aspect_ratio=True),
    resizing(crop_to_aspect_ratio=True, height=6, width=3),
    resizing(pad_to_aspect_ratio=True, fill_value=0.5),
    resizing(pad_to_aspect_ratio=True, height=6, width=3),
    resizing("2 3 7 11", **FIRST),
    Case("Resizing", {"height": 5, "width": 4}, "2 7 11 3", sizes="? ? ? 3", within=1e-6, why=FLOAT32),
    Case("CenterCrop", {"height": 3, "width": 4}, "2 7 11 3"),
    Case("CenterCrop", {"height": 4, "width": 11}, "2 7 11 3"),
    Case("CenterCrop", {"height": 7, "width": 11}, "2 7 11 3"),
    Case("CenterCrop", {"height": 9, "width": 4}, "2 7 11 3", within=1e-6, why=FLOAT32),
    Case("CenterCrop", {"height": 3, "width": 4, **FIRST}, "2 3 7 11"),
    Case("CenterCrop", {"height": 3, "width": 4}, "2 7 11 3", below=256),
    Case("CenterCrop", {"height": 9, "width": 4}, "2 7 11 3", below=256, within=1e-6, why=FLOAT32),
]  # fmt: skip

NESTED = [Inner("ReLU"), Inner("Normalization")]
ZOOM = {"height_factor": 0.1}
UNIT = {"value_range": [0.0, 1.0]}


def pipeline(*layers: Inner, shape: str = "2 5 7 3", below: int = 0) -> Case:
    return Case("Pipeline", {"layers": list(layers)}, shape, below=below)


def clahe(shape: str = "2 11 13 3", **options: Any) -> Case:
    kind = "ContrastLimitedAdaptiveHistogramEqualization"
    options = {"value_range": [-2.0, 2.0], "tile_grid_size": [2, 3], **options}
    return Case(kind, options, shape)


#: Tiles that fit and that do not, which are clipped and which are not.
CLAHE: list[dict[str, Any]] = [
    {}, {"tile_grid_size": [11, 1]}, {"tile_grid_size": [8, 8]}, {"clip_limit": 0.0},
    {"clip_limit": 30.0}, {"value_range": [0, 255]},
]  # fmt: skip

#: In inference they do nothing.
AUGMENT = [
    Case("RandomFlip"),
    Case("RandomFlip", {"mode": "horizontal"}),
    Case("RandomFlip", {"mode": "vertical", **FIRST}),
    Case("RandomFlip", of="tf_keras"),
    *(
        Case(kind, {"factor": factor, "interpolation": how}, of="tf_keras",
             then=(("GlobalAveragePooling2D", {}),))
        for kind in ("RandomHeight", "RandomWidth")
        for factor, how in ((0.2, "bilinear"), ((-0.3, 0.4), "nearest"))
    ),
    Case("RandomBrightness", {"factor": 0.2, **UNIT}),
    Case("RandomContrast", {"factor": 0.2, **UNIT}),
    Case("RandomInvert", {"factor": 0.2, **UNIT}),
    Case("RandomGrayscale", {"factor": 0.3}),
    Case("Solarization", {"threshold_factor": 0.3, **UNIT}),
    Case("RandomShear", {"x_factor": 0.2}),
    Case("RandomColorDegeneration", {"factor": 0.2, **UNIT}),
    Case("RandomSharpness", {"factor": 0.2, **UNIT}),
    Case("RandomSaturation", {"factor": 0.2, **UNIT}),
    Case("RandomHue", {"factor": 0.2, **UNIT}),
    Case("RandomGaussianBlur", {"factor": 0.2, "kernel_size": 3, "sigma": 0.7, **UNIT}),
    Case("RandomPosterization", {"factor": 3, **UNIT}),
    Case("RandomErasing"),
    Case("RandomErasing", {"fill_value": [0.1, 0.2, 0.3], **UNIT}),
    Case("RandomCrop", {"height": 3, "width": 4}, then=(("GlobalAveragePooling2D", {}),)),
    *(
        Case("RandomCrop", {"height": height, "width": width}, of="tf_keras", within=1e-6, why=FLOAT32)
        for height, width in ((3, 4), (5, 7), (6, 4), (3, 9), (8, 9))
    ),
    Case("RandomContrast", {"factor": 0.2}, of="tf_keras"),
    Case("RandomColorJitter", {"brightness_factor": 0.2, "hue_factor": 0.2, **UNIT}),
    Case("RandomPerspective"),
    Case("RandomElasticTransform"),
    Case("RandomElasticTransform", {"scale": 0.0}),
    pipeline(Inner("Equalization")),
    pipeline(Inner("Rescaling", {"scale": 0.5}), Inner("CenterCrop", {"height": 3, "width": 4})),
    pipeline(Inner("RandomFlip"), Inner("Normalization")),
    pipeline(Inner("RandomZoom", ZOOM), Inner("Pipeline", {"layers": NESTED})),
    Case("AugMix"),
    Case("AugMix", {"all_ops": False, **UNIT}),
    Case("RandAugment", {"factor": [0.2, 0.4], **UNIT}),
    *(
        Case(kind, options, below=256)
        for kind, options in (
            ("RandomFlip", {}), ("RandomRotation", {"factor": 0.2}), ("RandomShear", {"x_factor": 0.2}),
            ("RandomZoom", ZOOM), ("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.3}),
            ("RandomPerspective", {}), ("RandomElasticTransform", {}), ("RandomErasing", {}),
            ("RandomElasticTransform", {"scale": 0.0}), ("RandomSharpness", {"factor": 0.2}),
            ("RandomGaussianBlur", {}), ("Solarization", {"threshold_factor": 0.2}), ("RandAugment", {}),
            ("AugMix", {}),
        )
    ),
    *(
        Case(kind, options, below=256, of="tf_keras", within=1e-6, why=FLOAT32)
        for kind, options in (
            ("RandomCrop", {"height": 3, "width": 4}), ("RandomContrast", {"factor": 0.2}),
            ("RandomBrightness", {"factor": 0.2}), ("RandomFlip", {}), ("RandomZoom", ZOOM),
        )
    ),
    Case("RandomCrop", {"height": 3, "width": 4}, of="tf_keras", within=1e-6, why=FLOAT32,
         then=(("Flatten", {}), ("Dense", {"units": 5}))),
    Case("AutoContrast", below=256, within=1e-6, why="images of whole numbers are computed in float32"),
    Case("Rescaling", {"scale": 0.5}, below=256, then=(("RandomBrightness", {"factor": 0.2}),)),
    *(clahe(**options) for options in CLAHE),
    clahe("2 3 5 7", **FIRST),
    Case("AutoContrast"),
    Case("AutoContrast", UNIT),
    Case("RandomRotation", {"factor": 0.2}),
    Case("RandomZoom", {"height_factor": 0.2}),
    Case("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.3}),
    Case("RandomTranslation", {"height_factor": 0.2, "width_factor": 0.3}, of="tf_keras"),
]  # fmt: skip

WHOLE = {"factor": [1.0, 1.0], "scale": [1.0, 1.0]}
#: A range that is one number is not random: in training mode the same to the last digits.
FIXED = [
    Case("RandomBrightness", {"factor": [0.2, 0.2], "value_range": [-1.0, 1.5]}),
    Case("RandomContrast", {"factor": [0.0, 0.0], "value_range": [-1.0, 1.5]}),
    Case("RandomInvert", {"factor": [1.0, 1.0], "value_range": [0.0, 0.7]}),
    Case("RandomGrayscale", {"factor": 1.0}),
    Case("RandomColorDegeneration", {"factor": [0.3, 0.3], "value_range": [-1.0, 2.0]}),
    Case("RandomSharpness", {"factor": [0.3, 0.3], "value_range": [-1.0, 2.0]}),
    Case("RandomSharpness", {"factor": [0.9, 0.9], "value_range": [-1.0, 2.0]}),
    Case("RandomHue", {"factor": [1.0, 1.0], "value_range": [-3.0, 4.0]}),
    Case("RandomSaturation", {"factor": [0.3, 0.3], "value_range": [0.0, 1.0]}),
    Case(
        "RandomGaussianBlur",
        {"factor": [1.0, 1.0], "kernel_size": 5, "sigma": [0.7, 0.7], "value_range": [-1.0, 2.0]},
    ),
    Case("Solarization", {"addition_factor": 0.0, "threshold_factor": 0.0, "value_range": [-1.0, 2.0]}),
    Case("RandomPosterization", {"factor": [3, 3], "value_range": [-4.0, 4.0]}, "2 7 11 3"),
    Case("RandomPosterization", {"factor": 1, "value_range": [-4.0, 4.0]}, "2 7 11 3"),
    Case("RandomPosterization", {"factor": [2, 3], "value_range": [-4.0, 4.0]}, "2 7 11 3"),
    Case("RandomErasing", {**WHOLE, "fill_value": 0.3}),
    Case("RandomErasing", {**WHOLE, "fill_value": [0.3, 2.0, -1.0], **UNIT}),
    Case("RandomCrop", {"height": 3, "width": 7}, "2 5 7 3"),
    Case("RandomCrop", {"height": 3, "width": 9}, "2 5 7 3"),
    Case("RandomCrop", {"height": 6, "width": 2}, "2 5 7 3"),
    Case("RandomCrop", {"height": 6, "width": 9, **FIRST}, "2 3 5 7"),
    Case("RandomCrop", {"height": 6, "width": 4}, of="tf_keras"),
    Case("RandomColorJitter", {
        "brightness_factor": [0.2, 0.2], "contrast_factor": [0.0, 0.0], "saturation_factor": [0.3, 0.3],
        "hue_factor": [1.0, 1.0], **UNIT,
    }),
    Case("RandomPerspective", {"scale": 0.0}),
    Case("RandomPerspective", {"factor": 0.0}),
    Case("Solarization", {"addition_factor": 0.0, "threshold_factor": 0.0}, below=256),
    Case("RandomErasing", {**WHOLE, "fill_value": 0.3}, below=256),
    Case("RandomSharpness", {"factor": [0.3, 0.3]}, below=256),
    Case("RandomGaussianBlur", {"factor": [1.0, 1.0], "sigma": [0.7, 0.7]}, below=256),
    Case("RandomRotation", {"factor": [0.13, 0.13]}, below=256),
    pipeline(Inner("Rescaling", {"scale": 1.0}), Inner("RandomPosterization", {"factor": [3, 3]}), below=256),
    Case("RandomTranslation", {"height_factor": [0.125, 0.125], "width_factor": [0.125, 0.125],
         "fill_mode": "constant", "interpolation": "nearest"}, "2 4 12 3"),
    pipeline(Inner("Equalization", {"value_range": [-3.0, 3.0]})),
    pipeline(Inner("Equalization", {"value_range": [-3.0, 3.0], "bins": 7})),
    pipeline(Inner("Equalization", {"value_range": [0.0, 0.0001], "bins": 2})),
    pipeline(Inner("Equalization", {"value_range": [-3.0, 3.0], **FIRST}), shape="2 3 5 7"),
    pipeline(Inner("Equalization", {"value_range": [0, 255]})),
    *(
        Case(kind, {**options, "fill_mode": fill, "fill_value": 0.3, "interpolation": how}, "2 7 11 3")
        for fill in ("reflect", "constant", "wrap", "nearest")
        for how in ("bilinear", "nearest")
        for kind, options in (
            ("RandomRotation", {"factor": [0.13, 0.13]}),
            ("RandomZoom", {"height_factor": [0.31, 0.31]}),
            ("RandomZoom", {"height_factor": [-0.31, -0.31], "width_factor": [0.23, 0.23]}),
            ("RandomTranslation", {"height_factor": [0.31, 0.31], "width_factor": [-0.87, -0.87]}),
        )
    ),
]  # fmt: skip


def stft(shape: str = "2 40 1", **options: Any) -> Case:
    options = {"frame_length": 11, "frame_step": 5, "fft_length": 16, **options}
    return Case("STFTSpectrogram", options, shape, compiled="data_format" in options)


MEL = {"fft_length": 16, "sequence_stride": 5, "num_mel_bins": 3, "sampling_rate": 800}
#: The weights of frequencies are float32, and so is what is multiplied with them.
ROUNDED: dict[str, Any] = {
    "within": 1e-4,
    "why": "TensorFlow weighs frequencies in float32",
    "dtype": "float32",
}
AUDIO = [
    *(stft(mode=mode) for mode in ("log", "magnitude", "psd", "real", "imag", "angle", "stft")),
    stft("2 40 3"),
    stft("2 40 3", mode="stft", expand_dims=True),
    stft(expand_dims=True, padding="same"),
    stft("2 1 40", mode="psd", **FIRST),
    stft("2 3 40", expand_dims=True, **FIRST),
    Case("MelSpectrogram", MEL, "2 60", **ROUNDED),
    Case("MelSpectrogram", {**MEL, "power_to_db": False, "mag_exp": 1.5}, "2 60", **ROUNDED),
    Case("MelSpectrogram", {**MEL, "window": "hamming", "sequence_length": 11, "top_db": 20.0,
         "ref_power": 2.0, "max_freq": 300.0}, "2 60", **ROUNDED),
]  # fmt: skip

PREPROCESSING = [*CATEGORIES, *HASHING, *RESIZE, *AUGMENT, *AUDIO]
