"""Weights and films by a rule that src/model/seeded.rs computes too."""

import numpy as np


def units(name, count):
    """Numbers in 0..1: MurmurHash3's 32-bit finaliser on a counter that starts at the FNV-1a hash of the name."""
    start = 0x811C9DC5
    for byte in name.encode():
        start = ((start ^ byte) * 0x01000193) & 0xFFFFFFFF
    x = np.uint32(start) + np.arange(count, dtype=np.uint32) * np.uint32(0x9E3779B9)
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    x = x ^ (x >> np.uint32(16))
    return (x >> np.uint32(8)).astype(np.float32) / np.float32(1 << 24)


def array(name, shape):
    unit = units(name, int(np.prod(shape)))
    last = name.rsplit(".", 1)[-1]
    if len(shape) == 4:
        bound = np.sqrt(6.0 / np.prod(shape[1:]))
    elif last == "running_mean":
        bound = 0.3
    elif last == "bias":
        bound = 0.2
    else:
        return (np.float32(0.5) + unit).reshape(shape)
    return ((np.float32(2) * unit - np.float32(1)) * np.float32(bound)).reshape(shape)


def films(count, size):
    return units("films", count * size * size).reshape(count, 1, size, size)
