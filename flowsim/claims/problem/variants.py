r"""Claims about what changes with flipped labels or another loss: the minimiser, and the risk's derivative in the angle.

For any margin loss l only the ends of the half circle of correct labels move with theta, so dL/dtheta = (1/pi) E_rho[D(r rho sin theta)]
with D(z) = l(-z) - l(z) and rho the norm of x's projection on a plane.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit, ndtr

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.picture import Sketch
from flowsim.claims.problem.risk import SIX_LAWS
from flowsim.claims.problem.shells import SIGMOID, Shells, half_plane, panels, shells_of
from flowsim.claims.settings import OutOfScope, Setting, six_laws
from flowsim.problem import Gaussian, Law, PopulationRisk, Sphere

NOISE = (0.02, 0.1, 0.4)
MINIMISER = 1e-9
SLOPE = 1e-8
"""A kink of the loss shows in the mean over the circle, where the integral over theta is split at no kink."""
LINEAR = 1e-11
BENT = 1e-3


def minimise(law: Law, noise: float) -> tuple[float, float]:
    """|w| and theta of the least mean of (1 - eps) l(m) + eps l(-m), l logistic, m = y <w, x>: Newton's method, the means by quadrature."""
    rings = shells_of(law).rings
    unit = 0.5 / shells_of(law).pull
    w = unit * np.array([0.5, 0.8])
    for _ in range(100):
        plane = half_plane(rings, float(np.hypot(*w)), float(np.arctan2(w[1], w[0])))
        x = np.stack([plane.along, plane.across])
        right, wrong = expit(-plane.margin), expit(plane.margin)
        gradient = x @ (plane.weight * (noise * wrong - (1.0 - noise) * right))
        hessian = (x * (plane.weight * right * wrong)) @ x.T
        step = -np.linalg.solve(hessian, gradient)
        # where the loss is nearly straight a full step goes far beyond the minimum
        step *= min(1.0, 0.5 * float(np.hypot(*w)) / float(np.hypot(*step)))
        # the angle is counted from v to either side
        w = np.array([w[0] + step[0], abs(w[1] + step[1])])
        if np.hypot(*step) < 1e-13 * np.hypot(*w):
            break
    return float(np.hypot(*w)), float(np.arctan2(w[1], w[0]))


def _measure_minimiser(setting: Setting, theory: Any) -> Finding:
    gaps: dict[str, float] = {}
    sketch = Sketch("$\\varepsilon$", "$2c|w|$ at the minimum", x_log=True, y_log=True)
    fine = np.geomspace(NOISE[0], NOISE[-1], 30)
    for i, law in enumerate(setting.laws_or()):
        found = [minimise(law, noise) for noise in NOISE]
        for noise, (norm, angle) in zip(NOISE, found, strict=True):
            gaps[f"{law.label()}, eps = {noise:g}"] = max(abs(norm / theory(law, noise) - 1.0), angle)
        if i < 3:
            unit = 2.0 * shells_of(law).pull
            sketch.measured(np.array(NOISE), np.array([unit * norm for norm, _ in found]), law.label(), points=True)
            sketch.predicted(fine, np.array([unit * theory(law, float(noise)) for noise in fine]))
    return finding_of_gaps(
        gaps,
        MINIMISER,
        "the minimum is on v's ray, at h(r*) = 2 eps c",
        "largest relative gap in the norm, or angle, {gap} over {count} minima",
        f"{MINIMISER:g} (Newton's method on means with an error of 1e-13)",
        picture=sketch.done(),
    )


def minimiser_norm(law: Law, noise: float) -> float:
    """r* with h(r*) = 2 eps c."""
    return PopulationRisk(law, label_noise=noise).minimiser_norm


class Loss(NamedTuple):
    """A margin loss l(z).  margins: where panels end, and kinks among them.  pull: lambda where D(z) = lambda z, nan where D is bent."""

    name: str
    value: Callable[[np.ndarray], np.ndarray]
    margins: tuple[float, ...]
    pull: float
    kinked: bool = False

    def difference(self, z: np.ndarray) -> np.ndarray:
        """D(z) = l(-z) - l(z)."""
        return self.value(-z) - self.value(z)


