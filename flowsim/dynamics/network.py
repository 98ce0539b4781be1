r"""Deep linear networks from balanced rank-one starts: the gradient-flow field and the descent map, any depth N.

With h, c of the law, p = c (1 - 2 eps), r and theta of the end-to-end predictor and g = h(r) - c + p cos(theta),

    flow     r' = N r^(2-2/N) g,   s' = -p r^(1-2/N),   s = log tan(theta/2)
             N = 1 in (q, ell) = (<w, v>, log |w - q v|), regular at r = 0:   q' = p - D q,   ell' = -D,   D = (c - h)/r
    descent  on W_1 = u z^T, W_j = a u u^T (j >= 2), w = a^(N-1) z:
             z <- z - eta a^(N-1) G,   a <- a - eta a^(N-2) <G, z>,   G = grad L(w)

Source: Lin, Sun, Zhang 2021, equation 7 and Lemma 3; derivations/deep_flow.py.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from flowsim import arguments
from flowsim.problem import PopulationRisk, Profile, Start, table
from flowsim.problem.plane import log_sin, one_minus_cos

Array = Float[np.ndarray, "..."]

MAX_DEPTH = 100

SETTLED = 1e-11
"""|h(r) - h(r*)|/min(h, c - h) below which an aligned run with label noise rests at r*; r is then about as near, relatively."""


class Network(NamedTuple):
    """One element of a batch: which rows of the force tables are its law's, and its numbers.

    row: first row of the law's table.  split: where the table changes from D to h.
    pull: c.  signal: p = c (1 - 2 eps).  depth: N, as a float.  ray: +1 on theta = 0, -1 on theta = pi, 0 elsewhere.
    """

    row: Any
    split: Any
    pull: Any
    signal: Any
    depth: Any
    ray: Any


class Force(NamedTuple):
    """h(r), c - h(r) and D(r) = (c - h(r))/r."""

    growth: Any
    drag: Any
    ratio: Any


@jax.custom_jvp
def look_up(tables: Any, first_row: Any, r: Any) -> Any:
    """The tabulated function of the law whose rows start at first_row, at r >= 0. tables: (laws * table.ROWS, table.DEGREE + 1)."""
    row, t = table.address(lax.bitcast_convert_type(r, jnp.int64), jnp)
    return table.horner(tables.at[first_row + row].get(mode="promise_in_bounds"), t)


@look_up.defjvp
def _look_up_tangent(primals: tuple[Any, Any, Any], tangents: tuple[Any, Any, Any]) -> tuple[Any, Any]:
    """Through r alone; implicit solvers need it, and the bits of r have no derivative of their own."""
    tables, first_row, r = primals
    row, t = table.address(lax.bitcast_convert_type(r, jnp.int64), jnp)
    rows = tables.at[first_row + row].get(mode="promise_in_bounds")
    octave = lax.bitcast_convert_type(lax.bitcast_convert_type(r, jnp.int64) & _EXPONENT, jnp.float64)
    scale = 2.0 * table.SPLIT / jnp.where(octave > 0.0, octave, jnp.inf)
    return table.horner(rows, t), table.slope(rows, t) * scale * tangents[2]


_EXPONENT = 0x7FF << 52


def split_value(network: Network, r: Any, value: Any) -> tuple[Any, Any, Any]:
    """Whether the table's value at r is D rather than h, and from it h and c - h."""
    near = r < network.split
    drag = jnp.where(near, r * value, network.pull - value)
    return near, jnp.where(near, network.pull - drag, value), drag


def force(tables: Any, network: Network, r: Any) -> Force:
    """The force of the law at r >= 0. tables: (laws * table.ROWS, table.DEGREE + 1)."""
    value = look_up(tables, network.row, r)
    near, growth, drag = split_value(network, r, value)
    return Force(
        growth=growth,
        drag=drag,
        ratio=jnp.where(near, value, drag / jnp.where(near, 1.0, r)),
    )


