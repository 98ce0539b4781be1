"""Claims about Lemma 2: the norm falls until T, which is finite, and grows for ever after; at T it curves upwards."""

from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.flow.paths import TOLERANCE, Polar, bend, end_to_end_field, equality, few_risks, polar, time_unit
from flowsim.claims.paper import PAPER
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Case, OutOfScope, Setting, turning
from flowsim.dynamics import Trajectory
from flowsim.problem import PopulationRisk, Start

FLOW = 1e-9
"""The flow's accuracy, in log r."""


def turning_time(case: Case, run: Trajectory) -> float:
    """T, where h(r) = c (1 - cos theta); inf where the norm still falls at the last record, as it may in deep networks near the saddle."""
    return np.inf if run.log_norm[-1] < run.log_norm[-2] else turning(case).time


def _measure_two_phases(setting: Setting, theory: Any) -> Finding:
    """The sign of each difference of log r between records, against the side of T on which it lies."""
    wrong, broken, falling, late, growth = "", 0, 0, 0, np.inf
    cases = setting.cases()
    sketch = Sketch("$t/T$", "$|w|$ over its least", x_log=True, y_log=True)
    for case, run in cases:
        end, change = theory(case, run), np.diff(run.log_norm)
        falling, late = falling + int(end > 0.0), late + int(end > run.time[-1])
        against = np.where(run.time[1:] <= end, change, np.where(run.time[:-1] >= end, -change, -1.0))
        if (against > FLOW).any():
            broken, wrong = broken + 1, wrong or str(case)
        if end < run.time[-1]:
            growth = min(growth, float(run.log_norm[-1] - run.log_norm.min()))
        if 1.0 < end < 1e6 and len(sketch.curves) < 5:
            near = (run.time > 1e-2 * end) & (run.time < 1e3 * end)
            sketch.measured(run.time[near] / end, np.exp(run.log_norm - run.log_norm.min())[near], f"N = {case.depth}, T = {end:.3g}")
    if not sketch.curves:
        case, run = cases[0]
        sketch.measured(run.time, np.exp(run.log_norm - run.log_norm.min()), f"N = {case.depth}")
    sketch.limit(np.ones(2), np.array([1.0, 1.5]), "$T$")
    return Finding(
        "violated" if broken else "holds",
        "the norm falls until T, if it falls at all, and grows for ever after",
        f"{falling} of {len(cases)} flows fall first, {late} of them still at t = 1e12; {broken} move against the phase they are in"
        + (f"; least growth after the turn {np.exp(growth):.3g}-fold" if np.isfinite(growth) else ""),
        f"one step between records against its phase by more than {FLOW:g} in log r",
        wrong or "no exception found",
        {"flows": len(cases), "falling": falling, "still falling at 1e12": late, "broken": broken},
        sketch.done(),
    )


def turning_bound(case: Case) -> float:
    r"""T <= (s(0) - s*)/(c m) where the norm falls at first, s* = -log(2c/h(r(0)) - 1)/2.

    While the norm falls, r is between r(0) (1 + exp(2 s(0)))^-N and r(0), so r^(1-2/N) is at least m, its smaller value at these ends, and
    -s' >= c m. The norm rises at the latest when c (1 - cos theta) = h(r(0)), which is at s*, because h(r) >= h(r(0)).
    """
    start, depth = case.start, case.depth
    r, s = float(start.norm), float(start.log_tan_half_angle)
    pull, growth = case.risk.pull, float(case.risk.growth(r))
    if growth >= pull * (1.0 - np.cos(float(start.angle))):
        return 0.0
    shrinking = depth * np.logaddexp(0.0, 2.0 * s) * (1.0 - 2.0 / depth)
    with np.errstate(over="ignore"):
        return float((s + 0.5 * np.log(2.0 * pull / growth - 1.0)) / (pull * r ** (1.0 - 2.0 / depth)) * np.exp(max(shrinking, 0.0)))


def _measure_turning_time(setting: Setting, theory: Any) -> Finding:
    found = [(case, turning_time(case, run), float(theory(case))) for case, run in setting.cases()]
    told = [(case, end, bound) for case, end, bound in found if np.isfinite(end) and (end > 0.0 or bound > 0.0)]
    if not told:
        raise OutOfScope("speaks of flows whose norm falls at first, and none of these is seen to stop by t = 1e12")
    ratios = np.array([end / bound if bound > 0.0 else np.inf for _, end, bound in told])
    worst = int(ratios.argmax())
    sketch = Sketch("bound on $T$", "$T$", x_log=True, y_log=True)
    bounds = np.array([bound for *_, bound in told])
    sketch.measured(bounds, np.array([end for _, end, _ in told]), "flows", points=True)
    ends = np.array([bounds.min(), bounds.max()])
    sketch.limit(ends, ends, "bound")
    return Finding(
        "holds" if (ratios <= 1.0 + FLOW).all() else "violated",
        "T finite, and at most (s(0) - s*)/(c m)",
        f"largest T over the bound {ratios[worst]:.4f} over {len(told)} flows that fall first",
        f"1 + {FLOW:g}",
        str(told[worst][0]),
        {"largest ratio": float(ratios[worst]), "flows": len(told)},
        sketch.done(),
    )


TURNS = ((0.3, 2.0), (2.0, 1.8), (20.0, 1.8))
"""2c|w(0)| and theta(0) of flows whose norm falls at first."""


