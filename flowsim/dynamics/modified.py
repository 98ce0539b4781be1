r"""The modified field of gradient descent: the smooth field whose time-one map is one step, to any order.

With D the forward difference along the iterates, D y_k = y_(k+1) - y_k, the shift is 1 + D = exp(d/dk), so

    dy/dk = log(1 + D) y = D y - D^2 y/2 + D^3 y/3 - ... = sum_j w_j (y_(j+1) - y_j)

for y = (a, q, m), q = z_parallel, m = log|z_perp|. The last form needs only increments, which the step gives without cancellation:

    a+ - a = eta u_ g z,   q+ - q = eta u (c (1 - cos) + h cos - (c - p)),   m+ - m = log|1 - sigma|,   sigma = eta u (c - h)/z

u = a^(N-1), u_ = a^(N-2), z = |z|, g = h - c (1 - cos) - (c - p) cos. Source: derivations/modified_equation.py.

A point (a, q, m), a > 0, is one array, (3, ...), so that the compiled loops carry few arrays. Where z_perp = 0, m is
idle and ``network.ray`` is not 0: it has the sign of q, and the size 1 on the ray of a balanced start, where layers stay equal, else 2.
"""

from math import comb
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax

from flowsim.dynamics.network import SETTLED, Network, look_up, split_value, whole_power

ORDER = 5
"""Differences kept: after a thousand steps the next is below 1e-12 of the run so far."""

LOG_2 = float(np.log(2.0))


def series_weights(order: int) -> tuple[np.ndarray, np.ndarray]:
    """w_j of D - D^2/2 +- ... to D^order, and of its last term alone; each (order,)."""
    terms = np.zeros((order + 1, order))
    for n in range(1, order + 1):
        for j in range(n):
            terms[n, j] = (-1.0) ** (n + 1) / n * (-1.0) ** (n - 1 - j) * comb(n - 1, j)
    return terms.sum(axis=0), terms[order]


WEIGHTS, LAST = series_weights(ORDER)


def _padded(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values, np.zeros((ORDER - len(values), *values.shape[1:]))])


_SERIES = [series_weights(order) for order in range(1, ORDER + 1)]
PAIRS = np.stack([_padded(np.stack([weights, weights - last], axis=1)) for weights, last in _SERIES])
LASTS = np.stack([_padded(last) for _, last in _SERIES])
"""Of the series to D, D^2, ..., D^ORDER: the weights, and those with one term less, (ORDER, ORDER, 2); of the last term, (ORDER, ORDER)."""


class Increment(NamedTuple):
    """What one step adds to (a, q, m), (3, ...), and its sigma, c (1 - cos) and h."""

    change: Any
    sigma: Any
    misaligned: Any
    growth: Any


def increment(tables: Any, network: Network, step_size: Any, point: Any) -> Increment:
    """One step from (a, q, m); shapes broadcast (``network.depth`` whole here)."""
    a, parallel, log_perp = point[0], point[1], point[2]
    deep, on_ray = network.depth > 1, network.ray != 0.0
    perp = jnp.where(on_ray, 0.0, jnp.exp(log_perp))
    z = jnp.sqrt(parallel * parallel + perp * perp)
    inverse = 1.0 / z
    u_less = whole_power(a, network.depth - 2)
    u = jnp.where(deep, u_less * a, 1.0)
    value = look_up(tables, network.row, u * z)
    near, growth, drag = split_value(network, u * z, value)
    ratio = jnp.where(near, u * value, drag * inverse)
    side = jnp.sign(parallel)
    cos, sin = jnp.where(on_ray, side, parallel * inverse), perp * inverse
    misaligned = network.pull * jnp.where(cos > 0.0, sin * sin / (1.0 + cos), 1.0 - cos)
    noise = network.pull - network.signal
    radial = growth - misaligned - noise * cos
    # at the finite minimiser that label noise makes, rounding must not be taken for motion
    small = jnp.minimum(growth, drag)
    settled = (noise > 0.0) & (misaligned <= 1e-13 * small) & (jnp.abs(radial) <= SETTLED * small)
    eta = jnp.where(settled, 0.0, step_size)
    sigma = step_size * u * ratio
    layer = jnp.where(deep, eta * z * u_less * radial, 0.0)
    change = jnp.stack(
        [
            layer,
            # on a ray deep layers stay equal, which rounding would not keep
            jnp.where(deep & (jnp.abs(network.ray) == 1.0), side * layer, eta * u * (misaligned + growth * cos - noise)),
            # log|1 - sigma|, with every digit for small sigma
            jnp.where(on_ray, 0.0, jnp.log1p(jnp.where(sigma < 1.0, -sigma, sigma - 2.0))),
        ]
    )
    return Increment(change, sigma, misaligned, growth)


