"""Exponents and constants of the late flow, read off a run with their uncertainty: nothing is assumed of either."""

import heapq
from dataclasses import dataclass
from math import floor, log10
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from flowsim import arguments
from flowsim.claims.corrections import Terms, correction_terms, resting_terms
from flowsim.dynamics import Trajectory

Quantity = Literal["direction", "norm", "risk"]
SYMBOL = {"direction": "-s", "norm": "r", "risk": "L"}

ONSET = 0.1
"""The largest correction, and `onset_norm` over the norm, at the first record of a window."""
LEAST_RECORDS, LEAST_SPAN = 8, 10.0
"""What a window must hold: records, and the ratio of its last time to its first."""
SLACK = 1e-9
"""By how much, relatively, a record may lie outside a window that was given in digits."""
LATER = 3.0
"""By what factor a window that does not fit begins later."""
MOST_RECORDS, MOST_PRODUCTS = 64, 40
"""What the fit takes: records, evenly thinned, and products of the terms, the largest ones."""
SPREAD = 4.0
"""The size, as a standard deviation, that a coefficient may have; the terms are scaled so that 1 is natural."""
SOLVER = 0.1
"""The error of a recorded norm or direction over the solver's rtol, as a standard deviation; measured."""
FINEST, FINEST_AT_REST = 2e-11, 2e-10
"""No rtol is taken as finer: rounding, the law's tables; at rest the norm is held within 1e-11 of its limit."""
USUAL_MISFIT, WORST_MISFIT = 0.1, 0.5
"""Of the laws of flowsim, mostly 0.03: above the first the errors are widened, above the second a window chosen here begins later."""
MARGIN = 3.0
"""Standard deviations quoted. Of 50 000 measurements over 25 laws, depths 1 to 50, eight starts, windows of all lengths and rtol from 1e-12
to 1e-4 none was off by more than 0.65 of its error; at rtol = 1e-10 half were off by more than 0.006 of it."""


@dataclass(frozen=True)
class MeasuredRate:
    """X ~ constant t^exponent, as measured on one flow. Made by `measure_rate`.

    quantity: "direction", X = -s; "norm", X = r; "risk", X = L.
    exponent, constant: what was fitted.
    exponent_error, constant_error: their errors, which cover what the corrections left out and the solver's tolerance can do.
    window: first and last time used.  records: how many were.  terms: the corrections, whose products were fitted.
    misfit: root mean square residual over the errors expected of the records; above 0.1 the errors quoted are wider by 10 times that.
    method: in words.

    >>> import flowsim as fs
    >>> flow = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), fs.log_times(1e-2, 1e12, 100), depth=2)
    >>> rate = fs.measure_rate(flow, "norm")
    >>> round(rate.exponent, 6), rate.exponent_error < 1e-6
    (0.5, True)
    """

    quantity: Quantity
    exponent: float
    exponent_error: float
    constant: float
    constant_error: float
    window: tuple[float, float]
    records: int
    terms: tuple[str, ...]
    misfit: float
    method: str

    def __str__(self) -> str:
        """X ~ constant t^exponent with the error of the last digit in brackets, and the window."""
        first, last = self.window
        power = with_error(self.exponent, self.exponent_error)
        return f"{SYMBOL[self.quantity]} ~ {with_error(self.constant, self.constant_error)} t^{power}, t = {first:.3g} .. {last:.3g}"