def _turn(risk: PopulationRisk, depth: int, size: float, angle: float) -> tuple[Polar, float]:
    """Coordinates at five times around that at which the norm stops falling, (5,), and their step; in Cartesian coordinates."""
    norm = size / (2.0 * risk.pull)
    v = np.eye(risk.law.dim)[-1]
    w = norm * (np.cos(angle) * v + np.sin(angle) * np.eye(risk.law.dim)[0])

    def field(_: float, flat: np.ndarray) -> np.ndarray:
        return end_to_end_field(risk, flat, v, depth)

    def stops(time: float, flat: np.ndarray) -> float:
        return float(flat @ field(time, flat)) / float(flat @ flat)

    stops.terminal = True  # type: ignore[attr-defined]
    end = 1.01 * turning_bound(Case(risk, depth, Start(norm, angle)))
    to_turn = solve_ivp(field, (0.0, end), w, "DOP853", events=stops, rtol=TOLERANCE, atol=1e-14 * norm)
    if not to_turn.y_events[0].size:
        raise RuntimeError(f"the norm does not stop falling by t = {end:.6g}: N = {depth}, 2c|w(0)| = {size:g}, theta(0) = {angle:g}")
    at = to_turn.y_events[0][0]
    least = float(np.linalg.norm(at))
    step = 0.02 * time_unit(risk, least, depth)

    def side(away: float) -> np.ndarray:
        return solve_ivp(field, (0.0, 2.0 * away), at, "DOP853", [away, 2.0 * away], rtol=1e-13, atol=1e-16 * least).y.T

    return polar(np.concatenate([side(-step)[::-1], at[None, :], side(step)]), v), step


def _measure_bend(setting: Setting, theory: Any) -> Finding:
    """Second differences of the norm at the time where <w, w'> = 0."""
    gaps: dict[str, float] = {}
    sketch = Sketch("$N c^2 r^{3-4/N}\\sin^2\\theta$", "$r''$ where $r'=0$", x_log=True, y_log=True)
    for risk in few_risks(setting):
        for depth in setting.depths_or((1, 2, 3, 5)):
            points = []
            for size, angle in TURNS:
                path, step = _turn(risk, depth, size, angle)
                found, given = float(bend(path.norm, step)), float(theory(risk, path.norm[2], path.angle[2], depth))
                gaps[f"{risk.label()}, N = {depth}, 2c|w(0)| = {size:g}, theta(0) = {angle:g}"] = abs(found / given - 1.0)
                points.append((given, found))
            if len(sketch.curves) < 6:
                given_points, found_points = np.transpose(points)
                sketch.measured(given_points, found_points, f"N = {depth}, {risk.label()}", points=True)
    equality(sketch)
    return finding_of_gaps(
        gaps,
        1e-6,
        "r'' = N c^2 r^(3-4/N) sin(theta)^2 where r' = 0",
        "largest relative gap {gap} over {count} turns",
        "1e-6 (second differences over 0.02 of the time unit, of flows integrated to 1e-12)",
        picture=sketch.done(),
    )


def norm_acceleration(risk: PopulationRisk, norm: float, angle: float, depth: int) -> float:
    """r'' = N c^2 r^(3-4/N) sin(theta)^2 where r' = 0; at N = 1 (c^2/r) sin(theta)^2."""
    return depth * risk.pull**2 * norm ** (3.0 - 4.0 / depth) * np.sin(angle) ** 2


def claims() -> list[Claim]:
    laws = "three laws, or those asked for"
    spread = "six laws, depths 1 to 5, six starts and two random ones, to t = 1e12"
    return [
        Claim(
            name="lemma-2-two-phases",
            statement=r"r \text{ decreases on } [0,T], \text{ then increases to } \infty",
            source=f"{PAPER}, Lemma 2",
            setting=spread,
            theory=turning_time,
            measure=_measure_two_phases,
            method="The sign of every step of log r between 240 records of each flow, beside T, where h(r) = c (1 - cos theta).",
            fails="one step of one flow that moves against the phase it lies in by more than 1e-9 in log r",
            control=Control("T later by 16 %, the distance of two records", lambda *case: 1.16 * turning_time(*case)),
            derivation="deep_flow",
            about=("Lemma 2",),
        ),
        Claim(
            name="lemma-2-turning-time",
            statement=r"T \le \frac{s(0)-s^*}{c\,m} < \infty,\quad s^* = -\tfrac12\log(\tfrac{2c}{h(r_0)}-1),\ "
            r"m = \min(r_0, r_0(1+e^{2s(0)})^{-N})^{1-2/N}\ (m = r_0^{-1}\text{ at } N=1)",
            source="derived",
            setting=spread,
            theory=turning_bound,
            measure=_measure_turning_time,
            method="T of every flow whose norm falls at first, from the sign of r' at ever finer times.",
            fails="one flow with T > (1 + 1e-9) (s(0) - s*)/(c m)",
            control=Control("nine tenths of the bound", lambda case: 0.9 * turning_bound(case)),
            about=("Lemma 2",),
        ),
        Claim(
            name="lemma-2-curvature-at-the-turn",
            statement=r"\dot r = 0 \Rightarrow \ddot r = N c^2 r^{3-4/N}\sin^2\theta > 0,\quad N=1:\ \frac{c^2}{r}\sin^2\theta",
            source="derived",
            setting=f"{laws}, N = 1, 2, 3, 5, three starts that fall first",
            theory=norm_acceleration,
            measure=_measure_bend,
            method="Second differences of the norm around the time where <w, w'> = 0, along equation 7 integrated by SciPy's DOP853.",
            fails="one second difference that differs from the formula by more than 1e-6 of it",
            control=Control("c larger by 1e-5", lambda *given: (1.0 + 2e-5) * norm_acceleration(*given)),
            derivation="one_layer_flow",
            about=("Lemma 2",),
        ),
    ]
