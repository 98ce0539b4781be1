r"""What descent follows to second order in the step size: the flow of g - (eta/2) g'g, and the gap it opens to the flow of g.

One step of descent on the layers is y + eta g(y), y = (a, q, x) the size of layers 2 to N and the parts of z along and across v: Euler's
step of their gradient flow y' = g(y). The field whose flow passes through the iterates, and the distance from the flow at t = eta k, are

    f~ = g - (eta/2) g'g + O(eta^2),      y_k - y(eta k) = eta e + O(eta^2),   e' = g'(y) e - (1/2) g'g(y),   e(0) = 0

x falls to exp(-10^15), so m = log x is kept: g has x' = -rho x, f~ has m' = -rho - (eta/2)(rho^2 - rho'), rho' along the flow of g.
Layers drift out of balance under f~, so that (a, q, m) cannot be reduced to (r, theta). Source: derivations/modified_equation.py.
"""

from typing import Any, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from flowsim import arguments
from flowsim.dynamics.flow import LOCAL, MAX_STEPS, RELATIVE
from flowsim.dynamics.network import SETTLED, Batch, Network, force, make_batch
from flowsim.dynamics.trajectory import Trajectory, versions
from flowsim.problem import Start
from flowsim.problem.plane import log_sin

Array = Float[np.ndarray, "..."]

LIMIT = 0.5
"""|(eta/2) g'g|/|g| from which on the series means nothing. Across v this is sigma/2: two terms stand for log(1 - sigma), singular at 1."""


class _Task(NamedTuple):
    """One run as the solver sees it.

    y: start, (3,), in coordinates that become straight lines in log t, as in `modified.to_smooth`: (0, asinh(q/unit), asinh(m)) for N = 1,
    else (log a, log |z|, asinh(s_z)), s_z = log tan of half the angle of z to v.
    eta: step size; 0 for the flow of g, along which e is carried.  t0: the linear leg of tau = log(1 + t/t0).  tau: save times, (T,).
    """

    network: Network
    y: Any
    unit: Any
    eta: Any
    t0: Any
    tau: Any


class Layers(NamedTuple):
    """(a, q, m), or their rates: a > 0, q = z_parallel, m = log |z_perp| (idle on a ray)."""

    a: Any
    parallel: Any
    log_perp: Any


def _log_sin(s: Any) -> Any:
    size = jnp.abs(s)
    return jnp.log(2.0) - size - jnp.log1p(jnp.exp(-2.0 * size))


def _scaled(network: Network, unit: Any, y: Any) -> tuple[Any, Any, Layers]:
    """log of the scales of a and of z, and (a, q, m) in these scales: at the saddle, where a and z underflow, they stay of order 1."""
    one = network.depth == 1
    second = jnp.sinh(y[2])
    log_z = jnp.where(one, jnp.log(unit), y[1])
    cos = jnp.where(network.ray == 0.0, -jnp.tanh(second), network.ray)
    return (
        y[0],
        log_z,
        Layers(
            a=jnp.ones_like(y[0]),
            parallel=jnp.where(one, jnp.sinh(jnp.where(one, y[1], 0.0)), cos),
            log_perp=jnp.where(one, second - log_z, _log_sin(second)),
        ),
    )


def _length(network: Network, layers: Layers) -> Any:
    """|z|, with a derivative where it is 0."""
    off_ray = network.ray == 0.0
    square = layers.parallel**2 + jnp.exp(2.0 * layers.log_perp)
    return jnp.where(off_ray, jnp.sqrt(jnp.where(off_ray, square, 1.0)), jnp.abs(layers.parallel))


