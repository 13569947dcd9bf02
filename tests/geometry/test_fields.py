"""What the rules say that each step reads is what really matters: the extent of gradients."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.geometry.corpus import multiplied, ports, random_module, seen, support

import torchport

#: Of torch: 'same' with an even kernel copies; index_reduce may change.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")

UNET = Path(__file__).parents[2] / "examples" / "ihc_unet" / "ihc_unet.keras"
#: The port itself takes no input of the size that is chosen where the model leaves it open.
UNFIT = ("Reshape(target_shape=(7,-1,3))[?,?,?,7]",)


#: What multiplies sums of products, by how its name begins or what is in it.
PRODUCTS = re.compile(
    r"(?i)matmul|einsum|dot|conv|inner|lstm|gru|rnn|dense|stft|spectral|timedis|mel|fft|separable|attention"
)
#: Under a mask torch goes through the steps in its own way; what has no kernel is summed by hand.
OTHERWISE = re.compile(r"mask_zero|^Dot\(axes=(-1,normalize=True|1)\)\[2,5\+2,5\]|^ops.vdot")


@pytest.mark.parametrize(
    ("part", "starts", "least"),
    [("layers", ("",), 2000), ("operations", ("",), 1500), ("keras_2", ("nodes:",), 200)],
    ids=["layers", "operations", "functions"],
)
def test_no_gradient_reaches_further_than_is_said(part: str, starts: tuple[str, ...], least: int) -> None:
    """Of the cases of the rule table: a rule that mixes an axis and does not say so cannot pass."""
    wrong, count, unfit = [], 0, 0
    for name, port in ports(part, starts):
        if name in UNFIT or part == "operations" and "[?,?,?" in name:  # too large to attend over
            continue
        _, shapes, field = seen(port)
        try:
            found = list(support(port, shapes, count=4))
        except (RuntimeError, IndexError):  # its shares, indices, matrices are random numbers here
            unfit += 1
            continue
        for at, source, hit in found:
            count += 1
            for axis, places in enumerate(hit.nonzero()):
                extent = field.get((source, axis))
                if not axis or not len(places):
                    continue
                if extent is None:
                    wrong.append(f"{name}: nothing is said of axis {axis} of {source}")
                    continue
                first, last = extent.at(0 if extent.axis is None else at[extent.axis])
                if places.min() < first or places.max() > last:
                    reads = f"{at} reads {places.min()} to {places.max()}"
                    wrong.append(f"{name}: {reads}, not {first} to {last}")
    assert not wrong, "\n".join(dict.fromkeys(wrong))
    assert count > least and unfit < 30


#: Layers of which more is said than matters, or of which a gradient shows less: a maximum reads one of those
#: that it looks at; recurrent layers forget; a mask, a crop of another ratio, axes that are laid out anew.
WIDER = re.compile(
    r"Max|AutoContrast|Bidirectional|ConvLSTM|LSTM|GRU|RNN|glu|Masking|Mel|STFT|Reshape|aspect_ratio"
    r"|abc,bde->acde|bc\.\.\.,cd->bd|UpSampling|Resizing|CenterCrop\(height=9"
)


#: The same of functions: largest values, ranks, masks and sizes that are values; spectra and statistics whose
#: gradient is zero somewhere; a softmax that is 0 but for its largest; a kernel's taps; sizes of one batch.
WIDER_FUNCTIONS = re.compile(
    r"max|min|median|percentile|quantile|sort|top_k|norm\(|ptp|nan|mask|causal|fft|stft|qr\(|MultiHead"
    r"|GroupQuery|where|return_attention|ops.size|ops.conv\(x,ops.mean|lstsq|glu|broadcast_to.x,.2,5|corrcoef"
)


@pytest.mark.parametrize(
    ("part", "starts", "wider", "least"),
    [("layers", ("",), WIDER, 800), ("operations", ("",), WIDER_FUNCTIONS, 600),
     ("keras_2", ("nodes:",), WIDER_FUNCTIONS, 60)],
    ids=["layers", "operations", "functions"],
)  # fmt: skip
def test_no_more_is_said_than_the_extent_of_gradients(
    part: str, starts: tuple[str, ...], wider: re.Pattern[str], least: int
) -> None:
    """Positive weights and inputs: all that an element reads has a gradient, and nothing else is said.

    Of what is repeated, tiled, cut, laid end to end or attended to as of what slides.
    """
    wrong, count = [], 0
    for name, port in ports(part, starts):
        if wider.search(name) or "[?,?,?" in name or name in UNFIT:
            continue
        is_exact, shapes, field = seen(port)
        try:
            found = list(support(port, shapes, count=1)) if is_exact else []
        except (RuntimeError, IndexError):  # its shares, indices, matrices are random numbers here
            continue
        for at, source, hit in found:
            for axis, places in enumerate(hit.nonzero()):
                if not axis or not len(places) or (source, axis) not in field:
                    continue
                extent, count = field[source, axis], count + 1
                first, last = extent.at(0 if extent.axis is None else at[extent.axis])
                if (places.min(), places.max()) != (first, last):
                    reads = f"{at} reads {places.min()} to {places.max()}"
                    wrong.append(f"{name}: {reads}, not {first} to {last} of axis {axis}")
    assert not wrong, "\n".join(wrong)
    assert count > least


@pytest.mark.parametrize(("part", "least"), [("layers", 220), ("operations", 100), ("keras_2", 30)])
def test_multiply_adds_are_those_that_torch_counts(part: str, least: int) -> None:
    """Of the cases with products in them, as torch's own counter has them; folded steps too."""
    wrong, count, uncounted = [], 0, 0
    for name, port in ports(part, wanted=PRODUCTS):
        if OTHERWISE.search(name) or "[?,?,?" in name:
            continue
        said, found = multiplied(port)
        count, uncounted = count + 1, uncounted + (said is None)
        if said not in (None, found):
            wrong.append(f"{name}: {said}, not {found}")
    assert not wrong, "\n".join(wrong)
    assert count > least and uncounted < count / 3


