"""Port the tissue U-Net, prove the port, use it, train it further: make demo"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "tensorflow"  # before keras is imported
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import argparse
import importlib.util
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from data import Tissue, dice, tissue, training_batches

ROOT = Path(__file__).parents[2]
SOURCE = Path("examples/ihc_unet/ihc_unet.keras")
PORT = Path("demo")
STEPS, BATCH = 40, 8

console = Console(highlight=False)


def torchport(command: str) -> None:
    """Show and run one torchport command; its failure ends the demo with its exit status."""
    console.print(f"[bold green]$[/] [bold]torchport {command}[/]", soft_wrap=True)
    program = Path(sys.executable).with_name("torchport")
    status = subprocess.run([program, *shlex.split(command)]).returncode
    if status:
        sys.exit(status)
    console.print()


def keras_probability(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the source says of one image: (h, w, 3) -> (h, w, 1)."""
    with quiet():
        import keras

        model = keras.saving.load_model(SOURCE, compile=False)
        return np.asarray(model(image[None], training=False))[0]


@contextmanager
def quiet() -> Iterator[None]:
    """Hide stderr while TensorFlow starts: its C++ speaks before its log level is read."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def ported_unet():
    """The port, as a user loads it: demo/model.py and torch, nothing of torchport."""
    spec = importlib.util.spec_from_file_location("model", PORT / "model.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.UNet.from_pretrained()


def nchw(images: NDArray[np.float32]):
    """(n, h, w, c) array -> (n, c, h, w) tensor."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(images)).movedim(-1, 1)


def torch_probability(model, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the port says of one image: (h, w, 3) -> (h, w, 1)."""
    import torch

    model.eval()
    with torch.inference_mode():
        return model(nchw(image[None])).movedim(1, -1)[0].numpy()


def train_further(model, whole: Tissue) -> tuple[float, float]:
    """A few Adam steps on the port; the loss before and after, on patches put aside for it."""
    import torch
    from torch.nn import functional as F

    torch.manual_seed(0)
    batches = training_batches(whole, BATCH, seed=11)
    watched_image, watched_target = map(nchw, next(training_batches(whole, 16, seed=12)))

    def watched_loss() -> float:
        model.eval()
        with torch.inference_mode():
            return float(F.binary_cross_entropy(model(watched_image), watched_target))

    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    before = watched_loss()
    console.print(f"  step  0   loss {before:.4f}")
    for step in range(1, STEPS + 1):
        image, target = map(nchw, next(batches))
        model.train()
        optimizer.zero_grad()
        F.binary_cross_entropy(model(image), target).backward()
        optimizer.step()
        schedule.step()
        if step % 10 == 0:
            console.print(f"  step {step:2}   loss {watched_loss():.4f}")
    return before, watched_loss()


def write_picture(image: NDArray[np.float32], path: Path) -> None:
    """An image (h, w, 3) between 0 and 1 as a file."""
    from PIL import Image

    Image.fromarray((image * 255).round().astype(np.uint8)).save(path)


def draw(kept: Tissue, by_keras: NDArray[np.float32], by_torch: NDArray[np.float32], path: Path) -> None:
    """Five panels side by side: image, target, Keras, PyTorch, difference."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.colors import LinearSegmentedColormap

    stain = LinearSegmentedColormap.from_list("stain", ["#f4efe8", "#c58b52", "#5a2a0c"])
    difference = np.abs(by_keras - by_torch)[..., 0]
    power = int(np.floor(np.log10(difference.max()))) if difference.any() else -7
    panels = [
        (kept.image, "Image", "kept from training"),
        (kept.target, "Target", "colour deconvolution"),
        (by_keras, "Keras", f"Dice {dice(by_keras, kept.target):.6f}"),
        (by_torch, "PyTorch", f"Dice {dice(by_torch, kept.target):.6f}"),
    ]

    plt.rcParams.update({"font.family": "DejaVu Sans", "font.size": 9, "text.color": "#24292f"})
    figure = plt.figure(figsize=(12, 2.82), dpi=160, facecolor="white")
    side, gap, bottom = 0.1855, 0.008, 0.03
    height = side * 12 / 2.82

    def panel(i: int, title: str, note: str):
        ax = figure.add_axes((0.006 + i * (side + gap), bottom, side, height))
        ax.set_axis_off()
        ax.text(0, 1.115, title, transform=ax.transAxes, fontsize=12, fontweight="bold")
        ax.text(0, 1.03, note, transform=ax.transAxes, color="#57606a")
        return ax

    for i, (picture, title, note) in enumerate(panels):
        panel(i, title, note).imshow(picture, cmap=stain, vmin=0, vmax=1)

    ax = panel(4, "Difference", f"at most {difference.max():.1e}")
    shown = ax.imshow(difference / 10.0**power, cmap="cividis", vmin=0)
    left = 0.006 + 4 * (side + gap) + side + 0.004
    bar = figure.colorbar(shown, cax=figure.add_axes((left, bottom, 0.006, height)))
    bar.outline.set_visible(False)
    bar.ax.tick_params(length=2, pad=2, labelsize=8, color="#57606a", labelcolor="#57606a")
    bar.ax.set_title(f"$\\times10^{{{power}}}$", fontsize=8, color="#57606a", pad=4)
    figure.savefig(path, pil_kwargs={"optimize": True})
    plt.close(figure)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--docs", action="store_true", help="also write docs/segmentation.png")
    docs = arguments.parse_args().docs
    os.chdir(ROOT)

    console.rule("[bold]1  Convert", align="left")
    torchport(f"convert {SOURCE} -o {PORT} --class-name UNet --force")

    console.rule("[bold]2  Verify", align="left")
    torchport(f"verify {SOURCE} {PORT}")

    console.rule("[bold]3  Segment tissue that neither has seen", align="left")
    whole = tissue()
    kept = whole.kept
    by_keras = keras_probability(kept.image)
    unet = ported_unet()
    by_torch = torch_probability(unet, kept.image)
    scores = Table("", "Dice on the kept quarter", box=None, padding=(0, 2), header_style="dim")
    scores.add_row("Keras", f"[bold]{dice(by_keras, kept.target):.6f}")
    scores.add_row("PyTorch", f"[bold]{dice(by_torch, kept.target):.6f}")
    console.print(scores)
    console.print(f"  largest difference of any pixel {np.abs(by_keras - by_torch).max():.1e}\n")
    assert f"{dice(by_keras, kept.target):.6f}" == f"{dice(by_torch, kept.target):.6f}"

    console.rule("[bold]4  Train the port further", align="left")
    console.print(f"  {STEPS} Adam steps of {BATCH} patches; loss on 16 others:")
    before, after = train_further(unet, whole)
    score = dice(torch_probability(unet, kept.image), kept.target)
    console.print(f"  Dice on the kept quarter, now [bold]{score:.6f}[/]\n")
    assert after < before, "the port did not learn"

    console.rule("[bold]5  See the geometry: what became of every tensor", align="left")
    tissue_file = PORT / "tissue.png"
    write_picture(kept.image, tissue_file)
    torchport(f"explain {SOURCE} --html {PORT / 'geometry.html'} --input {tissue_file}")

    draw(kept, by_keras, by_torch, PORT / "segmentation.png")
    if docs:
        Path("docs").mkdir(exist_ok=True)
        shutil.copy(PORT / "segmentation.png", "docs/segmentation.png")
    console.rule("[bold]Left for you to read", align="left")
    for name in ("model.py", "model.safetensors", "port.json", "segmentation.png", "geometry.html"):
        console.print(f"  {PORT / name}")


if __name__ == "__main__":
    main()
