"""Claims about the norm along the flow: Lemma 4's ceiling and floor, as printed and as derived, and a floor at every depth."""

from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from flowsim.claims.claim import Claim, Control, Finding
from flowsim.claims.flow.paths import few_risks, time_unit
from flowsim.claims.paper import PAPER
from flowsim.claims.picture import Sketch
from flowsim.claims.problem.lemma_1 import plane_constant
from flowsim.claims.settings import Case, Setting, risk_of
from flowsim.dynamics import Trajectory, gradient_flow
from flowsim.problem import Law, PopulationRisk, Start
from flowsim.theory import Lemma4, State, norm_floor

FLOW = 1e-9
"""The flow's accuracy, in log r."""

FAR = ((1e4, 3.14), (1e4, 2.0), (1e4, 1.0))
"""2c|w(0)| and theta(0) of starts so far out that h hardly counts: there floors are nearly reached."""

LogBound = Callable[[Case, np.ndarray], np.ndarray]


@cache
def _steepest(law: Law) -> float:
    """The norm at which r h(r) is largest: from there an aligned run grows as fast as the ceiling allows."""
    risk = risk_of(law)
    unit = 0.5 / risk.pull
    least: Any = minimize_scalar(lambda u: -np.exp(u) * float(risk.growth(np.exp(u))), bounds=(np.log(0.1 * unit), np.log(100.0 * unit)))
    return float(np.exp(least.x))


@lru_cache(maxsize=512)
def _run(risk: PopulationRisk, depth: int, norm: float, angle: float) -> Trajectory:
    """From 1e-3 to 1000 of the start's own time units."""
    run = gradient_flow(risk, Start(norm, angle), time_unit(risk, norm, depth) * np.geomspace(1e-3, 1e3, 60), depth)
    run.require_ok()
    return run


def _edge_cases(setting: Setting, depths: tuple[int, ...]) -> Iterator[tuple[Case, Trajectory]]:
    """Flows that come near to the bounds, in the laws' own units: aligned where r h(r) is largest, and far out."""
    for risk in few_risks(setting):
        for depth in depths:
            for norm, angle in ((_steepest(risk.law), 1e-3), *((size / (2.0 * risk.pull), angle) for size, angle in FAR)):
                yield Case(risk, depth, Start(norm, angle)), _run(risk, depth, norm, angle)


def _measure(setting: Setting, bound: LogBound, above: bool, low: int, own: tuple[int, ...], predicted: str) -> Finding:
    """Holds if log r is on the right side of the bound's logarithm, at every record of every flow."""
    cases = [*setting.cases(own, low=low), *_edge_cases(setting, setting.depths_or(own, low=low))]
    sign, least, worst, shown = (1.0 if above else -1.0), np.inf, "", (cases[0], np.inf)
    largest: dict[str, float] = {}
    for case, run in cases:
        slack = float(np.nan_to_num(sign * (bound(case, run.time) - run.log_norm), nan=-np.inf, posinf=np.inf, neginf=-np.inf).min())
        label = case.risk.label()
        largest[label] = min(largest.get(label, np.inf), slack)
        if slack < least:
            least, worst, shown = slack, str(case), ((case, run), slack)
    sketch = Sketch("$t$", "$|w|/|w(0)|$", x_log=True, y_log=True)
    for i, (case, run) in enumerate((shown[0], cases[0])):
        log_start = np.log(float(case.start.norm))
        name = ("nearest to the bound", "first case")[i]
        sketch.measured(run.time, np.exp(run.log_norm - log_start), f"{name}, N = {case.depth}")
        values = bound(case, run.time) - log_start
        inside = np.abs(values) < 600.0
        sketch.limit(run.time[inside], np.exp(values[inside]), "bound")
    return Finding(
        "holds" if least >= -FLOW else "violated",
        predicted,
        f"least distance in log r {least:.3g} over {len(cases)} flows",
        f"{FLOW:g} in log r (the flow's accuracy)",
        worst,
        {"least distance": largest, "flows": len(cases)},
        sketch.done(worst),
    )


DEEP = (3, 4, 5)


def _measure_ceiling(setting: Setting, theory: Any) -> Finding:
    return _measure(setting, theory, True, 3, DEEP, "r(t) <= (r(0)^(2/N) + k t)^(N/2)")


def _measure_floor(setting: Setting, theory: Any) -> Finding:
    return _measure(setting, theory, False, 3, DEEP, "r(t) >= (r(0)^(2/N-1) + (N-2) k t)^(-N/(N-2))")


def _measure_norm_floor(setting: Setting, theory: Any) -> Finding:
    return _measure(setting, theory, False, 1, (1, 2, 3, 4, 5), "r(t) >= r(0) ((1 + cos theta(0))/2)^N")


def _lemma_4(case: Case, variant: str) -> Lemma4:
    return Lemma4(case.risk, State.of(case.start), case.depth, variant)


