"""Claims about descent beside the flow it discretises."""

import numpy as np

from flowsim.claims.claim import Claim, Finding
from flowsim.claims.risk import PAPER
from flowsim.claims.settings import PAPER_START
from flowsim.dynamics import gap_order, gradient_descent
from flowsim.problem import Gaussian, PopulationRisk, Sphere, Start
from flowsim.theory import descent_cosine_bound


def _measure_order() -> Finding:
    slopes = {}
    for risk in (PopulationRisk(Sphere(2)), PopulationRisk(Gaussian(3))):
        for depth in (1, 2, 3, 4):
            order = gap_order(risk, PAPER_START, 8.0, depth)
            slopes[f"{risk.label()}, N = {depth}"] = (order.slope_norm, order.slope_direction)
    off = {name: max(abs(a - 1.0), abs(b - 1.0)) for name, (a, b) in slopes.items()}
    worst = max(off, key=lambda k: off[k])
    values = np.array(list(slopes.values()))
    return Finding(
        "holds" if off[worst] < 0.05 else "violated",
        "the gap to the flow at fixed t = eta k is proportional to eta: slope 1",
        f"slopes {values.min():.4f} to {values.max():.4f} (norm and direction)",
        "0.05, over six step sizes",
        worst,
        {name: list(pair) for name, pair in slopes.items()},
    )


def _measure_figure_1_descent() -> Finding:
    """The population descent of the figure stays within O(eta) of the flow: halving the step halves the gap at every recorded time."""
    risk = PopulationRisk(Sphere(2))
    ratios = []
    for depth in (1, 4):
        runs = [gradient_descent(risk, PAPER_START, eta, np.arange(1, 31) * round(1.0 / eta), depth) for eta in (4e-3, 2e-3, 1e-3)]
        first = np.abs(runs[0].log_tan_half_angle - runs[1].log_tan_half_angle)
        second = np.abs(runs[1].log_tan_half_angle - runs[2].log_tan_half_angle)
        ratios.append(float(np.median(first / second)))
    worst = max(ratios, key=lambda x: abs(x - 2.0))
    return Finding(
        "holds" if abs(worst - 2.0) < 0.05 else "violated",
        "successive differences of s at eta = 4e-3, 2e-3, 1e-3 halve",
        f"median ratio {', '.join(f'{x:.4f}' for x in ratios)} (N = 1, 4; 30 times to t = 30)",
        "2 +- 0.05",
        f"N = {(1, 4)[ratios.index(worst)]}",
    )


def _measure_obtuse_phase() -> Finding:
    """Theorem 2 at constant steps, from the paper's start: the bound holds while cos theta < 0."""
    least, worst = np.inf, ""
    for risk in (PopulationRisk(Sphere(2)), PopulationRisk(Gaussian(3))):
        for start in (PAPER_START, Start(5.0, 2.9), Start(0.1, 3.0)):
            for eta in (0.01, 0.3, 3.0):
                steps = np.arange(0, 400)
                run = gradient_descent(risk, start, eta, steps, 1)
                state = (0.0, float(start.norm), float(start.log_tan_half_angle))
                bound = descent_cosine_bound(risk, state, np.full(steps.size - 1, eta))
                obtuse = np.logical_and.accumulate(run.one_minus_cos > 1.0)
                gap = (1.0 - run.one_minus_cos - bound)[obtuse]
                if gap.size and gap.min() < least:
                    least, worst = float(gap.min()), f"{risk.label()}, eta = {eta:g}, |w(0)| = {float(start.norm):g}"
    return Finding(
        "holds" if least >= -1e-12 else "violated",
        "cos theta(n) >= 1 - (1 - cos theta(0)) exp(-B S_n) while cos theta < 0",
        f"least margin {least:+.2e} in cos theta",
        "1e-12 (attained at n = 0)",
        worst,
    )


def claims() -> list[Claim]:
    return [
        Claim(
            "descent-gap-first-order",
            r"|x_k - x(\eta k)| = O(\eta)",
            "derived (modified equation)",
            "the circle and Gaussian(dim=3), the paper's start, N = 1-4, t = 8",
            _measure_order,
        ),
        Claim(
            "figure-1-descent",
            r"w(0)=(0.6,-0.8),\ \eta=10^{-3}",
            f"{PAPER}, figure 1, with the population gradient",
            "the circle, N = 1 and 4, to t = 30",
            _measure_figure_1_descent,
        ),
        Claim(
            "theorem-2-constant-steps",
            r"\cos\theta(n)\ge 1-(1-\cos\theta(0))e^{-BS^-_n}",
            f"{PAPER}, Theorem 2, constant steps",
            "the circle and Gaussian(dim=3), three obtuse starts, eta = 0.01, 0.3, 3",
            _measure_obtuse_phase,
        ),
    ]
