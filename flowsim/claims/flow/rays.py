"""Claims about starts on the two rays, theta = 0 and theta = pi, where the flow is a scalar equation."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.flow.paths import few_risks, time_unit
from flowsim.claims.picture import Picture, Sketch
from flowsim.claims.problem.shells import panels
from flowsim.claims.settings import Setting, six_laws
from flowsim.dynamics import Trajectory, gradient_flow
from flowsim.problem import PopulationRisk, Start


def ray_speed(risk: PopulationRisk, q: np.ndarray, depth: int) -> np.ndarray:
    """q' = N |q|^(2-2/N) h(|q|) on the ray of v, w = q v, and N |q|^(2-2/N) (2c - h(|q|)) where q < 0."""
    r = np.abs(q)
    force = np.where(q > 0.0, risk.growth(r), risk.pull + risk.drag(r))
    return depth * r ** (2.0 - 2.0 / depth) * force


RAYS = 1e-8
"""The flow's error in log r, and what it makes of the time between two records."""


class Path(NamedTuple):
    """The predicted time to each recorded norm, and by how much log r misses there."""

    time: np.ndarray
    gap: np.ndarray


def _path(risk: PopulationRisk, depth: int, run: Trajectory, sign: float, speed: Any) -> Path:
    """The path q' = speed, whose time to each record is integrated by Gauss panels between the records.

    sign: of q at the start. Where N = 1 crosses the origin the gap is that of q, over the larger of |q| and a thousandth of the start's.
    """
    start = sign * float(run.start.norm)
    if depth == 1 and sign < 0.0:
        q = np.concatenate([[start], np.where(np.isposinf(run.log_tan_half_angle), -1.0, 1.0) * run.norm])
        # graded towards 0, where c - h is no analytic function of r in heavy tails
        graded = abs(start) * 2.0 ** -np.arange(1.0, 60.0)
        edges = np.unique(np.concatenate([q, [0.0], graded, -graded]))
        edges = edges[edges <= q[-1]]
        nodes, weights = panels(edges[:-1], edges[1:])
        time = np.concatenate([[0.0], np.cumsum((weights / speed(risk, nodes, depth)).sum(axis=1))])[np.searchsorted(edges, q[1:])]
        size = np.maximum(np.abs(q[1:]), 1e-3 * abs(start))
        return Path(time, np.abs((time - run.time) * speed(risk, q[1:], depth)) / size)
    u = np.concatenate([[np.log(abs(start))], run.log_norm])
    nodes, weights = panels(u[:-1], u[1:])
    r = np.exp(nodes)
    time = sign * np.cumsum((weights * r / speed(risk, sign * r, depth)).sum(axis=1))
    # on the way to the saddle log r itself grows without end, and its error with it
    size = run.norm * np.maximum(np.abs(run.log_norm) if sign < 0.0 else 1.0, 1.0)
    return Path(time, np.abs((time - run.time) * speed(risk, sign * run.norm, depth)) / size)


@lru_cache(maxsize=64)
def _ray_run(risk: PopulationRisk, depth: int, angle: float) -> Trajectory:
    """From r = 1/(2c) on the ray; two layers fall to the saddle exponentially, and are followed for a shorter while."""
    norm = 0.5 / risk.pull
    last = 1e2 if depth == 2 and angle > 0.0 else 1e8
    run = gradient_flow(risk, Start(norm, angle), time_unit(risk, norm, depth) * np.geomspace(1e-2, last, 60), depth)
    run.require_ok()
    return run


def _picture(risk: PopulationRisk, runs: dict[int, Trajectory], sign: float, speed: Any) -> Picture:
    sketch = Sketch("$t$ in units of $r_0^{2/N-1}/(cN)$", "$|w|/|w(0)|$", x_log=True, y_log=True)
    for depth, run in list(runs.items())[:3]:
        unit, norm, time = time_unit(risk, float(run.start.norm), depth), float(run.start.norm), _path(risk, depth, run, sign, speed).time
        sketch.measured(run.time / unit, run.norm / norm, f"N = {depth}")
        sketch.predicted(time / unit, run.norm / norm)
    return sketch.done(risk.label())


