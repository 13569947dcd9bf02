"""What a PyTorch person does with a port, over all golden programs. No TensorFlow: weights are random."""

from __future__ import annotations

import copy
import importlib.util
import io
import logging
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "golden"
IMAGE = (3, 64, 64)
#: A small input of each program without its batch: shapes of floats, or how many tokens; 0: no axis.
INPUTS: dict[str, tuple[Any, ...]] = {
    "ResNet50": (IMAGE,), "MobileNetV2": (IMAGE,), "EfficientNetB0": (IMAGE,), "ConvNeXtTiny": (IMAGE,),
    "DenseNet121": (IMAGE,),
    "Xception": ((3, 75, 75),), "InceptionV3": ((3, 107, 107),), "unet": ((3, 32, 32),), "pix2pix": (IMAGE,),
    "dcgan": ((100,),), "residual_tower": ((3, 32, 32),), "vit": ((3, 32, 32),), "encoder": (16,),
    "encoder_decoder": (16, 12), "text_classifier": (40,), "wavenet": ((1, 64),), "tagger": (20,),
    "attention_unet": ((3, 32, 32),), "unet_plus_plus": ((3, 32, 32),), "inception_time": ((3, 64),),
    "retinanet": (IMAGE,), "stacked_hourglass": (IMAGE,), "deeplab": (IMAGE,),
    "tabnet": (1, 1, 1, (8,)), "temporal_convolutions": ((8, 40),), "edsr": ((3, 24, 24),),
    "masked_bert": (24, 24),
    "inception_v1": ((3, 224, 224),), "ssd": ((3, 300, 480),), "skip_tcn": ((9, 40),),
    "unet_3_plus": ((1, 96, 96),), "shufflenet": ((3, 224, 224),), "dense_cifar": ((3, 32, 32),),
    "two_tower": (0, (4,), 0, (19,)),
}  # fmt: skip
NAMES = sorted(INPUTS)

STATISTICS = "BatchNorm has no statistics of one value for each channel, in Keras nor here"
SIZE = "the sizes of its first image are in it: a reshape, a resize, paddings of odd sizes"
#: What cannot be done with a program, and why. A test fails if it can after all.
IMPOSSIBLE: dict[tuple[str, str], str] = {
    **{("batch_of_one", name): STATISTICS for name in ("dcgan", "deeplab", "tabnet")},
    (
        "export",
        "tagger",
    ): "torch.export fixes the batch of a bidirectional LSTM; with a batch that is fixed it works",
    ("script", "masked_bert"): "TorchScript has no Tensor.bool(), which a cast to bool is",
    ("symbolic_trace", "masked_bert"): "the attention asks how many axes a mask has, which fx does not know",
    **{("other_sizes", name): SIZE for name in ("Xception", "deeplab", "inception_v1", "retinanet", "vit")},
}

#: Compiled and exported to ONNX: those with an operation that others have not; it takes seconds each.
UNLIKE = ("dcgan", "vit", "pix2pix", "encoder_decoder", "EfficientNetB0", "ConvNeXtTiny")