def logistic(temperature: float) -> Loss:
    """tau log(1 + exp(-z/tau)): tau times an even function, minus z/2."""
    margins = tuple(temperature * margin for margin in SIGMOID)
    return Loss(f"logistic at temperature {temperature:g}", lambda z: temperature * np.logaddexp(0.0, -z / temperature), margins, 1.0)


LOSSES = (
    logistic(1.0),
    logistic(0.25),
    Loss("square", lambda z: (1.0 - z) ** 2, (), 4.0),
    Loss("sqrt(1 + z^2) - z", lambda z: np.hypot(1.0, z) - z, (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0), 2.0),
    Loss("squared hinge", lambda z: np.maximum(1.0 - z, 0.0) ** 2, (1.0,), np.nan, kinked=True),
    Loss("exponential", lambda z: np.exp(-z), (1.0, 4.0, 8.0), np.nan),
    Loss("sigmoid", lambda z: expit(-z), SIGMOID, np.nan),
)


SHOWN = ("logistic at temperature 1", "square", "squared hinge", "sigmoid")
"""In pictures."""


def _mean_loss(loss: Loss, rings: Shells, norm: float, angle: float) -> float:
    plane = half_plane(rings, norm, angle, (*loss.margins, 1e3))
    return plane.mean(loss.value(plane.margin))


def _has_mean(loss: Loss, shells: Shells, norm: float) -> bool:
    """Whether the quadrature resolves this loss: its kink, and what is left out of the law beyond the largest ring."""
    if loss.kinked and shells.dim > 2 and shells.radius.size > 1:
        # those rings are interpolated, which a kink does not allow
        return False
    last = int(np.argmax(shells.radius))
    ends_there = shells.mass[last] * shells.radius[last] > 1e-14 * shells.mean_ring
    with np.errstate(over="ignore"):
        terms = shells.mass * loss.value(-norm * shells.radius)
    return bool(ends_there or terms[last] < 1e-14 * terms.sum())


def _pairs(setting: Setting) -> Iterator[tuple[Law, Shells, Loss, float, float]]:
    """Every law and loss with a finite mean, at |w| = size/(2c)."""
    for law in setting.laws_or(*six_laws()[:3], *six_laws()[4:], Sphere(3)):
        shells = shells_of(law)
        for loss in LOSSES:
            for size in (1.0, 3.0):
                if _has_mean(loss, shells, 0.5 * size / shells.pull):
                    yield law, shells, loss, size, 0.5 * size / shells.pull


_SLOPE_ANGLES = (0.2, 1.0, 2.0, 2.9)


def angular_slope(loss: Loss, rings: Shells, norm: float, angle: float) -> float:
    """dL/dtheta = (1/pi) E_rho[D(r rho sin theta)]."""
    return float((rings.mass * loss.difference(norm * rings.radius * np.sin(angle))).sum() / np.pi)


