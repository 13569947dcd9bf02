"""VqVAE, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


def one_hot(x: Tensor, num_classes: int) -> Tensor:
    """Whether each entry is each class; what is none of them is none, where F.one_hot raises."""
    return x[..., None] == torch.arange(num_classes, device=x.device)


class VectorQuantizer(nn.Module):
    """(n, 8, 8, 8) -> (n, 8, 8, 8)."""

    def __init__(self) -> None:
        super().__init__()
        self.codebook = nn.Buffer(torch.zeros(11, 8))
        self.uses = nn.Buffer(torch.zeros(11))
        self.sums = nn.Buffer(torch.zeros(11, 8))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.reshape(-1, 8)
        out = 2 * (flat @ self.codebook.transpose(0, 1))
        out = (flat**2).sum(dim=1, keepdim=True) - out
        codes = (out + (self.codebook**2).sum(dim=1)).argmin(dim=1)
        total = x + (self.codebook[codes].reshape(-1, 8, 8, 8) - x).detach()
        hot = one_hot(codes, 11).to(torch.get_default_dtype())
        if self.training:
            x = 0.99 * self.uses + 0.01 * hot.sum(dim=0)
            self.uses = x.detach()
            x = 0.01 * (hot.transpose(0, 1) @ flat)
            x = 0.99 * self.sums + x
            self.sums = x.detach()
            self.codebook = (self.sums / self.uses[:, None]).detach()
        return total


class VqVAE(nn.Module):
    """image (n, 1, 16, 16) -> (n, 1, 16, 16)."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(1, 8, 3, stride=2)
        self.quantizer = VectorQuantizer()
        self.decoder = nn.ConvTranspose2d(8, 1, 3, stride=2)

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(self.encoder(F.pad(image, (0, 1, 0, 1)))).permute(0, 2, 3, 1)
        x = self.quantizer(x).permute(0, 3, 1, 2)
        return self.decoder(x)[:, :, :-1, :-1]

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> VqVAE:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
