"""CRC-32C, the checksum of TensorFlow's checkpoints, of many pieces at a time.

Source: tensorflow/tsl/lib/hash/crc32c.h. A checksum is linear over GF(2): that of two pieces end to end is
that of the first, carried over as many zeros as the second is long, XOR that of the second.
"""

from __future__ import annotations

from functools import cache

import numpy as np

#: The polynomial of Castagnoli, its bits reversed.
POLYNOMIAL = 0x82F63B78
#: Pieces at a time, and what is added to a checksum that is itself part of the data.
LANES, DELTA = 8192, 0xA282EAD8


@cache
def table() -> np.ndarray:
    """What one byte does to a checksum."""
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = np.where(values & 1, (values >> 1) ^ np.uint32(POLYNOMIAL), values >> 1)
    return values


@cache
def pairs() -> tuple[np.ndarray, ...]:
    """What two bytes do to a checksum that 0, 2, 4 and 6 bytes follow."""
    values, found = np.arange(2**16, dtype=np.uint32), []
    for _ in range(4):
        for _ in range(2):
            values = table()[values & 255] ^ (values >> 8)
        found.append(values)
    return tuple(found)


def masked(data: memoryview | bytes) -> int:
    """The checksum as it is stored: rotated by 15 bits, and DELTA added."""
    crc = checksum(data)
    return (((crc >> 15) | (crc << 17 & 0xFFFFFFFF)) + DELTA) & 0xFFFFFFFF


def checksum(data: memoryview | bytes) -> int:
    whole = np.frombuffer(data, np.uint8)
    length = len(whole) // (8 * LANES)
    crc = 0xFFFFFFFF
    if length:
        crc = _joined(whole[: 8 * LANES * length].view("<u8").reshape(LANES, length), crc)
    values = table().tolist()
    for byte in whole[8 * LANES * length :].tolist():
        crc = values[(crc ^ byte) & 255] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


def _joined(pieces: np.ndarray, start: int) -> int:
    """The running checksum behind pieces of one length, in words of eight bytes, that lie end to end."""
    first, second, third, fourth = pairs()
    crcs = np.zeros(len(pieces), np.uint32)
    crcs[0] = start
    for column in pieces.T:
        parts = (column ^ crcs).view("<u2").reshape(-1, 4)
        crcs = fourth[parts[:, 0]]
        crcs ^= third[parts[:, 1]]
        crcs ^= second[parts[:, 2]]
        crcs ^= first[parts[:, 3]]
    shift = _zeros(8 * pieces.shape[1])
    while len(crcs) > 1:
        crcs = _times(shift, crcs[0::2]) ^ crcs[1::2]
        shift = _times(shift, shift)
    return int(crcs[0])


def _zeros(count: int) -> np.ndarray:
    """The matrix (its 32 columns) that carries a checksum over a number of zero bytes."""
    one = np.uint32(1) << np.arange(32, dtype=np.uint32)
    power = table()[one & 255] ^ (one >> 8)
    result = one
    while count:
        if count & 1:
            result = _times(power, result)
        power = _times(power, power)
        count >>= 1
    return result


def _times(matrix: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """A matrix over GF(2) times many vectors, of 32 bits each."""
    found = np.zeros_like(vectors)
    for bit in range(32):
        found ^= np.where(vectors >> np.uint32(bit) & 1, matrix[bit], np.uint32(0))
    return found