class Polar(NamedTuple):
    """r, cos(theta) and 1 - cos(theta) without cancellation."""

    norm: Any
    cos: Any
    one_minus_cos: Any


def to_polar(network: Network, y: Any) -> Polar:
    """From the flow's coordinates: (q, ell) for N = 1, (log r, s) for N >= 2; the second is idle on a ray."""
    one_layer = network.depth == 1.0
    off_ray = network.ray == 0.0
    q = jnp.where(one_layer, y[0], 1.0)
    z = jnp.where(one_layer & off_ray, jnp.exp(jnp.where(one_layer, y[1], 0.0)), 0.0)
    r1 = jnp.hypot(q, z)
    safe = jnp.where(r1 > 0.0, r1, 1.0)
    cos1 = q / safe
    gap1 = jnp.where(q > 0.0, (z / safe) * (z / (safe + jnp.abs(q))), 1.0 - cos1)
    s = jnp.where(one_layer, 0.0, y[1])
    # exp may not overflow: its derivative would be nan
    gap2 = jnp.where(off_ray, 2.0 / (1.0 + jnp.exp(jnp.minimum(-2.0 * s, 700.0))), 1.0 - network.ray)
    cos2 = jnp.where(off_ray, -jnp.tanh(s), network.ray)
    return Polar(
        norm=jnp.where(one_layer, r1, jnp.exp(jnp.where(one_layer, 0.0, y[0]))),
        cos=jnp.where(one_layer, cos1, cos2),
        one_minus_cos=jnp.where(one_layer, gap1, gap2),
    )


def growth_rate(network: Network, push: Force, polar: Polar) -> Any:
    """g = h - c + p cos(theta), the radial part of -grad L, without cancellation when nearly aligned."""
    noise = network.pull - network.signal
    return push.growth - network.pull * polar.one_minus_cos - noise * polar.cos


def flow_field(tables: Any, network: Network, y: Any) -> Any:
    """dy/dt in the coordinates of `to_polar`; shape (2,)."""
    polar = to_polar(network, y)
    push = force(tables, network, polar.norm)
    g = growth_rate(network, push, polar)
    one_layer = network.depth == 1.0
    noise = network.pull - network.signal
    # p - (c - h) cos, written so that nothing cancels when aligned
    q_rate = network.pull * polar.one_minus_cos + push.growth * polar.cos - noise
    log_norm = jnp.where(one_layer, 0.0, y[0])
    turning = jnp.exp(log_norm * (1.0 - 2.0 / network.depth))
    first = jnp.where(one_layer, q_rate, network.depth * turning * g)
    # with label noise the norm relaxes to r*: once there it stays, and the flow is no longer stiff
    # h where it is small, c - h near label noise 1/2, where r* is: either is about r h' there
    small = jnp.minimum(push.growth, push.drag)
    settled = (noise > 0.0) & (network.pull * polar.one_minus_cos <= 1e-13 * small) & (jnp.abs(g) <= SETTLED * small)
    first = jnp.where(settled, 0.0, first)
    second = jnp.where(one_layer, -push.ratio, -network.signal * turning)
    return jnp.stack([first, jnp.where(network.ray == 0.0, second, 0.0)])


class DescentState(NamedTuple):
    """a, z_parallel, and z_perp = mantissa 2^(-512 shift): it may fall to exp(-10^15) and come back, sign included.

    a: the common singular value of layers 2..N; 1 for N = 1.
    a_rest, parallel_rest: what rounding took from the sums so far (Kahan), so that 10^9 small increments add up.
    burst: `UNALIGNED` until c (1 - cos) falls below h/1000, then `ALIGNED` until the direction error, growing, turns the norm down
    (sigma > 2 and c (1 - cos) > h); from then on the number of that step.
    """

    a: Any
    parallel: Any
    mantissa: Any
    shift: Any
    burst: Any
    a_rest: Any
    parallel_rest: Any


