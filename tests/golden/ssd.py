"""SSD, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return, no-untyped-call"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class SSD(nn.Module):
    """(n, 3, 300, 480) -> (n, 11692, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 5, padding=2)
        self.bn1 = nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        self.conv2 = nn.Conv2d(32, 48, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(48, eps=1e-3, momentum=0.01)
        self.conv3 = nn.Conv2d(48, 64, 3, padding=1)
        self.bn3 = nn.BatchNorm2d(64, eps=1e-3, momentum=0.01)
        self.conv4 = nn.Conv2d(64, 64, 3, padding=1)
        self.bn4 = nn.BatchNorm2d(64, eps=1e-3, momentum=0.01)
        self.conv5 = nn.Conv2d(64, 48, 3, padding=1)
        self.bn5 = nn.BatchNorm2d(48, eps=1e-3, momentum=0.01)
        self.conv6 = nn.Conv2d(48, 48, 3, padding=1)
        self.bn6 = nn.BatchNorm2d(48, eps=1e-3, momentum=0.01)
        self.conv7 = nn.Conv2d(48, 32, 3, padding=1)
        self.bn7 = nn.BatchNorm2d(32, eps=1e-3, momentum=0.01)
        self.classes0 = nn.Conv2d(64, 24, 3, padding=1)
        self.classes1 = nn.Conv2d(48, 24, 3, padding=1)
        self.classes2 = nn.Conv2d(48, 24, 3, padding=1)
        self.classes3 = nn.Conv2d(32, 24, 3, padding=1)
        self.boxes0 = nn.Conv2d(64, 16, 3, padding=1)
        self.boxes1 = nn.Conv2d(48, 16, 3, padding=1)
        self.boxes2 = nn.Conv2d(48, 16, 3, padding=1)
        self.boxes3 = nn.Conv2d(32, 16, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(F.elu(self.bn1(self.conv1(x / 127.5 - 1))), 2)
        x = F.max_pool2d(F.elu(self.bn2(self.conv2(x))), 2)
        x = F.max_pool2d(F.elu(self.bn3(self.conv3(x))), 2)
        conv4 = F.elu(self.bn4(self.conv4(x)))
        x = F.max_pool2d(conv4, 2)
        conv5 = F.elu(self.bn5(self.conv5(x)))
        x = F.max_pool2d(conv5, 2)
        conv6 = F.elu(self.bn6(self.conv6(x)))
        x = F.max_pool2d(conv6, 2)
        conv7 = F.elu(self.bn7(self.conv7(x)))
        branch1 = self.classes0(conv4).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 6))
        branch2 = self.classes1(conv5).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 6))
        branch3 = self.classes2(conv6).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 6))
        branch4 = self.classes3(conv7).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 6))
        branch5 = F.softmax(torch.cat([branch1, branch2, branch3, branch4], dim=1), dim=2)
        branch6 = self.boxes0(conv4).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4))
        branch7 = self.boxes1(conv5).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4))
        branch8 = self.boxes2(conv6).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4))
        branch9 = self.boxes3(conv7).permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, 4))
        return torch.cat([branch5, torch.cat([branch6, branch7, branch8, branch9], dim=1)], dim=2)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> SSD:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