def measure_rate(run: Any, quantity: Any = "direction", window: Any = None) -> MeasuredRate:
    r"""X ~ constant t^exponent of X = -s, r or L along a late flow, with honest errors.

    run: a single flow.  quantity: "direction" for -s, "norm" for r, "risk" for L.
    window: first and last time to use; by default every record from where the correction to the power is predicted below 0.1, and
        later where those records do not fit within tolerance (laws whose moments grow too fast for a series, such as a lognormal |x|).

    log X and its exact slope, d log X/d log t from the field, are fitted together by log constant + exponent log t + corrections. What is
    assumed is that these are products of powers of 1/r, and of 1/t and 1/s (a shift of time and of s), with a logarithm where two of
    them meet; that h falls off with the law's tail says which powers of 1/r. Neither the exponent nor the constant enters.
    Each coefficient is held to its natural size, by least squares, and products left out count as errors of the records they touch. The
    error quoted is three standard deviations, with the solver's rtol for each e-fold of t among its causes.

    With label noise the norm rests: only the direction has a power, of exponent 1.

    ValueError for a batch, a descent, a direction on a ray, a law whose tail is a logarithm, and for a window that holds too few records,
    begins before the asymptotics do, or lies where the corrections are below the solver's tolerance. RuntimeError for a run that failed.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> flow = fs.gradient_flow(risk, fs.Start(norm=1.0, angle=1.5), fs.log_times(1e-2, 1e12, 200), depth=1)
    >>> rate = measure_rate(flow)
    >>> print(rate)
    -s ~ 0.4774648293(8) t^0.66666666667(6), t = 2.97e+04 .. 1e+12
    >>> bool(abs(rate.exponent - 2 / 3) < rate.exponent_error < 1e-9)
    True
    """
    flow = _checked(run)
    name: Quantity = arguments.one_of("quantity", quantity, tuple(SYMBOL))  # type: ignore[assignment]
    terms, tolerance = _terms(flow, name)
    chosen = _chosen(flow, terms, tolerance, window)
    best = _fitted(flow, name, terms, chosen, SOLVER * tolerance)
    time = flow.time[terms.late]
    while window is None and best.misfit > WORST_MISFIT:
        chosen = chosen[time[chosen] > LATER * time[chosen[0]]]
        if not _enough(time[chosen]) or terms.predicted[chosen[0]] < tolerance:
            break
        best = min(best, _fitted(flow, name, terms, chosen, SOLVER * tolerance), key=lambda rate: rate.misfit)
    return best


def recorded(run: Trajectory, quantity: Quantity) -> Float[np.ndarray, "T"]:
    """X at each record: -s, r or L."""
    if quantity == "direction":
        return -run.log_tan_half_angle
    return run.norm if quantity == "norm" else run.risk


def _enough(times: np.ndarray) -> bool:
    return times.size >= LEAST_RECORDS and bool(times[-1] >= LEAST_SPAN * times[0])


def _checked(run: Any) -> Trajectory:
    if not isinstance(run, Trajectory):
        raise ValueError(f"`run` must be a flow, as gradient_flow returns it, but is {run!r}")
    if run.kind != "flow" or run.step_size is not None:
        raise ValueError(f"`run` must be a flow of gradient_flow, whose slopes are exact, but is a {run.config.get('function', run.kind)}")
    if run.shape:
        raise ValueError(f"`run` must be a single run, but is a batch of shape {run.shape}; index it first")
    run.require_ok()
    return run


def _terms(run: Trajectory, quantity: Quantity) -> tuple[Terms, float]:
    """The corrections' terms, and the accuracy to expect of the records."""
    risk, rtol = run.problem, float(run.config["rtol"])
    on_ray = not np.isfinite(run.start.log_tan_half_angle)
    if str(run.status) == "saddle":
        raise ValueError("`run` must grow, but falls into the saddle at w = 0")
    if on_ray and quantity == "direction":
        raise ValueError("`quantity` must be 'norm' or 'risk' for a run on the ray of v, whose direction is exact, but is 'direction'")
    if risk.label_noise > 0.0:
        if quantity != "direction":
            raise ValueError(
                f"`quantity` must be 'direction' for a run with label noise, whose norm rests at a minimiser, but is {quantity!r}"
            )
        terms, tolerance = resting_terms(run, rtol), max(rtol, FINEST_AT_REST)
        late = "w is aligned and its norm at rest"
    else:
        if not np.isfinite(risk.tail.constant):
            raise ValueError(f"`run` must have a power law, but the growth of {risk.label()} falls off with a logarithm")
        terms, tolerance = correction_terms(run, quantity, rtol), max(rtol, FINEST)
        late = "w is aligned and its norm twice its least and in the tail of the law"
    if terms is None:
        raise ValueError(f"`run` must reach the late flow, in which {late}, but has not by its last time, {run.time[-1]:.4g}")
    return terms, tolerance


