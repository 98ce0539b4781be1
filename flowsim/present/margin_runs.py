"""Flows on samples with a margin cut out, and the times at which they leave the population's law."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from flowsim import arguments
from flowsim.dynamics import Trajectory, gradient_flow
from flowsim.finite import HomogeneousRun, deep_linear, homogeneous_flow, log_log_times, with_margin
from flowsim.layers import balanced
from flowsim.present.bounds import single_flow
from flowsim.problem import Gaussian, PopulationRisk, Start
from flowsim.samples import DataSet, max_margin
from flowsim.samples.max_margin import MaxMargin
from flowsim.theory import rates
from flowsim.theory.margin_law import WHOLE, margin_felt

MARGINS = (0.1, 0.03, 0.01, 0.003)
SAMPLES = 10
SEEDS = 5
LAST = 1e3
POPULATION_LAST = 30.0
"""log t up to which the population's flow is followed."""
START = Start(norm=1.0, angle=1.5)
ACCURACY = 1e-8


class MarginRun(NamedTuple):
    """margin: kappa, cut out of the law.  data: the sample.  separator: its own direction of largest margin.  run: the flow on it."""

    margin: float
    data: DataSet
    separator: MaxMargin
    run: HomogeneousRun

    @property
    def norm(self) -> np.ndarray:
        """|w| of the predictor: balanced layers share it."""
        return np.exp(self.run.order * (self.run.log_norm - 0.5 * np.log(self.run.order)))

    @property
    def residual(self) -> float:
        r"""b: the angle to the separator is b/|w| in the end.

        w = u log t/m + w~ with exp(-<p_i, w~>) in the ratios of the multipliers alpha_i of the separator, for w grows by the sum of
        alpha_i p_i only then (Soudry et al. 2018): that part of w~ across u, of length b.
        """
        points, u = self.data.points[self.separator.support], self.separator.direction
        across = points - np.outer(points @ u, u)
        logs = -np.log(self.separator.weights)
        centred = across - across.mean(axis=0)
        return float(np.linalg.norm(np.linalg.lstsq(centred, logs - logs.mean(), rcond=1e-12)[0]))


class MarginTimes(NamedTuple):
    """margins: (m,).  times: log t of the crossovers, (m, seeds).  expected: log t of the scaling law, (m,).

    slope: of log t against log kappa over margins, by least squares through the mean over seeds, with its standard error.
    exponent: what the law says it is, -(1 + 2/N).
    """

    margins: np.ndarray
    times: np.ndarray
    expected: np.ndarray
    slope: float
    error: float
    exponent: float


def margin_crossover_runs(
    law: Any = None,
    margins: Sequence[float] = MARGINS,
    samples: Any = SAMPLES,
    seeds: Any = SEEDS,
    depth: Any = 1,
    last: Any = LAST,
    count: Any = 150,
    seed: Any = 0,
    solver: Any = "kvaerno5",
) -> tuple[Trajectory, list[MarginRun]]:
    r"""Flows of the logistic loss on n = samples/kappa samples beyond each margin kappa, and the population's flow; some two minutes.

    n kappa is held, so that one number goes to 0: about ``samples`` of them lie where a margin of kappa is felt, whatever kappa is.
    With n held instead, a sample's own margin, some 1/(n f0), would take the place of kappa as soon as it is the larger one.

    law: in the plane, default Gaussian.  margins: kappa, two or more.  samples: n kappa, positive.  seeds: data sets of each margin.
    depth: N, of balanced layers of width 1, from norm 1 and the angle 1.5.  last: of log t.  count: of records.  seed: the first.
    solver: as in `flowsim.finite.homogeneous_flow`; implicit, for late flows are stiff like 1/kappa^2.

    ValueError where one is not what it must be; RuntimeError where a flow did not get to its last record.

    >>> import flowsim as fs
    >>> flow, runs = fs.present.margin_crossover_runs(margins=[0.32, 0.31], samples=3, seeds=1, last=6.0, count=8, solver="dopri8")
    >>> [(run.margin, run.data.size, run.run.ok) for run in runs]
    [(0.32, 10, True), (0.31, 10, True)]
    """
    cut = np.sort(np.unique(arguments.reals("margins", margins, low=0.0, strict=True)))[::-1]
    if cut.size < 2:
        raise ValueError(f"`margins` must be two different ones or more, but are {cut.tolist()}")
    chosen = Gaussian(dim=2) if law is None else law
    risk = PopulationRisk(chosen)
    if chosen.dim != 2 or rates(risk, 1).tail.exponent != 1.0:
        raise ValueError(f"`law` must be one of the plane with a density at the boundary, but is {chosen.label()}")
    layers, per_margin = int(arguments.whole("depth", depth, low=1)), int(arguments.whole("seeds", seeds, low=1))
    kept, first = arguments.real("samples", samples, low=0.0, strict=True), int(arguments.whole("seed", seed, low=0))
    log_times = log_log_times(arguments.real("last", last, low=1.0, strict=True), count, first=0.0)
    w = [float(np.cos(START.angle)), float(np.sin(START.angle))]
    network, start = deep_linear(2, layers, 1), balanced(w, layers, 1).matrices
    found: list[MarginRun] = []
    for margin in cut.tolist():
        for k in range(per_margin):
            data = with_margin(chosen, int(np.ceil(kept / margin)), margin, seed=first + k)
            run = homogeneous_flow(network, data, start, log_times, "logistic", solver, ACCURACY)
            if run.status == "stopped":
                raise KeyboardInterrupt
            run.require_ok()
            found.append(MarginRun(margin, data, max_margin(data), run))
    return gradient_flow(risk, START, np.exp(log_times[log_times < POPULATION_LAST]), depth), found


