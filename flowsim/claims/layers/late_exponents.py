"""Exponents of late power laws of matrices, from runs alone: fitted with free corrections, seed by seed, with the error of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from flowsim.claims.claim import Finding, as_formal
from flowsim.claims.corrections import tail_gaps
from flowsim.claims.exponents import with_error
from flowsim.claims.layers.runs import LAST
from flowsim.claims.picture import Sketch
from flowsim.layers import LayerRun
from flowsim.problem import PopulationRisk

Array = np.ndarray

TERMS = 5
"""Of the corrections that are fitted."""
LATE = 1e-3
"""Of the last time: from there on the exponent is fitted."""
TOLD = 0.01
"""An exponent with an error below it is told."""
ENOUGH = 0.75
"""The share of seeds that must be told."""
OUTSIDE = 0.05
"""The share of seeds that may be off by more than their errors: where P B u nearly vanishes, the next order still leads at t = 1e8."""
ROUNDING = 1e-6
"""The least error of an exponent: the flow's 1e-9 in theta, over three decades, with room."""


def correction_powers(risk: PopulationRisk, depth: int) -> Array:
    """The q of the first `TERMS` terms r^-q by which log theta approaches its power law.

    From the layers they are multiples of 1/N, at N = 2 of 2/N; from the growth, the gaps of the law's tail; and sums of these.
    """
    step = (2.0 if depth == 2 else 1.0) / depth
    own = {round(k * step, 9) for k in range(1, TERMS + 1)}
    sums = {0.0}
    for gap in tail_gaps(risk.law).powers:
        sums |= {total + k * gap for total in sums for k in range(1, TERMS + 1)}
    return np.array(sorted({round(q + s, 9) for q in {0.0, *own} for s in sums} - {0.0})[:TERMS])


class Exponent(NamedTuple):
    """p of theta ~ t^-p, and its error."""

    value: float
    error: float


def late_exponent(time: Array, norm: Array, log_size: Array, powers: Array | Sequence[float]) -> Exponent:
    """-d log size/d log t at late times, of one run: least squares of A - p log t + sum_q k_q r^-q, r the measured norm.

    The corrections' sizes are free. The error is what p moves by when the last of them is left out, and the last two, and three times
    what the fit's rest leaves: where theta passes near 0 on its way, no series fits.
    """
    if not np.isfinite(log_size).all():
        return Exponent(np.nan, np.inf)
    clock, found, scatter = np.log(time / time[-1]), [], 0.0
    for count in range(len(powers) - 2, len(powers) + 1):
        columns = np.column_stack([np.ones(time.size), -clock, *((norm / norm[-1]) ** -q for q in powers[:count])])
        sizes = np.linalg.norm(columns, axis=0)
        solve = np.linalg.pinv(columns / sizes) / sizes[:, None]
        solved = solve @ log_size
        rest = columns @ solved - log_size
        scatter = float(np.linalg.norm(solve[1]) * np.linalg.norm(rest) / np.sqrt(time.size - columns.shape[1]))
        found.append(float(solved[1]))
    return Exponent(found[-1], abs(found[-1] - found[-2]) + abs(found[-2] - found[-3]) + 3.0 * scatter + ROUNDING)


@dataclass(frozen=True)
class Told:
    """The exponents of the seeds that tell one, (told,), with their errors; how many seeds there were."""

    value: Array
    error: Array
    seeds: int

    @classmethod
    def of(cls, runs: Sequence[LayerRun], powers: Array) -> "Told":
        found = []
        for run in runs:
            late = run.time >= LATE * run.time[-1] * 0.999
            for log_norm, s in zip(run.log_norm, run.log_tan_half_angle, strict=True):
                found.append(late_exponent(run.time[late], np.exp(log_norm[late]), s[late], powers))
        told = [exponent for exponent in found if exponent.error < TOLD]
        if len(told) < ENOUGH * len(found):
            raise RuntimeError(f"only {len(told)} of {len(found)} seeds tell an exponent to {TOLD:g} by t = {LAST:g}")
        return cls(np.array([one.value for one in told]), np.array([one.error for one in told]), len(found))

    @property
    def median(self) -> Exponent:
        """Over the seeds, with its error: the seeds' own, and their spread over the root of their number."""
        middle = float(np.median(self.value))
        spread = 1.4826 * float(np.median(np.abs(self.value - middle)))
        return Exponent(middle, float(np.median(self.error)) + 3.0 * spread / np.sqrt(self.value.size))

    @property
    def spread(self) -> float:
        """Half the distance between the 16th and the 84th hundredth."""
        low, high = np.quantile(self.value, [0.16, 0.84])
        return float(high - low) / 2.0

    def off(self, predicted: float) -> float:
        """How many of its own errors the median is away from ``predicted``, or the worst seed but for `OUTSIDE` of them."""
        seeds = np.sort(np.abs(self.value - predicted) / self.error)
        return max(float(seeds[-1 - int(np.ceil(OUTSIDE * seeds.size))]), abs(self.median.value - predicted) / self.median.error)

    def outside(self, predicted: float) -> int:
        """Seeds off by more than their errors."""
        return int((np.abs(self.value - predicted) > self.error).sum())


def exponents_finding(found: dict[str, Told], predicted: dict[str, float], says: str, sketch: Sketch) -> Finding:
    """Consistent if the median has the predicted exponent within its error, and so have all but `OUTSIDE` of the seeds that tell one."""
    off = {name: told.off(predicted[name]) for name, told in found.items()}
    worst = max(off, key=lambda name: off[name])
    shown = "; ".join(
        f"{name}: {with_error(*told.median)}, spread {told.spread:.0e}, {told.value.size} of {told.seeds} seeds"
        for name, told in list(found.items())[:4]
    )
    errors = np.concatenate([told.error for told in found.values()])
    outside = sum(told.outside(predicted[name]) for name, told in found.items())
    return as_formal(
        Finding(
            "holds" if off[worst] <= 1.0 else "violated",
            f"{says}: {', '.join(f'{p:.6g}' for p in dict.fromkeys(predicted.values()))}",
            f"median exponents {shown}{'; ...' if len(found) > 4 else ''}; medians and all but {outside} of {errors.size} seeds within "
            f"their errors (the worst that counts at {off[worst]:.2g} of its own)",
            f"the error of each seed, {errors.min():.0e} to {errors.max():.0e}: what the last two corrections move it by; {OUTSIDE:.0%} of "
            "the seeds may be outside",
            worst,
            {
                name: {
                    "exponent": told.median.value,
                    "error": told.median.error,
                    "predicted": predicted[name],
                    "spread": told.spread,
                    "least": float(told.value.min()),
                    "largest": float(told.value.max()),
                    "told": int(told.value.size),
                    "seeds": told.seeds,
                }
                for name, told in found.items()
            },
            sketch.done("medians over the seeds; dashed: predicted limits"),
        )
    )


def draw_exponents(sketch: Sketch, runs: Sequence[LayerRun], label: str, predicted: float) -> None:
    """The median over the seeds of the local exponent between records, and what it is to tend to."""
    time = runs[0].time
    middle = np.sqrt(time[1:] * time[:-1])
    seen = middle > 300.0
    s = np.concatenate([run.log_tan_half_angle for run in runs])
    sketch.measured(middle[seen], np.nanmedian(-np.diff(s, axis=1) / np.diff(np.log(time)), axis=0)[seen], label)
    sketch.predicted(middle[seen][[0, -1]], np.full(2, predicted))
