"""Claims about margins and rates: the smoothed margin never falls, the norm and the loss follow log t, and the limit is a KKT point.

Late, q_i ~ gamma |W|^p of those samples that push. With cos = cos(W, -grad L), |grad log L| = p q/(|W| cos), and log 1/L ~ log t asks
t L |grad log L|^2 = 1:   t L = cos^2 |W|^2/(p q)^2,  |W|^p = q/gamma,  q ~ log t.
"""

from collections.abc import Callable
from math import e
from typing import NamedTuple

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.finite.runs import LAST, LINEAR_DEPTHS, LOG_TIMES, SEEDS, SIZE, bent_kinds, every_flow, linear, require_own_data
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import OutOfScope, Setting

NEVER = 1e-9
"""Of the smoothed margin, by which it may fall: rounding of |W|^p times differences of margins, at a tolerance of 1e-11."""
NORM_ACCURACY, LOSS_ACCURACY = 0.01, 0.02
"""Of gamma |W|^p/log t: log L is off -log t by log of a power of log t, 1e-3 of it at log t = 1e4; of t L."""


class Rates(NamedTuple):
    """norm: of log t in |W|^p.  loss: of log t in 1/(t L)."""

    norm: float
    loss: float


def rates(order: float) -> Rates:
    """|W|^p ~ log t/gamma, and L ~ 1/(p^2 gamma^(2/p) t (log t)^(2-2/p))."""
    return Rates(1.0, 2.0 - 2.0 / order)


def _kinds(setting: Setting) -> list[str]:
    """Linear networks, and where no depths are asked for others too."""
    require_own_data(setting)
    own = [linear(depth) for depth in setting.depths_or(LINEAR_DEPTHS, high=6)]
    return own if setting.depths is not None else [*own, *bent_kinds(setting)]


def _measure_monotone(setting: Setting, theory: Callable[[float], float]) -> Finding:
    gaps: dict[str, float] = {}
    sketch = Sketch(r"$\log t$", "smoothed margin over its last value", x_log=True)
    for case, run in every_flow(_kinds(setting), setting):
        held = run.separated
        if np.count_nonzero(held) < 20:
            raise OutOfScope("speaks of data that are separated")
        # a normalised margin by |W|^p, of another p where the theory is another
        margin = (run.smoothed_margin * np.exp((run.order - theory(run.order)) * run.log_norm))[held]
        gaps[case] = float((np.maximum.accumulate(margin) - margin).max() / margin.max()) / NEVER
        if case.endswith("seed 0"):
            sketch.measured(np.maximum(run.log_time[held], 0.1), margin / margin[-1], case.removesuffix(", seed 0"))
    return finding_of_gaps(
        gaps,
        1.0,
        "l^(-1)(n L)/|W|^p never falls once n L < l(0)",
        "largest fall, over the tolerance, {gap} in {count} flows",
        f"{NEVER:g} of the largest value",
        "fall over what is allowed",
        sketch.done(),
    )


def _measure_rates(setting: Setting, theory: Callable[[float], Rates]) -> Finding:
    gaps: dict[str, float] = {}
    sketch = Sketch(r"$\log t$", r"$p^2\gamma^{2/p}\,t\,L\,(\log t)^{2-2/p}$", x_log=True)
    for case, run in every_flow(_kinds(setting), setting):
        expected, p, gamma = theory(run.order), run.order, run.normalised_margin[-1]
        norm = np.log(gamma) + p * run.log_norm
        gaps[f"{case}, norm"] = abs(float(np.exp(norm[-1]) / LAST**expected.norm) - 1.0) / NORM_ACCURACY
        with np.errstate(invalid="ignore"):
            level = 2.0 * np.log(p) + 2.0 / p * np.log(gamma) + run.log_loss + run.log_time + expected.loss * np.log(run.log_time)
        # t L is cos^2 of its limit on the way
        late = level - 2.0 * np.log1p(-np.minimum(run.alignment_gap, 0.999))
        gaps[f"{case}, loss"] = abs(float(np.exp(late[-1])) - 1.0) / LOSS_ACCURACY
        if case.endswith("seed 0"):
            shown = run.log_time > 1.0
            sketch.measured(run.log_time[shown], np.exp(late[shown]), case.removesuffix(", seed 0"))
    return finding_of_gaps(
        gaps,
        1.0,
        "|W|^p ~ log t/gamma and L ~ cos^2(W, -grad L)/(p^2 gamma^(2/p) t (log t)^(2-2/p))",
        f"at log t = {LAST:g} both within {{gap}} of what is allowed, in {{count}} cases",
        f"{NORM_ACCURACY:g} of |W|^p, {LOSS_ACCURACY:g} of t L",
        "gap over what is allowed",
        sketch.done(),
    )


