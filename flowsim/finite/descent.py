"""Gradient descent of a homogeneous network on finite data, every step taken: of constant size, or normalised by the loss.

With a constant step size each e-fold of time costs e times as many steps. But after K of them the loss is near 1/(eta K), a step moves W by
the share 1/K of itself at most, and what the flow misses of all later steps is of order 1/K: from there on it is the flow that is followed,
and by how much it is off is measured on the steps K/2 to K, where both are known.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from flowsim import arguments
from flowsim.dynamics.progress import Progress
from flowsim.finite.activations import ROUNDING
from flowsim.finite.field import Problem, State, Unravel, place
from flowsim.finite.flow import MAX_STEPS, Follower, check_log_times
from flowsim.finite.network import Network
from flowsim.finite.reading import problem_of
from flowsim.finite.recording import Records, Setup
from flowsim.finite.run import HomogeneousRun

BLOCK = 50_000
"""Steps between two looks at the keyboard."""
FEWEST = 100
"""Steps after which the flow may go on."""


class _Walk(NamedTuple):
    """flat: W.  path: length of the path of W/|W|.  log_time: log t."""

    flat: Any
    path: Any
    log_time: Any


@eqx.filter_jit
def _walk(
    network: Network, unravel: Unravel, problem: Problem, loss: str, normalised: bool, log_step: Any, walk: _Walk, count: Any
) -> _Walk:
    """``count`` steps further."""
    bend, size = 2.0 - 2.0 / network.order, problem.y.size

    def step(_: Any, now: _Walk) -> _Walk:
        here = place(network, unravel, problem, loss, now.flat, 0.0)
        # log L bends like |W|^(2p-2), |W|^p like log 1/L
        eased = here.log_loss + bend * jnp.log(jnp.maximum(1.0, -here.log_loss - jnp.log(size))) if normalised else 0.0
        flat = now.flat + jnp.exp(log_step - eased + here.log_loss) * here.descent
        turned = flat / jnp.linalg.norm(flat) - now.flat / jnp.linalg.norm(now.flat)
        return _Walk(flat, now.path + jnp.linalg.norm(turned), jnp.logaddexp(now.log_time, log_step - eased))

    return lax.fori_loop(0, count, step, walk)


class _Walker:
    """Takes W from one step to a later one."""

    def __init__(self, setup: Setup, step_size: float, normalised: bool) -> None:
        self._static = (setup.network, setup.unravel, problem_of(setup.data), setup.loss, normalised)
        self._log_step = np.log(step_size)
        self._walk, self.step = _Walk(setup.flat, np.zeros(()), np.asarray(-np.inf)), 0

    def to(self, step: int) -> None:
        while self.step < step:
            count = min(step - self.step, BLOCK)
            with jax.enable_x64(True):
                walk = jax.tree.map(jnp.asarray, self._walk)
                self._walk = jax.tree.map(np.asarray, _walk(*self._static, jnp.asarray(self._log_step), walk, jnp.asarray(count)))
            self.step += count

    @property
    def state(self) -> State:
        # of a walk that is lost too, whose state is nan
        with np.errstate(over="ignore", invalid="ignore"):
            size = np.linalg.norm(self._walk.flat)
            return State(np.log(size), self._walk.flat / size, self._walk.path)

    @property
    def log_time(self) -> float:
        return float(self._walk.log_time)

    @property
    def lost(self) -> bool:
        with np.errstate(over="ignore", invalid="ignore"):
            return not np.isfinite(np.linalg.norm(self._walk.flat))


def homogeneous_descent(
    network: Any,
    data: Any,
    start: Any,
    step_size: Any,
    steps: Any,
    loss: str = "exponential",
    normalised: bool = False,
    log_times: Any = None,
    solver: Any = None,
    rtol: Any = 1e-11,
    max_steps: Any = MAX_STEPS,
    rounding: Any = ROUNDING,
    check: bool = True,
) -> HomogeneousRun:
    r"""W <- W - eta grad L(W), every step taken; or W <- W - (eta/l) grad L(W), l = L max(1, log 1/(n L))^(2-2/p), normalised by the loss.

    network, data, start, loss, check: as in `homogeneous_flow`. A kink is taken as it is, with the slope gamma at 0 itself.
    step_size: eta, positive.  steps: (T,), whole, increasing from 0 or more: those that are recorded; the last, K, is where they end.
    normalised: whether eta is divided by l, which is L with one layer, and more with more, for log L bends like |W|^(2p-2): log 1/L then
        grows like k, and log t is that of the sum of eta/l.
    log_times: (S,), log t beyond eta K, up to where the flow takes over that begins at the last step; not with ``normalised``.
        `HomogeneousRun.config` holds "handover_gap": how far, in log |W| and W/|W|, the flow is off that begins at step K/2, at step K.
        As much, again, is what later steps differ from it.
    solver, rtol, max_steps, rounding: of that flow, as in `homogeneous_flow`.

    Returns a `HomogeneousRun`, step -1 at the records of the flow. ValueError where an argument is not what it must be.
    Source: Lyu, Li 2019, for descent and for steps by the loss; Hashimoto 2025 (https://arxiv.org/abs/2505.16204).

    >>> import flowsim as fs
    >>> data = fs.finite.mixture(n=20, dim=4, signal=2.0, seed=1)
    >>> network = fs.finite.leaky_relu_network(dim=4, widths=[6], fixed_output=True)
    >>> run = fs.finite.homogeneous_descent(network, data, network.start(seed=1), step_size=0.1, steps=[0, 100, 10000], normalised=True)
    >>> run.status, bool(run.log_loss[-1] < -100.0), bool(run.log_time[-1] > 100.0)
    ('ok', True, True)
    """
    setup = Setup(network, data, start, loss, rounding, check)
    eta = arguments.real("step_size", step_size, low=0.0, strict=True)
    recorded = arguments.increasing("steps", np.atleast_1d(arguments.whole("steps", steps, low=0)))
    beyond = _beyond(log_times, eta, int(recorded[-1]), normalised)
    walker = _Walker(setup, eta, bool(normalised))
    records, status, clock = Records(setup, recorded.size + beyond.size), "ok", np.full(recorded.size, np.nan)
    config: dict[str, Any] = {"function": "homogeneous_descent", "step_size": eta, "normalised": bool(normalised)}
    half, at_half = int(recorded[-1]) // 2, None
    with Progress("steps" if not beyond.size else "records", recorded.size + beyond.size) as progress:
        try:
            for k, step in enumerate(recorded.tolist()):
                if beyond.size and walker.step < half <= step:
                    walker.to(half)
                    at_half = walker.state
                walker.to(step)
                if walker.lost:
                    status = "overflow"
                    break
                records.keep(walker.state)
                clock[k] = walker.log_time
                progress.advance(1)
            if beyond.size and status == "ok":
                log_t0 = float(np.log(eta) + np.log(recorded[-1]))
                options = (solver, rtol, max_steps)
                if at_half is not None:
                    config["handover_gap"] = _gap(setup, at_half, half, walker, eta, options)
                follower = Follower(setup, walker.state, log_t0, *options)
                for log_time in beyond.tolist():
                    status = follower.to(log_time - log_t0)
                    if status != "ok":
                        break
                    records.keep(follower.state)
                    progress.advance(1)
                config |= follower.config()
        except KeyboardInterrupt:
            status = "stopped"
    return records.run(
        "homogeneous-descent",
        np.concatenate([clock, beyond]),
        np.concatenate([recorded, np.full(beyond.size, -1)]),
        status,
        config,
    )


def _beyond(log_times: Any, eta: float, last: int, normalised: bool) -> np.ndarray:
    """The records after the steps, (S,)."""
    if log_times is None:
        return np.zeros(0)
    if normalised:
        raise ValueError("`log_times` must be left out with `normalised`, whose steps leave log t behind by themselves")
    if last < FEWEST:
        raise ValueError(f"`steps` must end at {FEWEST} or more for the flow to go on from there, but ends at {last}")
    times, end = check_log_times(log_times), float(np.log(eta) + np.log(last))
    if not times[0] > end:
        raise ValueError(f"`log_times` must lie beyond log(eta K) = {end:.6g}, where the steps end, but begin with {times[0]:.6g}")
    return times


def _gap(setup: Setup, state: State, step: int, walker: _Walker, eta: float, options: tuple[Any, Any, Any]) -> dict[str, float]:
    """How far the flow from ``step`` on is off descent where the walker stands."""
    follower = Follower(setup, state, float(np.log(eta) + np.log(step)), *options)
    if follower.to(float(np.log(walker.step / step))) != "ok":
        return {"log_norm": float("nan"), "direction": float("nan")}
    there, here = follower.state, walker.state
    return {
        "log_norm": float(abs(there.log_norm - here.log_norm)),
        "direction": float(np.linalg.norm(there.direction - here.direction)),
    }
