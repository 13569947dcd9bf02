from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MultiHeadAttention(nn.Module):
    """Attention of several heads: query (n, t, c), value (n, s, c) -> (n, t, c)."""

    def __init__(self, features: int, num_heads: int, head_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, nn.Dropout(dropout)
        self.q, self.k, self.v = (nn.Linear(features, num_heads * head_dim) for _ in range(3))
        self.out = nn.Linear(num_heads * head_dim, features)

    def forward(self, query: Tensor, value: Tensor, is_causal: bool = False) -> Tensor:
        projected = (self.q(query), self.k(value), self.v(value))
        q, k, v = (x.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for x in projected)
        p = self.dropout.p if self.training else 0.0
        x = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=is_causal)
        return self.out(x.transpose(1, 2).flatten(2))


class MaskedMultiHeadAttention(nn.Module):
    """Attention of several heads where a mask (n, t, s) is True: (n, t, c), (n, s, c) -> (n, t, c).

    A query that may attend to nothing attends to all alike.
    """

    def __init__(self, features: int, num_heads: int, head_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, nn.Dropout(dropout)
        self.q, self.k, self.v = (nn.Linear(features, num_heads * head_dim) for _ in range(3))
        self.out = nn.Linear(num_heads * head_dim, features)

    def forward(self, query: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        projected = (self.q(query), self.k(value), self.v(value))
        q, k, v = (x.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for x in projected)
        mask = mask[:, None] if mask.dim() == 3 else mask
        scores = q @ k.transpose(2, 3) / math.sqrt(q.size(3))
        scores = scores.masked_fill(~mask, -math.inf).nan_to_num(nan=math.nan)  # the least number
        weights = F.softmax(scores, dim=-1)
        x = self.dropout(weights) @ v
        return self.out(x.transpose(1, 2).flatten(2))


class ZeroMaskedMultiHeadAttention(nn.Module):
    """Attention of several heads where a mask (n, t, s) is True: (n, t, c), (n, s, c) -> (n, t, c).

    A query that may attend to nothing gets nothing.
    """

    def __init__(self, features: int, num_heads: int, head_dim: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.num_heads, self.dropout = num_heads, nn.Dropout(dropout)
        self.q, self.k, self.v = (nn.Linear(features, num_heads * head_dim) for _ in range(3))
        self.out = nn.Linear(num_heads * head_dim, features)

    def forward(self, query: Tensor, value: Tensor, mask: Tensor) -> Tensor:
        projected = (self.q(query), self.k(value), self.v(value))
        q, k, v = (x.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for x in projected)
        mask = mask[:, None] if mask.dim() == 3 else mask
        scores = q @ k.transpose(2, 3) / math.sqrt(q.size(3))
        scores = scores.masked_fill(~mask, -math.inf).nan_to_num(nan=math.nan)  # the least number
        weights = F.softmax(scores, dim=-1) * mask
        x = self.dropout(weights) @ v
        return self.out(x.transpose(1, 2).flatten(2))


class AttentionHeads(nn.Module):
    """Queries, keys and values of several heads, each of its own size, and what comes out."""

    def __init__(
        self,
        query_features: int,
        num_heads: int,
        head_dim: int,
        *,
        value_features: int | None = None,
        key_features: int | None = None,
        value_dim: int | None = None,
        out_features: int | None = None,
        num_kv_heads: int | None = None,
        bias: bool = True,
        dropout: float = 0.0,
        gate: bool = False,  # if gate
    ) -> None:
        super().__init__()
        value_features, value_dim = value_features or query_features, value_dim or head_dim
        self.heads = (num_heads, num_kv_heads or num_heads)
        self.q = nn.Linear(query_features, num_heads * head_dim, bias)
        self.k = nn.Linear(key_features or value_features, self.heads[1] * head_dim, bias)
        self.v = nn.Linear(value_features, self.heads[1] * value_dim, bias)
        self.gate = nn.Linear(query_features, num_heads * value_dim, bias)  # if gate
        self.out = nn.Linear(num_heads * value_dim, out_features or query_features, bias)
        self.dropout = nn.Dropout(dropout)

    def split(
        self, query: Tensor, value: Tensor, key: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of each head: (n, heads, t, dim)."""
        q, k = self.q(query), self.k(value if key is None else key)
        q = q.unflatten(2, (self.heads[0], -1)).transpose(1, 2)
        k, v = (x.unflatten(2, (self.heads[1], -1)).transpose(1, 2) for x in (k, self.v(value)))
        groups = self.heads[0] // self.heads[1]
        return q, k.repeat_interleave(groups, dim=1), v.repeat_interleave(groups, dim=1)


class ProjectedAttention(AttentionHeads):
    """Attention of several heads, each of query, key and value of its own size."""

    def forward(
        self, query: Tensor, value: Tensor, key: Tensor | None = None, is_causal: bool = False
    ) -> Tensor:
        q, k, v = self.split(query, value, key)
        p = self.dropout.p if self.training else 0.0
        x = F.scaled_dot_product_attention(q, k, v, dropout_p=p, is_causal=is_causal)
        gate = torch.sigmoid(self.gate(query))  # if gate
        x = x * gate.unflatten(2, x.shape[1::2]).transpose(1, 2)  # if gate
        return self.out(x.transpose(1, 2).flatten(2))


class MaskedAttention(AttentionHeads):
    """Attention where a mask is True; a query that may attend to nothing attends to all alike.

    Returns the weights as well: (n, heads, t, s).
    """

    def forward(
        self, query: Tensor, value: Tensor, key: Tensor | None = None, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        q, k, v = self.split(query, value, key)
        scores = q @ k.transpose(2, 3) / math.sqrt(q.size(3))
        if mask is None:
            weights = F.softmax(scores, dim=-1)
        else:
            weights = self.softmax(scores, mask[:, None] if mask.dim() == 3 else mask)
        x = self.dropout(weights) @ v
        gate = torch.sigmoid(self.gate(query))  # if gate
        x = x * gate.unflatten(2, x.shape[1::2]).transpose(1, 2)  # if gate
        return self.out(x.transpose(1, 2).flatten(2)), weights

    def softmax(self, scores: Tensor, mask: Tensor) -> Tensor:
        scores = scores.masked_fill(~mask, -math.inf).nan_to_num(nan=math.nan)  # the least number
        return F.softmax(scores, dim=-1)


class ZeroMaskedAttention(MaskedAttention):
    """Attention where a mask is True; a query that may attend to nothing gets nothing."""

    def softmax(self, scores: Tensor, mask: Tensor) -> Tensor:
        return super().softmax(scores, mask) * mask


class LoweredAttention(MaskedAttention):
    """Attention where a mask is True; if that is nowhere, as if there were none."""

    def softmax(self, scores: Tensor, mask: Tensor) -> Tensor:
        return F.softmax(scores + (mask.to(scores.dtype) - 1) * 1e9, dim=-1)


def causal_mask(query: Tensor, key: Tensor) -> Tensor:
    """Which keys are not later than each query: (t, s)."""
    size = (query.size(1), key.size(1))
    return torch.ones(size, dtype=torch.bool, device=query.device).tril()


def band_mask(query: Tensor, key: Tensor, window: int) -> Tensor:
    """Which keys are less than so many steps away from each query: (t, s)."""
    t, s = (torch.arange(x.size(1), device=x.device) for x in (query, key))
    return (t[:, None] - s).abs() < window


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis where the mask is True."""
    return F.softmax(torch.where(mask, scores, scores - 1e9), dim=-1)


def weighted(weights: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted sum of a value, and the weights."""
    return weights @ value, weights


def weighted_queries(weights: Tensor, value: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The weighted sum of a value, zero where a query is masked, and the weights."""
    return torch.where(mask[..., None], weights @ value, 0.0), weights


def masked_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    bias: Tensor | None = None,
    causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """Attention (n, heads, steps, features); where a step may look nowhere, it looks everywhere."""
    groups = query.shape[1] // key.shape[1]
    key, value = (it.repeat_interleave(groups, dim=1) for it in (key, value))
    scores = query @ key.transpose(2, 3) * (query.shape[3] ** -0.5 if scale is None else scale)
    scores = scores if bias is None else scores + bias
    if causal:
        steps = torch.ones(scores.shape[2:], dtype=torch.bool, device=query.device).tril()
        mask = steps if mask is None else mask & steps
    if mask is not None:
        lowest = scores.new_full((), -math.inf).nan_to_num()
        scores = torch.where(mask, scores, 0.7 * lowest)
    return torch.softmax(scores, dim=-1) @ value