def _smooth_rate(network: Network, y: Any, layers: Layers, rate: Layers) -> Any:
    """Rates of the solver's coordinates from those of (a, q, m), all in the scales of `_scaled`; linear in ``rate``."""
    one, off_ray = network.depth == 1, network.ray == 0.0
    z = _length(network, layers)
    cos, sin = layers.parallel / z, jnp.where(off_ray, jnp.exp(layers.log_perp), 0.0) / z
    along = rate.parallel / z
    first = jnp.where(one, rate.parallel / jnp.sqrt(1.0 + layers.parallel**2), cos * along + sin * sin * rate.log_perp)
    second = jnp.where(one, rate.log_perp, cos * rate.log_perp - along) / jnp.cosh(y[2])
    return jnp.stack([rate.a, first, jnp.where(off_ray, second, 0.0)])


def layer_field(tables: Any, network: Network, log_a: Any, log_z: Any, layers: Layers) -> Layers:
    """g: a' = a^(N-2) |z| (h - c (1 - cos) - (c - p) cos), q' = a^(N-1) (c (1 - cos) + h cos - (c - p)) and m' = -rho.

    rho = a^(2N-2) (c - h)/r, p = c (1 - 2 eps). a is in units of exp(log_a), q and z_perp in units of exp(log_z).
    """
    deep, on_ray = network.depth > 1, network.ray != 0.0
    layer = log_a + jnp.log(layers.a)
    perp = jnp.where(on_ray, 0.0, jnp.exp(layers.log_perp))
    z = _length(network, layers)
    push = force(tables, network, jnp.exp((network.depth - 1) * layer + log_z) * z)
    # a single layer that starts at theta = pi passes the origin and turns
    ahead = jnp.where(deep, network.ray, jnp.where(layers.parallel < 0.0, -1.0, 1.0))
    cos, sin = jnp.where(on_ray, ahead, layers.parallel / z), jnp.where(on_ray, 0.0, perp / z)
    misaligned = network.pull * jnp.where(cos > 0.0, sin * sin / (1.0 + jnp.abs(cos)), 1.0 - cos)
    noise = network.pull - network.signal
    radial = push.growth - misaligned - noise * cos
    # at the finite minimiser that label noise makes, the flow rests; see `network.flow_field`
    small = jnp.minimum(push.growth, push.drag)
    settled = (noise > 0.0) & (misaligned <= 1e-13 * small) & (jnp.abs(radial) <= SETTLED * small)
    along = jnp.exp((network.depth - 1) * layer - log_z) * (misaligned + push.growth * cos - noise)
    return Layers(
        a=jnp.where(deep & ~settled, jnp.exp((network.depth - 2) * layer - log_a + log_z) * z * radial, 0.0),
        parallel=jnp.where(settled, 0.0, along),
        log_perp=jnp.where(on_ray, 0.0, -jnp.exp(2.0 * (network.depth - 1) * layer) * push.ratio),
    )


def flow_rate(tables: Any, network: Network, unit: Any, y: Any) -> Any:
    """dy/dt of the flow of g, y in the coordinates of `_Task`; (3,)."""
    log_a, log_z, layers = _scaled(network, unit, y)
    return _smooth_rate(network, y, layers, layer_field(tables, network, log_a, log_z, layers))


def flow_rates(tables: Any, network: Network, unit: Any, y: Any) -> tuple[Any, Any]:
    """g and -(1/2) g'g as rates of the coordinates of `_Task`, (3,) each: both vectors there, without second derivatives of coordinates."""
    log_a, log_z, layers = _scaled(network, unit, y)
    g, along = jax.linearize(lambda point: layer_field(tables, network, log_a, log_z, point), layers)
    turned = along(g)
    half = Layers(-0.5 * turned.a, -0.5 * turned.parallel, -0.5 * (turned.log_perp + g.log_perp**2))
    return _smooth_rate(network, y, layers, g), _smooth_rate(network, y, layers, half)


def _rates(tau: Any, state: Any, args: tuple[Any, _Task]) -> Any:
    """d(y, e)/dtau: y along the flow of g - (eta/2) g'g; e a tangent vector, carried along the flow of g where ``eta`` is 0, else idle."""
    tables, task = args
    y, gap = state
    flow, turned = flow_rates(tables, task.network, task.unit, y)
    _, carried = jax.jvp(lambda point: flow_rate(tables, task.network, task.unit, point), (y,), (gap,))
    opened = jnp.where(task.eta == 0.0, carried + turned, 0.0)
    return jnp.stack([flow + task.eta * turned, opened]) * (task.t0 * jnp.exp(tau))