def margin_crossover_times(flow: Any, runs: Any) -> MarginTimes:
    """When the risk of each run is half of the population's at the same time, and f0 t = tau kappa^-(1+2/N), where the law says it is.

    flow, runs: of `margin_crossover_runs`. ValueError where they do not belong together; nan where a run does not get there.

    >>> import flowsim as fs
    >>> runs = fs.present.margin_crossover_runs(margins=[0.32, 0.31], samples=3, seeds=2, last=9.0, count=12, solver="dopri8")
    >>> times = fs.present.margin_crossover_times(*runs)
    >>> times.times.shape, times.expected.round(2).tolist(), times.exponent
    ((2, 2), [2.27, 2.37], -3.0)
    """
    course, groups = by_margin(flow, runs)
    layers, density = int(course.depth), course.problem.tail.constant / WHOLE
    exponent = -(1.0 + 2.0 / layers)
    margins = np.array(list(groups))
    times = np.array([[_parting(course, one.run) for one in group] for group in groups.values()])
    expected = np.log(margin_felt(layers).time / density) + exponent * np.log(margins)
    slope, error = _slope(np.log(margins), times)
    return MarginTimes(margins, times, expected, slope, error, exponent)


def by_margin(flow: Any, runs: Any) -> tuple[Trajectory, dict[float, list[MarginRun]]]:
    """The runs of each margin, the largest first."""
    course, every = single_flow(flow), list(runs)
    if not every or not all(isinstance(one, MarginRun) for one in every):
        raise ValueError("`runs` must be those of margin_crossover_runs")
    groups: dict[float, list[MarginRun]] = {}
    for one in every:
        if one.run.order != int(course.depth) or not np.array_equal(np.exp(one.run.log_time[: course.time.size]), course.time):
            raise ValueError("`runs` must have the depth and the times of `flow`")
        groups.setdefault(one.margin, []).append(one)
    if len({len(group) for group in groups.values()}) != 1 or len(groups) < 2:
        raise ValueError("`runs` must be of two margins or more, with as many seeds each")
    return course, {margin: groups[margin] for margin in sorted(groups, reverse=True)}


def _parting(flow: Trajectory, run: HomogeneousRun) -> float:
    """log t at which log L is log 2 below the population's for the first time; nan if it is not."""
    from scipy.interpolate import PchipInterpolator

    log_t = run.log_time[: flow.time.size]
    excess = np.log(flow.risk) - run.log_loss[: flow.time.size] - np.log(2.0)
    beyond = np.flatnonzero(excess > 0.0)
    if not beyond.size or beyond[0] == 0:
        return np.nan
    low, high = log_t[beyond[0] - 1], log_t[beyond[0]]
    roots = PchipInterpolator(log_t, excess).roots(extrapolate=False)
    return float(roots[(roots >= low) & (roots <= high)][0])


def _slope(x: np.ndarray, times: np.ndarray) -> tuple[float, float]:
    """Least squares through the means over seeds; the error is what the seeds' spread makes of it, nan with one seed."""
    arm = x - x.mean()
    weight = arm / np.sum(arm**2)
    per_seed = times.shape[1]
    error = np.sqrt(np.sum(weight**2 * times.var(axis=1, ddof=1)) / per_seed) if per_seed > 1 else np.nan
    return float(weight @ times.mean(axis=1)), float(error)
