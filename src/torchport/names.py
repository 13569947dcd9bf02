"""Names for classes, attributes and variables, from what the source calls things."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Collection

from anyascii import anyascii

#: What the head of every generated module brings in.
HEAD = frozenset("torch nn F Tensor Path math load_file".split())

#: What a generated module or class already has under a name of its own.
RESERVED = HEAD | frozenset(
    "self cls load_state_dict state_dict forward train eval half float "
    "double bfloat16 to to_empty cpu cuda ipu mtia xpu type apply children modules parameters buffers "
    "named_children named_modules named_parameters named_buffers requires_grad_ zero_grad share_memory "
    "register_buffer register_parameter register_module register_backward_hook register_forward_hook "
    "register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook "
    "register_load_state_dict_post_hook register_load_state_dict_pre_hook register_state_dict_post_hook "
    "register_state_dict_pre_hook add_module get_parameter get_buffer get_submodule set_submodule "
    "get_extra_state set_extra_state extra_repr training compile from_pretrained dump_patches "
    "call_super_init".split()
)

#: What the head brings in or defines where something uses it, too.
IMPORTED = HEAD | frozenset("json string Callable Sequence Self WEIGHTS annotations".split())


def snake(name: str) -> str:
    """`Conv2DTranspose` as Keras names its layers: `conv2d_transpose`.

    Source: keras/src/utils/naming.py, to_snake_case.
    """
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def short_name(kind: str) -> str:
    """A kind without where it is from: `Scale` of `shop>Scale` and of `shop.layers.Scale`."""
    return re.sub(r".*[>.](?=\w)", "", kind)


def is_automatic(layer: str, kind: str) -> bool:
    """Whether Keras made the name up: its class in snake case, or `tf.nn.relu`, perhaps numbered."""
    if kind == "Model":
        return re.fullmatch(r"(sequential|functional|model)(_\d+)*", layer) is not None
    if layer.startswith(("tf.", "tf_op_layer_")):
        return True
    return re.fullmatch(rf"({re.escape(snake(short_name(kind)))}|time_distributed)(_\d+)?", layer) is not None


def identifier(name: str) -> str:
    """A Python identifier in snake case that a reader recognises, in Latin letters; safe for any input."""
    text = re.sub(r"[^0-9a-zA-Z]+", "_", anyascii(name)).strip("_")
    if re.search("[a-z]", text) and re.search("[A-Z]", text):
        text = re.sub(r"([a-z])(\d+D)(?![a-z])", r"\1_\2", text)  # UpSampling2D: up_sampling_2d
        text = re.sub(r"(\d+D)([A-Z])", r"\1_\2", text)
        text = re.sub(r"([a-z]|\d(?!D(?![a-z])))([A-Z])", r"\1_\2", text)
    text = text.lower()[:60].strip("_")
    if not text:
        return "unnamed"
    if turned := re.match(r"(\d\w*?)_+([a-z]\w*)$", text):  # 1x1_reduce_conv: reduce_conv_1x1
        text = f"{turned[2]}_{turned[1]}"
    if text[0].isdigit():
        text = f"n{text}"
    if keyword.iskeyword(text) or keyword.issoftkeyword(text) or hasattr(builtins, text) or text in RESERVED:
        text = f"{text}_"
    return text


#: How people write the names of networks that sources write small.
SPELLINGS = {
    "resnet": "ResNet", "resnext": "ResNeXt", "mobilenet": "MobileNet", "efficientnet": "EfficientNet",
    "densenet": "DenseNet", "convnext": "ConvNeXt", "nasnet": "NASNet", "regnet": "RegNet", "unet": "UNet",
    "vgg": "VGG", "gan": "GAN", "vae": "VAE", "vit": "ViT", "gpt": "GPT", "bert": "BERT", "lstm": "LSTM",
    "gru": "GRU", "crnn": "CRNN", "cnn": "CNN", "rnn": "RNN", "mlp": "MLP", "ihc": "IHC", "tcn": "TCN",
    "eegnet": "EEGNet", "wavenet": "WaveNet", "tabnet": "TabNet", "retinanet": "RetinaNet",
    "deeplab": "DeepLab", "espcn": "ESPCN", "edsr": "EDSR", "srcnn": "SRCNN", "se": "SE", "aspp": "ASPP",
    "pix2pix": "Pix2Pix", "yolo": "YOLO", "alexnet": "AlexNet", "lenet": "LeNet", "segnet": "SegNet",
    "linknet": "LinkNet", "pspnet": "PSPNet", "shufflenet": "ShuffleNet", "squeezenet": "SqueezeNet",
    "googlenet": "GoogLeNet", "capsnet": "CapsNet", "lrcn": "LRCN", "crf": "CRF", "fcn": "FCN",
    "fpn": "FPN", "ssd": "SSD", "nlp": "NLP", "ocr": "OCR", "asr": "ASR",
}  # fmt: skip


def _spelled(word: str) -> str:
    for stem, spelled in SPELLINGS.items():
        rest = word.removeprefix(stem)
        if rest != word and re.fullmatch(r"(v\d+)?([a-z]?\d+[a-z]?\d*)?", rest):
            return spelled + rest.upper()
    return word[0].upper() + word[1:]


#: Words that are left off a name: before it what was done to it, behind it what kind of file it is.
BEFORE = frozenset(
    "best final last latest saved trained pretrained build make create get load define".split()
)
BEHIND = frozenset(
    "best final last latest model models net network weights weight checkpoint checkpoints ckpt saved".split()
)
#: A name of these alone, and of numbers, says nothing.
EMPTY = BEFORE | BEHIND | frozenset("new full keras tf my the sequential functional file epoch".split())


def telling(name: str) -> str:
    """A file's or a function's name without what says nothing: that of `best_model` is empty.

    >>> [telling(it) for it in ("build_unet", "misic-model", "mobilenet_v2", "final_model_v2")]
    ['unet', 'misic', 'mobilenet_v2', '']
    """
    words = [it for it in re.findall(r"[^\W_]+", name) if not re.fullmatch(r"(?=.*\d)[0-9a-f]{12,}", it)]
    if all(re.sub(r"v?\d+$", "", word.lower()) in {*EMPTY, ""} for word in words):
        return ""
    while words[0].lower() in BEFORE:
        words = words[1:]
    while words[-1].lower() in BEHIND:
        words = words[:-1]
    return "_".join(words)


def class_name(name: str) -> str:
    """A class name in CapWords: `my_unet` -> `MyUNet`; safe for any input."""
    text = ""
    words = re.findall(r"[0-9a-zA-Z]+", anyascii(name))
    if len(words) > 1 and name.isupper():  # BDEI_LARGE_CNN
        words = [word.lower() for word in words]
    for word in map(_spelled, words):
        text += f"_{word}" if text and text[-1].isdigit() and word[0].isdigit() else word
    text = text[:60]
    if not text:
        return "Model"
    if text[0].isdigit():
        text = f"N{text}"
    return f"{text}_" if text in RESERVED or hasattr(builtins, text) or keyword.iskeyword(text) else text


def is_class_name(name: str) -> bool:
    """Whether a generated class can have this very name: an identifier that means nothing else there."""
    is_taken = keyword.iskeyword(name) or keyword.issoftkeyword(name) or hasattr(builtins, name)
    return name.isidentifier() and not is_taken and name not in RESERVED | IMPORTED and name.strip("_") != ""


def numbered(name: str, taken: Collection[str]) -> str:
    """The name, or with `_2`, `_3`, …: the first that is not taken."""
    numbers = (name, *(f"{name}_{at}" for at in range(2, len(taken) + 3)))
    return next(it for it in numbers if it not in taken)


def unique(name: str, taken: Collection[str]) -> str:
    """The name, or with the first number that makes it unlike those taken."""
    if name not in taken:
        return name
    stem = name.rstrip("_") if not name[-1].isdigit() else f"{name}_"
    at = 2
    while f"{stem}{at}" in taken:
        at += 1
    return f"{stem}{at}"