def modified_field(
    tables: Any, network: Network, step_size: Any, point: Any, weights: Any, last: Any = LAST, order: Any = ORDER
) -> tuple[Any, Any]:
    """d(a, q, m)/dk and the size of the last term of its series, (2, 3, ...); and -1 or 1 where sigma stayed below or above 1, else nan.

    weights: (ORDER, ...), the weights w_j, or those of fewer terms.  last: (ORDER,), of the last term.  order: how many of them count.
    """
    ones = jnp.ones_like(weights)
    ends = ones * jnp.asarray(last).reshape(-1, *(1,) * (weights.ndim - 1))
    parts = jnp.stack([ones, weights, ends], axis=1)[:, :, None]

    def body(j: Any, sums: Any) -> Any:
        step = increment(tables, network, step_size, sums[0])
        side = jnp.where(step.sigma > 1.0, 1.0, -1.0)
        return sums + parts[j] * jnp.concatenate([step.change, side[None]])[None]

    begin = jnp.concatenate([point, jnp.zeros_like(point[:1])])
    sums = lax.fori_loop(0, order, body, jnp.stack([begin, jnp.zeros_like(begin), jnp.zeros_like(begin)]))
    side = sums[0, 3] / order
    # near sigma = 1 the differences of log|1 - sigma| hold the rounding of sigma: that is not the series' error
    rounding = 8.0 * jnp.finfo(jnp.float64).eps * jnp.exp(-sums[1, 2])
    omitted = sums[2, :3].at[2].set(jnp.maximum(jnp.abs(sums[2, 2]) - rounding, 0.0))
    return jnp.stack([sums[1, :3], omitted]), jnp.where(network.ray == 0.0, jnp.where(jnp.abs(side) == 1.0, side, jnp.nan), -1.0)


def to_smooth(network: Network, unit: Any, point: Any) -> Any:
    """Coordinates that become straight lines in log k: (log a, asinh(q/unit), asinh(m)) for N = 1, (log a, log z, asinh(s_z)) else.

    s_z = log tan of half the angle of z to v.
    """
    a, parallel, log_perp = point[0], point[1], point[2]
    off_ray, one = network.ray == 0.0, network.depth == 1
    z = jnp.sqrt(parallel**2 + jnp.where(off_ray, jnp.exp(log_perp), 0.0) ** 2)
    s = -jnp.sign(parallel) * (jnp.log(z + jnp.abs(parallel)) - log_perp)
    first = jnp.where(one, jnp.arcsinh(parallel / unit), jnp.log(z))
    second = jnp.where(off_ray, jnp.arcsinh(jnp.where(one, log_perp, s)), 0.0)
    # log z from a where they are the same number: see `increment`
    equal = (jnp.abs(network.ray) == 1.0) & ~one
    return jnp.stack([jnp.log(a), jnp.where(equal, jnp.log(a), first), second])


def to_point(network: Network, unit: Any, y: Any) -> Any:
    """The inverse of `to_smooth`: (a, q, m)."""
    off_ray, one = network.ray == 0.0, network.depth == 1
    second = jnp.sinh(y[2])
    z = jnp.exp(jnp.where(one, 0.0, y[1]))
    q = jnp.where(off_ray, -jnp.tanh(second), jnp.sign(network.ray)) * z
    size = jnp.abs(second)
    log_sin = LOG_2 - size - jnp.log1p(jnp.exp(-2.0 * size))
    parallel = jnp.where(one, unit * jnp.sinh(jnp.where(one, y[1], 0.0)), q)
    return jnp.stack([jnp.exp(y[0]), parallel, jnp.where(one, second, y[1] + log_sin)])


def smooth_rate(network: Network, unit: Any, y: Any, point: Any, rate: Any) -> Any:
    """Rates of the smooth coordinates from those of (a, q, m): (..., 3, ...) with the coordinates along axis -3, linear in ``rate``."""
    off_ray, one = network.ray == 0.0, network.depth == 1
    a, parallel, log_perp = point[0], point[1], point[2]
    perp = jnp.where(off_ray, jnp.exp(log_perp), 0.0)
    inverse = 1.0 / jnp.sqrt(parallel**2 + perp**2)
    cos, sin = parallel * inverse, perp * inverse
    along, across = rate[..., 1, :, :] * inverse, rate[..., 2, :, :]
    layer = rate[..., 0, :, :] / a
    deep = jnp.where(jnp.abs(network.ray) == 1.0, layer, cos * along + sin * sin * across)
    first = jnp.where(one, rate[..., 1, :, :] / jnp.sqrt(unit * unit + parallel**2), deep)
    second = jnp.where(off_ray, jnp.where(one, across, cos * across - along) / jnp.cosh(y[2]), 0.0)
    return jnp.stack([layer, first, second], axis=-3)