def _share(tables: Any, task: _Task, y: Any) -> Any:
    """|(eta/2) g'g|/|g|; 0 where nothing moves."""
    flow, turned = flow_rates(tables, task.network, task.unit, y)
    correction = task.eta * jnp.linalg.norm(turned)
    return jnp.where(correction > 0.0, correction / jnp.linalg.norm(flow), 0.0)


def _beyond(t: Any, state: Any, args: tuple[Any, _Task], **_: Any) -> Any:
    return ~(_share(*args, state[0]) <= LIMIT)


_ENDINGS = ("ok", "step_cap", "series_ended", "solver_failed")


@eqx.filter_jit
def _follow(tables: Any, task: _Task, tolerance: Any) -> tuple[Any, Any, Any]:
    """y and e, (T, 2, 3); the share of the correction, (T,); a code: the index in `_ENDINGS`."""
    end = task.tau[-1]
    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(_rates),
        diffrax.Dopri8(),
        t0=0.0,
        t1=end,
        dt0=jnp.minimum(0.02, end),
        y0=jnp.stack([task.y, jnp.zeros_like(task.y)]),
        args=(tables, task),
        saveat=diffrax.SaveAt(ts=task.tau),
        stepsize_controller=diffrax.PIDController(rtol=RELATIVE * tolerance, atol=tolerance),
        max_steps=MAX_STEPS,
        adjoint=diffrax.ForwardMode(),
        event=diffrax.Event(_beyond),
        throw=False,
    )
    states: Any = solution.ys
    share = jax.vmap(lambda y: _share(tables, task, y))(states[:, 0])
    done = (solution.result == diffrax.RESULTS.successful) & (share <= LIMIT).all()
    capped = solution.result == diffrax.RESULTS.max_steps_reached
    ended = (solution.result == diffrax.RESULTS.event_occurred) | ((share > LIMIT) & jnp.isfinite(share)).any()
    return states, share, jnp.where(done, 0, jnp.where(capped, 1, jnp.where(ended, 2, 3)))


def _read(task: _Task, y: Array) -> tuple[Array, Array, Array]:
    """log |w|, s and log a, each (T,), of y, (T, 3)."""
    one, ray = task.network.depth == 1.0, float(task.network.ray)
    with np.errstate(under="ignore", divide="ignore"):
        if not one:
            s = np.sinh(y[:, 2]) if ray == 0.0 else np.full(len(y), -np.inf * ray)
            return (task.network.depth - 1.0) * y[:, 0] + y[:, 1], s, y[:, 0]
        q, m = task.unit * np.sinh(y[:, 1]), np.sinh(y[:, 2])
        norm = np.hypot(q, np.exp(m)) if ray == 0.0 else np.abs(q)
        ahead = np.where(q < 0.0, -1.0, 1.0)
        return np.log(norm), ahead * (m - np.log(norm + np.abs(q)) if ray == 0.0 else np.full(len(y), -np.inf)), np.zeros(len(y))


def _read_gap(task: _Task, y: Array, e: Array) -> tuple[Array, Array]:
    """The changes of log |w| and of s, each (T,), along e, (T, 3), at y, (T, 3)."""
    ray = float(task.network.ray)
    if task.network.depth > 1.0:
        return (task.network.depth - 1.0) * e[:, 0] + e[:, 1], np.cosh(y[:, 2]) * e[:, 2] if ray == 0.0 else np.zeros(len(y))
    with np.errstate(under="ignore"):
        perp = np.exp(np.sinh(y[:, 2])) if ray == 0.0 else np.zeros(len(y))
        q = task.unit * np.sinh(y[:, 1])
        norm = np.hypot(q, perp)
        along, across = task.unit * np.cosh(y[:, 1]) * e[:, 1] / norm, np.cosh(y[:, 2]) * e[:, 2]
        cos, sin = q / norm, perp / norm
        return cos * along + sin * sin * across, cos * across - along if ray == 0.0 else np.zeros(len(y))


