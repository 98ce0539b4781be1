r"""The gradient on the matrices, in coordinates in which the direction does not end at 1e-16.

With W_1 = p v^T + Q V^T, V an orthonormal basis across v, a = (W_N ... W_2)^T, and w = <a, p> v + V q, q = Q^T a,

    grad L(w) = D(r) w - c v,   g = -<v, grad L> = h + (c - h)(1 - cos theta),   f = g p - D Q q = -W_1 grad L,
    s_j = (W_N ... W_(j+1))^T,  u_j = W_j ... W_2 f,
    flow     p' = g a,   Q' = -D a q^T,   W_j' = s_j u_(j-1)^T (j >= 2),   q' = -D |a|^2 q + Q^T S f,
    descent  the same increments, and  q <- q - eta D <a, a+> q + eta Q^T S+ f,   S+ = sum_j <s_j+, s_j> (W_(j-1)...W_2)^T (W_(j-1)...W_2),

a plus marking what a step has made. S is S+ with s_j in the place of s_j+. Q^T a itself is a sum of numbers of size |Q||a| and ends at
their rounding; q, carried along, does not, since its own equation contracts. Where the first layer has one hidden unit nothing can cancel:
then q = Q^T a, and Q = exp(scale) times a row of fixed length, so that it may fall to exp(-10^15).

Label noise puts c (1 - 2 eps) in front of v. Source: derivations/generic_direction.py.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from flowsim.dynamics.network import Network, force
from flowsim.problem import PopulationRisk


class Coordinates(NamedTuple):
    """p: (m,).  across: Q exp(-scale), (m, k).  scale: log.  q: q exp(-scale), (k,).  upper: W_2, ..., W_N."""

    p: Any
    across: Any
    scale: Any
    q: Any
    upper: tuple[Any, ...]


class Law(NamedTuple):
    """The force of one law on the device. tables: (table.ROWS, table.DEGREE + 1).  network: its numbers, as `dynamics` knows them."""

    tables: Any
    network: Network


def law_of(risk: PopulationRisk) -> Law:
    """Arrays of the device, so that another law compiles nothing."""
    with jax.enable_x64(True):
        numbers = (jnp.asarray(x) for x in (risk.profile.split, risk.pull, risk.signal, 1.0, 0.0))
        return Law(jnp.asarray(risk.profile.force), Network(jnp.asarray(0), *numbers))


class Push(NamedTuple):
    """Of one state: r, D(r), g, <w, v>, |q| with its scale, s_1 = a, ..., s_N = 1, and f, u_2, ..., u_(N-1)."""

    norm: Any
    ratio: Any
    g: Any
    along: Any
    size: Any
    above: tuple[Any, ...]
    below: tuple[Any, ...]


ROUNDING = 16.0 * float(np.finfo(np.float64).eps)
"""Of a vector that sums of products of the layers give, relative."""


def rows_above(upper: tuple[Any, ...]) -> tuple[Any, ...]:
    """s_1, ..., s_N = 1."""
    rows = [jnp.ones(1)]
    for matrix in reversed(upper):
        rows.append(rows[-1] @ matrix)
    return tuple(reversed(rows))


def narrow(y: Coordinates) -> bool:
    """Whether the first layer has one hidden unit."""
    return y.p.shape[0] == 1


def push(law: Law, y: Coordinates) -> Push:
    above = rows_above(y.upper)
    a, network = above[0], law.network
    q = a[0] * y.across[0] if narrow(y) else y.q
    along, unit = a @ y.p, jnp.exp(y.scale)
    size = jnp.sqrt(jnp.sum(q * q)) * unit
    r = jnp.hypot(along, size)
    found = force(law.tables, network, r)
    safe = jnp.where(r > 0.0, r, 1.0)
    cos = along / safe
    gap = jnp.where(cos > 0.0, (size / safe) * (size / (safe + jnp.abs(along))), 1.0 - cos)
    g = found.growth * cos + network.pull * gap - (network.pull - network.signal)
    f = g * y.p - found.ratio * (y.across @ q) * unit * unit
    below = [f]
    for matrix in y.upper[:-1]:
        below.append(matrix @ below[-1])
    return Push(r, found.ratio, g, along, size, above, tuple(below))


def back(now: Push, upper: tuple[Any, ...], step_size: Any = 0.0) -> Any:
    """S+ f = (a+ - a)/eta, and S f for eta = 0, (m,).

    s_j+ = s_j + eta d_j from the last layer down, d_N = 0, d_j = W_(j+1)^T d_(j+1) + <s_(j+1)+, s_(j+1)> u_j, S+ f = d_1.
    """
    if not upper:
        return jnp.zeros_like(now.below[0])
    turned = now.below[-1]
    for row, matrix, u in reversed(list(zip(now.above[1:-1], upper[:-1], now.below[:-1], strict=True))):
        turned = turned @ matrix + (row @ (row + step_size * turned)) * u
    return turned


def fed(y: Coordinates, a: Any, moved: Any) -> Any:
    """Q^T x, x = beta a + e with e orthogonal to a, as beta q + Q^T e: the row of Q along a, which nothing holds to q, does not enter.

    An e that is no more than rounding is none: it would only shake a solver whose q it feeds.
    """
    beta = (a @ moved) / (a @ a)
    e = moved - beta * a
    real = jnp.sum(e * e) > ROUNDING**2 * jnp.sum(moved * moved)
    return beta * y.q + jnp.where(real, e, 0.0) @ y.across


def field(law: Law, y: Coordinates) -> Coordinates:
    """dy/dt."""
    now = push(law, y)
    a = now.above[0]
    p = now.g * a
    upper = tuple(jnp.outer(s, u) for s, u in zip(now.above[1:], now.below, strict=False)) if y.upper else ()
    if narrow(y):
        return Coordinates(p, jnp.zeros_like(y.across), -now.ratio * a[0] * a[0], jnp.zeros_like(y.q), upper)
    moved = back(now, y.upper)
    q = -now.ratio * (a @ a) * y.q + fed(y, a, moved)
    return Coordinates(p, -now.ratio * jnp.outer(a, y.q), jnp.zeros_like(y.scale), q, upper)


def step(law: Law, step_size: Any, y: Coordinates) -> Coordinates:
    """One step of gradient descent."""
    now = push(law, y)
    a = now.above[0]
    p = y.p + step_size * now.g * a
    if narrow(y):
        # 1 - sigma may be negative, or so small that its logarithm is far off: it goes into the row, and the length of that into the scale
        kept = 1.0 - step_size * now.ratio * a[0] * a[0]
        return rescaled(Coordinates(p, y.across * kept, y.scale, y.q, _raised(now, y.upper, step_size)))
    moved = back(now, y.upper, step_size)
    q = (1.0 - step_size * now.ratio * (a @ a + step_size * (a @ moved))) * y.q + step_size * fed(y, a, moved)
    # q is the last to read the matrices. They wait for it, and can be changed where they lie; nothing less than arithmetic makes XLA wait
    last = step_size + 0.0 * q[0]
    return Coordinates(p, y.across - jnp.outer(last * now.ratio * a, y.q), y.scale, q, _raised(now, y.upper, last))


def _raised(now: Push, upper: tuple[Any, ...], step_size: Any) -> tuple[Any, ...]:
    """W_j + eta s_j u_(j-1)^T, j >= 2."""
    return tuple(matrix + jnp.outer(step_size * s, u) for matrix, s, u in zip(upper, now.above[1:], now.below, strict=False))


_DOWN = 2.0**-512
_LOG_DOWN = float(np.log(_DOWN))


def rescaled(y: Coordinates) -> Coordinates:
    """The same with the row across v in [2^-512, 1), by powers of two, which cost no digit."""
    size = jnp.max(jnp.abs(y.across))
    small, large = (size < _DOWN) & (size > 0.0), (size >= 1.0 / _DOWN)
    factor = jnp.where(small, 1.0 / _DOWN, jnp.where(large, _DOWN, 1.0))
    return y._replace(across=y.across * factor, scale=y.scale + jnp.where(small, _LOG_DOWN, jnp.where(large, -_LOG_DOWN, 0.0)))


class Observed(NamedTuple):
    """log |w|, s = log tan(theta/2), and the s at which the rounding of the layers would hold the direction up."""

    log_norm: Any
    log_tan_half_angle: Any
    floor: Any


def observe(law: Law, y: Coordinates) -> Observed:
    now = push(law, y)
    a = now.above[0]
    q = a[0] * y.across[0] if narrow(y) else y.q
    log_size = jnp.log(jnp.sqrt(jnp.sum(q * q))) + y.scale
    log_norm = jnp.log(now.norm)
    # tan(theta/2) = |q|/(r + <w, v>), or (r - <w, v>)/|q| behind
    ahead = log_size - jnp.log(now.norm + jnp.abs(now.along))
    s = jnp.where(now.along >= 0.0, ahead, -ahead)
    if narrow(y):
        return Observed(log_norm, s, jnp.full_like(s, -jnp.inf))
    # Q^T S f, a sum of numbers of size |Q| |S f|, is known to eps of these; q follows it at the rate D |a|^2
    moved = back(now, y.upper)
    rounding = ROUNDING * jnp.sqrt(jnp.sum(y.across**2) * jnp.sum(moved**2))
    return Observed(log_norm, s, jnp.log(rounding / (now.ratio * (a @ a) * 2.0 * now.norm)))
