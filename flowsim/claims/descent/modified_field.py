"""Claims about the field that descent follows: its series in differences along the iterates, and the runs it carries far."""

from collections.abc import Callable
from math import comb

import numpy as np
from scipy.integrate import solve_ivp

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.descent.layer_map import layer_map
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.claims.units import risks_of, unit_norm, unit_step_size
from flowsim.dynamics import Trajectory, gradient_descent
from flowsim.dynamics.modified import series_weights
from flowsim.problem import Gaussian, Laplace, PopulationRisk, Start

Array = np.ndarray


def difference_weights(coefficients: Array) -> Array:
    """w_j of b_1 D + b_2 D^2 + ... = sum over j of w_j (y_(j+1) - y_j), D the forward difference of y."""
    weights = np.zeros(len(coefficients))
    for n, b in enumerate(coefficients, start=1):
        weights[:n] += [b * (-1.0) ** (n - 1 - j) * comb(n - 1, j) for j in range(n)]
    return weights


def wrong_weights(order: int) -> Array:
    """D - D^2/2 + 0.334 D^3 - D^4/4 + D^5/5: 0.2 % off at D^3."""
    return difference_weights(np.array([1.0, -0.5, 0.334, -0.25, 0.2])[:order])


SERIES_SIZES = np.array([0.04, 0.08, 0.16])
"""eta c r^(1-2/N) N: the time-one flow is off by 1e-12 to 1e-4, above the rounding of 1e-15."""


def _measure_series(setting: Setting, theory: Callable[[int], Array]) -> Finding:
    """What the time-one flow of J terms misses of one step, over the next term; a and z in the plane, by NumPy and SciPy."""
    gaps, sketch = {}, Sketch(r"$N\eta\,c\,r^{1-2/N}$", "distance of the flow from one step", True, True)
    for risk in risks_of(setting, Gaussian(2), Laplace(2)):
        for depth in setting.depths_or((1, 2, 3)):
            for order in (2, 3, 4):
                sizes = SERIES_SIZES / depth * unit_step_size(risk, depth)
                pairs = [_missed_step(risk, depth, float(eta), theory(order), theory(order + 1)) for eta in sizes]
                ratio = [float(missed @ ahead / (ahead @ ahead)) for missed, ahead in pairs]
                # a parabola in eta through the three
                gaps[f"{risk.label()}, N = {depth}, J = {order}"] = abs((8.0 * ratio[0] - 6.0 * ratio[1] + ratio[2]) / 3.0 - 1.0)
                if len(sketch.curves) < 6:
                    sketch.measured(SERIES_SIZES, np.array([np.linalg.norm(missed) for missed, _ in pairs]), f"$J={order}$", points=True)
                    sketch.predicted(SERIES_SIZES, np.array([np.linalg.norm(ahead) for _, ahead in pairs]))
    return finding_of_gaps(
        gaps,
        2e-2,
        "cut after J terms, the field's flow over one step misses the step by the next term of the series, which is O(eta^(J+1))",
        "miss over next term, extrapolated to eta = 0: 1 to {gap}, {count} cases, J = 2, 3, 4",
        "2e-2: a parabola in eta leaves (0.04)^3 times numbers up to a hundred, and rounding 1e-3 where N is large",
        "gap of the ratio",
        sketch.done(),
    )


def _missed_step(risk: PopulationRisk, depth: int, eta: float, weights: Array, more: Array) -> tuple[Array, Array]:
    """What the time-one flow of the series with these weights is beyond one step of (a, z), and minus the next term, that of ``more``."""
    size = unit_norm(risk) ** (1.0 / depth)
    begin = np.array([size if depth > 1 else 1.0, size * np.cos(1.0), size * np.sin(1.0)])
    v = np.eye(risk.law.dim)[0]

    def step(y: Array) -> Array:
        z = np.zeros(risk.law.dim)
        z[:2] = y[1:]
        a, new = layer_map(float(y[0]), z, risk.gradient(y[0] ** (depth - 1) * z, v), eta, depth)
        return np.array([a, new[0], new[1]])

    def series(y: Array, weights: Array) -> Array:
        total = np.zeros(3)
        for weight in weights:
            new = step(y)
            total, y = total + weight * (new - y), new
        return total

    tolerance = 1e-16 * float(np.abs(begin).max())
    flow = solve_ivp(lambda _, y: series(y, weights), (0.0, 1.0), begin, "DOP853", rtol=3e-14, atol=tolerance)
    next_term = series(begin, more - np.append(weights, np.zeros(more.size - weights.size)))
    return flow.y[:, -1] - step(begin), -next_term


Estimate = Callable[[Trajectory], tuple[Array, Array]]


