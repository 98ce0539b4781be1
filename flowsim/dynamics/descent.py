"""Gradient descent on the layers: any depth, any sequence of step sizes, step by step or over the far horizon."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from flowsim import arguments
from flowsim.dynamics import exact, horizon
from flowsim.dynamics.network import make_batch
from flowsim.dynamics.trajectory import Coverage, Trajectory, versions
from flowsim.problem import Start

Array = Float[np.ndarray, "..."]

METHODS = ("auto", "exact")
RECORDS = 200


@dataclass(frozen=True, eq=False)
class Schedule:
    """Step sizes eta_0, eta_1, ... of one run; it allows up to K steps, and each of them is taken.

    sizes: (K,), all positive; ValueError where they are not. An array given as ``step_size`` itself makes a batch of runs instead, with one
        constant step size each.

    >>> import numpy as np, flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> run = fs.gradient_descent(risk, fs.Start(), fs.Schedule(1.0 / np.arange(1, 101)), steps=100)
    >>> round(float(run.time[-1]), 6), round(float(run.norm[-1]), 6)
    (5.187378, 1.393019)
    """

    sizes: Any

    def __post_init__(self) -> None:
        sizes = arguments.reals("sizes", self.sizes, low=0.0, strict=True)
        if sizes.ndim != 1:
            raise ValueError(f"`sizes` must be one-dimensional, but has shape {sizes.shape}")
        object.__setattr__(self, "sizes", sizes)


def gradient_descent(
    risk: Any,
    start: Start,
    step_size: Any,
    steps: Any,
    depth: Any = 1,
    method: str = "auto",
    max_exact_steps: Any = None,
    stop_at_burst: bool = False,
    estimate_error: bool = True,
) -> Trajectory:
    r"""W_j <- W_j - eta grad_{W_j} L from the balanced rank-one start with |W_j| = r^(1/N); at any width the map on (a, z) is

        z <- z - eta a^(N-1) G,   a <- a - eta a^(N-2) <G, z>,   G = grad L(w),  w = a^(N-1) z.

    risk: a PopulationRisk, or a sequence of them.  start: a Start.  depth: N in 1..100.
    step_size: eta > 0, or an array of them. The shapes of these four broadcast to one batch.
        A `Schedule` holds the step sizes eta_k of successive steps instead, for every run of the batch.
    steps: a whole number k >= 0: about 200 records, evenly spaced in log k, the last step always among them;
        or a strictly increasing array of the steps to record.
    method: "auto": steps are taken one by one where the run moves fast, and covered by the modified field where it moves slowly;
        ``coverage`` says how many were which, and estimates the error. "exact": every step is taken, as always under a `Schedule`.
    max_exact_steps: the most steps that "auto" takes one by one in each run before it gives up (status "step_cap"); default 10^8.
    stop_at_burst: let "auto" end each run at its first burst; later records are nan.
    estimate_error: whether "auto" follows each run's shadow too, which takes as long again; without it the errors are nan.

    Returns a `Trajectory` with ``step``, ``time`` = sum of the step sizes so far (eta k) and ``side``. Status "overflow" where the iterates
    leave the double range (later records nan), "saddle" where w falls below exp(-690), "burst" where the direction error grew back at the
    edge of stability, at step ``coverage.first_burst``. Raises ValueError on bad input.
    Source: derivations/deep_flow.py for the reduction, derivations/descent.py; Lin, Sun, Zhang 2021, section 4.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> run = fs.gradient_descent(risk, fs.Start(norm=1.0, angle=1.5), step_size=0.5, steps=10**12)
    >>> int(run.step[-1]), f"{float(run.log_tan_half_angle[-1]):.6e}", int(run.coverage.exact_steps) < 10_000
    (1000000000000, '-3.007902e+07', True)
    """
    arguments.one_of("method", method, METHODS)
    schedule = step_size if isinstance(step_size, Schedule) else None
    every = method == "exact" or schedule is not None
    for name, given in (("max_exact_steps", max_exact_steps is not None), ("stop_at_burst", stop_at_burst)):
        if every and given:
            raise ValueError(f"`{name}` belongs to the method 'auto' with a constant step size; here every step is taken")
    cap = horizon.MAX_EXACT if max_exact_steps is None else int(arguments.whole("max_exact_steps", max_exact_steps, low=0))
    rules = horizon.Rules(cap, stop_at_burst, estimate_error)
    eta = np.ones(()) if schedule else arguments.reals("step_size", step_size, low=0.0, strict=True)
    record = records_of(steps)
    if schedule and record[-1] > schedule.sizes.size:
        raise ValueError(f"`steps` must be at most {schedule.sizes.size}, the length of the schedule, but is {record[-1]}")
    batch = make_batch(risk, start, depth, eta)
    etas = np.broadcast_to(eta, batch.shape).ravel()
    sizes = schedule.sizes if schedule else np.ones(1)
    followed = exact.follow(batch, etas, sizes, record) if every else horizon.follow(batch, etas, record, rules)
    clock = np.concatenate([[0.0], np.cumsum(sizes)])[record] if schedule else record.astype(float)
    shape, full = batch.shape, (*batch.shape, record.size)
    config = {
        "function": "gradient_descent",
        "method": method,
        **({"schedule": sizes.tolist()} if schedule else {}),
        **({} if every else {"max_exact_steps": cap, "stop_at_burst": stop_at_burst, "estimate_error": estimate_error}),
        "versions": versions(),
    }
    records, coverage = followed.records, followed.coverage
    return Trajectory(
        "descent",
        (etas[:, None] * clock).reshape(full),
        record,
        records.log_norm.reshape(full),
        records.s.reshape(full),
        records.side.reshape(full),
        followed.status.reshape(shape),
        batch.network.depth.astype(np.int64).reshape(shape),
        batch.risk_grid,
        start.broadcast(shape),
        None if schedule else etas.reshape(shape),
        config,
        records.log_layer.reshape(full),
        Coverage(
            coverage.exact_steps.reshape(shape),
            coverage.covered_steps.reshape(shape),
            coverage.first_burst.reshape(shape),
            coverage.norm_error.reshape(full),
            coverage.direction_error.reshape(full),
        ),
    )


def records_of(steps: Any, count: int = RECORDS) -> np.ndarray:
    """The steps to record: those asked for, or about ``count`` up to the last one."""
    asked = arguments.whole("steps", steps, low=0)
    if asked.ndim > 1:
        raise ValueError(f"`steps` must be a number or one-dimensional, but has shape {asked.shape}")
    return arguments.increasing("steps", asked) if asked.ndim else log_steps(int(asked), count)


def log_steps(last: int, count: int = RECORDS) -> np.ndarray:
    """0, 1, ..., last: at most ``count`` whole numbers, evenly spaced in log k once they can be; what a descent records by default.

    last: k, zero or positive.  count: at most so many.

    >>> import flowsim.dynamics
    >>> flowsim.dynamics.log_steps(1000, count=8).tolist()
    [0, 1, 3, 10, 32, 100, 316, 1000]
    """
    if last <= 1:
        return np.arange(last + 1, dtype=np.int64)
    spaced = np.round(np.geomspace(1.0, float(last), count - 1)).astype(np.int64)
    return np.unique(np.concatenate([[0], np.minimum(spaced, last), [last]]))
