"""Claims about the growth h and the aligned risk A: the means that define them, and closed forms."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from scipy.special import digamma, expit, polygamma, spence

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.problem.risk import NUMBERED, QUADRATURE, SIX_LAWS, gaps_by_law
from flowsim.claims.problem.shells import Shells, shells_of
from flowsim.claims.settings import OutOfScope, Setting
from flowsim.problem import Ball, Laplace, Law, PopulationRisk, Sphere

ON_THE_LINE = (
    "Gauss quadrature over |x_1|, with panels that end where the sigmoid bends, and over the law of |x| from its own density; no table of "
    "flowsim enters."
)


def growth(shells: Shells, r: float) -> float:
    """h(r) = E[|x_1|/(1 + exp(r|x_1|))], by quadrature."""
    u, weight = shells.coordinate(r)
    return float((weight * u * expit(-r * u)).sum())


def aligned(shells: Shells, r: float) -> float:
    """A(r) = E log(1 + exp(-r|x_1|)), by quadrature."""
    u, weight = shells.coordinate(r)
    return float((weight * np.logaddexp(0.0, -r * u)).sum())


class Functions(NamedTuple):
    """c, and h, A, (c - h)/r and -h' as functions of r."""

    pull: float
    growth: Callable[[Any], np.ndarray]
    aligned: Callable[[Any], np.ndarray]
    drag_ratio: Callable[[Any], np.ndarray]
    curvature: Callable[[Any], np.ndarray]


def functions_of(risk: PopulationRisk) -> Functions:
    """Those of a risk, from flowsim's tables."""
    return Functions(risk.pull, risk.growth, risk.aligned, risk.drag_ratio, risk.curvature)


def _measure_definitions(setting: Setting, theory: Any) -> Finding:
    gaps: dict[str, float] = {}
    found: dict[str, dict[float, float]] = {}
    for risk in setting.risks_or():
        shells, given = shells_of(risk.law), theory(risk)
        gaps[f"{risk.label()}, c"] = abs(shells.mean_ring / (np.pi * given.pull) - 1.0)
        for size in np.geomspace(1e-6, 1e6, 13):
            r = float(size / (2.0 * risk.pull))
            u, weight = shells.coordinate(r)
            z = r * u
            means = (
                (given.growth, u * expit(-z)),
                (given.aligned, np.logaddexp(0.0, -z)),
                (given.drag_ratio, 0.5 * u * np.tanh(0.5 * z) / r),
                (given.curvature, u * (z * expit(-z) * expit(z)) / r),
            )
            each = [abs(float((weight * values).sum() / function(r)) - 1.0) for function, values in means]
            found.setdefault(risk.label(), {})[float(size)] = max(each)
            gaps[f"{risk.label()}, 2c r = {size:.0e}"] = max(each)
    return finding_of_gaps(
        gaps,
        QUADRATURE,
        "c = c0/pi, h, A, (c - h)/r and -h' are the means that define them",
        "largest relative difference {gap} over {count} points",
        f"{QUADRATURE:g}, the error of tables and quadrature",
        picture=gaps_by_law(found, QUADRATURE, "$2cr$", "relative gap"),
    )


def elementary(law: Law) -> Callable[[float], tuple[float, float]] | None:
    """h and A of r in closed form: x_1 Laplace by polygammas, uniform (the sphere in R^3) by the dilogarithm; the ball by a sphere."""
    if isinstance(law, Laplace):

        def laplace(r: float) -> tuple[float, float]:
            inverse = 1.0 / (law.scale * r)
            odd, even = 0.5 * (1.0 + inverse), 1.0 + 0.5 * inverse
            h = (polygamma(1, odd) - polygamma(1, even)) / (4.0 * law.scale * r**2)
            return float(h), float(np.log(2.0) - 0.5 * (digamma(even) - digamma(odd)))

        return laplace
    if isinstance(law, Sphere) and law.dim == 3:

        def uniform(r: float) -> tuple[float, float]:
            y = law.radius * r
            a = (spence(1.0 + np.exp(-y)) + np.pi**2 / 12.0) / y
            return float((a - np.logaddexp(0.0, -y)) / r), float(a)

        return uniform
    if isinstance(law, Ball):
        sphere = shells_of(Sphere(law.dim + 2, law.radius))
        return lambda r: (growth(sphere, r), aligned(sphere, r))
    return None


