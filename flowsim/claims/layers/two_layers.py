"""Claim about two rank-one layers without balance: their imbalance shows in the direction as a term in sqrt(t)."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.layers.runs import BATCH, teacher
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.claims.units import with_power_tails
from flowsim.layers import LayerRun, Layers, balanced_rank_one, layer_flow
from flowsim.problem import Gaussian, Laplace, PopulationRisk, Sphere, StudentT
from flowsim.theory import unbalanced_two_layer_direction

Array = np.ndarray
Late = Callable[[PopulationRisk, Array, float, int], Array]

RATIOS = np.array([0.1, 0.3, 0.6, 0.8, 1.25, 1.7, 3.0, 9.0])
"""|z|/a at the start: four networks of either sign of delta."""
TIMES = np.geomspace(1e2, 1e12, 61)
SPAN = (30, 48)
"""Records at t = 1e7 and 1e10: from there on s itself, -c t, is known to less of sqrt(t) than is to be seen."""
WITH_LOGARITHM, WITHOUT = 1e-6, 1e-2
"""Tolerances: the next order of the whole, t^(-1/2), is 1e-7 of sqrt(t) there; without the logarithm, log(t)/sqrt(t) and powers of r."""


@lru_cache(maxsize=16)
def unequal_flow(risk: PopulationRisk, seed: int) -> LayerRun:
    """`BATCH` networks w = a z of width 3 with |z|/a as in `RATIOS` and |w| = 1/E|x_1|, to t = 1e12."""
    dim = risk.law.dim
    network = balanced_rank_one(dim, 2, 3, norm=0.5 / risk.pull, seeds=range(BATCH * seed, BATCH * (seed + 1)))
    part = np.sqrt(RATIOS)[:, None, None]
    start = Layers([network.matrices[0] * part, network.matrices[1] / part])
    run = layer_flow(risk, start, TIMES, v=teacher(dim), rtol=1e-12, observe=())
    run.require_ok()
    return run


def _measure_late(setting: Setting, theory: Late) -> Finding:
    setting.depths_or((2,), low=2, high=2)
    gaps: dict[str, float] = {}
    sketch = Sketch("$t$", r"$(s+ct-\mathrm{const})/\sqrt{t}$", x_log=True)
    risks = with_power_tails(setting.risks_or(Gaussian(3), Laplace(3), *((Sphere(3), StudentT(2, 3.0)) if setting.thorough else ())))
    for i, risk in enumerate(risks):
        run = unequal_flow(risk, setting.seed)
        first, second = (np.linalg.norm(matrix, axis=(-2, -1)) for matrix in run.start.matrices)
        unequal = first**2 - second**2
        time, turned = run.time, run.log_tan_half_angle + risk.pull * run.time
        begin, end = SPAN
        order = 2 if risk.tail.exponent == 1.0 and np.isfinite(risk.tail.next_coefficient) else 1
        law = [theory(risk, unequal, float(time[k]), order) + risk.pull * time[k] for k in (begin, end)]
        found = (turned[:, end] - turned[:, begin]) / (law[1] - law[0])
        limit = WITH_LOGARITHM if order == 2 else WITHOUT
        for delta, gap in zip(unequal, np.abs(found - 1.0), strict=True):
            gaps[f"{risk.label()}, delta = {delta:.4g}"] = float(gap) / limit
        if i == 0:
            seen = slice(0, end)
            for k in (1, 2, 5, 6):
                ours = np.array([theory(risk, unequal[k], float(t), order) + risk.pull * t for t in time[seen]])
                # the constant of the start, from the last record shown
                shift = turned[k, end] - (theory(risk, unequal[k], float(time[end]), order) + risk.pull * time[end])
                sketch.measured(time[seen], (turned[k, seen] - shift) / np.sqrt(time[seen]), rf"$\delta={unequal[k]:.3g}$", points=True)
                sketch.predicted(time[seen], ours / np.sqrt(time[seen]))
    return finding_of_gaps(
        gaps,
        1.0,
        "s + c t grows like c delta/(2 sqrt K) sqrt t - c delta (delta + 4 gamma)/(32 K) log t, and with a tail a like t^(a/(a+1))",
        "growth of s + c t from t = 1e7 to 1e10 over its law: largest gap {gap} of its tolerance, {count} networks of either sign of delta",
        f"{WITH_LOGARITHM:g} with the logarithm; {WITHOUT:g} on laws of which only the first term is known",
        "gap over its tolerance",
        sketch.done(),
    )


def claims() -> list[Claim]:
    def off(risk: PopulationRisk, imbalance: Any, t: Any, order: int) -> Array:
        return unbalanced_two_layer_direction(risk, imbalance * (1.0 + 1e-5), t, order)

    return [
        Claim(
            name="unbalanced-two-layers-late",
            statement=r"w=az,\ \delta=|z|^2-a^2:\quad s+ct=\frac{c\,\delta}{2\sqrt K}\sqrt t-\frac{c\,\delta(\delta+4\gamma)}{32K}\log t"
            r"+\mathrm{const}+O(t^{-1/2})",
            source="derived",
            setting="Gaussian(3), Laplace(3) (and Sphere(3), StudentT(2) in a thorough run); width 3; |z|/a from 0.1 to 9 at the start",
            theory=unbalanced_two_layer_direction,
            measure=_measure_late,
            method="What s + c t gains from t = 1e7 to 1e10 along flows at rtol = 1e-12, over what the law gains.",
            fails=f"one network whose gain is off by more than {WITH_LOGARITHM:g} of it",
            control=Control("delta larger by 1e-5", off),
            derivation="unbalanced_layers",
        )
    ]
