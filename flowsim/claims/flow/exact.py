"""Claims about what is exact along the flow: two layers, balanced or not, and orbits at every depth."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.integrate import solve_ivp

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.flow.paths import STEP, equality, few_risks, matrix_path, polar, product, slope, stencils, time_unit
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.dynamics import gradient_flow
from flowsim.problem import PopulationRisk, Start
from flowsim.problem.plane import one_minus_cos
from flowsim.theory import State, two_layer_direction

FLOW = 1e-9
"""The flow's accuracy: relative to max(|s|, 1), and in log r."""

NOISE = 0.1


def _scaled(gap: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Where s passes zero only its absolute error means anything."""
    return np.abs(gap) / np.maximum(np.abs(size), 1.0)


def _measure_two_layers(setting: Setting, theory: Any) -> Finding:
    sketch = Sketch("$t$", "gap in $s$, of max$(|s|, 1)$", x_log=True, y_log=True)
    runs = [(case.risk, case.start, str(case), run) for case, run in setting.cases((2,), low=2, high=2)]
    for risk in few_risks(setting):
        noisy, start = PopulationRisk(risk.law, label_noise=NOISE), Start(0.5 / risk.pull, 2.0)
        run = gradient_flow(noisy, start, np.geomspace(1e-3, 1e12, 60), 2)
        run.require_ok()
        runs.append((noisy, start, f"{noisy.label()}, |w(0)| = {float(start.norm):.6g}, theta(0) = 2", run))
    gaps: dict[str, float] = {}
    for i, (risk, start, name, run) in enumerate(runs):
        s = theory(risk, State.of(start), run.time)
        found = _scaled(run.log_tan_half_angle - s, s)
        gaps[name] = float(found.max())
        if i < 4:
            sketch.measured(run.time, np.maximum(found, 1e-17), f"$\\theta(0)={float(start.angle):.3g}$")
    sketch.limit(np.array([1e-3, 1e12]), np.array([FLOW, FLOW]), "tolerance")
    return finding_of_gaps(
        gaps,
        FLOW,
        "s(t) = s(0) - c t at N = 2, and s(0) - c (1 - 2 eps) t with flipped labels",
        "largest gap {gap} of max(|s|, 1) over {count} flows to t = 1e12",
        f"{FLOW:g} (the flow's accuracy)",
        picture=sketch.done(),
    )


ORBITS = 1e-7
"""The orbit integrated in log r by DOP853 at 1e-11, over turns of up to 1e4."""


def orbit_slope(risk: PopulationRisk, log_norm: float, s: float, depth: float) -> float:
    """ds/dlog r = -c/(N [h - c (1 - cos theta)])."""
    return -risk.pull / (depth * float(risk.growth(np.exp(log_norm)) - risk.pull * float(one_minus_cos(np.asarray(s)))))


def _measure_orbits(setting: Setting, theory: Any) -> Finding:
    """s as a function of log r, integrated by SciPy, against flows integrated in time at other depths."""
    gaps: dict[str, float] = {}
    sketch = Sketch("$2c|w|$", "$-N(s-s(0))$", x_log=True, y_log=True)
    for i, risk in enumerate(few_risks(setting)):
        start = Start(0.25 / risk.pull, 0.4)
        s0, u0 = float(start.log_tan_half_angle), float(np.log(start.norm))
        for depth in setting.depths_or((1, 2, 3, 5, 20)):
            run = gradient_flow(risk, start, time_unit(risk, float(start.norm), depth) * np.geomspace(1e-3, 1e6, 60), depth)
            inside = 2.0 * risk.pull * run.norm < 100.0
            u, s = run.log_norm[inside], run.log_tan_half_angle[inside]

            def rate(v: float, s: np.ndarray, risk: PopulationRisk = risk, depth: int = depth) -> list[float]:
                return [theory(risk, v, float(s[0]), depth)]

            orbit = solve_ivp(rate, (u0, float(u[-1])), [s0], "DOP853", u, rtol=1e-11, atol=1e-12).y[0]
            gaps[f"{risk.label()}, N = {depth}"] = float((np.abs(s - orbit) / np.maximum(np.abs(s - s0), 1.0 / depth)).max())
            if i == 0 and len(sketch.curves) < 6:
                sketch.measured(2.0 * risk.pull * np.exp(u), -depth * (s - s0), f"N = {depth}", points=True)
                sketch.predicted(2.0 * risk.pull * np.exp(u), -depth * (orbit - s0))
    return finding_of_gaps(
        gaps,
        ORBITS,
        "ds/dlog r = -c/(N [h - c (1 - cos theta)]) along the flow",
        "largest gap {gap} of max(|s - s(0)|, 1/N) over {count} flows up to 2c r = 100",
        f"{ORBITS:g} (the orbit integrated in log r by DOP853 at 1e-11)",
        picture=sketch.done(),
    )


class Unbalanced(NamedTuple):
    """What two layers w = a z without balance are predicted to keep, of |z| and |a|, and theta' of (risk, |a|, |z|, theta)."""

    conserved: Callable[[np.ndarray, np.ndarray], np.ndarray]
    speed: Callable[[PopulationRisk, np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def unbalanced(power: float = 1.0) -> Unbalanced:
    """|z|^2 - a^2, and -c (a/|z|)^power sin theta."""
    return Unbalanced(lambda length, a: length**2 - a**2, lambda risk, a, length, theta: -risk.pull * (a / length) ** power * np.sin(theta))


def _measure_unbalanced(setting: Setting, theory: Any) -> Finding:
    """Matrices W_1 = u z^T, W_2 = a u^T of width 3; |z| and a are their norms, theta the angle of W_2 W_1."""
    setting.depths_or((2,), low=2, high=2)
    gaps: dict[str, float] = {}
    sketch = Sketch("predicted $-\\theta'/c$", "$-\\theta'/c$", x_log=True, y_log=True)
    u = np.array([1.0, 2.0, -2.0]) / 3.0
    for i, risk in enumerate(few_risks(setting)):
        v = np.eye(risk.law.dim)[-1]
        for ratio, angle in ((3.0, 2.0), (0.7, 1.2), (0.2, 0.6)):
            norm = 0.75 / risk.pull
            w = np.cos(angle) * v + np.sin(angle) * np.eye(risk.law.dim)[0]
            length, a = np.sqrt(norm / ratio), np.sqrt(norm * ratio)
            unit = time_unit(risk, norm, 2)
            path = matrix_path(risk, [np.outer(u, length * w), a * u[None, :]], v, stencils(unit))
            lengths, scales = (np.array([np.linalg.norm(layers[j]) for layers in path]).reshape(4, 5) for j in (0, 1))
            theta = polar(np.array([product(layers) for layers in path]), v).angle.reshape(4, 5)
            kept = theory.conserved(lengths, scales)
            given = theory.speed(risk, scales[:, 2], lengths[:, 2], theta[:, 2])
            found = slope(theta, STEP * unit)
            case = f"{risk.label()}, a/|z| = {ratio:g}, theta(0) = {angle:g}"
            gaps[f"{case}: imbalance"] = float(np.abs(kept - theory.conserved(length, a)).max() / (length**2 + a**2))
            gaps[f"{case}: speed"] = float(np.abs(found / given - 1.0).max())
            if i == 0:
                sketch.measured(-given / risk.pull, -found / risk.pull, f"a/|z| = {ratio:g} at first", points=True)
    equality(sketch)
    return finding_of_gaps(
        gaps,
        1e-7,
        "|z|^2 - a^2 is kept, and theta' = -c (a/|z|) sin(theta)",
        "largest gap {gap} over {count} imbalances and speeds",
        "1e-7 (fourth-order differences of matrices integrated to 1e-11)",
        picture=sketch.done(),
    )


def claims() -> list[Claim]:
    laws = "three laws, or those asked for"
    return [
        Claim(
            name="two-layer-exact-law",
            statement=r"N=2:\quad s(t) = s(0) - c\,t,\quad \text{with labels flipped } s(0) - c(1-2\varepsilon)\,t",
            source="derived",
            setting="six laws, six starts and two random ones; three laws with a tenth of the labels flipped; to t = 1e12",
            theory=two_layer_direction,
            measure=_measure_two_layers,
            method="s at every record of each flow, beside the law.",
            fails="one record of one flow with |s - s(0) + c t| > 1e-9 max(|s|, 1)",
            control=Control("c larger by 1e-8", lambda risk, start, t: two_layer_direction(risk, start, t * (1.0 + 1e-8))),
            derivation="deep_flow",
        ),
        Claim(
            name="orbits-at-every-depth",
            statement=r"\frac{ds}{d\log r} = \frac{-c}{N\,(h-c(1-\cos\theta))}",
            source="derived",
            setting=f"{laws}; N = 1, 2, 3, 5, 20; from 2c r = 0.5, theta = 0.4 up to 2c r = 100",
            theory=orbit_slope,
            measure=_measure_orbits,
            method="The orbit s(log r), integrated in log r by SciPy's DOP853, beside the flow in time.",
            fails="one record with a gap in s above 1e-7 of what the direction has turned",
            control=Control("N larger by 1e-6", lambda risk, u, s, depth: orbit_slope(risk, u, s, depth * (1.0 + 1e-6))),
            derivation="deep_flow",
        ),
        Claim(
            name="unbalanced-two-layers",
            statement=r"w = a z:\quad |z|^2-a^2 \text{ is conserved},\quad \dot\theta = -c\,\frac{a}{|z|}\sin\theta",
            source="derived",
            setting=f"{laws}; a/|z| = 3, 0.7 and 0.2 at first",
            theory=unbalanced(),
            measure=_measure_unbalanced,
            method="Norms and end-to-end angle of two layers of width 3, integrated as matrices by SciPy's DOP853.",
            fails="one |z|^2 - a^2 that moves by more than 1e-7 of |z|^2 + a^2, or one slope of theta off by more than 1e-7 of it",
            control=Control("(a/|z|)^1.00001", unbalanced(1.00001)),
            derivation="deep_flow",
        ),
    ]
