"""Claims about the flow's field: equation 7, Lemma 3 and the rates in the plane, against matrices and Cartesian coordinates."""

from collections.abc import Callable
from typing import Any

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.flow.paths import (
    Polar,
    cartesian_path,
    end_to_end_field,
    equality,
    few_risks,
    matrix_path,
    polar,
    product,
    rank_one_layers,
    slope,
    stencil_path,
    time_unit,
)
from flowsim.claims.paper import PAPER
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.dynamics import Velocity, flow_velocity, gradient_flow
from flowsim.problem import PopulationRisk, Start

MATRICES = 110
"""Random stream."""

_TIMES = np.linspace(0.1, 4.0, 40)


def plane_flow(risk: PopulationRisk, w: np.ndarray, v: np.ndarray, depth: int, times: np.ndarray) -> np.ndarray:
    """w at these times, (T, d): flowsim's flow, whose norm and angle are put back into the plane of v and w(0)."""
    run = gradient_flow(risk, Start.from_vectors(w, v), times, depth)
    normal = w - (w @ v) * v
    normal /= np.linalg.norm(normal)
    return run.norm[:, None] * (np.cos(run.angle)[:, None] * v + np.sin(run.angle)[:, None] * normal)


def _measure_end_to_end(setting: Setting, theory: Any) -> Finding:
    gaps: dict[str, float] = {}
    generator = setting.generator(MATRICES)
    sketch = Sketch("$t$ in units of $r_0^{2/N-1}/(cN)$", "angle $\\theta$")
    for i, risk in enumerate(few_risks(setting)):
        for depth in setting.depths_or((1, 2, 3, 4)):
            v, normal = np.linalg.qr(generator.standard_normal((risk.law.dim, 2)))[0].T
            angle, norm = generator.uniform(0.3, 2.0), generator.uniform(0.5, 2.0) / (2.0 * risk.pull)
            w = norm * (np.cos(angle) * v + np.sin(angle) * normal)
            times = time_unit(risk, norm, depth) * _TIMES
            width = 1 + depth % 3
            found = np.array([product(layers) for layers in matrix_path(risk, rank_one_layers(w, depth, width), v, times)])
            given = theory(risk, w, v, depth, times)
            gap = np.linalg.norm(found - given, axis=1) / np.linalg.norm(found, axis=1)
            gaps[f"{risk.label()}, N = {depth}, width {width}, |w(0)| = {norm:.3g}, theta(0) = {angle:.3g}"] = float(gap.max())
            if i == 0 and len(sketch.curves) < 6:
                sketch.measured(_TIMES, polar(found, v).angle, f"N = {depth}", points=True)
                sketch.predicted(_TIMES, polar(given, v).angle)
    return finding_of_gaps(
        gaps,
        1e-8,
        "layers of matrices and the end-to-end flow agree",
        "largest gap {gap} of |w| over {count} runs",
        "1e-8 of |w| (DOP853 at 1e-11 in the matrices)",
        picture=sketch.done(),
    )


STARTS = ((1.5, 2.0), (0.5, 0.7))
"""2c|w(0)| and theta(0) of the flows along which differences are taken."""


def _along_paths(
    setting: Setting, risks: list[PopulationRisk], gap: Callable[[PopulationRisk, int, Polar, float], np.ndarray]
) -> dict[str, float]:
    return {
        f"{risk.label()}, N = {depth}, 2c|w(0)| = {size:g}, theta(0) = {angle:g}": float(
            gap(risk, depth, *stencil_path(risk, depth, size / (2.0 * risk.pull), angle)).max()
        )
        for risk in risks
        for depth in setting.depths_or((1, 2, 3, 5))
        for size, angle in STARTS
    }


DIFFERENCES = 1e-7
"""Fourth-order differences over 1e-3 of the time unit, of flows integrated to 1e-12."""


def _measure_direction_speed(setting: Setting, theory: Any) -> Finding:
    """Differences of theta along the flow of w itself, over the predicted speed on that same path."""
    sketch = Sketch("$c\\,r^{1-2/N}\\sin\\theta$", "$-\\theta'$", x_log=True, y_log=True)
    risks = list(few_risks(setting))

    def gap(risk: PopulationRisk, depth: int, path: Polar, step: float) -> np.ndarray:
        found, given = slope(path.angle, step), theory(risk, path.norm[:, 2], path.angle[:, 2], depth)
        if risk is risks[0] and len(sketch.curves) < 8:
            sketch.measured(-given, -found, f"N = {depth}", points=True)
        return np.abs(found / given - 1.0)

    gaps = _along_paths(setting, risks, gap)
    equality(sketch)
    return finding_of_gaps(
        gaps,
        DIFFERENCES,
        "theta' = -c r^(1-2/N) sin(theta) along the flow of w itself",
        "largest relative gap {gap} over {count} runs",
        f"{DIFFERENCES:g} (fourth-order differences)",
        picture=sketch.done(risks[0].label()),
    )


