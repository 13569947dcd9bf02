"""VAE, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return, no-untyped-call"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class Sampling(nn.Module):
    """mean (n, 2), log_var (n, 2) -> (n, 2)."""

    def forward(self, mean: Tensor, log_var: Tensor) -> Tensor:
        return mean + torch.exp(0.5 * log_var) * torch.randn_like(mean)


class VAE(nn.Module):
    """image (n, 1, 12, 12) -> {'image': (n, 1, 12, 12), 'mean': (n, 2), 'log_var': (n, 2)}."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder_conv = nn.Conv2d(1, 4, 3, stride=2)
        self.encoder_fc = nn.Linear(144, 16)
        self.mean = nn.Linear(16, 2)
        self.log_var = nn.Linear(16, 2)
        self.sampling = Sampling()
        self.decoder_fc = nn.Linear(2, 144)
        self.decoder_conv1 = nn.ConvTranspose2d(4, 4, 3, stride=2)
        self.decoder_conv2 = nn.ConvTranspose2d(4, 1, 3, padding=1)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        x = torch.flatten(F.relu(self.encoder_conv(F.pad(image, (0, 1, 0, 1)))), 1)
        encoder_fc = F.relu(self.encoder_fc(x))
        mean = self.mean(encoder_fc)
        log_var = self.log_var(encoder_fc)
        x = self.sampling(mean, log_var)
        x = F.relu(self.decoder_fc(x)).unflatten(1, (4, 6, 6))
        x = F.relu(self.decoder_conv1(x)[:, :, :-1, :-1])
        return {"image": torch.sigmoid(self.decoder_conv2(x)), "mean": mean, "log_var": log_var}

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> VAE:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
