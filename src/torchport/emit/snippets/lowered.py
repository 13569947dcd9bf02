from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def split_attention(query: Tensor, key: Tensor, value: Tensor, num_heads: int) -> Tensor:
    """Attention (n, t, c) of several heads, each of its share of the features."""
    q, k, v = (x.unflatten(2, (num_heads, -1)).transpose(1, 2) for x in (query, key, value))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


def lowered_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    num_heads: int,
    mask: Tensor | None = None,
    is_causal: bool = False,
) -> Tensor:
    """Attention (n, t, c) of several heads; what a step may not see scores 10000 less."""
    q, k, v = (x.unflatten(2, (num_heads, -1)).transpose(1, 2) for x in (query, key, value))
    bias = query.new_zeros(query.size(1), key.size(1))
    if is_causal:
        bias = torch.full_like(bias, -1e4).triu(1)
    if mask is not None:
        bias = bias - 1e4 * ~mask[:, None, None]
    x = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    return x.transpose(1, 2).flatten(2)


def banded_attention(
    scores: Tensor,
    x: Tensor,
    mask: Tensor | None = None,
    width: int | None = None,
    before: int | None = None,
) -> Tensor:
    """x (n, t, c) by scores (n, t, t), less 10000 out of a band and between masked steps."""
    if width is not None and before is not None:
        steps = torch.arange(x.size(1), device=x.device)
        first = steps[:, None] - before
        scores = scores - 1e4 * ~((first <= steps) & (steps < first + width))
    if mask is not None:
        scores = scores - 1e4 * (~mask[:, :, None] & ~mask[:, None])
    return F.softmax(scores, dim=-1) @ x


def pooled_attention(scores: Tensor, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """The mean (n, c) of x (n, t, c) by scores (n, t, 1), of masked steps 10000 less."""
    if mask is not None:
        scores = scores - 1e4 * ~mask[:, :, None]
    weights = (scores - scores.amax(dim=1, keepdim=True)).exp()
    return (x * weights / (weights.sum(dim=1, keepdim=True) + 1e-7)).sum(dim=1)