def _chosen(run: Trajectory, terms: Terms, tolerance: float, window: Any) -> np.ndarray:
    """Places among the late records of those in the window."""
    time, late = run.time, run.time[terms.late]
    early = np.flatnonzero(terms.expansion > ONSET)
    onset = early[-1] + 1 if early.size else 0
    if onset == late.size:
        raise ValueError(
            f"`window` must begin where the correction is below {ONSET:g}, but at the run's last time, {time[-1]:.4g}, it is predicted "
            f"at {terms.expansion[-1]:.2g} still: run further, and record from earlier on"
        )
    first, last = (float(late[onset]), float(time[-1])) if window is None else _bounds(window, time)
    if first < late[onset] * (1.0 - SLACK):
        where = "the run is not late yet" if first < late[0] else f"it is predicted at {terms.expansion[late >= first][0]:.2g}"
        raise ValueError(
            f"`window` must begin at t = {late[onset]:.4g} or later, where the correction is below {ONSET:g}, but begins at {first:.4g}, "
            f"where {where}: before the asymptotics set in"
        )
    inside = np.flatnonzero((late >= first * (1.0 - SLACK)) & (late <= last * (1.0 + SLACK)))
    if not _enough(late[inside]):
        span = f" from t = {late[inside[0]]:.4g} to {late[inside[-1]]:.4g}" if inside.size else ""
        raise ValueError(
            f"`window` must hold at least {LEAST_RECORDS} records over a factor {LEAST_SPAN:g} of t, but holds {inside.size}{span}; "
            f"records can be used from t = {late[onset]:.4g} on"
        )
    if terms.predicted[inside[0]] < tolerance:
        told = np.flatnonzero(terms.predicted >= tolerance)
        where = f"before t = {late[told[-1]]:.4g}" if told.size else "earlier than the run's records do"
        raise ValueError(
            f"`window` must begin {where}, where the correction is above the solver's tolerance, {tolerance:.1g}, but begins at "
            f"{first:.4g}, where it is predicted at {terms.predicted[inside[0]]:.1g}: its exponents differ by the solver's error alone"
        )
    return inside


def _bounds(window: Any, time: np.ndarray) -> tuple[float, float]:
    pair = arguments.reals("window", window, low=0.0, strict=True)
    if pair.shape != (2,) or pair[0] >= pair[1]:
        raise ValueError(f"`window` must be two times, the first before the last, but is {window!r}")
    if pair[0] < time[0] * (1.0 - SLACK) or pair[1] > time[-1] * (1.0 + SLACK):
        raise ValueError(f"`window` must lie within the run, t = {time[0]:.4g} to {time[-1]:.4g}, but is {pair[0]:.4g} to {pair[1]:.4g}")
    return float(pair[0]), float(pair[1])


def _products(size: Float[np.ndarray, "terms"], least: float) -> np.ndarray:
    """Powers of each term in the largest products, (products, terms): those above ``least``, at most `MOST_PRODUCTS`."""
    start: tuple[int, ...] = (0,) * size.size
    heap: list[tuple[float, tuple[int, ...]]] = [(-1.0, start)]
    seen: set[tuple[int, ...]] = {start}
    found: list[tuple[int, ...]] = []
    while heap and len(found) <= MOST_PRODUCTS:
        value, powers = heapq.heappop(heap)
        if -value < least:
            break
        found.append(powers)
        for k in range(size.size):
            further = (*powers[:k], powers[k] + 1, *powers[k + 1 :])
            if further not in seen:
                seen.add(further)
                heapq.heappush(heap, (value * float(size[k]), further))
    return np.array(found[1:], dtype=float).reshape(-1, size.size)