def _measure_slope(setting: Setting, theory: Any) -> Finding:
    gaps: dict[str, float] = {}
    sketch = Sketch("$\\theta$", "$L(\\theta)-L(0.2)$, of its last value")
    for law, shells, loss, size, norm in _pairs(setting):
        rings = shells.rings
        values = [_mean_loss(loss, rings, norm, angle) for angle in _SLOPE_ANGLES]
        count = 24 if loss.kinked else 4
        parts = [np.linspace(a, b, count + 1)[:-1] for a, b in pairwise(_SLOPE_ANGLES)]
        edges = np.append(np.concatenate(parts), _SLOPE_ANGLES[-1])
        nodes, weights = panels(edges[:-1], edges[1:])
        slopes = np.array([theory(loss, rings, norm, float(angle)) for angle in nodes.ravel()]).reshape(nodes.shape)
        grown = np.cumsum((slopes * weights).sum(axis=1))
        predicted = grown[count - 1 :: count]
        measured = np.subtract(values[1:], values[0])
        gaps[f"{law.label()}, {loss.name}, 2c|w| = {size:g}"] = float(np.abs(measured / predicted - 1.0).max())
        if size == 3.0 and loss.name in SHOWN and loss.name not in (curve.label for curve in sketch.curves):
            sketch.measured(np.array(_SLOPE_ANGLES[1:]), measured / measured[-1], loss.name, points=True)
            sketch.predicted(edges[1:], grown / predicted[-1])
    return finding_of_gaps(
        gaps,
        SLOPE,
        "L(theta) - L(0.2) = (1/pi) int E_rho D(r rho sin theta) dtheta",
        "largest relative gap {gap} over {count} laws, losses and norms",
        f"{SLOPE:g} (quadrature across a loss's kink)",
        picture=sketch.done(),
    )


def _measure_linear(setting: Setting, theory: Any) -> Finding:
    gaps: dict[str, float] = {}
    sketch = Sketch("$\\theta$", "$(L(\\theta)-L(0))\\,/\\,(c\\,r\\,(1-\\cos\\theta))$")
    angles = (0.5, 1.2, 1.9, 2.6, 3.1)
    changes = []
    for law, shells, loss, size, norm in _pairs(setting):
        rings, pull = shells.rings, theory(loss)
        aligned = _mean_loss(loss, rings, norm, 0.0)
        ratio = np.array([(_mean_loss(loss, rings, norm, t) - aligned) / (shells.pull * norm * (1.0 - np.cos(t))) for t in angles])
        case = f"{law.label()}, {loss.name}, 2c|w| = {size:g}"
        if np.isfinite(pull):
            gaps[case] = float(np.abs(ratio / pull - 1.0).max()) / LINEAR
        else:
            # bent: the ratio has to change with the angle
            change = float(np.ptp(ratio) / np.abs(ratio).max())
            gaps[case] = BENT / max(change, 1e-300)
            changes.append(change)
        if size == 3.0 and loss.name in SHOWN and loss.name not in (curve.label for curve in sketch.curves):
            sketch.measured(np.array(angles), ratio, loss.name, points=True)
            if np.isfinite(pull):
                sketch.predicted(np.array([angles[0], angles[-1]]), np.array([pull, pull]))
    return finding_of_gaps(
        gaps,
        1.0,
        "L(theta) - L(0) = lambda c r (1 - cos theta) for losses even plus linear, and for no other",
        f"{{count}} laws, losses and norms: largest gap {{gap}} of the tolerance; the other losses change by {min(changes):.2g} and more",
        f"{LINEAR:g} of it for the even plus linear; a change by {BENT:g} over the angles for the others",
        picture=sketch.done(),
    )


def exponential_risk(size: float, angle: float) -> float:
    """2 exp(r^2/2) Phi(-r cos theta), the exponential loss on standard normal data."""
    return float(2.0 * np.exp(0.5 * size**2) * ndtr(-size * np.cos(angle)))


def _measure_exponential(setting: Setting, theory: Any) -> Finding:
    laws = [law for law in setting.laws_or(Gaussian(2), Gaussian(5, 0.5)) if isinstance(law, Gaussian)]
    if not laws:
        raise OutOfScope("speaks of Gaussian laws")
    loss = next(loss for loss in LOSSES if loss.name == "exponential")
    gaps: dict[str, float] = {}
    sketch = Sketch("$\\theta$", "$L$", y_log=True)
    angles, fine = (0.0, 0.7, 1.4, 2.1, 2.8, float(np.pi)), np.linspace(0.0, np.pi, 60)
    for law in laws:
        for size in (0.3, 1.0, 2.0):
            found = [_mean_loss(loss, shells_of(law).rings, size / law.scale, angle) for angle in angles]
            for angle, value in zip(angles, found, strict=True):
                gaps[f"{law.label()}, r = {size:g}/scale, theta = {angle:.3g}"] = abs(value / theory(size, angle) - 1.0)
            if len(sketch.curves) < 6:
                sketch.measured(np.array(angles), np.array(found), f"$r={size:g}$", points=True)
                sketch.predicted(fine, np.array([theory(size, float(angle)) for angle in fine]))
    return finding_of_gaps(
        gaps,
        LINEAR,
        "mean exponential loss on Gaussian data = 2 exp(r^2/2) Phi(-r cos theta)",
        "largest relative gap {gap} over {count} points",
        f"{LINEAR:g}, the quadrature's error at r = 2",
        picture=sketch.done(),
    )


