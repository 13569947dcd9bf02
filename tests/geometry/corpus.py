"""The graphs of the replay as ports, without TensorFlow, and what really depends on what in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from tests.replay import replay
from tests.replay.codec import decode

from torchport import nest, pipeline, training
from torchport.axes import Order, dims
from torchport.errors import Refused
from torchport.geometry.costs import all_multiplies
from torchport.geometry.facts import fields, read
from torchport.geometry.fields import Fields
from torchport.geometry.walk import sized, whole
from torchport.port import Port
from torchport.rules import book
from torchport.rules.window import Among


def ports(
    part: str, starts: tuple[str, ...] = ("",), wanted: re.Pattern[str] = re.compile("")
) -> Iterator[tuple[str, Port]]:
    """The ports of a part of the corpus by name, of those that begin so and have that in their name.

    Their text is not formatted.
    """
    with replay.without_formatting():
        for name, encoded in replay.load(replay.CORPUS, part).items():
            if not name.startswith(starts) or not wanted.search(name):
                continue
            graph = decode(encoded)
            try:
                program = pipeline.written(graph, "Replay")
            except Refused:
                continue
            yield name, Port(replace(program, training=training.record(graph)), None)


def seen(port: Port) -> tuple[bool, dict[str, tuple[int, ...]], Fields]:
    """What the first output sees of the inputs, and their shapes, open sizes filled in.

    First, whether that is exact: no card says in words which of some steps are read.
    """
    with book.scope(port.program.book):
        graph, _ = sized(port.program.graph)
        calls = whole(graph)
        reads = {call.outputs[0]: read(call) for call in calls.calls if call.outputs}
        found = fields(calls, reads)
    shapes = {name: tuple(size or 1 for size in graph.tensors[name].shape) for name in calls.inputs}
    links = (link for each in reads.values() for _, axes in each for link in axes)
    is_exact = not any(isinstance(link.reading, Among) for link in links)
    return is_exact, shapes, found[calls.outputs[0]]


def inputs(port: Port, shapes: dict[str, tuple[int, ...]]) -> list[torch.Tensor]:
    """Inputs of these shapes, above zero, as the port takes them; whole numbers are small."""
    rng, found = np.random.default_rng(1), []
    for spec in port.inputs:
        x = torch.from_numpy(rng.random(shapes[spec.name]) * 2 + 0.25)
        x = x.permute(dims(Order.SOURCE, spec.order, x.dim())).contiguous()
        found.append(x.requires_grad_() if not spec.numbers else (x.detach() * 2).to(torch.int64))
    return found


def multiplied(port: Port) -> tuple[int | None, int]:
    """Multiply-adds as the rules say, None where one does not, and as torch's own counter counts them."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    with book.scope(port.program.book):
        graph, _ = sized(port.program.graph)
        calls = whole(graph)
        counts = list(all_multiplies(calls).values())
    shapes = {name: tuple(size or 1 for size in graph.tensors[name].shape) for name in calls.inputs}
    samples = max((it[0] for name, it in shapes.items() if graph.tensors[name].shape[0]), default=1)
    module = port.module().double().eval()
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad(), sdpa_kernel(SDPBackend.MATH):  # one that it sees into
        module(*(it.detach() for it in inputs(port, shapes)))
    total = None if None in counts else sum(it or 0 for it in counts)
    return total, counter.get_total_flops() // 2 // samples


def random_module(port: Port) -> Any:
    """The module in float64, its weights positive and unequal, so that nothing cancels."""
    generator = torch.Generator().manual_seed(0)
    module = port.module().double().eval()
    with torch.no_grad():
        for it in (*module.parameters(), *module.buffers()):
            if it.is_floating_point():
                it.copy_(0.5 + torch.rand(it.shape, generator=generator, dtype=torch.float64))
    return module


def support(
    port: Port, shapes: dict[str, tuple[int, ...]], count: int = 6
) -> Iterator[tuple[tuple[int, ...], str, np.ndarray]]:
    """For some elements of the first output: its index, an input, where the gradient there is not zero."""
    module, rng, given = random_module(port), np.random.default_rng(2), inputs(port, shapes)
    wanted = [it for it in given if it.requires_grad]
    result = nest.flat(module(*given), port.program.definition.result)[0]
    if not wanted or not result.requires_grad or not result.numel():
        return
    last = port.outputs[0]
    y = result.permute(dims(last.order, Order.SOURCE, result.dim()))
    names = [spec.name for spec, it in zip(port.inputs, given, strict=True) if it.requires_grad]
    orders = [spec.order for spec, it in zip(port.inputs, given, strict=True) if it.requires_grad]
    for place in rng.choice(y.numel(), min(count, y.numel()), replace=False):
        at = tuple(int(it) for it in np.unravel_index(place, y.shape))
        grads = torch.autograd.grad(y[at], wanted, retain_graph=True, allow_unused=True)
        for name, order, grad in zip(names, orders, grads, strict=True):
            if grad is not None:
                back = grad.permute(dims(order, Order.SOURCE, grad.dim()))
                found = abs(back.numpy())  # a kernel of Lanczos is as good as zero at whole steps
                yield at, name, found > 1e-9 * found.max(initial=0)