UNALIGNED, ALIGNED = -2, -1
NEAR = 1e-3


def burst_after(burst: Any, k: Any, off_ray: Any, sigma: Any, misaligned: Any, growth: Any) -> Any:
    """The next ``DescentState.burst``: k is the number of the step with this sigma, c (1 - cos) and h; a ray has no direction error."""
    turned = off_ray & (burst == ALIGNED) & (sigma > 2.0) & (misaligned > growth)
    return jnp.where((burst == UNALIGNED) & (misaligned < NEAR * growth), float(ALIGNED), jnp.where(turned, k, burst))


SHIFT_BITS = 512
_UP, _DOWN = 2.0**SHIFT_BITS, 2.0**-SHIFT_BITS


def whole_power(a: Any, n: Any, bits: int = 7) -> Any:
    """a^n for whole n < 2^bits, by squaring; 1 for n <= 0."""
    n = jnp.maximum(n, 0)
    out, square = jnp.ones_like(a), a
    for i in range(bits):
        out = jnp.where((n >> i) & 1 == 1, out * square, out)
        square = square * square
    return out


def _layers_power(a: Any, n: Any) -> Any:
    """`whole_power`; the chain of squares is what a step waits for, and most networks need only a short one."""
    return lax.cond(jnp.max(n) < 8, lambda: whole_power(a, n, 3), lambda: whole_power(a, n))


def _add(total: Any, rest: Any, term: Any) -> tuple[Any, Any]:
    """total + rest + term, and what rounding takes from it."""
    term = term + rest
    new = total + term
    return new, term - (new - total)


def _inline(part: Callable[[], Any]) -> Any:
    return part()


def descent_step(
    tables: Any, network: Network, step_size: Any, k: Any, state: DescentState, isolate: Callable[[Callable[[], Any]], Any] = _inline
) -> DescentState:
    """Step k of gradient descent on the layers; scalars, or arrays of one shape (``network.depth`` whole here).

    z_perp is multiplied by 1 - sigma, sigma = eta |a^(N-1)| (c - h)/|z|, exactly; -G_parallel = c (1 - cos) + h cos - (c - p).
    isolate: calls its argument; a place for a batch to keep the compiler from computing the same part once for every result.
    """
    a, parallel, mantissa, shift, burst, a_rest, parallel_rest = state
    deep = network.depth > 1

    def sizes() -> tuple[Any, Any, Any]:
        perp = mantissa * jnp.where(shift == 0, 1.0, jnp.where(shift == 1, _DOWN, 0.0))
        return _layers_power(a, network.depth - 2), perp, jnp.sqrt(parallel * parallel + perp * perp)

    u_less, perp, z = isolate(sizes)
    u = jnp.where(deep, u_less * a, 1.0)
    size = jnp.abs(u)
    r = size * z

    def looked_up() -> tuple[Any, Any]:
        return look_up(tables, network.row, r), jnp.where(z > 0.0, 1.0 / z, 0.0)

    value, inverse = isolate(looked_up)
    near, growth, drag = split_value(network, r, value)
    ratio = jnp.where(near, size * value, drag * inverse)
    sign = jnp.where(u < 0.0, -1.0, 1.0)
    # exactly 1 on a ray: a rounded cosine would push the run off the balance that keeps it falling to the saddle
    cos, sin = sign * jnp.where((perp == 0.0) & (z > 0.0), jnp.sign(parallel), parallel * inverse), perp * inverse
    misaligned = network.pull * isolate(lambda: jnp.where(cos > 0.0, sin * sin / (1.0 + cos), 1.0 - cos))
    noise = network.pull - network.signal
    sigma = step_size * size * ratio
    mantissa = mantissa * (1.0 - sigma)
    small = (jnp.abs(mantissa) < _DOWN) & (mantissa != 0.0)
    large = (jnp.abs(mantissa) > 1.0) & (shift > 0)
    a, a_rest = _add(a, a_rest, jnp.where(deep, step_size * sign * z * u_less * (growth - misaligned - noise * cos), 0.0))
    parallel, parallel_rest = _add(parallel, parallel_rest, step_size * u * (misaligned + growth * cos - noise))
    # on a ray deep layers stay equal, which rounding would not keep
    equal = deep & (network.ray != 0.0)
    return DescentState(
        a=a,
        parallel=jnp.where(equal, network.ray * a, parallel),
        mantissa=mantissa * jnp.where(small, _UP, jnp.where(large, _DOWN, 1.0)),
        shift=shift + small.astype(jnp.int64) - large.astype(jnp.int64),
        burst=burst_after(burst, k, mantissa != 0.0, sigma, misaligned, growth),
        a_rest=a_rest,
        parallel_rest=jnp.where(equal, network.ray * a_rest, parallel_rest),
    )


