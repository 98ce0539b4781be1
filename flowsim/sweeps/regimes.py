r"""Which step sizes the flow describes, and what descent does elsewhere: one descent a cell, judged by what was measured in it.

With sigma = eta |a^(N-1)| (c - h(r))/|z|, the part of w across v is multiplied by 1 - sigma in a step. K is the last step; the records
are the first 20 steps and about twelve in each decade of k after them. In this order:

    overflow    the iterates leave the double range
    saddle      r falls below exp(-690) or, from N = 2 on, w ends on the ray theta = pi, which leads there
    edge        a burst: c (1 - cos) fell below h/1000, grew back past h where sigma > 2, and turned the norm down; or, without one,
                sigma > 2 in the last decade of k while s moved by less than 10 in it: held there, the direction is not exponential in k
    flow        at k = K both |log r - log r_f| and |s - s_f|/max(|s_f|, 1) are at most 0.1, (r_f, s_f) the flow at t = eta K, and
                w never crossed v: sigma <= 1 wherever it was recorded
    saddle      also, from N = 2 on: r is below r(0)/100 at k = K, on the way in or thrown there and held up
    delayed     at k = K, sigma > 2 and c (1 - cos) < h: the direction error grows, and its burst is still ahead
    catapult    sigma > 2 at some record, but at k = K sigma < 2 and c (1 - cos) < h: the error falls, the norm grows
    other       the same without sigma > 2 before
    undecided   none of these, or not carried to K

Overflow, saddle and edge are final where they are found after 10^4 steps; from N = 3 on a later burst ends its run, so that what
comes after it is not seen.

Without sigma <= 1, steps with |1 - sigma| = exp(-sigma), sigma = 1.278, would pass for the flow: they turn as fast, from alternating sides.
One or two layers can come down for good after a burst: that is edge only if sigma > 2 in the last decade too, else what it is at K.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from flowsim import arguments
from flowsim.dynamics import Trajectory, gradient_descent, gradient_flow
from flowsim.dynamics.trajectory import versions
from flowsim.problem import PopulationRisk, Start
from flowsim.sweeps.chart import CLASSES, MEASURED, RegimeMap
from flowsim.theory.rates import DEEPEST

CLOSE = 0.1
"""The largest gap to the flow, in log r and in s, of a cell that follows it."""
HELD = 10.0
"""The most that s moves in a decade of k at the edge, where theta falls like k^(-1/2); from K = 100 on other runs move it by far more."""
LINGERS = 1e-2
"""r over r(0) below which a deep run that does not follow the flow there counts as held up at the saddle."""
EARLY = 10_000
"""Steps that every cell takes one by one; most of those that never settle show it by then."""
MAX_EXACT = 20_000
"""Single steps that a cell carried on to K may cost: those that settle cost one or two thousand."""
FEWEST = 100
_BLOCK = 1 << 15
"""Cells judged at a time, for the memory their records take."""


def regime_map(
    risk: Any,
    step_sizes: Any,
    angles: Any = None,
    norms: Any = None,
    depths: Any = None,
    steps: Any = 100_000,
    depth: Any = None,
    start: Any = None,
) -> RegimeMap:
    """One descent of ``steps`` steps for every step size with every one of ``angles``, ``norms`` or ``depths``: give one of the three.

    risk: a PopulationRisk without label noise, which ends a run at a minimiser: see `flowsim.theory.label_noise_stability`.
    step_sizes: (E,), eta > 0.  angles: (M,), in [0, pi].  norms: (M,), positive.  depths: (M,), whole, 1 to 100. All increasing.
    steps: K, 100 or more; 10^9 takes a few times as long as 10^5.  depth: N where it is not the axis; default 1.
    start: what is not the axis of one start; default norm 1, angle 1.5.

    Returns a `RegimeMap`. The classes are defined in this module. Ctrl-C leaves the cells that were decided, and the others "stopped".
    ValueError on bad input.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> fs.regime_map(risk, step_sizes=[0.1, 3.0, 20.0], angles=[0.5, 2.5], steps=1000, depth=2).names.tolist()
    [['flow', 'other', 'catapult'], ['flow', 'other', 'catapult']]
    """
    axis, values = _axis({"angle": angles, "norm": norms, "depth": depths})
    if not isinstance(risk, PopulationRisk):
        raise ValueError(f"`risk` must be one flowsim.PopulationRisk, but is {risk!r}")
    if risk.label_noise > 0.0:
        raise ValueError(f"`risk` must be free of label noise, but has {risk.label_noise:.6g}: its runs end at a minimiser")
    sizes = _line("step_sizes", arguments.reals("step_sizes", step_sizes, low=0.0, strict=True))
    count = int(_single("steps", arguments.whole("steps", steps, low=FEWEST)))
    if axis == "depth" and depth is not None:
        raise ValueError("`depth` must be left out where `depths` are given")
    layers = int(_single("depth", arguments.whole("depth", 1 if depth is None else depth, low=1, high=DEEPEST)))
    begin = Start(1.0, 1.5) if start is None else start
    if not isinstance(begin, Start) or begin.shape:
        raise ValueError(f"`start` must be one flowsim.Start, but is {start!r}")
    rows = {"norm": float(begin.norm), "angle": float(begin.angle), "depth": float(layers)}
    columns = {name: np.full(values.size, number) for name, number in rows.items()} | {axis: values}
    norm, angle, deep = (np.repeat(columns[name], sizes.size) for name in ("norm", "angle", "depth"))
    judged = classify(risk, norm, angle, np.tile(sizes, values.size), deep.astype(np.int64), count)
    config = {
        "function": "regime_map",
        "close": CLOSE,
        "held": HELD,
        "lingers": LINGERS,
        "early": EARLY,
        "max_exact_steps": MAX_EXACT,
        "versions": versions(),
    }
    shape = (values.size, sizes.size)
    measured = {name: values.reshape(shape) for name, values in judged.items()}
    return RegimeMap(axis, values, sizes, risk=risk, start=begin, depth=layers, steps=count, config=config, **measured)


def _axis(given: dict[str, Any]) -> tuple[str, np.ndarray]:
    chosen = [name for name, values in given.items() if values is not None]
    if len(chosen) != 1:
        raise ValueError(f"one of `angles`, `norms` and `depths` must be given, but {' and '.join(f'`{c}s`' for c in chosen) or 'none'} is")
    name = chosen[0]
    if name == "depth":
        return name, _line("depths", arguments.whole("depths", given[name], low=1, high=DEEPEST).astype(float))
    limits: dict[str, Any] = {"low": 0.0, "high": np.pi} if name == "angle" else {"low": 0.0, "strict": True}
    return name, _line(f"{name}s", arguments.reals(f"{name}s", given[name], **limits))


def _line(name: str, values: np.ndarray) -> np.ndarray:
    if values.ndim > 1:
        raise ValueError(f"`{name}` must be one-dimensional, but has shape {values.shape}")
    return arguments.increasing(name, np.atleast_1d(values))


def _single(name: str, value: np.ndarray) -> np.ndarray:
    if value.ndim:
        raise ValueError(f"`{name}` must be one number, but has shape {value.shape}")
    return value


def classify(
    risk: PopulationRisk, norm: np.ndarray, angle: np.ndarray, step_size: np.ndarray, depth: np.ndarray, steps: int
) -> dict[str, np.ndarray]:
    """``code`` and what it rests on, `MEASURED`, of n descents, (n,) each: the work behind `regime_map`, whose checks it leaves out."""
    cells = _Cells.of(norm, angle, step_size, depth)
    judged = _Judged.nothing(cells)
    try:
        for first in range(0, step_size.size, _BLOCK):
            _judge(risk, cells, np.arange(first, min(first + _BLOCK, step_size.size)), steps, judged)
    except KeyboardInterrupt:
        pass
    return {name: getattr(judged, name) for name in ("code", *MEASURED)}


@dataclass(frozen=True)
class _Cells:
    """One entry a cell, (n,): its row and eta; where the runs of a row start, (M,)."""

    row: np.ndarray
    eta: np.ndarray
    norm: np.ndarray
    angle: np.ndarray
    depth: np.ndarray

    @classmethod
    def of(cls, norm: np.ndarray, angle: np.ndarray, step_size: np.ndarray, depth: np.ndarray) -> "_Cells":
        rows, row = np.unique(np.column_stack([norm, angle, depth]), axis=0, return_inverse=True)
        return cls(row.reshape(-1), step_size, rows[:, 0], rows[:, 1], rows[:, 2].astype(np.int64))

    def descend(self, risk: PopulationRisk, which: np.ndarray, steps: np.ndarray, **options: Any) -> Trajectory:
        row = self.row[which]
        return gradient_descent(risk, Start(self.norm[row], self.angle[row]), self.eta[which], steps, self.depth[row], **options)

    def flow(self, risk: PopulationRisk, which: np.ndarray, last: int) -> tuple[np.ndarray, np.ndarray]:
        """log r and s of the flow at t = eta K, for each of these cells: rows share a flow."""
        rows, at = np.unique(self.row[which], return_inverse=True)
        times, when = np.unique(self.eta[which] * last, return_inverse=True)
        flows = gradient_flow(risk, Start(self.norm[rows], self.angle[rows]), times, self.depth[rows], rtol=1e-8)
        return flows.log_norm[at, when], flows.log_tan_half_angle[at, when]


@dataclass
class _Judged:
    """The cells' classes and what they rest on, (n,)."""

    code: np.ndarray
    first_burst: np.ndarray
    peak_sharpness: np.ndarray
    last_sharpness: np.ndarray
    norm_gap: np.ndarray
    direction_gap: np.ndarray

    @classmethod
    def nothing(cls, cells: _Cells) -> "_Judged":
        size = cells.eta.size
        unknown = (np.full(size, np.nan) for _ in range(4))
        return cls(np.full(size, _CODE["stopped"]), np.full(size, -1), *unknown)