@pytest.fixture(scope="module", autouse=True)
def _quiet() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    logging.disable(logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    logging.disable(logging.NOTSET)
    torch.set_num_threads(threads)


class Port:
    """A golden program as a person has it: its class, and a model in evaluation mode."""

    def __init__(self, name: str) -> None:
        self.name, module = name, f"golden_{name}"
        spec = importlib.util.spec_from_file_location(module, GOLDEN / f"{name}.py")
        assert spec is not None and spec.loader is not None
        made = importlib.util.module_from_spec(spec)
        sys.modules[module] = made
        spec.loader.exec_module(made)
        found = [it for it in vars(made).values() if isinstance(it, type) and hasattr(it, "from_pretrained")]
        self.cls: Callable[[], nn.Module] = found[-1]
        torch.manual_seed(0)
        self.model = self.cls().eval()
        with torch.no_grad():
            self.wanted = flat(self.model(*self.inputs()))

    def inputs(self, batch: int = 2) -> tuple[Tensor, ...]:
        generator = torch.Generator().manual_seed(0)
        return tuple(
            torch.randint(0, 10, (batch, it) if it else (batch,), generator=generator)
            if isinstance(it, int)
            else torch.rand((batch, *it), generator=generator)
            for it in INPUTS[self.name]
        )

    def agrees(self, got: Any, tolerance: float = 1e-5) -> None:
        for ours, wanted in zip(flat(got), self.wanted, strict=True):
            assert ours.shape == wanted.shape
            off = (ours.float() - wanted).abs().max() / (wanted.abs().max() + 1e-12)
            assert off < tolerance, f"{off} off"


def flat(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    values = outputs.values() if isinstance(outputs, dict) else outputs
    return [it for value in values for it in flat(value)]


PORTS: dict[str, Port] = {}


def port_of(name: str) -> Port:
    if name not in PORTS:
        PORTS[name] = Port(name)
    return PORTS[name]


def loss(outputs: Any) -> Tensor:
    return torch.stack([it.float().square().mean() for it in flat(outputs)]).sum()


def as_type(port: Port, dtype: torch.dtype) -> None:
    """On the meta device, which checks the types of all operations and computes nothing."""
    model = copy.deepcopy(port.model).to(dtype).to("meta")
    given = [it.to("meta") if it.dtype == torch.int64 else it.to(dtype).to("meta") for it in port.inputs()]
    assert all(it.dtype == dtype for it in flat(model(*given)))


def half(port: Port) -> None:
    as_type(port, torch.float16)


def bfloat16(port: Port) -> None:
    as_type(port, torch.bfloat16)


def double(port: Port) -> None:
    as_type(port, torch.float64)


def default_dtype(port: Port) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        model = port.cls().eval()
        model.load_state_dict(port.model.state_dict())
        given = [it if it.dtype == torch.int64 else it.double() for it in port.inputs()]
        assert all(
            it.dtype == torch.float64 for it in flat(model.to("meta")(*(it.to("meta") for it in given)))
        )
    finally:
        torch.set_default_dtype(torch.float32)


def autocast(port: Port) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.no_grad():
        assert all(bool(it.isfinite().all()) for it in flat(port.model(*port.inputs())))


def script(port: Port) -> None:
    port.agrees(torch.jit.script(port.model)(*port.inputs()), 1e-4)


def trace(port: Port) -> None:
    port.agrees(torch.jit.trace(port.model, port.inputs(), check_trace=False)(*port.inputs()), 1e-4)


def export(port: Port) -> None:
    """With a batch that is not fixed."""
    batch = torch.export.Dim("batch", min=1, max=64)
    given = port.inputs()
    made = torch.export.export(port.model, given, dynamic_shapes=tuple({0: batch} for _ in given)).module()
    port.agrees(made(*given), 1e-4)
    assert all(it.shape[0] == 5 for it in flat(made(*port.inputs(5))))


def state_dict(port: Port) -> None:
    model = port.cls().eval()
    model.load_state_dict(port.model.state_dict(), strict=True)
    port.agrees(model(*port.inputs()))


def deepcopy(port: Port) -> None:
    port.agrees(copy.deepcopy(port.model)(*port.inputs()))


def pickled(port: Port) -> None:
    file = io.BytesIO()
    torch.save(pickle.loads(pickle.dumps(port.model)), file)
    file.seek(0)
    port.agrees(torch.load(file, weights_only=False)(*port.inputs()))


def channels_last(port: Port) -> None:
    model = copy.deepcopy(port.model).to(memory_format=torch.channels_last)
    given = (it.to(memory_format=torch.channels_last) if it.dim() == 4 else it for it in port.inputs())
    port.agrees(model(*given), 1e-4)


def meta_device(port: Port) -> None:
    with torch.device("meta"):
        model = port.cls().eval()
    model.load_state_dict(port.model.state_dict(), assign=True)
    port.agrees(model(*port.inputs()))


def functional_call(port: Port) -> None:
    values = {**dict(port.model.named_parameters()), **dict(port.model.named_buffers())}
    port.agrees(torch.func.functional_call(port.model, values, port.inputs()))


def symbolic_trace(port: Port) -> None:
    port.agrees(torch.fx.symbolic_trace(port.model)(*port.inputs()), 1e-4)


def training_in_channels_last(port: Port) -> None:
    model = copy.deepcopy(port.model).to("meta", memory_format=torch.channels_last).train()
    given = [it.to("meta") for it in port.inputs()]
    given = [it.to(memory_format=torch.channels_last) if it.dim() == 4 else it for it in given]
    loss(model(*given)).backward()


def other_sizes(port: Port) -> None:
    """Images half as large again, unless the first size is in the weights."""
    given = [torch.empty((1, it[0], *(n * 3 // 2 for n in it[1:])), device="meta") for it in images_of(port)]
    if given:
        assert all(it.shape[0] == 1 for it in flat(copy.deepcopy(port.model).to("meta")(*given)))


def images_of(port: Port) -> list[Any]:
    return [it for it in INPUTS[port.name] if not isinstance(it, int) and len(it) == 3]


def by_path(port: Port, folder: Path) -> None:
    """`from_pretrained` takes a path of either kind, and weights that another machine trained."""
    path = folder / "weights.safetensors"
    save_file(port.model.state_dict(), path)
    for it in (path, str(path)):
        port.agrees(port.cls.from_pretrained(it)(*port.inputs()))  # type: ignore[attr-defined]


def batches(port: Port) -> None:
    """As torch's DataParallel cuts them: what a sample gives does not depend on its batch."""
    with torch.no_grad():
        whole = flat(port.model(*port.inputs(4)))
        parts = [flat(port.model(*(it[at : at + 1] for it in port.inputs(4)))) for at in range(4)]
    for at, wanted in enumerate(whole):
        found = torch.cat([part[at] for part in parts])
        assert (found - wanted).abs().max() <= 1e-4 * wanted.abs().max() + 1e-6


def batch_of_one(port: Port) -> None:
    with torch.no_grad():
        copy.deepcopy(port.model).train()(*port.inputs(1))


def checkpointing(port: Port) -> None:
    model = copy.deepcopy(port.model)
    given = [it if it.dtype == torch.int64 else it.requires_grad_() for it in port.inputs()]
    loss(checkpoint(model, *given, use_reentrant=False)).backward()
    assert any(it.grad is not None for it in model.parameters())


def training(port: Port) -> None:
    """A step of training, and back: every parameter that trains has a gradient."""
    model = copy.deepcopy(port.model).train()
    loss(model(*port.inputs(4))).backward()
    assert not [name for name, it in model.named_parameters() if it.requires_grad and it.grad is None]
    assert not model.eval().training
    model.load_state_dict(port.model.state_dict())
    port.agrees(model(*port.inputs()))


CHECKS = (
    half, bfloat16, double, default_dtype, autocast, script, trace, export, state_dict, deepcopy,
    pickled, channels_last, meta_device, functional_call, batches, batch_of_one, checkpointing, training,
    symbolic_trace, training_in_channels_last, other_sizes,
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("check", CHECKS, ids=lambda it: it.__name__.strip("_"))
def test_what_people_do_with_a_module(check: Callable[[Port], None], name: str) -> None:
    why = IMPOSSIBLE.get((check.__name__, name))
    if why is None:
        check(port_of(name))
        return
    with pytest.raises(Exception, match="."):
        check(port_of(name))


@pytest.mark.parametrize("name", UNLIKE)
def test_compile(name: str) -> None:
    torch._dynamo.reset()
    port = port_of(name)
    port.agrees(torch.compile(port.model, fullgraph=True, backend="eager")(*port.inputs()), 1e-4)


@pytest.mark.parametrize("name", (*UNLIKE, "tagger", "masked_bert"))
def test_onnx(name: str) -> None:
    port = port_of(name)
    assert torch.onnx.export(port.model, port.inputs(), dynamo=True, verbose=False) is not None


@pytest.mark.parametrize("name", ("dcgan", "tagger", "vit"))
def test_weights_of_a_path(name: str, tmp_path: Path) -> None:
    by_path(port_of(name), tmp_path)


@pytest.mark.parametrize("name", ("dcgan", "vit", "encoder"))
def test_export_and_compile_for_training(name: str) -> None:
    torch._dynamo.reset()
    port = port_of(name)
    model = copy.deepcopy(port.model).train()
    assert torch.export.export(model, port.inputs()) is not None
    loss(torch.compile(model, fullgraph=True, backend="aot_eager")(*port.inputs())).backward()
    assert all(it.grad is not None for it in model.parameters() if it.requires_grad)


def test_every_golden_program_is_tried() -> None:
    assert {file.stem for file in GOLDEN.glob("*.py")} == set(INPUTS)
    assert {check for check, _ in IMPOSSIBLE} <= {check.__name__ for check in CHECKS}


def test_mypy_is_strict_with_them() -> None:
    """With the options of `make lint`: torch, which takes longest, is then read from the same cache."""
    files = [str(file) for file in sorted(GOLDEN.glob("*.py"))]
    options = ["--strict", "--warn-unreachable", "--config-file=", f"--cache-dir={ROOT / '.mypy_cache'}"]
    command = [sys.executable, "-m", "mypy", *options, *files]
    found = subprocess.run(command, capture_output=True, text=True)
    assert found.returncode == 0, found.stdout