def direction_speed(risk: PopulationRisk, norm: Any, angle: Any, depth: int, power: float = 2.0) -> Any:
    """theta' = -c r^(1-2/N) sin(theta)."""
    return -risk.pull * norm ** (1.0 - power / depth) * np.sin(angle)


def _measure_plane_rates(setting: Setting, theory: Any) -> Finding:
    """Differences of r, q = <w, v> and ell = log|w - q v|, with and without label noise."""

    def gap(risk: PopulationRisk, depth: int, path: Polar, step: float) -> np.ndarray:
        given = theory(risk, path.norm[:, 2], path.angle[:, 2], depth)
        found = (slope(path.norm, step), slope(path.parallel, step), slope(path.log_perp, step))
        unit = depth * risk.pull * path.norm[:, 2] ** (1.0 - 2.0 / depth)
        sizes = (unit * path.norm[:, 2], unit * path.norm[:, 2], unit)
        expected = (given.norm, given.parallel, given.log_perp)
        return np.array([np.abs(f - e) / s for f, e, s in zip(found, expected, sizes, strict=True)])

    risks = list(few_risks(setting))
    risks += [PopulationRisk(risk.law, label_noise=0.1) for risk in risks[:1]]
    return finding_of_gaps(
        _along_paths(setting, risks, gap),
        DIFFERENCES,
        "r', q' and ell' as in the plane, along the flow of w itself",
        "largest gap {gap} of N c r^(2-2/N), or of N c r^(1-2/N), over {count} runs",
        f"{DIFFERENCES:g} (fourth-order differences)",
        what="gap of the rates",
    )


def _wrong_rates(risk: PopulationRisk, norm: Any, angle: Any, depth: int) -> Velocity:
    given = flow_velocity(risk, norm, angle, depth)
    return given._replace(parallel=given.parallel + 1e-5 * depth * norm ** (2.0 - 2.0 / depth) * risk.growth(norm) * np.cos(angle))


def claims() -> list[Claim]:
    laws = "three laws, or those asked for"
    scipy = (
        "Differences along w' of equation 7, integrated by SciPy's DOP853 in Cartesian coordinates, over the predicted rate on that path."
    )
    paths = f"{laws}, N = 1, 2, 3, 5, two starts"
    return [
        Claim(
            name="equation-7-end-to-end-flow",
            statement=r"\dot w = -r^{2-2/N}(\nabla L + (N-1)\langle\nabla L, \tfrac{w}{r}\rangle\tfrac{w}{r})",
            source=f"{PAPER}, equation 7",
            setting=f"{laws}, N = 1 to 4, widths 1 to 3, random starts and teachers",
            theory=plane_flow,
            measure=_measure_end_to_end,
            method="The layers' own gradient flow from balanced rank-one matrices, by SciPy's DOP853, beside flowsim's flow in the plane.",
            fails="one run with |W_N...W_1 - w| > 1e-8 |w| at one of forty times",
            control=Control("(N-1) larger by 1e-5", lambda *given: cartesian_path(*given, field=_heavier)),
            derivation="deep_flow",
            about=("equation 7",),
        ),
        Claim(
            name="rates-in-the-plane",
            statement=r"\dot r = N r^{2-2/N}(h - c(1-\cos\theta)),\quad "
            r"\dot q = r^{2-2/N}(c(1-\cos\theta)(1-(N-1)\cos\theta) + N h\cos\theta),\quad "
            r"\dot\ell = -r^{1-2/N}(N(c-h) - (N-1)c\cos\theta)",
            source="derived",
            setting=f"{paths}; the first law also with a tenth of the labels flipped",
            theory=flow_velocity,
            measure=_measure_plane_rates,
            method=scipy,
            fails="one rate that differs from the formula by more than 1e-7 of its unit",
            control=Control("h in q' larger by 1e-5", _wrong_rates),
            derivation="deep_flow",
            about=("equation 7",),
        ),
        Claim(
            name="lemma-3-direction-speed",
            statement=r"\dot\theta = -c\,r^{1-2/N}\sin\theta",
            source=f"{PAPER}, Lemma 3",
            setting=paths,
            theory=direction_speed,
            measure=_measure_direction_speed,
            method=scipy,
            fails="one slope of theta that differs from the formula by more than 1e-7 of it",
            control=Control("1 - 2.0001/N in the exponent", lambda *given: direction_speed(*given, power=2.0001)),
            derivation="deep_flow",
            about=("Lemma 3",),
        ),
    ]


def _heavier(risk: PopulationRisk, w: np.ndarray, v: np.ndarray, depth: int) -> np.ndarray:
    return end_to_end_field(risk, w, v, depth, weight=1.0 + 1e-5)
