"""The classic 31M-parameter U-Net (Ronneberger et al. 2015), in Keras and by hand in PyTorch.

Five levels of 64 to 1024 channels, two 3x3 convolutions a level, no batch normalisation; 'same'
padding, as most implementations have it. The two programs share nothing but the architecture:
the PyTorch one is what torchport's output is measured against.
"""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F


class DoubleConv(nn.Module):
    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(F.relu(self.conv1(x))))


class UNet(nn.Module):
    """(n, 3, h, w) -> (n, 1, h, w) probability; h and w multiples of 16."""

    def __init__(self) -> None:
        super().__init__()
        self.enc1 = DoubleConv(3, 64)
        self.enc2 = DoubleConv(64, 128)
        self.enc3 = DoubleConv(128, 256)
        self.enc4 = DoubleConv(256, 512)
        self.bottleneck = DoubleConv(512, 1024)
        self.up4 = nn.ConvTranspose2d(1024, 512, 2, stride=2)
        self.dec4 = DoubleConv(1024, 512)
        self.up3 = nn.ConvTranspose2d(512, 256, 2, stride=2)
        self.dec3 = DoubleConv(512, 256)
        self.up2 = nn.ConvTranspose2d(256, 128, 2, stride=2)
        self.dec2 = DoubleConv(256, 128)
        self.up1 = nn.ConvTranspose2d(128, 64, 2, stride=2)
        self.dec1 = DoubleConv(128, 64)
        self.head = nn.Conv2d(64, 1, 1)

    def forward(self, image: Tensor) -> Tensor:
        enc1 = self.enc1(image)
        enc2 = self.enc2(F.max_pool2d(enc1, 2))
        enc3 = self.enc3(F.max_pool2d(enc2, 2))
        enc4 = self.enc4(F.max_pool2d(enc3, 2))
        x = self.bottleneck(F.max_pool2d(enc4, 2))
        x = self.dec4(torch.cat([enc4, self.up4(x)], dim=1))
        x = self.dec3(torch.cat([enc3, self.up3(x)], dim=1))
        x = self.dec2(torch.cat([enc2, self.up2(x)], dim=1))
        x = self.dec1(torch.cat([enc1, self.up1(x)], dim=1))
        return torch.sigmoid(self.head(x))

    @classmethod
    def from_pretrained(cls, weights: Path) -> UNet:
        model = cls()
        model.load_state_dict(load_file(weights))
        return model.eval()


def keras_unet():
    """The same network as a Keras model: (n, h, w, 3) -> (n, h, w, 1)."""
    import keras
    from keras import layers

    def double_conv(x, channels: int, name: str):
        for i in (1, 2):
            x = layers.Conv2D(channels, 3, padding="same", activation="relu", name=f"{name}_conv{i}")(x)
        return x

    image = keras.Input((None, None, 3), name="image")
    x, skips = image, []
    for level, channels in enumerate((64, 128, 256, 512), start=1):
        x = double_conv(x, channels, f"enc{level}")
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"pool{level}")(x)
    x = double_conv(x, 1024, "bottleneck")
    for level, channels in ((4, 512), (3, 256), (2, 128), (1, 64)):
        up = layers.Conv2DTranspose(channels, 2, strides=2, padding="same", name=f"up{level}")(x)
        x = double_conv(layers.Concatenate(name=f"skip{level}")([skips.pop(), up]), channels, f"dec{level}")
    mask = layers.Conv2D(1, 1, activation="sigmoid", name="head")(x)
    return keras.Model(image, mask, name="unet")


def main(out: Path) -> None:
    """Write out/unet31m.keras and, turned by hand, out/hand.safetensors."""
    import keras
    from safetensors.torch import save_file

    keras.utils.set_random_seed(31)
    model = keras_unet()
    state = {}
    for layer in model.layers:
        if layer.weights:
            name = layer.name.replace("_conv", ".conv")
            kernel, bias = (torch.tensor(weight.numpy()) for weight in layer.weights)
            # (h, w, i, o) -> (o, i, h, w), and transposed (h, w, o, i) -> (i, o, h, w)
            state[f"{name}.weight"] = kernel.permute(3, 2, 0, 1).contiguous()
            state[f"{name}.bias"] = bias
    out.mkdir(parents=True, exist_ok=True)
    save_file(state, out / "hand.safetensors")
    model.save(out / "unet31m.keras")
    print(f"{model.count_params():,} parameters")


if __name__ == "__main__":
    main(Path(__file__).parent / "out")
