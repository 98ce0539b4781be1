r"""Piecewise polynomials over the whole double range, addressed by the bits of their argument.

The exponent and the first four bits of the mantissa of r number the panel [2^e (1 + j/16), 2^e (1 + (j+1)/16)), the other 48 bits
are the local variable t in [-1, 1). No logarithm, no search, no branch; the same code runs on NumPy and JAX arrays. The functions
tabulated are analytic away from Re r = 0, at distance at least 16 panel widths, so degree 8 leaves a relative error near 1e-15.
"""

from typing import Any

import numpy as np

SPLIT = 16
DEGREE = 8
ROWS = 2048 * SPLIT

_NODES = np.cos(np.pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1))
_TO_MONOMIALS = np.linalg.inv(np.vander(_NODES, increasing=True))

MANTISSAS = (1.0 + (np.arange(SPLIT)[:, None] + (_NODES + 1.0) / 2.0) / SPLIT).ravel()
"""Where a function has to be sampled within one octave [1, 2): SPLIT panels of DEGREE + 1 Chebyshev points."""


def fill(samples: np.ndarray) -> np.ndarray:
    """A table, shape (ROWS, DEGREE + 1), from samples[e + 1022] at 2^e MANTISSAS for e = -1022 .. 1023.

    Below 2^-1022 the first value is continued as a constant; the row of infinity holds zeros.
    """
    local = samples.reshape(2046, SPLIT, DEGREE + 1) @ _TO_MONOMIALS.T
    table = np.zeros((2048, SPLIT, DEGREE + 1))
    table[1:2047] = local
    table[0, :, 0] = samples[0, 0]
    return table.reshape(ROWS, DEGREE + 1)


def address(bits: Any, xp: Any) -> tuple[Any, Any]:
    """Row number and local variable t from the int64 bits of a non-negative double."""
    row = (bits >> 48).astype(xp.int32)
    t = (bits & ((1 << 48) - 1)).astype(xp.float64) * (2.0 / (1 << 48)) - 1.0
    return row, t


def horner(rows: Any, t: Any) -> Any:
    """sum_k rows[..., k] t^k."""
    value = rows[..., DEGREE]
    for k in range(DEGREE - 1, -1, -1):
        value = value * t + rows[..., k]
    return value


def slope(rows: Any, t: Any) -> Any:
    """sum_k k rows[..., k] t^(k-1), the derivative in t; a panel of r = 2^e m has dt/dr = 2 SPLIT/2^e."""
    value = DEGREE * rows[..., DEGREE]
    for k in range(DEGREE - 1, 0, -1):
        value = value * t + k * rows[..., k]
    return value


def evaluate(table: np.ndarray, r: np.ndarray | float, block: int = 4096) -> np.ndarray:
    """The tabulated function at r >= 0 (NumPy; in blocks that stay in cache)."""
    r = np.asarray(r, dtype=np.float64)
    flat, out = np.ascontiguousarray(r.ravel()), np.empty(r.size)
    for i in range(0, flat.size, block):
        row, t = address(flat[i : i + block].view(np.int64), np)
        out[i : i + block] = horner(table[row], t)
    return out.reshape(r.shape)