def ceiling_of_the_paper(case: Case, t: np.ndarray) -> np.ndarray:
    """log of (r(0)^(2/N) + 0.6 t)^(N/2)."""
    return np.log(_lemma_4(case, "as_printed").upper(t))


def ceiling(constant: float) -> LogBound:
    """log of (r(0)^(2/N) + constant t)^(N/2)."""

    def bound(case: Case, t: np.ndarray) -> np.ndarray:
        base = float(case.start.norm) ** (2.0 / case.depth)
        return 0.5 * case.depth * np.log(base + constant * t)

    return bound


def floor_as(variant: str) -> LogBound:
    """log of Lemma 4's floor, with k = c0 as printed or 2 c0/pi as derived."""

    def bound(case: Case, t: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(_lemma_4(case, variant).lower(t))

    return bound


def _floor(constant: float) -> LogBound:
    """log of the floor with k = constant c0."""

    def bound(case: Case, t: np.ndarray) -> np.ndarray:
        excess, base = case.depth - 2, float(case.start.norm) ** (2.0 / case.depth - 1.0)
        return -case.depth / excess * np.log(base + excess * constant * np.pi * case.risk.pull * t)

    return bound


def log_norm_floor(case: Case, t: np.ndarray) -> np.ndarray:
    """log of r(0) ((1 + cos theta(0))/2)^N; -inf where that underflows, in deep networks."""
    with np.errstate(divide="ignore"):
        return np.full_like(t, np.log(norm_floor(State.of(case.start), case.depth)))


def claims() -> list[Claim]:
    extra = "four starts near the bounds for three laws"
    deep = f"six laws, N = 3, 4, 5, eight starts, to t = 1e12; {extra}"
    method = "log r at 240 records of each flow and 60 of each extra one, beside the bound from the same start."
    above, below = (f"one record of one flow with log r {side} 1e-9 the bound's" for side in ("above by more than", "below by more than"))
    return [
        Claim(
            name="lemma-4-ceiling",
            statement=r"N > 2:\quad r(t) \le (r_0^{2/N}+0.6\,t)^{N/2}",
            source=f"{PAPER}, Lemma 4",
            setting=deep,
            theory=ceiling_of_the_paper,
            measure=_measure_ceiling,
            method=method,
            fails=above,
            control=Control("0.465 in the place of 0.6", ceiling(0.465)),
            derivation="bounds",
            about=("Lemma 4",),
        ),
        Claim(
            name="lemma-4-ceiling-in-the-plane",
            statement=r"N > 2:\quad r(t) \le (r_0^{2/N}+2C\,t)^{N/2},\quad "
            r"C = \max_z \frac{2}{\pi}\int_0^{\pi/2}\frac{z\sin\delta}{1+e^{z\sin\delta}}\,d\delta",
            source="derived",
            setting=deep,
            theory=lambda case, t: ceiling(2.0 * plane_constant())(case, t),
            measure=_measure_ceiling,
            method=method,
            fails=above,
            control=Control("C smaller by 0.1 %", lambda case, t: ceiling(2.0 * 0.999 * plane_constant())(case, t)),
            about=("Lemma 4",),
        ),
        Claim(
            name="lemma-4-floor-as-printed",
            statement=r"N > 2:\quad r(t) \ge (r_0^{2/N-1}+(N-2)\,c_0\,t)^{-N/(N-2)}",
            source=f"{PAPER}, Lemma 4",
            setting=deep,
            theory=floor_as("as_printed"),
            measure=_measure_floor,
            method=method,
            fails=below,
            control=Control("0.636 c0 in the place of c0, just below 2 c0/pi", _floor(0.636)),
            derivation="bounds",
            about=("Lemma 4",),
        ),
        Claim(
            name="lemma-4-floor-as-derived",
            statement=r"N > 2:\quad r(t) \ge (r_0^{2/N-1}+(N-2)\,\tfrac{2c_0}{\pi}\,t)^{-N/(N-2)}",
            source="derived",
            setting=deep,
            theory=floor_as("as_derived"),
            measure=_measure_floor,
            method=method,
            fails=below,
            control=Control("a constant smaller by 0.1 %", _floor(0.999 * 2.0 / np.pi)),
            derivation="bounds",
            about=("Lemma 4",),
        ),
        Claim(
            name="norm-floor",
            statement=r"r(t) \ge r_0\,(\tfrac{1+\cos\theta_0}{2})^N",
            source="derived",
            setting=f"six laws, N = 1 to 5, eight starts, to t = 1e12; {extra}",
            theory=log_norm_floor,
            measure=_measure_norm_floor,
            method=method,
            fails=below,
            control=Control("a floor higher by 1e-6", lambda case, t: log_norm_floor(case, t) + 1e-6),
            derivation="bounds",
        ),
    ]
