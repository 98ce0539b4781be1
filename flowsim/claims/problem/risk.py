"""Claims about the population risk, Propositions 1-3: held against quadrature in the plane of v and w."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.paper import PAPER
from flowsim.claims.picture import Picture, Sketch
from flowsim.claims.problem.shells import half_plane, shells_of
from flowsim.claims.settings import OutOfScope, Setting
from flowsim.problem import Law, PopulationRisk

SIZES = (0.1, 1.0, 10.0, 1000.0)
"""|w| in units of 1/(2c), so that they mean the same for every law."""
ANGLES = (0.0, 0.3, 1.5, 2.9, float(np.pi))
ALL_SIZES = np.geomspace(1e-6, 1e6, 121)

QUADRATURE = 1e-12
"""The tables promise 1e-13; the quadrature repeats itself within 2e-13 over thirty laws."""
ROUNDING = 1e-11

SIX_LAWS = "six laws, or those asked for"
NUMBERED = f"{PAPER}, Propositions 1-3"


class Means(NamedTuple):
    """L, grad L along v and across it, and the Hessian along w and across it, (2, 2): means over the law by quadrature."""

    risk: float
    gradient: np.ndarray
    hessian: np.ndarray


@lru_cache(maxsize=1024)
def plane_means(law: Law, norm: float, angle: float) -> Means:
    """E l, E grad l, E Hess l of l = log(1 + exp(-y <w, x>)), over the plane of v and w, without flowsim's tables."""
    plane = half_plane(shells_of(law).rings, norm, angle)
    falling = expit(-plane.margin)
    x, seen = np.stack([plane.along, plane.across]), np.stack([plane.margin / norm, plane.beside])
    bend = plane.weight * falling * expit(plane.margin)
    return Means(plane.mean(np.logaddexp(0.0, -plane.margin)), -x @ (plane.weight * falling), (seen * bend) @ seen.T)