def slackness_bound(size: int) -> float:
    """Of q sum_i pi_i (q_i - q)/(q sum_i pi_i), q the least: x exp(-x) is at most 1/e, for each of the n - 1 others."""
    return (size - 1) / e


def _measure_kkt(setting: Setting, theory: Callable[[int], float]) -> Finding:
    gaps: dict[str, float] = {}
    sketch = Sketch(r"$\log t$", "slackness", x_log=True, y_log=True)
    largest, turned = 0.0, 0.0
    for case, run in every_flow(_kinds(setting), setting):
        late = run.log_time > 20.0
        q = run.normalised_margin[late] * np.exp(run.order * run.log_norm[late])
        slack = run.slackness[late] * q
        largest = max(largest, float(slack.max()))
        gaps[f"{case}, slackness"] = float(slack.max()) / theory(run.margins.shape[1])
        # what it was at log t = 20; below 0.2 it had fallen already
        gaps[f"{case}, stationarity"] = float(run.stationarity[-1] / max(run.stationarity[late][0], 0.2))
        turned = max(turned, float(run.stationarity[-1]))
        if case.endswith("seed 0"):
            sketch.measured(run.log_time[late], run.slackness[late], case.removesuffix(", seed 0"))
    # min q is log t, but for a logarithm of it
    shown = LOG_TIMES[LOG_TIMES > 20.0]
    sketch.limit(shown, theory(SIZE) / shown, "bound")
    return finding_of_gaps(
        gaps,
        1.0,
        "slackness is at most (n - 1)/(e min q), min q ~ log t, and |u - c sum pi_i grad q_i| tends to 0",
        f"min q times the slackness {largest:.3g} at most, where {theory(SIZE):.3g} is allowed; stationarity {turned:.2g} at most at the "
        "end; {gap} of what is allowed",
        "none: the bound is exact; the stationarity is to fall",
        "share of what is allowed",
        sketch.done(),
    )


def claims() -> list[Claim]:
    own = f"linear networks, N = 1, 2, 3, ReLU and leaky ReLU, {SEEDS} mixtures with a start each (12, and more networks, in --thorough)"
    return [
        Claim(
            name="smoothed-margin-never-falls",
            statement=r"nL<\ell(0)\ \Rightarrow\ \frac{d}{dt}\,\frac{\ell^{-1}(nL)}{|W|^p}\ge0",
            source="Lyu, Li 2019 (arXiv 1906.05890), Theorem 4.1",
            derivation="homogeneous_rates",
            setting=f"{own}, at 120 records to log t = 1e4",
            theory=lambda order: order,
            measure=_measure_monotone,
            method="The margin at every record from where n L < l(0) on, beside the largest one before it.",
            fails=f"one fall by more than {NEVER:g} of the margin",
            control=Control("|W|^(1.01 p)", lambda order: 1.01 * order),
        ),
        Claim(
            name="homogeneous-norm-and-loss",
            statement=r"|W|^p\sim\frac{\log t}{\gamma},\qquad L\sim\frac{1}{p^2\gamma^{2/p}\,t\,(\log t)^{2-2/p}}",
            source="Lyu, Li 2019, Corollary 4.3 (orders); constants: derived",
            setting=f"{own}, to log t = 1e4",
            theory=rates,
            measure=_measure_rates,
            method="|W|^p and t L at log t = 1e4, with gamma the normalised margin at the end; t L divided by cos^2(W, -grad L).",
            fails=f"|W|^p off by {NORM_ACCURACY:g} or t L by {LOSS_ACCURACY:g}, relatively",
            control=Control("2 - 1.99/p", lambda order: Rates(1.0, 2.0 - 1.99 / order)),
            derivation="homogeneous_rates",
        ),
        Claim(
            name="homogeneous-limits-are-kkt-points",
            statement=r"\min\tfrac12|W|^2\ \text{s.t.}\ y_if(W;x_i)\ge1:\quad \frac{\sum_i\pi_i(q_i-q_{\min})}{q_{\min}\sum_i\pi_i}"
            r"\le\frac{n-1}{e\,q_{\min}},\qquad \Big|\frac{W}{|W|}-c\sum_i\pi_i\nabla q_i\Big|\to0",
            source="Lyu, Li 2019, Theorem 4.4; the bound: derived",
            setting=f"{own}, to log t = 1e4",
            theory=slackness_bound,
            measure=_measure_kkt,
            method="The run's own weights pi_i as multipliers: slackness at every record from log t = 20 on, and the angle between W and "
            "-grad L, at the end and at log t = 20.",
            fails="one slackness above the bound, or a stationarity that has not fallen",
            control=Control("a bound 100 times less", lambda size: slackness_bound(size) / 100.0),
            derivation="homogeneous_rates",
        ),
    ]
