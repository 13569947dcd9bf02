from __future__ import annotations

import torch
from torch import Tensor, nn


class RandAugment(nn.Module):
    """Some of these augmentations on a batch in training, one after another."""

    def __init__(self, *layers: nn.Module, num_ops: int) -> None:
        super().__init__()
        self.layers, self.num_ops = nn.ModuleList(layers), num_ops

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        seeds = torch.randint(2**31, (len(self.layers),)).tolist()
        for at in torch.randint(len(self.layers), (self.num_ops,)).tolist():
            # What is chosen twice does the same twice.
            with torch.random.fork_rng([x.device] if x.is_cuda else []):
                torch.default_generator.manual_seed(seeds[at])
                if x.is_cuda:
                    torch.cuda.manual_seed(seeds[at])
                x = self.layers[at](x)
        return x


class AugMix(nn.Module):
    """A batch mixed with chains of these augmentations in training."""

    def __init__(
        self,
        *layers: nn.Module,
        num_chains: int,
        chain_depth: int,
        alpha: float,
        value_range: tuple[float, float],
    ) -> None:
        super().__init__()
        self.layers, self.alpha, self.value_range = nn.ModuleList(layers), alpha, value_range
        self.num_chains, self.chain_depth = num_chains, chain_depth

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        alpha = x.new_tensor(self.alpha)
        weights = torch.distributions.Dirichlet(alpha.expand(self.num_chains)).sample()
        kept = torch.distributions.Beta(alpha, alpha).sample()
        mixed = sum(weight * self.chain(x) for weight in weights)
        return (kept * x + (1 - kept) * mixed).clamp(*self.value_range)

    def chain(self, x: Tensor) -> Tensor:
        """Up to `chain_depth` of the augmentations, one after another."""
        for at in torch.randint(len(self.layers) + 1, (self.chain_depth,)).tolist():
            if at < len(self.layers):
                x = self.layers[at](x)
        return x
