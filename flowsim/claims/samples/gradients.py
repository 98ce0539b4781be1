"""The claim about the gradient of the empirical risk: the population's, and an error whose covariance is that of one sample over n."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.special import expit

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.picture import Sketch
from flowsim.claims.samples.chance import allowed, chi_deviations, freedom_of, require_fourth_moment, slope
from flowsim.claims.settings import Setting, risk_of
from flowsim.claims.units import unit_norm
from flowsim.problem import Gaussian, Laplace, Law, PopulationRisk, Sphere, StudentT
from flowsim.theory import GradientNoise, gradient_noise

SIZES = (16, 64, 256, 1024, 4096)
COUNT, THOROUGH_COUNT = 400_000, 4_000_000
"""Samples of each law at each size: as many data sets as they make."""
MOST_NUMBERS = 30_000_000
"""That the samples of one size may hold: in many dimensions they are fewer."""
NORMS = (1.0, 10.0)
"""In units of 1/E|x_1|."""
STREAM = 700
"""Of the first law; the next have the next."""

Theory = Callable[[PopulationRisk, float], GradientNoise]


class Spread(NamedTuple):
    """Of the gradients of many data sets at w = r v, in one part, along v or across it.

    mean: (k,).  variance: of a component, around the mean.  freedom: of the variance.  sets: how many.
    """

    mean: np.ndarray
    variance: float
    freedom: float
    sets: int


def spread(rows: np.ndarray) -> Spread:
    """Of the means over data sets of one sample's gradients, (sets, n, k)."""
    sets, size, k = rows.shape
    means = rows.mean(axis=1)
    centre = means.mean(axis=0)
    variance = float(((means - centre) ** 2).sum() / ((sets - 1) * k))
    return Spread(centre, variance, freedom_of((rows - centre).reshape(-1, k), sets, size, fitted=1), sets)


@lru_cache(maxsize=64)
def measured(law: Law, seed: int, place: int, count: int) -> dict[tuple[float, int, str], Spread]:
    """By norm, size and part. The teacher is the first axis; the data sets of the sizes share no sample."""
    risk, out = risk_of(law), {}
    generator = Setting(seed=seed).generator(STREAM + place)
    for size in SIZES:
        sets = max(min(count, MOST_NUMBERS // law.dim) // size, 2)
        x = law.sample(generator, sets * size)
        x *= np.where(x[:, :1] >= 0.0, 1.0, -1.0)
        for norm in NORMS:
            rows = (-expit(-norm * unit_norm(risk) * x[:, :1]) * x).reshape(sets, size, law.dim)
            out[norm, size, "along v"], out[norm, size, "across"] = spread(rows[..., :1]), spread(rows[..., 1:])
    return out


def _measure(setting: Setting, theory: Theory) -> Finding:
    scores: dict[str, float] = {}
    slopes, ratios = [], []
    sketch = Sketch("$n$", r"root mean square of $|\nabla L_n-\nabla L|$ over $|\nabla L|$ at $2cr=10$", x_log=True, y_log=True)
    sizes = np.array(SIZES)
    for place, law in enumerate(setting.laws_or(Sphere(2), Gaussian(3), Laplace(2), StudentT(2, 8.0), Gaussian(10))):
        require_fourth_moment(law)
        risk, found = risk_of(law), measured(law, setting.seed, place, THOROUGH_COUNT if setting.thorough else COUNT)
        for norm in NORMS:
            r, case = norm * unit_norm(risk), f"{law.label()}, 2cr = {norm:g}"
            noise, gradient = theory(risk, r), float(risk.growth(r))
            for part, variance, mean in (("along v", float(noise.along), -gradient), ("across", float(noise.across), 0.0)):
                seen = [found[norm, size, part] for size in SIZES]
                ratio, freedom = np.array([one.variance for one in seen]) * sizes / variance, np.array([one.freedom for one in seen])
                for size, one, score in zip(SIZES, seen, chi_deviations(ratio, freedom), strict=True):
                    error = np.sqrt(one.variance / one.sets)
                    scores[f"{case}, n = {size}, mean {part}"] = float(np.abs((one.mean - mean) / error).max())
                    scores[f"{case}, n = {size}, variance {part}"] = float(score)
                # all sizes together: the constant
                ratios.append((float((freedom * ratio).sum() / freedom.sum()), float(freedom.sum())))
                scores[f"{case}, variance {part}, all n"] = float(chi_deviations(*ratios[-1]))
                rise, error = slope(np.log(sizes), 0.5 * np.log(ratio / sizes), np.sqrt(0.5 / freedom))
                slopes.append((rise, error))
                scores[f"{case}, slope {part}"] = abs(rise + 0.5) / error
            if norm == NORMS[-1] and len(sketch.curves) < 6:
                total = [found[norm, n, "along v"].variance + (law.dim - 1) * found[norm, n, "across"].variance for n in SIZES]
                sketch.measured(sizes, np.sqrt(total) / gradient, law.label(), points=True)
                sketch.predicted(sizes, noise.deviation(sizes) / gradient)
    (rise, error), (ratio, freedom) = (max(pairs, key=lambda pair: abs(pair[0] - at)) for pairs, at in ((slopes, -0.5), (ratios, 1.0)))
    finding = finding_of_gaps(
        scores,
        allowed(len(scores)),
        "grad L_n = grad L + an error with the variance (E[x_1^2 s^2] - h^2)/n along v and E[x_2^2 s^2]/n across",
        f"slope of its size in n at worst {rise:.4f} +- {error:.4f}, variance over theory's at worst {ratio:.4f} +- "
        f"{np.sqrt(2.0 / freedom):.4f}; largest of {{count}} deviations {max(scores.values()):.2f} of their errors",
        f"{allowed(len(scores)):.2f} standard errors, which chance passes once in 1e4 measurements",
        "standard errors",
        sketch.done(),
    )
    return replace(finding, numbers={**finding.numbers, "slopes": slopes, "variance ratios and degrees of freedom": ratios})


def _larger(risk: PopulationRisk, norm: float) -> GradientNoise:
    right = gradient_noise(risk, norm)
    return replace(right, along=np.asarray(1.03 * right.along), across=np.asarray(1.03 * right.across))


def claims() -> list[Claim]:
    return [
        Claim(
            name="empirical-gradient-noise",
            statement=r"\nabla L_n=\nabla L+\xi,\quad E\,\xi=0,\quad "
            r"\mathrm{Cov}\,\xi=\tfrac1n\left(E[xx^{\top}s^2]-\nabla L\,\nabla L^{\top}\right),\quad s=\frac{1}{1+e^{y\langle w,x\rangle}}",
            source="derived",
            setting="Sphere(2), Gaussian(3) and (10), Laplace(2), StudentT(2, df=8); w = r v, 2cr = 1 and 10; n = 16 to 4096",
            theory=gradient_noise,
            measure=_measure,
            method=f"Gradients of as many data sets of n samples as {COUNT} samples make ({THOROUGH_COUNT} in --thorough), at five n: "
            "their means, their variances along v and across with errors by chi^2 and the fourth moments measured, and the slope in log n.",
            fails="one mean, variance or slope off by more than chance gives once in 1e4 measurements",
            control=Control("variances larger by 3 %", _larger),
            derivation="sample_noise",
        )
    ]
