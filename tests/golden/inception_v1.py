"""InceptionV1, ported from Keras by torchport 0.1.0."""
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("model.safetensors")


class InceptionBlock(nn.Module):
    """(n, in_channels, h, w) -> (n, c, h, w)."""

    def __init__(
        self,
        in_channels: int,
        channels_1x1: int,
        channels_3x3_reduce: int,
        channels_3x3: int,
        channels_5x5_reduce: int,
        channels_5x5: int,
        channels_pool: int,
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels_1x1, 1)
        self.conv2 = nn.Conv2d(in_channels, channels_3x3_reduce, 1)
        self.conv3 = nn.Conv2d(channels_3x3_reduce, channels_3x3, 3, padding=1)
        self.conv4 = nn.Conv2d(in_channels, channels_5x5_reduce, 1)
        self.conv5 = nn.Conv2d(channels_5x5_reduce, channels_5x5, 5, padding=2)
        self.conv6 = nn.Conv2d(in_channels, channels_pool, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = F.relu(self.conv2(x))
        branch1 = F.relu(self.conv3(out))
        out = F.relu(self.conv4(x))
        branch2 = F.relu(self.conv5(out))
        out = F.max_pool2d(x, 3, stride=1, padding=1)
        branch3 = F.relu(self.conv6(out))
        return torch.cat([F.relu(self.conv1(x)), branch1, branch2, branch3], dim=1)


class InceptionV1(nn.Module):
    """(n, 3, 224, 224) -> output (n, 10), auxiliary_1 (n, 10), auxiliary_2 (n, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_1_7x7 = nn.Conv2d(3, 64, 7, stride=2)
        self.conv_2a_1x1 = nn.Conv2d(64, 64, 1)
        self.conv_2b_3x3 = nn.Conv2d(64, 192, 3, padding=1)
        self.inception_3 = nn.Sequential(
            InceptionBlock(192, 64, 96, 128, 16, 32, 32),
            InceptionBlock(256, 128, 128, 192, 32, 96, 64),
        )
        self.inception_4a = InceptionBlock(480, 192, 96, 208, 16, 48, 64)
        self.inception_4 = nn.Sequential(
            InceptionBlock(512, 160, 112, 224, 24, 64, 64),
            InceptionBlock(512, 128, 128, 256, 24, 64, 64),
            InceptionBlock(512, 112, 144, 288, 32, 64, 64),
        )
        self.inception_4e = InceptionBlock(528, 256, 160, 320, 32, 128, 128)
        self.inception_5a = InceptionBlock(832, 256, 160, 320, 32, 128, 128)
        self.dropout1 = nn.Dropout(0.4)
        self.output = nn.Linear(832, 10)
        self.conv1 = nn.Conv2d(512, 128, 1)
        self.fc1 = nn.Linear(2048, 1024)
        self.dropout2 = nn.Dropout(0.7)
        self.auxiliary_1 = nn.Linear(1024, 10)
        self.conv2 = nn.Conv2d(528, 128, 1)
        self.fc2 = nn.Linear(2048, 1024)
        self.dropout3 = nn.Dropout(0.7)
        self.auxiliary_2 = nn.Linear(1024, 10)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = F.relu(self.conv_1_7x7(F.pad(x, (2, 3, 2, 3))))
        x = F.relu(self.conv_2a_1x1(F.max_pool2d(x, 3, stride=2, ceil_mode=True)))
        x = F.max_pool2d(F.relu(self.conv_2b_3x3(x)), 3, stride=2, ceil_mode=True)
        x = F.max_pool2d(self.inception_3(x), 3, stride=2, ceil_mode=True)
        inception_4a = self.inception_4a(x)
        inception_4 = self.inception_4(inception_4a)
        x = F.max_pool2d(self.inception_4e(inception_4), 3, stride=2, ceil_mode=True)
        x = self.dropout1(self.inception_5a(x).mean(dim=(2, 3)))
        output = F.softmax(self.output(x), dim=1)
        x = F.avg_pool2d(inception_4a, 5, stride=3)
        x = torch.flatten(F.relu(self.conv1(x)), 1)
        x = self.dropout2(F.relu(self.fc1(x)))
        auxiliary_1 = F.softmax(self.auxiliary_1(x), dim=1)
        x = F.avg_pool2d(inception_4, 5, stride=3)
        x = torch.flatten(F.relu(self.conv2(x)), 1)
        x = self.dropout3(F.relu(self.fc2(x)))
        return output, auxiliary_1, F.softmax(self.auxiliary_2(x), dim=1)

    @classmethod
    def from_pretrained(cls, path: str | Path = WEIGHTS) -> InceptionV1:
        """Load the ported weights; in evaluation mode."""
        model = cls()
        model.load_state_dict(load_file(path))
        return model.eval()