def estimate_of(run: Trajectory) -> tuple[Array, Array]:
    """What the run says of its errors: of the norm, relative; of s, relative to max(|s|, 1)."""
    assert run.coverage is not None
    return run.coverage.norm_error, run.coverage.direction_error


def _measure_estimate(setting: Setting, theory: Estimate) -> Finding:
    rng, gaps, covered, promised = setting.generator(402), {}, 0, 0
    risks, depths = setting.risks_or(), setting.depths_or((1, 2, 3, 4, 5))
    last = 10**6 if setting.thorough else 10**5
    steps = np.unique(np.round(np.geomspace(1, last, 40)).astype(np.int64))
    sketch = Sketch("step $k$", "error and its estimate", True, True)
    for i in range(120 if setting.thorough else 30):
        risk, depth = risks[i % len(risks)], depths[i % len(depths)]
        sharpness = float(np.exp(rng.uniform(np.log(0.01), np.log(3.0))))
        start = Start(unit_norm(risk) * float(np.exp(rng.uniform(-1.5, 1.5))), float(rng.uniform(0.1, 3.0)))
        far, exact = (
            gradient_descent(risk, start, sharpness * unit_step_size(risk, depth), steps, depth, method) for method in ("auto", "exact")
        )
        name = f"{risk.label()}, N = {depth}, eta c r^(1-2/N) = {sharpness:.3g}, theta(0) = {float(start.angle):.3g}"
        norm, direction = theory(far)
        known = np.isfinite(norm) & np.isfinite(far.log_norm)
        s, truth = far.log_tan_half_angle[known], exact.log_tan_half_angle[known]
        off = np.abs(np.expm1(far.log_norm[known] - exact.log_norm[known])), np.abs(s - truth) / np.maximum(np.abs(truth), 1.0)
        gaps[name] = float(max((off[0] / norm[known]).max(), (off[1] / direction[known]).max()))
        # where digits are promised to the end, the end is promised too
        if known[-1] and far.status != exact.status:
            gaps[name] = np.inf
        assert far.coverage is not None
        covered, promised = covered + int(far.coverage.covered_steps), promised + int(np.count_nonzero(known))
        if len(sketch.curves) < 6 and off[1].max() > 0.0:
            seen = off[1] > 0.0
            sketch.measured(steps[known][seen], off[1][seen], f"$N={depth}$", points=True)
            sketch.limit(steps[known], direction[known])
    return finding_of_gaps(
        gaps,
        1.0,
        "a run that covers steps by the modified field differs from one that takes every step by no more than its own estimate",
        f"largest error over estimate {{gap}}: {{count}} random runs, {promised} records with digits promised, {covered:.3g} steps covered",
        "1: an estimate is a bound, meant to be safe",
        "error over estimate",
        sketch.done(),
    )


def claims() -> list[Claim]:
    """In the order of the report."""
    return [
        Claim(
            name="difference-series-order",
            statement=r"\eta\tilde f=D-\tfrac12 D^2+\tfrac13 D^3-\dots+\tfrac{(-1)^{J+1}}{J}D^J+O(\eta^{J+1})",
            source="derived",
            setting="Gaussian(dim=2) and Laplace(dim=2), N = 1-3, |w| = 1/E|x_1|, theta = 1, J = 2, 3, 4",
            theory=lambda order: series_weights(order)[0],
            measure=_measure_series,
            method="The field of the first J forward differences of (a, z) along the iterates is integrated over one step by SciPy; what "
            "it misses of the step over the next term of the series, at three step sizes, is extrapolated to eta = 0.",
            fails="one ratio that is not 1 to 2e-2",
            control=Control("D - D^2/2 + 0.334 D^3 - D^4/4 + D^5/5", wrong_weights),
            derivation="modified_equation",
        ),
        Claim(
            name="far-horizon-error-estimate",
            statement=r"\left|\frac{r_k}{\hat r_k}-1\right|\le\epsilon_k,\quad \frac{|s_k-\hat s_k|}{\max(|s_k|,1)}\le\epsilon'_k",
            source="what a far run says of itself",
            setting="30 random runs over six laws, N = 1-5, eta c r^(1-2/N) from 0.01 to 3, 1e5 steps; thorough: 120 runs of 1e6",
            theory=estimate_of,
            measure=_measure_estimate,
            method="Each run is followed by the method auto, which covers steps by the modified field, and by exact, which takes every "
            "one, and compared at 40 steps as long as digits are promised.",
            fails="one record whose norm or s is off by more than the run's own estimate, or another ending where digits are left",
            control=Control("estimates of a thousandth", lambda run: tuple(x / 1000.0 for x in estimate_of(run))),
        ),
    ]