def modified_flow(risk: Any, start: Start, times: Any, step_size: Any, depth: Any = 1, rtol: float = 1e-10) -> Trajectory:
    r"""y' = g - (eta/2) g'g on the layers: within O(eta^2) of descent at t = eta k, where the gradient flow is within O(eta).

    risk: a PopulationRisk, or a sequence of them.  start: a Start.  depth: N in 1..100.  step_size: eta > 0.
        Their shapes broadcast to one batch, whose runs are followed one after the other.
    times: (T,), zero or positive, strictly increasing.  rtol: as in `gradient_flow`, 1e-12 to 1e-3.

    Returns a `Trajectory` of kind "flow" with ``log_layer`` and ``step_size``. From the first time at which |(eta/2) g'g| > |g|/2 (`LIMIT`)
    its records are nan and its status is "series_ended": there the series in eta says nothing. Raises ValueError on bad input.
    Source: derivations/modified_equation.py.

    >>> import flowsim as fs
    >>> risk, start = fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(norm=1.0, angle=1.5)
    >>> descent = fs.gradient_descent(risk, start, step_size=0.1, steps=[1000], depth=2)
    >>> modified = fs.modified_flow(risk, start, [100.0], step_size=0.1, depth=2)
    >>> flow = fs.gradient_flow(risk, start, [100.0], depth=2)
    >>> [f"{abs(float(run.log_norm[-1] - descent.log_norm[-1])):.0e}" for run in (flow, modified)]
    ['6e-04', '3e-06']
    """
    save = _times(times)
    eta = arguments.reals("step_size", step_size, low=0.0, strict=True)
    tolerance = arguments.real("rtol", rtol, low=1e-12, high=1e-3)
    batch = make_batch(risk, start, depth, eta)
    etas = np.broadcast_to(eta, batch.shape).ravel()
    size = etas.size
    reads, status = np.full((3, size, save.size), np.nan), np.full(size, "stopped", dtype=object)
    for i in range(size):
        try:
            task = _task(batch, i, save, etas[i])
            states, code = _solve(batch.tables, task, save.size, tolerance)
        except KeyboardInterrupt:
            break
        reads[:, i] = _read(task, states[:, 0])
        falling = task.network.ray == -1.0 and task.network.depth > 1.0 and code == 0 and save[-1] > 0.0
        status[i] = "saddle" if falling else _ENDINGS[code]
    shape, full = batch.shape, (*batch.shape, save.size)
    log_norm, s, log_layer = (x.reshape(full) for x in reads)
    config = {"function": "modified_flow", "step_size": etas.reshape(shape).tolist(), "rtol": tolerance, "versions": versions()}
    return Trajectory(
        "flow",
        save,
        None,
        log_norm,
        s,
        None,
        status.astype(str).reshape(shape),
        batch.network.depth.astype(np.int64).reshape(shape),
        batch.risk_grid,
        start.broadcast(shape),
        etas.reshape(shape),
        config,
        log_layer,
    )


def _solve(tables: Any, task: _Task, count: int, tolerance: float) -> tuple[Array, int]:
    """y and e at the first ``count`` times, (count, 2, 3); nan from where the series ends or the solver stops; the code of `_follow`."""
    if task.tau[-1] == 0.0:
        return np.stack([task.y, np.zeros(3)])[None], 0
    with jax.enable_x64(True):
        states, share, code = _follow(tables, task, np.asarray(LOCAL * tolerance))
    states = np.asarray(states)[:count]
    # diffrax leaves inf where it did not get
    reached = np.logical_and.accumulate((np.asarray(share)[:count] <= LIMIT) & np.isfinite(states).all(axis=(1, 2)))
    return np.where(reached[:, None, None], states, np.nan), int(code)