def _measure_elementary(setting: Setting, theory: Any) -> Finding:
    laws = setting.laws_or(Laplace(2), Laplace(5, 0.3), Sphere(3), Sphere(3, 4.0), Ball(2), Ball(4, 2.0))
    gaps: dict[str, float] = {}
    found: dict[str, dict[float, float]] = {}
    for law in laws:
        closed = theory(law)
        if closed is None:
            continue
        shells = shells_of(law)
        for size in np.geomspace(0.1, 100.0, 7):
            r = float(size / (2.0 * shells.pull))
            h, a = closed(r)
            gap = max(abs(growth(shells, r) / h - 1.0), abs(aligned(shells, r) / a - 1.0))
            found.setdefault(law.label(), {})[float(size)] = gap
            gaps[f"{law.label()}, 2c r = {size:.3g}"] = gap
    if not gaps:
        raise OutOfScope("speaks of Laplace, of Sphere with dim = 3 and of Ball")
    return finding_of_gaps(
        gaps,
        QUADRATURE,
        "h and A in closed form are the means that define them",
        "largest relative difference {gap} over {count} points",
        f"{QUADRATURE:g}, the error of the quadrature",
        picture=gaps_by_law(found, QUADRATURE, "$2cr$", "relative gap"),
    )


def _with_error(law: Law) -> Callable[[float], tuple[float, float]] | None:
    closed = elementary(law)
    return None if closed is None else lambda r: (closed(r)[0] * (1.0 + 1e-10), closed(r)[1])


def claims() -> list[Claim]:
    return [
        Claim(
            name="growth-and-aligned-risk",
            statement=r"h(r) = E\frac{|x_1|}{1+e^{r|x_1|}},\quad A(r) = E\log(1+e^{-r|x_1|}),\quad c = \tfrac12 E|x_1| = \frac{c_0}{\pi}",
            source=NUMBERED,
            setting=f"{SIX_LAWS}; 2c r from 1e-6 to 1e6",
            theory=functions_of,
            measure=_measure_definitions,
            method=ON_THE_LINE,
            fails="one value of c, h, A, (c - h)/r or -h' that differs from its mean by more than 1e-12 of it",
            control=Control("h larger by 1e-10", _larger_growth),
            derivation="risk",
            about=("Proposition 1", "Proposition 2", "Proposition 3"),
        ),
        Claim(
            name="growth-in-closed-form",
            statement=r"x_1 \text{ Laplace: } h = \frac{\psi_1(\frac{1+y}{2}) - \psi_1(1+\frac{y}{2})}{4 b r^2},\ y=\frac{1}{br};\quad "
            r"x_1 \text{ uniform: } h = \frac{A-\log(1+e^{-Rr})}{r},\ A = \frac{\mathrm{Li}_2(-e^{-Rr})+\pi^2/12}{Rr}",
            source="derived",
            setting="Laplace, the sphere in R^3, and the ball in R^d as the sphere in R^(d+2); two of each; 2c r from 0.1 to 100",
            theory=elementary,
            measure=_measure_elementary,
            method=ON_THE_LINE,
            fails="one value of h or A that differs from its mean by more than 1e-12 of it",
            control=Control("h larger by 1e-10", _with_error),
            derivation="closed_forms",
            about=("Proposition 1",),
        ),
    ]


def _larger_growth(risk: PopulationRisk) -> Functions:
    return functions_of(risk)._replace(growth=lambda r: risk.growth(r) * (1.0 + 1e-10))