_CODE = {name: i for i, name in enumerate(CLASSES)}


def _records(last: int) -> np.ndarray:
    """0 to 20, and then about twelve steps in each decade of k, to the last."""
    spaced = 20.0 * 10.0 ** (np.arange(1, 220) / 12.0)
    return np.concatenate([np.arange(21), np.round(spaced[spaced < 0.97 * last]).astype(np.int64), [last]])


def _judge(risk: PopulationRisk, cells: _Cells, block: np.ndarray, last: int, judged: _Judged) -> None:
    """Every cell of the block takes its first steps one by one; those that are not decided then are carried on to the last."""
    early = min(last, EARLY)
    open_ = _settle(risk, cells, block, cells.descend(risk, block, _records(early), method="exact"), last, judged)
    if early == last or not open_.size:
        return
    # what has burst already and gone quiet must be allowed past that burst
    for which, stop in ((open_[judged.first_burst[open_] < 0], True), (open_[judged.first_burst[open_] >= 0], False)):
        if which.size:
            options = {"max_exact_steps": MAX_EXACT, "stop_at_burst": stop, "estimate_error": False}
            _settle(risk, cells, which, cells.descend(risk, which, _records(last), **options), last, judged)


def _settle(risk: PopulationRisk, cells: _Cells, which: np.ndarray, run: Trajectory, last: int, judged: _Judged) -> np.ndarray:
    """Judge these cells by their runs; returns those that have to be carried on. KeyboardInterrupt, after that, where runs were stopped."""
    assert run.step is not None
    assert run.coverage is not None
    burst, status, depth = run.coverage.first_burst, run.status, run.depth
    log_norm, s, sigma = run.log_norm, run.log_tan_half_angle, run.sharpness
    there = ~np.isnan(log_norm)
    # the last record reached, and the decade of k before it
    end = log_norm.shape[1] - 1 - np.argmax(there[:, ::-1], axis=1)
    pick = lambda x: np.take_along_axis(x, end[:, None], axis=1)[:, 0]  # noqa: E731
    decade = there & (run.step >= run.step[end][:, None] / 10.0)
    across = np.isfinite(s)
    with np.errstate(over="ignore"):
        error = risk.pull * run.one_minus_cos / risk.growth(np.where(there, run.norm, 1.0))
    steep = np.where(there & across, sigma, 0.0)
    past = (steep > 2.0) & decade
    arrived = np.isin(status, ("ok", "burst")) & (run.step[end] == last)
    judged.first_burst[which] = np.maximum(judged.first_burst[which], burst)
    judged.peak_sharpness[which] = np.fmax(judged.peak_sharpness[which], np.nanmax(np.where(there, sigma, np.nan), axis=1))
    judged.last_sharpness[which] = pick(sigma)

    with np.errstate(invalid="ignore"):
        moved = np.where(decade, s, -np.inf).max(axis=1) - np.where(decade, s, np.inf).min(axis=1)
    at_edge = past.any(axis=1) & ((moved < HELD) | (burst >= 0)) | ((burst >= 0) & (depth > 2))
    lingers = (depth > 1) & (pick(log_norm) < log_norm[:, 0] + np.log(LINGERS))
    follows = np.zeros(which.size, dtype=bool)
    if run.step[-1] == last:
        follows = _gaps(risk, cells, which, arrived, pick, log_norm, s, last, judged)
    assert run.side is not None
    follows &= (steep <= 1.0).all(axis=1) & ~(run.side < 0.0).any(axis=1)
    converges = arrived & (pick(error) < 1.0)
    ended = [
        ("stopped", status == "stopped"),
        ("overflow", status == "overflow"),
        ("saddle", (status == "saddle") | (arrived & (depth > 1) & (pick(s) == np.inf))),
        ("edge", at_edge),
        ("flow", arrived & follows),
        ("saddle", arrived & lingers),
        ("delayed", converges & (pick(steep) > 2.0)),
        ("catapult", converges & (steep > 2.0).any(axis=1)),
        ("other", converges),
    ]
    code = np.select([condition for _, condition in ended], [_CODE[name] for name, _ in ended], _CODE["undecided"])
    # until a cell has been carried to the last step, what it may still become is open
    reached = run.step[-1] == last
    final = np.ones(which.size, dtype=bool) if reached else np.isin(code, [_CODE[name] for name in ("overflow", "saddle", "edge")])
    judged.code[which[final]] = code[final]
    if (status == "stopped").any():
        raise KeyboardInterrupt
    return which[~final]


def _gaps(
    risk: PopulationRisk,
    cells: _Cells,
    which: np.ndarray,
    arrived: np.ndarray,
    pick: Any,
    log_norm: Any,
    s: Any,
    last: int,
    judged: _Judged,
) -> np.ndarray:
    """Whether the last record is near the flow, and how near."""
    near = np.zeros(which.size, dtype=bool)
    if not arrived.any():
        return near
    some = which[arrived]
    flow_norm, flow_s = cells.flow(risk, some, last)
    here = pick(s)[arrived]
    with np.errstate(invalid="ignore"):
        judged.norm_gap[some] = pick(log_norm)[arrived] - flow_norm
        # on a ray both are infinite
        judged.direction_gap[some] = np.where(here == flow_s, 0.0, (here - flow_s) / np.maximum(np.abs(flow_s), 1.0))
        near[arrived] = (np.abs(judged.norm_gap[some]) <= CLOSE) & (np.abs(judged.direction_gap[some]) <= CLOSE)
    # a flow that was interrupted tells nothing
    judged.code[some[np.isnan(flow_norm)]] = _CODE["stopped"]
    return near
