"""Claims about descent beside the flow it discretises; here the gap between them, and what the modified equation leaves of it."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.descent import layer_map, modified_field
from flowsim.claims.paper import PAPER
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import OutOfScope, Setting
from flowsim.claims.units import risks_of, unit_norm, unit_step_size
from flowsim.dynamics import GapOrder, GapPrediction, gap_order, gap_prediction, gradient_descent, gradient_flow
from flowsim.problem import Gaussian, PopulationRisk, Sphere, Start
from flowsim.theory.paper import FIGURE_1

Array = np.ndarray
Prediction = Callable[..., GapPrediction]


def _start(risk: PopulationRisk) -> Start:
    return Start(unit_norm(risk), FIGURE_1.start.angle)


def _last_time(risk: PopulationRisk, depth: int) -> float:
    """By when the direction has turned by order one; deep networks move N times as fast along v."""
    return 2.5 * unit_step_size(risk, depth) * min(1.0, 4.0 / depth)


@lru_cache(maxsize=256)
def _order(risk: PopulationRisk, depth: int) -> GapOrder:
    return gap_order(risk, _start(risk), _last_time(risk, depth), depth)


def _orders(setting: Setting) -> dict[str, tuple[PopulationRisk, int, GapOrder]]:
    risks, depths = risks_of(setting, Sphere(2), Gaussian(3)), setting.depths_or((1, 2, 3, 4))
    return {f"{risk.label()}, N = {depth}": (risk, depth, _order(risk, depth)) for risk in risks for depth in depths}


def at_zero(values: Array) -> tuple[float, float]:
    """Values at halved step sizes, extrapolated to step size 0 from the last two; and four times the square of their last change.

    That is what the extrapolation may leave: it is large where a gap's leading term happens to be small.
    """
    return float(2.0 * values[-1] - values[-2]), 4.0 * float(values[-1] - values[-2]) ** 2


def orders_of(step_size: Array, gap: Array) -> Array:
    """The order of a gap between neighbouring step sizes: its logarithmic slope."""
    return np.diff(np.log(np.abs(gap))) / np.diff(np.log(step_size))


def _off(values: Array, theory: float) -> float:
    """How far the extrapolated value is from the predicted one, beyond what the extrapolation may leave."""
    found, left = at_zero(values)
    return max(abs(found - theory) - left, 0.0)


def _gap_picture(orders: dict[str, tuple[PopulationRisk, int, GapOrder]], corrected: bool, order: float) -> Sketch:
    """The gaps of the first law at each depth, with the predicted slope through the smallest step size."""
    sketch = Sketch(r"step size $\eta$", r"$|s_k-\tilde s(\eta k)|$" if corrected else r"$|s_k-s(\eta k)|$", True, True)
    for _, depth, found in list(orders.values())[:3]:
        gap = np.abs(found.log_tan_half_angle_corrected if corrected else found.log_tan_half_angle)
        sketch.measured(found.step_size, gap, f"$N={depth}$", points=True)
        sketch.predicted(found.step_size, gap[-1] * (found.step_size / found.step_size[-1]) ** order)
    return sketch


def _measure_order(setting: Setting, theory: float, corrected: bool) -> Finding:
    orders, gaps = _orders(setting), {}
    for name, (_, _, found) in orders.items():
        pair = (found.norm_corrected, found.log_tan_half_angle_corrected) if corrected else (found.norm, found.log_tan_half_angle)
        gaps |= {f"{name}, {of}": _off(orders_of(found.step_size, gap), theory) for gap, of in zip(pair, ("norm", "s"), strict=True)}
    limit = 1e-2 if corrected else 2e-4
    other = "the flow of g - (eta/2) g'g" if corrected else "the flow"
    noise = "for rounding of the smallest gaps, 1e-9, and of the solver, 1e-12" if corrected else "for (eta/t)^2"
    return finding_of_gaps(
        gaps,
        limit,
        f"the gap to {other} at fixed t = eta k goes like eta^{theory:g}",
        "order at eta -> 0 from six step sizes: {gap} off at most, {count} gaps of norm and s",
        f"{limit:g} {noise}, and four times the square of the order's own last change, which the extrapolation leaves",
        "gap of the order",
        _gap_picture(orders, corrected, theory).done(),
    )


def _measure_constant(setting: Setting, theory: Prediction) -> Finding:
    """Measured over predicted gap at the two smallest step sizes, extrapolated to 0."""
    gaps, sketch = {}, Sketch(r"step size $\eta$ over $t$", r"gap of $s$ over $\eta\,e(t)$", x_log=True)
    for name, (risk, depth, found) in _orders(setting).items():
        last, eta = _last_time(risk, depth), float(found.step_size[-1])
        ahead = theory(risk, _start(risk), [last], eta, depth, 1e-12)
        for gap, leading, of in ((found.norm, ahead.log_norm, "norm"), (found.log_tan_half_angle, ahead.log_tan_half_angle, "s")):
            ratio = gap / (leading[0] * found.step_size / eta)
            gaps[f"{name}, {of}"] = _off(ratio, 1.0)
        if len(sketch.curves) < 4:
            sketch.measured(found.step_size / last, ratio, f"$N={depth}$")
    sketch.predicted(np.array([2.0**-14, 2.0**-9]), np.ones(2))
    return finding_of_gaps(
        gaps,
        5e-5,
        "gap = eta e(t) + O(eta^2), e' = g'e - g'g/2 along the flow",
        "gap over eta e(t), extrapolated to eta = 0: 1 to {gap}, {count} gaps of norm and s",
        "5e-5, and four times the square of the ratio's own last change, which the extrapolation leaves",
        "gap of the ratio",
        sketch.done(),
    )


def _scaled_prediction(factor: float) -> Prediction:
    def scaled(*args: object) -> GapPrediction:
        right: GapPrediction = gap_prediction(*args)  # type: ignore[arg-type]
        return GapPrediction(right.time, factor * right.log_norm, factor * right.log_tan_half_angle)

    return scaled


def _measure_figure_1(setting: Setting, theory: Prediction) -> Finding:
    """The gap of the figure's descent to the flow, along the whole run, against its leading order in the step size."""
    circle, start, eta = FIGURE_1.risk, FIGURE_1.start, FIGURE_1.step_size
    if circle.law not in setting.laws_or(circle.law):
        raise OutOfScope(
            f"speaks of figure 1, that is of {circle.label()}, and not of {', '.join(law.label() for law in setting.laws_or())}"
        )
    depths = tuple(n for n in setting.depths_or(FIGURE_1.depths) if n in FIGURE_1.depths)
    if not depths:
        raise OutOfScope(f"speaks of figure 1, that is of N = 1 and 4, and not of N = {', '.join(map(str, setting.depths or ()))}")
    steps = np.round(np.array([0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 22.0, 30.0]) / eta).astype(np.int64)
    gaps, sketch = {}, Sketch(r"$\eta k$", r"$s_k-s(\eta k)$ and $\eta\,e$", y_log=True)
    for depth in depths:
        run = gradient_descent(circle, start, eta, steps, depth, "exact")
        flow = gradient_flow(circle, start, run.time, depth, rtol=1e-12)
        flow.require_ok()
        ahead = theory(circle, start, run.time, eta, depth, 1e-12)
        norm, s = np.expm1(run.log_norm - flow.log_norm), run.log_tan_half_angle - flow.log_tan_half_angle
        for gap, leading, of in ((norm, ahead.log_norm, "norm"), (s, ahead.log_tan_half_angle, "s")):
            gaps[f"N = {depth}, {of}"] = float(np.abs(gap - leading).max() / np.abs(gap).max())
        sketch.measured(run.time, np.abs(s), f"$N={depth}$", points=True)
        sketch.predicted(run.time, np.abs(ahead.log_tan_half_angle))
    return finding_of_gaps(
        gaps,
        5e-3,
        "at the figure's step size the descent of the population risk is the flow plus eta e(t): the figure's flow is its descent",
        "largest difference of the gap from eta e, over the largest gap, {gap} (8 times to t = 30, norm and s)",
        "5e-3: the next order in eta = 1e-3",
        "gap of the gap",
        sketch.done(),
    )


