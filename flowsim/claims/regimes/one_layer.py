"""Claims about one layer: its direction converges at every step size, and how far behind the flow it stays."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.claims.units import tail_correction, unit_norm, unit_step_size, with_power_tails
from flowsim.dynamics import Trajectory, gradient_descent, gradient_flow
from flowsim.problem import PopulationRisk, Start

Array = np.ndarray
STEPS = np.array([10**9, 10**12, 10**15, 10**18])


class LateRun(NamedTuple):
    """size: eta c in units of 1/E|x_1|.  step_size: eta."""

    name: str
    size: float
    step_size: float
    run: Trajectory

    @property
    def label(self) -> str:
        return rf"$\eta c={self.size:g}/E|x_1|$"


FlowLaw = Callable[[PopulationRisk, Start, Array], Array]


def flow_direction(risk: PopulationRisk, start: Start, time: Array) -> Array:
    """s of the flow of one layer at these times."""
    run = gradient_flow(risk, start, time, 1)
    run.require_ok()
    return run.log_tan_half_angle


def late_runs(setting: Setting, risks: tuple[PopulationRisk, ...], sizes: tuple[float, ...]) -> list[LateRun]:
    """One layer to k = 1e18, from two starts and a random one, at eta c = sizes in units of 1/E|x_1|; the sizes from one start first."""
    setting.depths_or((1,), high=1)
    draw = setting.generator(410)
    starts = [(0.1, 2.8), (20.0, 2.0), (float(np.exp(draw.uniform(-2.0, 2.0))), float(draw.uniform(0.1, 3.1)))]
    out = []
    for risk in risks:
        for norm, angle in starts:
            for size in sizes:
                eta = size * unit_step_size(risk, 1)
                run = gradient_descent(risk, Start(norm * unit_norm(risk), angle), eta, STEPS, 1)
                run.require_ok()
                name = f"{risk.label()}, eta c = {size:.3g}/E|x_1|, |w(0)| = {norm:.3g}/E|x_1|, theta(0) = {angle:.3g}"
                out.append(LateRun(name, size, eta, run))
    return out


def _measure_any_step_size(setting: Setting, theory: FlowLaw) -> Finding:
    gaps, sketch, least = {}, Sketch("step $k$", r"$-s$", True, True), np.inf
    for late in late_runs(setting, setting.risks_or(), (0.1, 2.1, 1000.0)):
        run = late.run
        predicted = theory(run.problem, run.start, run.time)
        # every step counts for log(1 - sigma) in the place of -sigma: see one-layer-late-gap
        allowed = 4.0 * late.step_size * run.problem.pull / float(run.norm[-1]) + 1e-9
        gaps[late.name] = abs(float(run.log_tan_half_angle[-1] / predicted[-1]) - 1.0) / allowed
        least = min(least, -float(run.log_tan_half_angle[-1]))
        if len(sketch.curves) < 6:
            sketch.measured(STEPS, -run.log_tan_half_angle, late.label, points=True)
            sketch.predicted(STEPS, -predicted)
    return finding_of_gaps(
        gaps,
        1.0,
        "the direction converges at every step size, and late s is the flow's at t = eta k",
        f"gap of s at k = 1e18 over 4 eta c/r: {{gap}} at most, {{count}} runs; least -s {least:.3g}",
        "4 eta c/r, the size of the last step against the norm, 1e-3 at most for these",
        "gap over its size",
        sketch.done(),
    )


LateGap = Callable[[float, float], float]


def late_gap(tail_exponent: float, step_over_norm: float) -> float:
    """(1+a) eta c/(2 a r): -sum of sigma^2/2 over that of sigma, sigma = eta c/r, r ~ t^(1/(a+2))."""
    return (1.0 + tail_exponent) / (2.0 * tail_exponent) * step_over_norm


def _measure_late_gap(setting: Setting, theory: LateGap) -> Finding:
    gaps, limit = {}, 1e-3
    sketch = Sketch("step $k$", "relative gap of $s$ to the flow", True, True)
    for late in late_runs(setting, with_power_tails(setting.risks_or()), (0.1, 10.0, 100.0)):
        run = late.run
        predicted = np.array([theory(run.problem.tail.exponent, late.step_size * run.problem.pull / r) for r in run.norm])
        found = run.log_tan_half_angle / flow_direction(run.problem, run.start, run.time) - 1.0
        gaps[late.name] = abs(float(found[-1] / predicted[-1]) - 1.0)
        far = float(run.norm[-1])
        # what the first steps count for in the sum of r^-2, which goes like r^a
        early = 20.0 * (unit_norm(run.problem) / far) ** run.problem.tail.exponent
        limit = max(limit, 1e-3 + early + tail_correction(run.problem, far))
        if len(sketch.curves) < 6:
            sketch.measured(STEPS, found, late.label, points=True)
            sketch.predicted(STEPS, predicted)
    return finding_of_gaps(
        gaps,
        limit,
        "late s is that of the flow at t = eta k times 1 + (1+a) eta c/(2 a r)",
        "measured over predicted relative gap at k = 1e18: 1 to {gap}, {count} runs",
        f"{limit:.1e}: 1e-3 for the next order in eta c/r, the first steps' share, and the growth's distance from its tail",
        "gap of the gap",
        sketch.done(),
    )


def claims() -> list[Claim]:
    """In the order of the report."""
    return [
        Claim(
            name="one-layer-converges-at-any-step-size",
            statement=r"N=1:\quad \theta_k\to 0\ \text{for every } \eta>0",
            source="derived",
            setting="six laws, three starts, one of them random, eta c from 0.1 to 1000 times 1/E|x_1|, k = 1e18",
            theory=flow_direction,
            measure=_measure_any_step_size,
            method="s after 1e18 steps against that of the flow at t = eta k, which goes to -infinity.",
            fails="one run that does not get there, or whose s is off the flow's by more than 4 eta c/r, relatively",
            control=Control("the flow at 1.02 eta k", lambda risk, start, time: flow_direction(risk, start, 1.02 * time)),
            derivation="edge_of_stability",
        ),
        Claim(
            name="one-layer-late-gap",
            statement=r"N=1:\quad s_k=s(\eta k)\left(1+\frac{1+a}{2a}\,\frac{\eta c}{r_k}+\dots\right)",
            source="derived",
            setting="six laws, three starts, one of them random, eta c from 0.1 to 100 times 1/E|x_1|, k = 1e18",
            theory=late_gap,
            measure=_measure_late_gap,
            method="The relative gap of s after 1e18 steps to that of the flow at t = eta k, over what each step's log(1 - sigma) beyond "
            "-sigma adds up to.",
            fails="one ratio that is not 1 to 0.1 %, the share of the first steps, r^-a, and the distance of the growth from its tail",
            control=Control("1.003 times the gap", lambda a, x: 1.003 * late_gap(a, x)),
            derivation="edge_of_stability",
        ),
    ]