@lru_cache(maxsize=8)
def stack_tables(profiles: tuple[Profile, ...]) -> Any:
    """The force tables of a batch's laws as one device array, padded to a power of two so that few shapes are compiled."""
    padded = 1 << (len(profiles) - 1).bit_length()
    rows = np.concatenate([profile.force for profile in profiles] + [profiles[0].force] * (padded - len(profiles)))
    with jax.enable_x64(True):
        return jnp.asarray(rows)


class Batch(NamedTuple):
    """A batch of runs, flattened: one entry an element.

    tables: the laws' tables.  network: a `Network` of NumPy arrays.  risks: each element's risk.
    log_norm, s: the starts.  shape: the batch's shape.
    """

    tables: Any
    network: Network
    risks: tuple[PopulationRisk, ...]
    log_norm: np.ndarray
    s: np.ndarray
    shape: tuple[int, ...]

    @property
    def risk_grid(self) -> np.ndarray:
        """The risks as an array of objects of the batch's shape."""
        grid = np.empty(self.shape, dtype=object)
        grid[...] = np.array(self.risks, dtype=object).reshape(self.shape)
        return grid


def make_batch(risk: Any, start: Start, depth: Any, *others: np.ndarray) -> Batch:
    """Broadcast risks, starts, depths (and the shapes of ``others``) to one batch.

    risk: a PopulationRisk or a nested sequence of them. Raises ValueError naming the argument that is wrong.
    """
    if not isinstance(start, Start):
        raise ValueError(f"`start` must be a flowsim.Start, but is {start!r}")
    risks = _risk_array(risk)
    depths = arguments.whole("depth", depth, low=1, high=MAX_DEPTH)
    named = {"risk": risks.shape, "start": start.shape, "depth": depths.shape}
    shapes = [*named.values(), *(np.shape(other) for other in others)]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        listed = ", ".join(f"`{name}` {given}" for name, given in named.items())
        extra = "".join(f", and {other}" for other in shapes[3:])
        raise ValueError(f"the batch's arguments must broadcast, but have the shapes {listed}{extra}") from None
    flat_risks = tuple(np.broadcast_to(risks, shape).ravel())
    profiles = tuple(dict.fromkeys(r.profile for r in flat_risks))
    row = {profile: i * table.ROWS for i, profile in enumerate(profiles)}
    s = np.broadcast_to(start.log_tan_half_angle, shape).ravel()
    network = Network(
        row=np.array([row[r.profile] for r in flat_risks], dtype=np.int32),
        split=np.array([r.profile.split for r in flat_risks]),
        pull=np.array([r.pull for r in flat_risks]),
        signal=np.array([r.signal for r in flat_risks]),
        depth=np.broadcast_to(depths, shape).ravel().astype(np.float64),
        ray=np.where(np.isinf(s), -np.sign(s), 0.0),
    )
    log_norm = np.log(np.broadcast_to(start.norm, shape).ravel())
    return Batch(stack_tables(profiles), network, flat_risks, log_norm, s, shape)