def claims() -> list[Claim]:
    plane = "Gauss quadrature over the plane of v and w, with panels that end at the label's jump and where the loss bends"
    spread = "five of the six laws and the sphere in R^3, or those asked for; seven losses where their means exist; 2c|w| = 1 and 3"
    return [
        Claim(
            name="label-noise-minimiser",
            statement=r"\arg\min L = r^* v,\quad h(r^*) = 2\varepsilon c",
            source="derived",
            setting=f"{SIX_LAWS}; eps = 0.02, 0.1 and 0.4",
            theory=minimiser_norm,
            measure=_measure_minimiser,
            method="Newton's method on the mean loss with flipped labels, its means by quadrature over the plane; neither h nor c enters.",
            fails="one minimum at an angle above 1e-9, or at a norm that differs from r* by more than 1e-9 of it",
            control=Control("h(r*) = 2.000001 eps c", lambda law, noise: minimiser_norm(law, 1.0000005 * noise)),
            derivation="label_noise",
        ),
        Claim(
            name="angular-slope-of-any-loss",
            statement=r"\frac{\partial L}{\partial\theta} = \frac1\pi E_\rho[D(r\rho\sin\theta)],\quad D(z) = \ell(-z)-\ell(z)",
            source="derived",
            setting=spread,
            theory=angular_slope,
            measure=_measure_slope,
            method=f"{plane}: the loss at four angles, beside the integral of the predicted slope.",
            fails="one difference of mean losses that misses the integral by more than 1e-8 of it",
            control=Control("1/pi larger by 1e-7", lambda *given: (1.0 + 1e-7) * angular_slope(*given)),
            derivation="margin_losses",
        ),
        Claim(
            name="constant-pull-of-even-plus-linear-losses",
            statement=r"L(r,\theta) - L(r,0) = \lambda\,c\,r\,(1-\cos\theta)\ \text{for all laws}\iff \ell(-z)-\ell(z) = \lambda z",
            source="derived",
            setting=spread,
            theory=lambda loss: loss.pull,
            measure=_measure_linear,
            method=f"{plane}: logistic at two temperatures, square and sqrt(1 + z^2) - z, which are even plus linear; squared "
            "hinge, exponential and sigmoid, which are not.",
            fails="a ratio (L(theta) - L(0))/(c r (1 - cos theta)) off lambda by 1e-11 of it, or nearly constant where D is bent",
            control=Control("lambda larger by 1e-10", lambda loss: (1.0 + 1e-10) * loss.pull),
            derivation="margin_losses",
        ),
        Claim(
            name="exponential-loss-gaussian-law",
            statement=r"\ell(z) = e^{-z},\ x \sim N(0, I):\quad L = 2 e^{r^2/2}\,\Phi(-r\cos\theta)",
            source="derived",
            setting="Gaussian(dim=2) and Gaussian(dim=5, scale=0.5), or those asked for; r = 0.3, 1, 2 over the scale",
            theory=exponential_risk,
            measure=_measure_exponential,
            method=f"{plane}.",
            fails="one mean loss that differs from the formula by more than 1e-11 of it",
            control=Control("r larger by 1e-10", lambda size, angle: exponential_risk((1.0 + 1e-10) * size, angle)),
            derivation="margin_losses",
        ),
    ]
