"""Claims about what the sums of Theorems 2 and 3 cannot be, whatever the step sizes: Remarks 1 and 2."""

from collections.abc import Callable
from typing import Any

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding
from flowsim.claims.paper import PAPER
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.dynamics import log_steps
from flowsim.theory import (
    GeometricSteps,
    PowerSteps,
    StepSumCeilings,
    StepSumRange,
    step_sum,
    step_sum_ceilings,
    step_sum_range,
)

ROUNDING = 1e-12
"""Of a sum of a million terms, relative."""


def one_layer(setting: Setting) -> None:
    """OutOfScope where N = 1, of which Theorems 2 to 4 speak, is not asked for."""
    setting.depths_or((1,), high=1)


def _bounded_sequences(setting: Setting, count: int, low: float, high: float) -> dict[str, np.ndarray]:
    draw, k = setting.generator(204), np.arange(count)
    return {
        "constant": np.full(count, high),
        "random": draw.uniform(low, high, count),
        "large first": np.where(k < count // 50, high, low),
        "small first": np.where(k < count // 2, low, high),
        "in growing blocks": np.where(np.floor(np.log2(k + 1.0)) % 2 == 0, low, high),
    }


def _measure_range(setting: Setting, ranges: Callable[..., StepSumRange]) -> Finding:
    one_layer(setting)
    count, margins = 10**5, {}
    n = np.arange(count + 1.0)
    sketch = Sketch(r"$n$", r"$S_n/\sqrt{n}$", x_log=True)
    for low, high in ((1.0, 1.0), (0.5, 1.0), (0.1, 10.0)):
        for kind, sizes in _bounded_sequences(setting, count, low, high).items():
            for offset, drift in ((1.0, 0.0), (0.01, 0.6)):
                total, bound = step_sum(sizes, offset, drift), ranges(low, high, n, offset, drift)
                slack = ROUNDING * total[-1]
                margins[f"{kind} in [{low:g}, {high:g}], A = {offset:g}, C = {drift:g}"] = float(
                    np.min(np.minimum(total - bound.floor, bound.ceiling - total)[1:] + slack)
                )
                if (low, drift) == (0.5, 0.0) and kind in ("large first", "small first"):
                    shown = log_steps(count)[1:]
                    sketch.measured(shown, total[shown] / np.sqrt(shown), kind)
                    if kind == "small first":
                        sketch.limit(shown, bound.floor[shown] / np.sqrt(shown), "floor")
                        sketch.limit(shown, bound.ceiling[shown] / np.sqrt(shown), "ceiling")
    worst = min(margins, key=lambda name: margins[name])
    return Finding(
        "holds" if margins[worst] >= 0.0 else "violated",
        "floor <= S_n <= ceiling at every n, both of the order sqrt(n)",
        f"least margin {margins[worst]:+.2e} over n = 1, ..., {count}, {len(margins)} sums",
        f"{ROUNDING:g} of S_n, rounding",
        worst,
        margins,
        sketch.done("step sizes in [0.5, 1]"),
    )


def _measure_ceilings(setting: Setting, ceilings: Callable[..., StepSumCeilings]) -> Finding:
    one_layer(setting)
    count, reached = 10**5, {}
    draw = setting.generator(205)
    sequences: dict[str, np.ndarray] = {
        "constant 0.005": np.full(count, 0.005),
        "q = 1.01": GeometricSteps(0.1, 1.01).sizes(30_000),
        "q = 1000": GeometricSteps(1000.0, 1000.0).sizes(45),
        "p = 3": PowerSteps(0.1, 3.0).sizes(count),
        "p = -1/2": PowerSteps(1.0, -0.5).sizes(count),
        "p = -2": PowerSteps(1.0, -2.0).sizes(count),
        "random over eight decades": 10.0 ** draw.uniform(-4.0, 4.0, count),
        "exp of a random walk": np.exp(np.cumsum(draw.normal(0.0, 0.5, 30_000))),
    }
    sketch = Sketch(r"$n$", r"$S_n$ / the least ceiling", x_log=True)
    for name, sizes in sequences.items():
        for offset, drift in ((1.0, 0.0), (1.0, 0.6)):
            total = step_sum(sizes, offset, drift)[1:]
            shares = [total / ceiling[1:] for ceiling in ceilings(sizes, offset, drift)]
            for which, share in zip(StepSumCeilings._fields, shares, strict=True):
                reached[f"{name}, C = {drift:g}, by {which}"] = float(share.max())
            if name in ("constant 0.005", "q = 1.01", "q = 1000", "p = -1/2") and drift:
                shown = log_steps(total.size)[1:]
                sketch.measured(shown, np.max(shares, axis=0)[shown - 1], name)
    sketch.limit(np.array([1.0, count]), np.ones(2), "all of it")
    worst = max(reached, key=lambda name: reached[name])
    most = {which: max(share for name, share in reached.items() if name.endswith(which)) for which in StepSumCeilings._fields}
    return Finding(
        "holds" if reached[worst] <= 1.0 + ROUNDING else "violated",
        "S_n below n, below sqrt(n log(1 + sum of squares/A)), below (2/C) (sqrt(A + C t_n) - sqrt(A)), at every n",
        "reached at most " + ", ".join(f"{share:.4f} of the ceiling by {which}" for which, share in most.items()),
        f"{ROUNDING:g}, rounding",
        worst,
        reached,
        sketch.done(),
    )


def _narrower(low: float, high: float, n: Any, offset: float, drift: float) -> StepSumRange:
    bound = step_sum_range(low, high, n, offset, drift)
    return StepSumRange(1.01 * bound.floor, bound.ceiling / 1.01)


def _lower(sizes: Any, offset: float, drift: float) -> StepSumCeilings:
    return StepSumCeilings(*(0.99 * ceiling for ceiling in step_sum_ceilings(sizes, offset, drift)))


def claims() -> list[Claim]:
    remarks = ("Remark 1", "Remark 2")
    return [
        Claim(
            "remarks-bounded-steps",
            r"\eta_k\in[\eta_-,\eta_+]:\ \frac{2\eta_-}{v_+}\left(\sqrt{A+(n+1)v_+}-\sqrt{A+v_+}\right)\le S_n\le"
            r"\frac{2\eta_+}{v_-}\left(\sqrt{A+nv_-}-\sqrt{A}\right),\ v_\pm=\eta_\pm^2+C\eta_\pm",
            f"{PAPER}, Remarks 1 and 2; derived here",
            "five sequences in each of [1, 1], [0.5, 1], [0.1, 10]; 1e5 steps",
            step_sum_range,
            _measure_range,
            "S_n, summed term by term, beside both bounds at every n.",
            "One n of one sequence at which S_n leaves the range.",
            Control("floor and ceiling 1 % closer together on either side", _narrower),
            derivation="step_sums",
            about=remarks,
        ),
        Claim(
            "remarks-no-faster-schedule",
            r"S_n<n,\quad S_n\le\sqrt{n\log\left(1+\tfrac1A\sum\eta_k^2\right)},\quad "
            r"S^+_n\le\tfrac2C\left(\sqrt{A+Ct_n}-\sqrt{A}\right),\ t_n=\sum\eta_k",
            "derived: Theorems 2 and 3 prove no more than exp(-b n), and no more than exp(-b sqrt(n log n)) of powers of k",
            "eight schedules: constant, growing, decaying, geometric, random; C = 0 and 0.6; to 1e5 steps",
            step_sum_ceilings,
            _measure_ceilings,
            "S_n, summed term by term, over each ceiling at every n; the schedules include those that come nearest to each.",
            "One n of one schedule at which S_n exceeds a ceiling.",
            Control("each ceiling 1 % lower", _lower),
            derivation="step_sums",
            about=remarks,
        ),
    ]
