"""Claims about descent beside the flow it discretises."""

from collections.abc import Callable

import numpy as np

from flowsim.claims.claim import Claim, Finding
from flowsim.claims.risk import PAPER
from flowsim.claims.settings import PAPER_START
from flowsim.dynamics import GapOrder, gap_order, gradient_descent
from flowsim.problem import Gaussian, PopulationRisk, Sphere


def _orders() -> dict[str, GapOrder]:
    return {
        f"{risk.label()}, N = {depth}": gap_order(risk, PAPER_START, 8.0, depth)
        for risk in (PopulationRisk(Sphere(2)), PopulationRisk(Gaussian(3)))
        for depth in (1, 2, 3, 4)
    }


def _measure_slopes(expected: float, of: Callable[[GapOrder], tuple[float, float]], tolerance: float, predicted: str) -> Finding:
    """Two numbers of each `GapOrder`, for the norm and the direction, against the one they should be."""
    found = {name: of(order) for name, order in _orders().items()}
    off = {name: max(abs(a - expected), abs(b - expected)) for name, (a, b) in found.items()}
    worst = max(off, key=lambda k: off[k])
    values = np.array(list(found.values()))
    return Finding(
        "holds" if off[worst] < tolerance else "violated",
        predicted,
        f"{values.min():.4f} to {values.max():.4f} (norm and direction)",
        f"{tolerance:g}",
        worst,
        {name: list(pair) for name, pair in found.items()},
    )


def _measure_order() -> Finding:
    return _measure_slopes(
        1.0,
        lambda order: (order.slope_norm, order.slope_direction),
        0.05,
        "the gap to the flow at fixed t = eta k is proportional to eta: slope 1 over six step sizes",
    )


def _measure_constant() -> Finding:
    return _measure_slopes(
        1.0,
        lambda order: (order.ratio_norm, order.ratio_direction),
        0.01,
        "gap/(eta e(t)) = 1 + O(eta), e' = g' e - g' g/2, at eta = t/2^14",
    )


def _measure_corrected_order() -> Finding:
    return _measure_slopes(
        2.0,
        lambda order: (order.slope_norm_corrected, order.slope_direction_corrected),
        0.1,
        "the gap to the modified flow g - eta g' g/2 is proportional to eta^2: slope 2 over six step sizes",
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


def claims() -> list[Claim]:
    return [
        Claim(
            "descent-gap-first-order",
            r"|x_k - x(\eta k)| = O(\eta)",
            "derived (derivations/modified_equation.py)",
            "the circle and Gaussian(dim=3), the paper's start, N = 1-4, t = 8",
            _measure_order,
        ),
        Claim(
            "descent-gap-constant",
            r"x_k - x(\eta k) = \eta\,e(\eta k)+O(\eta^2),\ e'=g'(x)e-\tfrac12 g'(x)g(x)",
            "derived (derivations/modified_equation.py)",
            "the circle and Gaussian(dim=3), the paper's start, N = 1-4, t = 8",
            _measure_constant,
        ),
        Claim(
            "modified-flow-gap-second-order",
            r"x_k - \tilde x(\eta k) = O(\eta^2),\ \tilde x'=g-\tfrac{\eta}{2}g'g",
            "derived (derivations/modified_equation.py)",
            "the circle and Gaussian(dim=3), the paper's start, N = 1-4, t = 8",
            _measure_corrected_order,
        ),
        Claim(
            "figure-1-descent",
            r"w(0)=(0.6,-0.8),\ \eta=10^{-3}",
            f"{PAPER}, figure 1, with the population gradient",
            "the circle, N = 1 and 4, to t = 30",
            _measure_figure_1_descent,
        ),
    ]