def _measure_teacher_ray(setting: Setting, theory: Any) -> Finding:
    gaps: dict[str, float] = {}
    risks, depths = few_risks(setting), setting.depths_or((1, 2, 3, 5))
    for risk in risks:
        for depth in depths:
            run = _ray_run(risk, depth, 0.0)
            stays = bool(np.isneginf(run.log_tan_half_angle).all())
            gaps[f"{risk.label()}, N = {depth}"] = float(_path(risk, depth, run, 1.0, theory).gap.max()) if stays else np.inf
    runs = {depth: _ray_run(risks[0], depth, 0.0) for depth in depths}
    return finding_of_gaps(
        gaps,
        RAYS,
        "theta = 0 stays, and r' = N r^(2-2/N) h(r)",
        "largest gap {gap} in log r over {count} flows",
        f"{RAYS:g} in log r (the flow's accuracy, and panels between its records)",
        picture=_picture(risks[0], runs, 1.0, theory),
    )


def _measure_pi_ray(setting: Setting, theory: Any) -> Finding:
    gaps: dict[str, float] = {}
    wrong: list[str] = []
    late: dict[str, float] = {}
    risks, depths = setting.risks_or(six_laws()[1], six_laws()[0]), setting.depths_or((1, 2, 3, 5))
    for risk in risks:
        for depth in depths:
            run, case = _ray_run(risk, depth, float(np.pi)), f"{risk.label()}, N = {depth}"
            gaps[case] = float(_path(risk, depth, run, -1.0, theory).gap.max())
            s = run.log_tan_half_angle
            crosses = bool(np.isposinf(s[0]) and np.isneginf(s[-1]))
            falls = bool(np.isposinf(s).all() and run.status == "saddle" and (np.diff(run.log_norm) < 0.0).all())
            if not (crosses if depth == 1 else falls):
                wrong.append(case)
            if depth > 2:
                # h -> c at the saddle, so r^(2/N-1) grows like (N-2) c t
                late[case] = float((depth - 2) * risk.pull * run.time[-1] * np.exp(run.log_norm[-1] * (1.0 - 2.0 / depth)))
    for case in wrong:
        gaps[case] = np.inf
    runs = {depth: _ray_run(risks[0], depth, float(np.pi)) for depth in depths}
    said = "; at N > 2 r^(1-2/N) (N-2) c t ends at " + ", ".join(f"{value:.6f}" for value in list(late.values())[:3]) if late else ""
    return finding_of_gaps(
        gaps,
        RAYS,
        "one layer crosses 0 and grows along v; deeper ones fall to the saddle at 0 and never reach it; q' as predicted",
        "largest gap {gap} in log r over {count} flows" + said + (f"; goes elsewhere: {', '.join(wrong)}" if wrong else ""),
        f"{RAYS:g} in log r, of log r itself near the saddle, and of |q| + |q(0)|/1000 near 0 (the flow's accuracy)",
        picture=_picture(risks[0], runs, -1.0, theory),
    )


def claims() -> list[Claim]:
    return [
        Claim(
            name="ray-of-the-teacher",
            statement=r"\theta(0) = 0:\quad \theta = 0,\ \dot r = N r^{2-2/N} h(r)",
            source="derived",
            setting="three laws, or those asked for; N = 1, 2, 3, 5; from r = 1/(2c)",
            theory=ray_speed,
            measure=_measure_teacher_ray,
            method="The time to each recorded norm, by Gauss panels of dr/(N r^(2-2/N) h), beside the record's.",
            fails="one record with log r off by more than 1e-8, or an angle that is not 0",
            control=Control("h larger by 1e-6", lambda risk, q, depth: ray_speed(risk, q, depth) * (1.0 + 1e-6)),
            derivation="deep_flow",
        ),
        Claim(
            name="ray-at-pi",
            statement=r"\theta(0) = \pi:\quad \dot q = N|q|^{2-2/N}(2c-h(|q|)),\ w = q v,\ q < 0;\quad "
            r"N=1 \text{ crosses } 0,\ N \ge 2 \text{ falls to it for ever}",
            source="derived",
            setting="two laws, or those asked for; N = 1, 2, 3, 5; from r = 1/(2c)",
            theory=ray_speed,
            measure=_measure_pi_ray,
            method="The time to each recorded q, by Gauss panels of dq over the speed, across 0 where N = 1; signs and status of the run.",
            fails="one record off by more than 1e-8, a single layer that does not cross, or a deeper one that does not fall to the saddle",
            control=Control("the speed larger by 1e-6", lambda risk, q, depth: ray_speed(risk, q, depth) * (1.0 + 1e-6)),
            derivation="one_layer_flow",
        ),
    ]