def plane_vectors(dim: int, norm: float, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """w of this norm at this angle to v; v and the normal to it are the first two coordinates."""
    w, v = np.zeros(dim), np.zeros(dim)
    w[:2], v[0] = (norm * np.cos(angle), norm * np.sin(angle)), 1.0
    return w, v


def gaps_by_law(found: dict[str, dict[float, float]], limit: float, x: str, y: str) -> Picture:
    """Gaps against a size, one curve a law, with the tolerance; zeros are shown at 1e-17."""
    sketch = Sketch(x, y, x_log=True, y_log=True)
    for label, gaps in list(found.items())[:6]:
        sketch.measured(np.array(list(gaps)), np.maximum(list(gaps.values()), 1e-17), label)
    sizes = [size for gaps in found.values() for size in gaps]
    sketch.limit(np.array([min(sizes), max(sizes)]), np.array([limit, limit]), "tolerance")
    return sketch.done()


def _by_quadrature(setting: Setting, gap: Callable[[PopulationRisk, float, float], float], what: str, predicted: str) -> Finding:
    gaps: dict[str, float] = {}
    found: dict[str, dict[float, float]] = {}
    for risk in setting.risks_or():
        for size in SIZES:
            each = [gap(risk, size / (2.0 * risk.pull), angle) for angle in ANGLES]
            found.setdefault(risk.label(), {})[size] = max(each)
            gaps |= {f"{risk.label()}, 2c|w| = {size:g}, theta = {t:.4g}": g for t, g in zip(ANGLES, each, strict=True)}
    return finding_of_gaps(
        gaps,
        QUADRATURE,
        predicted,
        "largest difference {gap} over {count} points",
        f"{QUADRATURE:g}, the error of tables and quadrature",
        picture=gaps_by_law(found, QUADRATURE, "$2c|w|$", what),
    )


def _measure_risk(setting: Setting, theory: Any) -> Finding:
    def gap(risk: PopulationRisk, norm: float, angle: float) -> float:
        return abs(plane_means(risk.law, norm, angle).risk / float(theory(risk, norm, angle)) - 1.0)

    return _by_quadrature(setting, gap, "relative gap in $L$", "mean loss = A(r) + c r (1 - cos theta)")


def _measure_gradient(setting: Setting, theory: Any) -> Finding:
    def gap(risk: PopulationRisk, norm: float, angle: float) -> float:
        w, v = plane_vectors(risk.law.dim, norm, angle)
        found = np.zeros(risk.law.dim)
        found[:2] = plane_means(risk.law, norm, angle).gradient
        return float(np.abs(theory(risk, w, v) - found).max() / risk.pull)

    return _by_quadrature(setting, gap, "gap in $\\nabla L$, of $c$", "mean gradient = (c - h) w/r - c v")


def _measure_hessian(setting: Setting, theory: Any) -> Finding:
    def gap(risk: PopulationRisk, norm: float, angle: float) -> float:
        w, v = plane_vectors(risk.law.dim, norm, angle)
        found = plane_means(risk.law, norm, angle).hessian
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        given = turn @ theory(risk, w, v)[:2, :2] @ turn.T
        size = np.sqrt(np.abs(np.diag(given)))
        error = np.abs(given - found)
        # at large norms the entries along w are the smaller by far, and turning costs them what rounding takes from those across
        rounding = 1e-15 * np.abs(given).max() / QUADRATURE
        return float((error / np.maximum(np.outer(size, size), rounding)).max())

    return _by_quadrature(setting, gap, "relative gap in $\\nabla^2 L$", "mean Hessian = -h'(r) u u^T + ((c - h)/r) (I - u u^T), u = w/r")


def _measure_curvature(setting: Setting, theory: Any) -> Finding:
    risks = [risk for risk in setting.risks_or() if np.isfinite(risk.law.second_moment)]
    if not risks:
        raise OutOfScope("speaks of laws with a second moment")
    sketch = Sketch("$2cr$", "eigenvalue of $\\nabla^2 L$, of $\\lambda_{max}(\\Sigma)/4$", x_log=True, y_log=True)
    least, largest = {}, {}
    for i, risk in enumerate(risks):
        r = ALL_SIZES / (2.0 * risk.pull)
        across, along = (curvature / float(theory(risk)) for curvature in (risk.drag_ratio(r), risk.curvature(r)))
        least[risk.label()] = float(np.minimum(across, along).min())
        largest[risk.label()] = float(np.maximum(across, along).max())
        if i < 3:
            sketch.measured(ALL_SIZES, across, f"across, {risk.label()}")
            sketch.measured(ALL_SIZES, along, f"along, {risk.label()}")
    sketch.limit(ALL_SIZES[[0, -1]], np.ones(2), "bound")
    good = all(low > 0.0 for low in least.values()) and all(high <= 1.0 + ROUNDING for high in largest.values())
    worst = max(largest, key=lambda label: largest[label])
    return Finding(
        "holds" if good else "violated",
        "0 < eigenvalues of the Hessian <= lambda_max(Cov x)/4",
        f"of the bound, the least eigenvalue is {min(least.values()):.2e}, the largest 1 {largest[worst] - 1.0:+.1e}; {len(risks)} laws",
        f"strict sign below; {ROUNDING:g} above (attained at r = 0)",
        worst,
        {"least": least, "largest": largest},
        sketch.done(),
    )


def claims() -> list[Claim]:
    points = f"{SIX_LAWS}; 2c|w| from 0.1 to 1000, theta = 0 to pi"
    plane = (
        "Gauss quadrature over the plane of v and w, with panels that end at the label's jump and where the loss bends, and over the law "
        "of x's projection on it, from its own density; no table of flowsim enters."
    )
    return [
        Claim(
            name="risk-by-quadrature",
            statement=r"L(w) = A(r) + c\,r\,(1-\cos\theta)",
            source=NUMBERED,
            setting=points,
            theory=PopulationRisk.value,
            measure=_measure_risk,
            method=plane,
            fails="one mean loss that differs from the formula by more than 1e-12 of it",
            control=Control("c larger by 1e-10", lambda risk, r, t: risk.value(r, t) + 1e-10 * risk.pull * r * (1.0 - np.cos(t))),
            derivation="risk",
            about=("Proposition 1",),
        ),
        Claim(
            name="gradient-by-quadrature",
            statement=r"\nabla L = (c-h(r))\,\frac{w}{r} - c\,v",
            source=NUMBERED,
            setting=points,
            theory=PopulationRisk.gradient,
            measure=_measure_gradient,
            method=plane,
            fails="one component of a mean gradient that differs from the formula by more than 1e-12 c",
            control=Control("c in front of v larger by 1e-10", lambda risk, w, v: risk.gradient(w, v) - 1e-10 * risk.pull * v),
            derivation="risk",
            about=("Proposition 2",),
        ),
        Claim(
            name="hessian-by-quadrature",
            statement=r"\nabla^2 L = -h'(r)\,u u^T + \frac{c-h(r)}{r}(I-u u^T),\quad u = w/r",
            source=NUMBERED,
            setting=points,
            theory=PopulationRisk.hessian,
            measure=_measure_hessian,
            method=plane,
            fails="one entry of a mean Hessian, in the frame of w, that differs from the formula by more than 1e-12 of those beside it",
            control=Control("the curvature across w larger by 1e-10", _flatter(1.0 + 1e-10)),
            derivation="risk",
            about=("Proposition 3",),
        ),
        Claim(
            name="convex-and-smooth",
            statement=r"0 \prec \nabla^2 L \preceq \tfrac14\lambda_{\max}(\Sigma)\,I",
            source=NUMBERED,
            setting=f"{SIX_LAWS} with a second moment; 121 norms, 2c|w| from 1e-6 to 1e6",
            theory=lambda risk: risk.smoothness,
            measure=_measure_curvature,
            method="The two eigenvalues of the Hessian, along w and across it, on the grid of norms.",
            fails="one eigenvalue that is zero or negative, or above the bound by more than 1e-11 of it",
            control=Control("a bound smaller by 1e-9", lambda risk: risk.smoothness * (1.0 - 1e-9)),
            derivation="smoothness",
            about=("Proposition 3",),
        ),
    ]


def _flatter(factor: float) -> Callable[..., np.ndarray]:
    """The Hessian with its part across w times ``factor``."""

    def hessian(risk: PopulationRisk, w: np.ndarray, v: np.ndarray) -> np.ndarray:
        r = float(np.linalg.norm(w))
        across = np.eye(w.size) - np.outer(w, w) / r**2
        return risk.hessian(w, v) + (factor - 1.0) * float(risk.drag_ratio(r)) * across

    return hessian