@pytest.mark.parametrize("rows", [(41, 40), (0, 63)])
def test_what_the_unet_sees_is_the_extent_of_its_gradient(rows: tuple[int, int]) -> None:
    """Weights are positive, and means stand for maxima: nothing cancels, and nothing is left out."""
    port = torchport.convert(UNET)
    explained = torchport.explain(port, size=(64, 64))
    field = fields_of(explained)
    module = random_module(port)
    pool = torch.nn.functional.max_pool2d
    torch.nn.functional.max_pool2d = torch.nn.functional.avg_pool2d  # type: ignore[assignment]
    try:
        x = torch.rand(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
        (grad,) = torch.autograd.grad(linear(module, x)[0, 0, rows[0], rows[1]], x)
    finally:
        torch.nn.functional.max_pool2d = pool
    hit = (grad[0].abs().sum(0) > 0).nonzero().numpy()
    for axis, at in enumerate(rows):
        first, last = field["image", axis + 1].at(at)
        assert (hit[:, axis].min(), hit[:, axis].max()) == (first, last)


def fields_of(explained: Any) -> Any:
    """What the output sees, step by step."""
    from torchport.geometry.facts import fields, read
    from torchport.geometry.walk import sized, whole

    graph, _ = sized(explained.port.program.graph, explained.size)
    calls = whole(graph)
    reads = {call.outputs[0]: read(call) for call in calls.calls}
    return fields(calls, reads)[calls.outputs[0]]


def linear(module: Any, x: torch.Tensor) -> torch.Tensor:
    """What stands before the sigmoid, which is flat where its argument is large."""
    found = []
    handle = module.head.register_forward_hook(lambda _, given, result: found.append(result))
    try:
        module(x)
    finally:
        handle.remove()
    return found[0]  # type: ignore[no-any-return]


def test_the_unet_at_256_sees_at_most_100_rows() -> None:
    """And never the 103 that a rule of jumps and sizes gives, which overstates transposed convolutions."""
    network = torchport.explain(UNET).network
    sees = {it.id: {one.name: one.most for one in it.sees} for it in network.tensors}
    assert sees["head"] == {"h": 100, "w": 100, "c": 3}
    assert sees["enc3_conv1"]["h"] == 24 and sees["bottleneck_drop"]["h"] == 68


def test_totals_of_the_unet() -> None:
    network = torchport.explain(UNET).network
    module = torchport.convert(UNET).module()
    assert network.totals.parameters == sum(it.numel() for it in module.parameters())
    assert network.totals.multiplies == counted(module, torch.zeros(1, 3, 256, 256))
    assert network.size == {"h": 256, "w": 256}


def counted(module: torch.nn.Module, x: torch.Tensor) -> int:
    """Multiply-adds as torch's own counter of floating-point operations has them: two for each."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.no_grad():
        module(x)
    return counter.get_total_flops() // 2


def test_sizes_that_do_not_fit_are_refused_with_some_that_do() -> None:
    with pytest.raises(torchport.TorchportError, match=r"skip3.*differ(.|\n)*--size 104 120 fits"):
        torchport.explain(UNET, size=(100, 120))
    with pytest.raises(torchport.TorchportError, match="2 open: h w"):
        torchport.explain(UNET, size=(100,))
    assert torchport.explain(UNET, size=(104, 120)).network.tensors[0].keras.sizes == (None, 104, 120, 3)
