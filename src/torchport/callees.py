"""What is known of the classes of modules and the functions that a program calls: torch's, and our snippets'.

The names are as they stand in a program: `nn.Conv2d`, `F.relu`, `GaussianNoise`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Callee:
    """A class of modules, or a function.

    `positional`: what the arguments are that are given by place. `defaults`: those of keyword arguments.
    `is_light`: it goes with what stands before it, as a norm or dropout does. `is_stateful`: a call may
    change it, so that calls keep their order. `amount`: the attribute that says how random it is in training.
    `module`: the module that a function is in nn.Sequential.
    """

    positional: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)
    is_light: bool = False
    is_stateful: bool = False
    amount: str = ""
    module: str = ""


#: What else torch has; and a class that stands in model.py, of which it is not known what a call does.
OF_TORCH = Callee()
OF_THE_PROGRAM = Callee(is_stateful=True)

CONV = Callee(
    ("in_channels", "out_channels", "kernel_size"),
    {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True},
)
TRANSPOSED = replace(
    CONV, defaults={"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1, "bias": True}
)
POOL = Callee(("", "kernel_size"), {"stride": None, "padding": 0})
NORM = Callee(is_light=True)
BATCH_NORM = Callee(
    ("channels",), {"eps": 1e-5, "momentum": 0.1, "affine": True}, is_light=True, is_stateful=True
)
#: Those that torchport writes, whose options are all written.
OWN_BATCH_NORM = Callee(is_light=True, is_stateful=True)
DROPOUT = Callee(("dropout",), is_light=True, amount="p")

#: Of 1, 2 and 3 axes of space.
SPATIAL = {
    "nn.Conv{}d": CONV,
    "nn.ConvTranspose{}d": TRANSPOSED,
    "nn.BatchNorm{}d": BATCH_NORM,
    "nn.InstanceNorm{}d": NORM,
    "FrozenBatchNorm{}d": OWN_BATCH_NORM,
    "BiasedBatchNorm{}d": OWN_BATCH_NORM,
    "RenormBatchNorm{}d": OWN_BATCH_NORM,
    "StepBatchNorm{}d": OWN_BATCH_NORM,
    "nn.Dropout{}d": DROPOUT,
    "F.max_pool{}d": POOL,
    "F.avg_pool{}d": POOL,
}
#: Activation functions that are modules too.
ACTIVATIONS = {
    "F.relu": "nn.ReLU", "F.relu6": "nn.ReLU6", "F.silu": "nn.SiLU", "F.gelu": "nn.GELU", "F.elu": "nn.ELU",
    "F.selu": "nn.SELU", "F.celu": "nn.CELU", "F.leaky_relu": "nn.LeakyReLU", "F.hardswish": "nn.Hardswish",
    "F.hardsigmoid": "nn.Hardsigmoid", "F.mish": "nn.Mish", "F.softplus": "nn.Softplus",
    "F.logsigmoid": "nn.LogSigmoid", "torch.sigmoid": "nn.Sigmoid", "torch.tanh": "nn.Tanh",
}  # fmt: skip
CALLEES: dict[str, Callee] = {
    **{name.format(rank): it for name, it in SPATIAL.items() for rank in (1, 2, 3)},
    **{name: Callee(module=module) for name, module in ACTIVATIONS.items()},
    "nn.GroupNorm": replace(NORM, positional=("groups", "channels"), defaults={"eps": 1e-5, "affine": True}),
    "nn.LayerNorm": replace(NORM, positional=("channels",), defaults={"eps": 1e-5}),
    "nn.RMSNorm": NORM,
    "nn.LocalResponseNorm": NORM,
    "nn.SyncBatchNorm": replace(NORM, is_stateful=True),
    "ChannelLayerNorm": replace(NORM, is_stateful=True),
    "nn.Linear": Callee(("in_features", "out_features"), {"bias": True}),
    "nn.Dropout": DROPOUT,
    "nn.AlphaDropout": Callee(is_light=True, amount="p"),
    "nn.FeatureAlphaDropout": Callee(is_light=True, amount="p"),
    "VariationalDropout": Callee(is_light=True, is_stateful=True),
    "GaussianDropout": Callee(is_stateful=True, amount="std"),
    "GaussianNoise": Callee(is_stateful=True, amount="std"),
    "nn.PReLU": Callee(is_light=True),
    "nn.Identity": Callee(is_light=True),
    "F.pad": Callee(("", "pad")),
}


def callee(name: str) -> Callee:
    """What is known of a class or function."""
    return CALLEES.get(name) or (OF_TORCH if name.startswith(("nn.", "F.", "torch.")) else OF_THE_PROGRAM)
