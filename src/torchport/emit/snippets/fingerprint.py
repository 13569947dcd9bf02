from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def hash_bins(x: Tensor, num_bins: int, mask: float | None = None) -> Tensor:
    """The bin of each whole number, as TensorFlow hashes it; `mask` has bin 0 to itself."""
    return binned(x, fingerprint, num_bins, mask)


def salted_hash_bins(
    x: Tensor, num_bins: int, salt: tuple[int, int], mask: float | None = None
) -> Tensor:
    """The bin of each whole number by SipHash; `mask` has bin 0 to itself."""
    return binned(x, lambda text: sip_hash(text, salt), num_bins, mask)


def binned(x: Tensor, hashed: Callable, num_bins: int, mask: float | None = None) -> Tensor:
    """The hash of each number's decimal text, modulo the number of bins."""
    start = 0 if mask is None else 1
    bins = [hashed(str(v).encode()) % (num_bins - start) for v in x.long().flatten().tolist()]
    bins = torch.tensor(bins, dtype=torch.int64, device=x.device).view(x.shape)
    return bins if mask is None else (bins + 1).masked_fill(x == mask, 0)


def fingerprint(text: bytes) -> int:
    """FarmHash's Fingerprint64 of up to 32 bytes."""
    k0, k1, k2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F
    n, bits = len(text), 2**64 - 1
    factor = k2 + 2 * n

    def word(start: int, size: int = 8) -> int:
        return int.from_bytes(text[start:][:size], "little")

    def rotated(x: int, by: int) -> int:
        x &= bits
        return (x >> by | x << 64 - by) & bits

    def mixed(x: int, y: int) -> int:
        a = (x ^ y & bits) * factor & bits
        b = ((a ^ a >> 47) ^ y & bits) * factor & bits
        return (b ^ b >> 47) * factor & bits

    if n > 16:
        a, b, c, d = word(0) * k1, word(8), word(n - 8) * factor, word(n - 16) * k2
        return mixed(rotated(a + b, 43) + rotated(c, 30) + d & bits, a + rotated(b + k2, 18) + c)
    if n >= 8:
        a, b = word(0) + k2, word(n - 8)
        c, d = rotated(b, 37) * factor + a, (rotated(a, 25) + b) * factor
        return mixed(c & bits, d)
    if n >= 4:
        return mixed(n + (word(0, 4) << 3), word(n - 4, 4))
    if n == 0:
        return k2
    x = (text[0] + (text[n // 2] << 8)) * k2 ^ (n + (text[-1] << 2)) * k0
    x &= bits
    return (x ^ x >> 47) * k2 & bits


def text_fingerprint(text: bytes) -> int:
    """FarmHash's Fingerprint64 of any text."""
    n, bits = len(text), 2**64 - 1
    if n <= 32:
        return fingerprint(text)
    k0, k1, k2 = 0xC3A5C85C97CB3127, 0xB492B66FBE98F273, 0x9AE16A3B2F90404F

    def word(start: int) -> int:
        return int.from_bytes(text[start:][:8], "little")

    def rotated(x: int, by: int) -> int:
        x &= bits
        return (x >> by | x << 64 - by) & bits

    def shifted(x: int) -> int:
        x &= bits
        return x ^ x >> 47

    def mixed(x: int, y: int, factor: int) -> int:
        a = shifted(((x ^ y) & bits) * factor)
        b = shifted(((y ^ a) & bits) * factor)
        return b * factor & bits

    if n <= 64:
        factor = k2 + 2 * n
        a, b, c, d = word(0) * k2, word(8), word(n - 8) * factor, word(n - 16) * k2
        y = rotated(a + b, 43) + rotated(c, 30) + d
        z = mixed(y, a + rotated(b + k2, 18) + c, factor)
        e, f = word(16) * factor, word(24)
        g, h = (y + word(n - 32)) * factor, (z + word(n - 24)) * factor
        left = rotated(e + f, 43) + rotated(g, 30) + h
        return mixed(left, e + rotated(f + a, 18) + g, factor)

    def seeded(start: int, a: int, b: int) -> tuple[int, int]:
        a += word(start)
        b = rotated(b + a + word(start + 24), 21)
        c = a
        a += word(start + 8) + word(start + 16)
        return a + word(start + 24), b + rotated(a, 44) + c

    x, y = 81 * k2 + word(0), 81 * k1 + 113
    z = shifted(y * k2 + 113) * k2
    v, w = (0, 0), (0, 0)

    def blended(start: int, factor: int, nine: int) -> None:
        nonlocal x, y, z, v, w
        x = rotated(x + y + v[0] + word(start + 8), 37) * factor ^ w[1] * nine
        y = rotated(y + v[1] + word(start + 48), 42) * factor + v[0] * nine + word(start + 40)
        z = rotated(z + w[0], 33) * factor
        v = seeded(start, v[1] * factor, x + w[0])
        w = seeded(start + 32, z + w[1], y + word(start + 16))
        x, z = z & bits, x & bits

    for start in range(0, (n - 1) // 64 * 64, 64):
        blended(start, k1, 1)
    factor = k1 + ((z & 255) << 1)
    w = (w[0] + ((n - 1) & 63), w[1])
    v = (v[0] + w[0], v[1])
    w = (w[0] + v[0], w[1])
    blended(n - 64, factor, 9)
    left = mixed(v[0], w[0], factor) + shifted(y) * k0 + z
    return mixed(left, mixed(v[1], w[1], factor) + x, factor)


def sip_hash(text: bytes, key: tuple[int, int]) -> int:
    """SipHash-2-4 of any text."""
    bits = 2**64 - 1
    k0, k1 = key[0] & bits, key[1] & bits
    state = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]

    def rotated(x: int, by: int) -> int:
        return (x << by | x >> 64 - by) & bits

    def half_round(a: int, b: int, by: int, then: int) -> None:
        state[a] = state[a] + state[b] & bits
        state[b] = rotated(state[b], by) ^ state[a]
        state[a] = rotated(state[a], then)

    def mix(rounds: int) -> None:
        for _ in range(rounds):
            half_round(0, 1, 13, 32)
            half_round(2, 3, 16, 0)
            half_round(0, 3, 21, 0)
            half_round(2, 1, 17, 32)

    text += bytes(-(len(text) + 1) % 8) + bytes([len(text) % 256])
    for start in range(0, len(text), 8):
        word = int.from_bytes(text[start : start + 8], "little")
        state[3] ^= word
        mix(2)
        state[0] ^= word
    state[2] ^= 0xFF
    mix(4)
    return state[0] ^ state[1] ^ state[2] ^ state[3]


def crossed_bins(xs: list[Tensor], num_bins: int) -> Tensor:
    """The bin of each combination of whole numbers: TensorFlow's FingerprintCat64, one by one."""
    factor = 0xC6A4A7935BD1E995 - (1 << 64)  # int64 wraps as its unsigned twin does

    def shift_mixed(x: Tensor) -> Tensor:
        return x ^ (x >> 47 & 0x1FFFF)

    found = torch.tensor(0xDECAFCAFFE, device=xs[0].device)
    for x in xs:
        found = (found ^ factor ^ shift_mixed(x.long() * factor) * factor) * factor
        found = shift_mixed(shift_mixed(found) * factor)
    half = found >> 1 & 0x7FFFFFFFFFFFFFFF
    return (half % num_bins * 2 + (found & 1)) % num_bins