def _risk_array(risk: Any) -> np.ndarray:
    if isinstance(risk, PopulationRisk):
        out = np.empty((), dtype=object)
        out[()] = risk
        return out
    if isinstance(risk, Sequence) or (isinstance(risk, np.ndarray) and risk.dtype == object):
        out = np.array(risk, dtype=object)
        if out.size and all(isinstance(r, PopulationRisk) for r in out.ravel()):
            return out
    raise ValueError(f"`risk` must be a flowsim.PopulationRisk or a sequence of them, but is {risk!r}")


class Velocity(NamedTuple):
    """Rates of change along the flow: r', r'/r, theta', s', q' = d<w, v>/dt and ell' = d log|w - q v|/dt.

    norm: r'.  log_norm: r'/r.  angle: theta'.  log_tan_half_angle: s'.  parallel: q'.  log_perp: ell'. Each in the shape of the states.

    Made by `flow_velocity` and `velocity`.

    >>> import flowsim as fs, flowsim.dynamics
    >>> rate = flowsim.dynamics.flow_velocity(fs.PopulationRisk(fs.Gaussian(dim=2)), norm=2.0, angle=1.5, depth=2)
    >>> round(float(rate.log_tan_half_angle), 6)
    -0.398942
    """

    norm: Array
    log_norm: Array
    angle: Array
    log_tan_half_angle: Array
    parallel: Array
    log_perp: Array


def velocity(risk: PopulationRisk, log_norm: Array, s: Array, depth: Array) -> Velocity:
    """The flow's velocity from log r and s, which do not underflow; see `flow_velocity`.

    risk: a PopulationRisk.  log_norm: log r.  s: log tan(theta/2).  depth: N, as floats. Arrays that broadcast; not checked.

    >>> import numpy as np, flowsim as fs, flowsim.dynamics
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> rate = flowsim.dynamics.velocity(risk, np.array(10.0), np.array(-1e4), np.array(2.0))
    >>> bool(rate.log_tan_half_angle == -risk.pull), bool(rate.norm > 0.0)
    (True, True)
    """
    gap = one_minus_cos(s)
    cos, sin = 1.0 - gap, np.exp(log_sin(s))
    r = np.exp(log_norm)
    g = risk.growth(r) - risk.pull * gap - (risk.pull - risk.signal) * cos
    turning = np.exp(log_norm * (1.0 - 2.0 / depth))
    r_rate, s_rate = depth * r * turning * g, -risk.signal * turning
    relative = depth * turning * g
    rates = (r_rate, relative, s_rate * sin, s_rate, r_rate * cos - r * s_rate * sin**2, relative + s_rate * cos)
    return Velocity(*(np.asarray(rate) for rate in rates))


def flow_velocity(risk: PopulationRisk, norm: Any, angle: Any, depth: Any) -> Velocity:
    """r' = N r^(2-2/N) g, theta' = s' sin(theta), s' = -p r^(1-2/N), q' = r' cos - r theta' sin, ell' = r'/r + theta' cot(theta).

    risk: a PopulationRisk.  norm, angle, depth: arrays that broadcast. ValueError where one is out of range.

    NumPy, from the risk itself: what the integrated field is tested against. Source: Lin, Sun, Zhang 2021, equation 7 and Lemma 3.

    >>> import flowsim as fs, flowsim.dynamics
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> rate = flowsim.dynamics.flow_velocity(risk, norm=[1.0, 2.0], angle=1.5, depth=1)
    >>> rate.angle.round(6).tolist()
    [-0.397943, -0.198971]
    """
    start = Start(norm, angle)
    depth = arguments.whole("depth", depth, low=1, high=MAX_DEPTH).astype(float)
    return velocity(risk, np.asarray(np.log(start.norm)), start.log_tan_half_angle, depth)