class GapPrediction(NamedTuple):
    """The leading gap of descent to the flow, eta e. Made by `gap_prediction`.

    time: (T,).  log_norm: of the gap in log |w|, (T,).  log_tan_half_angle: in s = log tan(theta/2), (T,).

    >>> import flowsim as fs, flowsim.dynamics
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> small, large = (flowsim.dynamics.gap_prediction(risk, fs.Start(), [10.0], eta) for eta in (0.01, 0.02))
    >>> float((large.log_norm / small.log_norm).round(9)[0])
    2.0
    """

    time: Array
    log_norm: Array
    log_tan_half_angle: Array


def gap_prediction(risk: Any, start: Start, times: Any, step_size: float, depth: int = 1, rtol: float = 1e-10) -> GapPrediction:
    r"""eta e(t), e' = g'(y) e - (1/2) g'g(y) along the flow y' = g(y), e(0) = 0: descent at t = eta k less the flow, to leading order.

    risk, start, times, step_size, depth, rtol: as in `modified_flow`, of a single run.

    RuntimeError where the solver does not arrive. Raises ValueError on bad input. Source: derivations/modified_equation.py.

    >>> import flowsim as fs, flowsim.dynamics
    >>> risk, start = fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(norm=1.0, angle=1.5)
    >>> ahead = flowsim.dynamics.gap_prediction(risk, start, [100.0], step_size=0.1)
    >>> gap = fs.gradient_descent(risk, start, 0.1, [1000]).log_norm - fs.gradient_flow(risk, start, [100.0]).log_norm
    >>> round(float(gap[-1] / ahead.log_norm[-1]), 3)
    1.002
    """
    save = _times(times)
    eta = arguments.real("step_size", step_size, low=0.0, strict=True)
    tolerance = arguments.real("rtol", rtol, low=1e-12, high=1e-3)
    batch = make_batch(risk, start, depth)
    if batch.shape:
        raise ValueError(f"`risk`, `start` and `depth` must make a single run, but make a batch of shape {batch.shape}")
    task = _task(batch, 0, save, 0.0)
    states, code = _solve(batch.tables, task, save.size, tolerance)
    if code:
        raise RuntimeError(f"the predicted gap was not reached at t = {save[-1]:.6g}: the solver gave up before")
    log_norm, s = _read_gap(task, states[:, 0], states[:, 1])
    return GapPrediction(save, eta * log_norm, eta * s)


def _times(times: Any) -> Array:
    save = np.atleast_1d(arguments.reals("times", times, low=0.0))
    if save.ndim != 1:
        raise ValueError(f"`times` must be one-dimensional, but has shape {save.shape}")
    return arguments.increasing("times", save)


def _task(batch: Batch, i: int, save: Array, eta: float) -> _Task:
    """Run i as the solver sees it; scales as in `flow`."""
    network = Network(*(x[i] for x in batch.network))
    log_r, depth, on_ray = float(batch.log_norm[i]), float(network.depth), network.ray != 0.0
    s = np.asarray(0.0 if on_ray else batch.s[i])
    cos = float(network.ray) if on_ray else -np.tanh(s)
    unit = np.exp(log_r) * (1e-3 if on_ray else np.clip(np.exp(-2.0 * max(float(s), 0.0)), 1e-12, 1.0)) if depth == 1.0 else 1.0
    log_layer = log_r / depth
    if depth == 1.0:
        y = np.array([0.0, np.arcsinh(np.exp(log_r) * cos / unit), 0.0 if on_ray else np.arcsinh(log_r + log_sin(s))])
    else:
        y = np.array([log_layer, log_layer, np.arcsinh(s)])
    t0 = 0.01 / (np.exp(log_r * (1.0 - 2.0 / depth)) * network.pull * (2.0 * depth + 1.0))
    # one shape, and so one compilation, for all but the longest of records
    padded = max(256, 1 << (save.size - 1).bit_length())
    tau = np.log1p(np.concatenate([save, np.repeat(save[-1:], padded - save.size)]) / t0)
    return _Task(network, y, np.asarray(unit), np.asarray(eta), np.asarray(t0), tau)