def _fitted(run: Trajectory, quantity: Quantity, terms: Terms, chosen: np.ndarray, noise: float) -> MeasuredRate:
    """Least squares of log X and its slope at once; see `measure_rate`."""
    chosen = chosen[np.unique(np.linspace(0, chosen.size - 1, min(MOST_RECORDS, chosen.size)).round().astype(int))]
    records, size, slope = terms.late[chosen], terms.size[:, chosen], terms.slope[:, chosen]
    value = recorded(run, quantity)[records]
    local = run.local_exponent(quantity)[records]
    x = np.log(run.time[records] / run.time[records[-1]])
    powers = _products(size[:, 0], 0.1 * noise)
    count, corrections = x.size, len(powers)
    with np.errstate(under="ignore"):
        shape = SPREAD * np.exp(powers @ np.log(size))
        every = SPREAD**2 * (np.prod(1.0 / (1.0 - size**2), axis=0) - 1.0)
    # what all the products left out may add up to
    left = np.sqrt(np.maximum(every - (shape**2).sum(axis=0), 1e-14 * every))
    steepest = (1.0 + powers.sum(axis=1).max(initial=0.0)) * np.abs(slope).max()
    # the solver's errors forget each other over an e-fold of t, not from one record to the next
    per_fold = max(1.0, count / float(-x[0]))
    scatter = noise * np.sqrt(per_fold)
    wide = 1.0 / np.hypot(scatter, left)
    steep = 1.0 / np.hypot(scatter * max(float(np.abs(local).max()), 0.5), steepest * left)
    matrix = np.zeros((2 * count + corrections, 2 + corrections))
    matrix[:count] = wide[:, None] * np.column_stack([np.ones(count), x, shape.T])
    matrix[count : 2 * count] = steep[:, None] * np.column_stack([np.zeros(count), np.ones(count), (shape * (powers @ slope)).T])
    matrix[2 * count :, 2:] = np.eye(corrections)
    # differences to the straight line through the last record, so that no digits are lost
    aim = np.concatenate([wide * (np.log(value / value[-1]) - local[-1] * x), steep * (local - local[-1]), np.zeros(corrections)])
    q, triangle = np.linalg.qr(matrix)
    found = np.linalg.solve(triangle, q.T @ aim)
    spread = np.linalg.inv(triangle)[:2]
    misfit = float(np.sqrt(((aim - matrix @ found) ** 2).sum() * per_fold / (2 * count)))
    margin = MARGIN * max(1.0, misfit / USUAL_MISFIT)
    exponent = float(local[-1] + found[1])
    turned = float(np.log(run.time[records[-1]]))
    constant = float(np.exp(np.log(value[-1]) + found[0] - exponent * turned))
    return MeasuredRate(
        quantity,
        exponent,
        margin * float(np.linalg.norm(spread[1])),
        constant,
        constant * margin * float(np.linalg.norm(spread[0] - turned * spread[1])),
        (float(run.time[records[0]]), float(run.time[records[-1]])),
        count,
        tuple(dict.fromkeys(terms.names)),
        misfit,
        f"least squares of log {SYMBOL[quantity]} and its exact slope, {corrections} products of the terms held to their natural size",
    )


def with_error(value: float, error: float) -> str:
    """``value`` to the last digit that ``error`` leaves, with the error of that digit in brackets: 0.66667(3), 1.20(4)e+15."""
    if not error > 0.0 or not np.isfinite(error):
        return f"{value:.6g}"
    ten = floor(log10(abs(value))) if value else floor(log10(error))
    scale = ten if not -4 <= ten <= 5 else 0
    shown, last = value / 10.0**scale, error / 10.0**scale
    digits = max(0, -floor(log10(last)))
    units = int(np.ceil(last * 10.0**digits - 1e-9))
    if units == 10:
        digits, units = (digits - 1, 1) if digits else (0, 10)
    text = f"{shown:.{digits}f}({units})"
    return f"{text}e{scale:+03d}" if scale else text