def claims() -> list[Claim]:
    """In the order of the report."""
    laws = "the circle and Gaussian(dim=3), |w(0)| = 1/E|x_1|, the angle of the paper's start, N = 1-4, to c r(0)^(1-2/N) t = 2.5"
    six = "Descents with eta = t/2^9, ..., t/2^14"
    return [
        *layer_map.claims(),
        Claim(
            name="descent-gap-first-order",
            statement=r"|x_k-x(\eta k)|=O(\eta)",
            source="derived",
            setting=laws,
            theory=1.0,
            measure=lambda setting, theory: _measure_order(setting, theory, corrected=False),
            method=f"{six} against the flow at t; the logarithmic slope of the gap in eta between neighbours, extrapolated to eta = 0.",
            fails="one order, of the norm or of s, off by more than 2e-4 and what the extrapolation leaves",
            control=Control("order 1.0005", 1.0005),
            derivation="modified_equation",
        ),
        Claim(
            name="descent-gap-constant",
            statement=r"x_k-x(\eta k)=\eta\,e(\eta k)+O(\eta^2),\quad e'=g'(x)e-\tfrac12 g'(x)g(x)",
            source="derived",
            setting=laws,
            theory=gap_prediction,
            measure=_measure_constant,
            method=f"{six} against the flow at t; the gap over eta e(t), extrapolated from the two smallest to eta = 0.",
            fails="one ratio, of the norm or of s, that is not 1 to 5e-5 and what the extrapolation leaves",
            control=Control("0.50005 g'g in the place of g'g/2", _scaled_prediction(1.0001)),
            derivation="modified_equation",
        ),
        Claim(
            name="modified-flow-gap-second-order",
            statement=r"x_k-\tilde x(\eta k)=O(\eta^2),\quad \tilde x'=g-\tfrac{\eta}{2}g'g",
            source="derived",
            setting=laws,
            theory=2.0,
            measure=lambda setting, theory: _measure_order(setting, theory, corrected=True),
            method=f"{six} against the flow of g - (eta/2) g'g at t; the slope of the gap as for the flow itself.",
            fails="one order, of the norm or of s, off by more than 0.01 and what the extrapolation leaves",
            control=Control("order 2.02", 2.02),
            derivation="modified_equation",
        ),
        *modified_field.claims(),
        Claim(
            name="figure-1-descent",
            statement=r"w(0)=(0.6,-0.8),\ \eta=10^{-3}:\quad s_k=s(\eta k)+\eta\,e(\eta k)+O(\eta^2)",
            source=f"{PAPER}, Figure 1, with the population gradient",
            setting="the circle, N = 1 and 4, to t = 30",
            theory=gap_prediction,
            measure=_measure_figure_1,
            method="Descent of the population risk at the figure's start and step size, against the flow at 8 times, and the gap against "
            "its leading order.",
            fails="one gap, of the norm or of s, off its leading order by more than 0.5 % of the largest gap",
            control=Control("0.505 g'g in the place of g'g/2", _scaled_prediction(1.01)),
            derivation="modified_equation",
            about=("Figure 1",),
        ),
    ]
