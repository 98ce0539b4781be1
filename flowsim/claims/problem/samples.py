"""Claims about the population risk, held against samples of x and of its labels: the definition itself, in R^d."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.picture import Picture, Sketch
from flowsim.claims.problem.risk import NUMBERED
from flowsim.claims.settings import OutOfScope, Setting, risk_of, six_laws
from flowsim.problem import Law, PopulationRisk, Sphere

COUNT = 100_000
THOROUGH_COUNT = 1_000_000
MOST_NUMBERS = 30_000_000
"""That samples of one law may hold: in many dimensions they are fewer."""
STANDARD_ERRORS = 5.0
"""Of a mean. Chance passes it with probability 6e-7, so over the few hundred means of a claim with 1e-4."""

POINTS = ((0.3, 2.8), (1.0, 1.5), (3.0, 0.4), (3.0, 2.8))
"""|w| in units of 1/(2c), and the angle to v."""
ANGLES = (0.2, 0.8, 1.5, 2.2, 2.9)
NOISE = (0.1, 0.3)
"""Probabilities of a flipped label."""

RISK, GRADIENT, HESSIAN, ERRORS, NOISY_RISK, NOISY_GRADIENT = range(100, 106)
"""Random streams, one a claim."""


class Sampled(NamedTuple):
    """A law's samples x, (n, d), with their labels' teacher v and a unit normal to it, both at random."""

    risk: PopulationRisk
    x: np.ndarray
    v: np.ndarray
    normal: np.ndarray
    generator: np.random.Generator

    def predictor(self, size: float, angle: float) -> np.ndarray:
        """w with 2c|w| = size."""
        return size / (2.0 * self.risk.pull) * (np.cos(angle) * self.v + np.sin(angle) * self.normal)

    @property
    def labels(self) -> np.ndarray:
        """sign(<v, x>)."""
        return np.sign(self.x @ self.v)


def sampled(setting: Setting, stream: int, moment: bool = True) -> Iterator[Sampled]:
    """Samples of each law, and of the sphere in R^10; with ``moment`` only of those whose second one is finite."""
    own = (*six_laws(), Sphere(10, 3.0))
    laws = [law for law in setting.laws_or(*own) if not moment or np.isfinite(law.second_moment)]
    if not laws:
        raise OutOfScope("is held against means of samples, whose standard errors need a second moment")
    generator = setting.generator(stream)
    for law in laws:
        frame = np.linalg.qr(generator.standard_normal((law.dim, 2)))[0].T
        count = min(THOROUGH_COUNT if setting.thorough else COUNT, max(MOST_NUMBERS // law.dim, 1000))
        yield Sampled(risk_of(law), law.sample(generator, count), frame[0], frame[1], generator)


def standard_errors(values: np.ndarray, expected: Any) -> np.ndarray:
    """By how many standard errors the means over the first axis miss the expected values; 0 where nothing varies and nothing is missed."""
    miss = np.abs(values.mean(axis=0) - expected)
    error = values.std(axis=0) / np.sqrt(values.shape[0])
    return np.asarray(miss / np.maximum(error, 1e-12 * np.abs(values).max(axis=0) + 1e-300))


def _finding(scores: dict[str, float], name: str, picture: Picture | None = None) -> Finding:
    return finding_of_gaps(
        scores,
        STANDARD_ERRORS,
        f"sample mean of the {name} within its standard error of the closed form",
        f"largest deviation {max(scores.values()):.2f} standard errors over {{count}} means",
        f"{STANDARD_ERRORS:g} standard errors",
        what="standard errors",
        picture=picture,
    )


def _against_the_angle(
    drawn: Iterator[Sampled], values: Callable[[Sampled, float], np.ndarray], theory: Callable[[PopulationRisk, float], float], y: str
) -> tuple[dict[str, float], Picture]:
    """Scores of the means at every angle, and a picture of three laws."""
    scores: dict[str, float] = {}
    sketch = Sketch("$\\theta$", y)
    fine = np.linspace(0.0, np.pi, 61)
    for each in drawn:
        means = [values(each, angle) for angle in ANGLES]
        for angle, found in zip(ANGLES, means, strict=True):
            scores[f"{each.risk.label()}, theta = {angle:g}"] = float(standard_errors(found, theory(each.risk, angle)))
        if len(sketch.curves) < 6:
            sketch.measured(np.array(ANGLES), np.array([found.mean() for found in means]), each.risk.label(), points=True)
            sketch.predicted(fine, np.array([theory(each.risk, float(angle)) for angle in fine]))
    return scores, sketch.done()


def _measure_risk(setting: Setting, theory: Any) -> Finding:
    scores, picture = _against_the_angle(
        sampled(setting, RISK),
        lambda s, angle: np.logaddexp(0.0, -s.labels * (s.x @ s.predictor(3.0, angle))),
        lambda risk, angle: float(theory(risk, 1.5 / risk.pull, angle)),
        "$L$ at $2c|w|=3$",
    )
    return _finding(scores, "loss", picture)


def _measure_error_rate(setting: Setting, theory: Any) -> Finding:
    scores, picture = _against_the_angle(
        sampled(setting, ERRORS, moment=False),
        lambda s, angle: (s.labels != np.sign(s.x @ s.predictor(1.0, angle))).astype(float),
        lambda risk, angle: float(theory(risk, angle)),
        "rate of wrong signs",
    )
    return _finding(scores, "error", picture)


def _measure_gradient(setting: Setting, theory: Any) -> Finding:
    scores: dict[str, float] = {}
    for each in sampled(setting, GRADIENT):
        y = each.labels
        for size, angle in POINTS:
            w = each.predictor(size, angle)
            rows = -(y * expit(-y * (each.x @ w)))[:, None] * each.x
            scores[f"{each.risk.label()}, 2c|w| = {size:g}, theta = {angle:g}"] = float(
                standard_errors(rows, theory(each.risk, w, each.v)).max()
            )
    return _finding(scores, "gradient")


_HALF, _HALF_WEIGHTS = np.polynomial.legendre.leggauss(10)
_TAU, _TAU_WEIGHTS = 0.5 * (_HALF + 1.0), 0.5 * _HALF_WEIGHTS


def _along_a_segment(hessian: Callable[[np.ndarray], np.ndarray], w: np.ndarray, step: np.ndarray) -> float:
    """int over (-1, 1) of (1 - |tau|) p^T H(w + tau step) p, p = step/|step|: what the second difference over +- step is the mean of."""
    unit = step / np.linalg.norm(step)
    values = [unit @ (hessian(w + tau * step) + hessian(w - tau * step)) @ unit for tau in _TAU]
    return float((_TAU_WEIGHTS * (1.0 - _TAU) * values).sum())


def _measure_hessian(setting: Setting, theory: Any) -> Finding:
    """Second differences of the loss along w, across it, and between: exact means of the Hessian on a segment, with |x| as tail."""
    scores: dict[str, float] = {}
    for each in sampled(setting, HESSIAN):
        for size, angle in POINTS[:3]:
            w = each.predictor(size, angle)
            u, z = w / np.linalg.norm(w), each.x @ w
            here = 2.0 * np.logaddexp(0.0, z)
            beside = each.generator.standard_normal(w.size)
            beside -= (beside @ u) * u
            beside /= np.linalg.norm(beside)
            for name, unit in (("along w", u), ("across", beside), ("between", (u + beside) / np.sqrt(2.0))):
                step = 0.5 / (2.0 * each.risk.pull) * unit
                move = each.x @ step
                # the label does not matter: l(-z) - l(z) = z is linear
                change = np.logaddexp(0.0, z + move) + np.logaddexp(0.0, z - move) - here
                expected = _along_a_segment(lambda p, each=each: theory(each.risk, p, each.v), w, step)
                score = standard_errors(change / (step @ step), expected)
                scores[f"{each.risk.label()}, 2c|w| = {size:g}, {name}"] = float(score)
    return _finding(scores, "second difference")


def _flipped(each: Sampled, noise: float) -> np.ndarray:
    return each.labels * np.where(each.generator.random(each.x.shape[0]) < noise, -1.0, 1.0)


def _measure_noisy_risk(setting: Setting, theory: Any) -> Finding:
    scores: dict[str, float] = {}
    for each in sampled(setting, NOISY_RISK):
        for noise in NOISE:
            y, risk = _flipped(each, noise), theory(each.risk.law, noise)
            for size, angle in POINTS[1:3]:
                w = each.predictor(size, angle)
                score = standard_errors(np.logaddexp(0.0, -y * (each.x @ w)), risk.value(float(np.linalg.norm(w)), angle))
                scores[f"{each.risk.label()}, eps = {noise:g}, 2c|w| = {size:g}, theta = {angle:g}"] = float(score)
    return _finding(scores, "loss on flipped labels")


def _measure_noisy_gradient(setting: Setting, theory: Any) -> Finding:
    scores: dict[str, float] = {}
    for each in sampled(setting, NOISY_GRADIENT):
        for noise in NOISE:
            y, risk = _flipped(each, noise), theory(each.risk.law, noise)
            for size, angle in POINTS[1:3]:
                w = each.predictor(size, angle)
                rows = -(y * expit(-y * (each.x @ w)))[:, None] * each.x
                score = standard_errors(rows, risk.gradient(w, each.v)).max()
                scores[f"{each.risk.label()}, eps = {noise:g}, 2c|w| = {size:g}, theta = {angle:g}"] = float(score)
    return _finding(scores, "gradient on flipped labels")


def noisy(law: Law, noise: float) -> PopulationRisk:
    """The risk where each label is flipped with this probability."""
    return PopulationRisk(law, label_noise=noise)


def claims() -> list[Claim]:
    spread = "seven laws in d = 2, 3, 4, 10, or those asked for; random teachers"
    method = f"Means over {COUNT} seeded samples of x with their labels ({THOROUGH_COUNT} in --thorough), beside their standard errors."
    fails = "one mean that misses the closed form by more than 5 standard errors"
    flipped = r"y \text{ flipped with probability } \varepsilon:\quad "
    return [
        Claim(
            name="risk-on-samples",
            statement=r"L(w) = A(r) + c\,r\,(1-\cos\theta)",
            source=NUMBERED,
            setting=f"{spread}; 2c|w| = 3, theta from 0.2 to 2.9",
            theory=PopulationRisk.value,
            measure=_measure_risk,
            method=method,
            fails=fails,
            control=Control("c larger by 1.5 %", lambda risk, r, t: risk.value(r, t) + 0.015 * risk.pull * r * (1.0 - np.cos(t))),
            derivation="risk",
            about=("Proposition 1",),
        ),
        Claim(
            name="gradient-on-samples",
            statement=r"\nabla L = (c-h(r))\,\frac{w}{r} - c\,v",
            source=NUMBERED,
            setting=f"{spread}; four norms and angles",
            theory=PopulationRisk.gradient,
            measure=_measure_gradient,
            method=method,
            fails=fails,
            control=Control("c in front of v larger by 1.5 %", lambda risk, w, v: risk.gradient(w, v) - 0.015 * risk.pull * v),
            derivation="risk",
            about=("Proposition 2",),
        ),
        Claim(
            name="hessian-on-samples",
            statement=r"\nabla^2 L = -h'(r)\,u u^T + \frac{c-h(r)}{r}(I-u u^T),\quad u = w/r",
            source=NUMBERED,
            setting=f"{spread}; three norms and angles, steps of 0.5/(2c)",
            theory=PopulationRisk.hessian,
            measure=_measure_hessian,
            method="Second differences of the loss along w, across it and between, which are exact means of the Hessian along the step. "
            + method,
            fails=fails,
            control=Control("the Hessian larger by 1.5 %", lambda risk, w, v: 1.015 * risk.hessian(w, v)),
            derivation="risk",
            about=("Proposition 3",),
        ),
        Claim(
            name="error-rate-on-samples",
            statement=r"P(\mathrm{sign}\langle w,x\rangle \ne y) = \frac{\theta}{\pi}",
            source="derived",
            setting=f"{spread}; theta from 0.2 to 2.9",
            theory=PopulationRisk.error_rate,
            measure=_measure_error_rate,
            method=method,
            fails=fails,
            control=Control("theta/sqrt(10)", lambda risk, angle: angle / np.sqrt(10.0)),
            derivation="risk",
        ),
        Claim(
            name="label-noise-risk-on-samples",
            statement=flipped + r"L = A(r) + c\,r\,(1-(1-2\varepsilon)\cos\theta)",
            source="derived",
            setting=f"{spread}; eps = 0.1 and 0.3, two norms and angles",
            theory=noisy,
            measure=_measure_noisy_risk,
            method=method,
            fails=fails,
            control=Control("eps larger by 5 %", lambda law, noise: noisy(law, 1.05 * noise)),
            derivation="label_noise",
        ),
        Claim(
            name="label-noise-gradient-on-samples",
            statement=flipped + r"\nabla L = (c-h(r))\,\frac{w}{r} - c\,(1-2\varepsilon)\,v",
            source="derived",
            setting=f"{spread}; eps = 0.1 and 0.3, two norms and angles",
            theory=noisy,
            measure=_measure_noisy_gradient,
            method=method,
            fails=fails,
            control=Control("eps larger by 5 %", lambda law, noise: noisy(law, 1.05 * noise)),
            derivation="label_noise",
        ),
    ]
