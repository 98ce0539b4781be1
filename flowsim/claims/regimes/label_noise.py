"""Claims about descent on flipped labels: the minimiser it rests at, and the step sizes for which it does."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.dynamics import gradient_descent
from flowsim.problem import Gaussian, PopulationRisk, Sphere, Start
from flowsim.theory import LabelNoiseStability, direction_rate, label_noise_stability

Array = np.ndarray
StabilityLaw = Callable[[PopulationRisk, int], LabelNoiseStability]


def _noisy(setting: Setting) -> list[tuple[str, PopulationRisk, int]]:
    """Each law at two rates of flipped labels, 0.1 and a random one, and each depth."""
    drawn = float(setting.generator(440).uniform(0.03, 0.35))
    out = []
    for law in setting.laws_or(*(() if setting.thorough else (Gaussian(2), Sphere(3)))):
        for noise in (0.1, drawn):
            risk = PopulationRisk(law, noise)
            out += [(f"{law.label()}, eps = {noise:.3g}, N = {depth}", risk, depth) for depth in setting.depths_or((1, 2, 3, 5))]
    return out


def _measure_stability(setting: Setting, theory: StabilityLaw) -> Finding:
    """Rest below, and no rest above: 400 steps from a thousandth off the minimiser, at 0.98 and 1.02 of the predicted step size."""
    gaps, sketch = {}, Sketch("step $k$", "distance from the minimiser over the first", y_log=True)
    for name, risk, depth in _noisy(setting):
        law = theory(risk, depth)
        paths = []
        for share in (0.98, 1.02):
            eta = share * law.critical_step_size
            run = gradient_descent(risk, Start(law.norm * 1.001, 1e-3), eta, np.arange(401), depth, "exact")
            distance = np.hypot(run.log_norm - np.log(law.norm), run.angle)
            paths.append(np.where(np.isnan(distance), np.inf, distance) / distance[0])
        below, above = paths
        # 0.96^400 = 1e-7; 1.04^k has grown fourfold after 36 steps
        gaps[f"{name}, 0.98"] = float(below[-1] / 1e-4)
        gaps[f"{name}, 1.02"] = float(4.0 / above.max())
        if len(sketch.curves) < 6:
            sketch.measured(np.arange(401), np.maximum(below, 1e-16), f"0.98, $N={depth}$")
            shown = np.isfinite(above)
            sketch.measured(np.arange(401)[shown], above[shown], f"1.02, $N={depth}$")
    return finding_of_gaps(
        gaps,
        1.0,
        "a run near r*, h(r*) = 2 eps c, comes to rest there for eta < 2/max(c (1-2 eps) r*^(1-2/N), -N r*^(2-2/N) h'(r*)), and not above",
        "after 400 steps at 0.98 of it the distance is less than 1e-4 of the first, at 1.02 it has grown more than fourfold: {gap} of "
        "these at most, {count} runs",
        "1: distances of 1e-4 and 4; the linearised map gives 1e-7 and 36 steps to fourfold",
        "share of the distance allowed",
        sketch.done(),
    )


OFF = 1e-4
"""Distance from the minimiser, relative in the norm and as an angle; to both sides, so that OFF^2 is left."""


def _measure_multipliers(setting: Setting, theory: StabilityLaw) -> Finding:
    gaps, pairs = {}, []
    for name, risk, depth in _noisy(setting):
        law = theory(risk, depth)
        for share in (0.4, 1.3):
            eta = share * law.critical_step_size
            starts = Start(law.norm * np.exp(np.array([OFF, -OFF, 0.0])), np.array([1e-12, 1e-12, OFF]))
            run = gradient_descent(risk, starts, eta, [0, 1], depth, "exact")
            assert run.side is not None
            radial = float(run.log_norm[0, 1] - run.log_norm[1, 1]) / (2.0 * OFF)
            across = float(run.side[2, 1] * np.exp(run.log_tan_half_angle[2, 1] - run.log_tan_half_angle[2, 0]))
            for of, seen, predicted in (("norm", radial, 1.0 - eta * law.radial), ("angle", across, 1.0 - eta * law.direction)):
                gaps[f"{name}, eta = {share} of the critical one, {of}"] = abs(seen - predicted)
                pairs.append((predicted, seen))
    sketch = Sketch("predicted multiplier", "multiplier of one step")
    ahead, found = np.array(pairs).T
    sketch.measured(ahead, found, "of log r and of the angle", points=True)
    sketch.predicted(np.sort(ahead), np.sort(ahead))
    return finding_of_gaps(
        gaps,
        2e-7,
        "near the minimiser one step multiplies log(r/r*) by 1 + eta N r*^(2-2/N) h'(r*) and the angle by 1 - eta c (1-2 eps) r*^(1-2/N)",
        "largest gap of a multiplier {gap}, {count} multipliers",
        f"2e-7: the square of the distance, {OFF:g}, times numbers of order ten",
        "gap of the multiplier",
        sketch.done(),
    )


RateLaw = Callable[[PopulationRisk, int, float], Array]


def _measure_rate(setting: Setting, theory: RateLaw) -> Finding:
    gaps, sketch = {}, Sketch("step $k$", r"$-s$")
    for name, risk, depth in _noisy(setting):
        law = label_noise_stability(risk, depth)
        for share in (0.3, 0.9):
            eta = share * law.critical_step_size
            rate = float(theory(risk, depth, eta))
            # the norm is at rest to 1e-12 after log(1e12)/rate of its own steps
            wait = round(40.0 / abs(np.log(abs(1.0 - eta * law.radial)))) + 100
            run = gradient_descent(risk, Start(1.2 * law.norm, 1e-6), eta, [wait, 2 * wait], depth, "exact")
            gaps[f"{name}, eta = {share} of the critical one"] = abs(
                float(np.exp(np.diff(run.log_tan_half_angle)[0] / wait) - np.exp(rate))
            )
            if len(sketch.curves) < 6 and share == 0.9:
                path = gradient_descent(risk, Start(1.2 * law.norm, 1e-6), eta, np.arange(0, 60), depth, "exact")
                sketch.measured(path.step, -path.log_tan_half_angle, f"$N={depth}$", points=True)
                sketch.predicted(path.step, -path.log_tan_half_angle[0] - rate * np.arange(0, 60))
    return finding_of_gaps(
        gaps,
        1e-9,
        "s ~ k log|1 - eta c (1-2 eps) r*^(1-2/N)| at every depth",
        "largest gap of exp(ds/dk), once the norm is at rest, {gap}, {count} runs",
        "1e-9: layers lose no more than the square of the angle, 1e-12, of their balance on the way to rest",
        "gap of the multiplier",
        sketch.done(),
    )


def _wrong_stability(norm: float = 1.0, radial: float = 1.0, direction: float = 1.0) -> StabilityLaw:
    """The law with these factors too large."""

    def law(risk: PopulationRisk, depth: int) -> LabelNoiseStability:
        right = label_noise_stability(risk, depth)
        return replace(right, norm=norm * right.norm, radial=radial * right.radial, direction=direction * right.direction)

    return law


def claims() -> list[Claim]:
    """In the order of the report."""
    setting = "Gaussian(dim=2) and Sphere(dim=3), labels flipped with probability 0.1 and a random one, N = 1, 2, 3, 5"
    return [
        Claim(
            name="label-noise-minimiser-and-its-stability",
            statement=r"h(r_*)=2\varepsilon c;\quad \text{stable iff}\ "
            r"\eta\max\left(c(1-2\varepsilon)r_*^{1-2/N},\,-N r_*^{2-2/N}h'(r_*)\right)<2",
            source="derived",
            setting=setting,
            theory=label_noise_stability,
            measure=_measure_stability,
            method="400 exact steps from a thousandth off the minimiser, at 0.98 and at 1.02 of the predicted largest step size.",
            fails="a run at 0.98 that is not a thousand times nearer after 400 steps, or one at 1.02 that never gets four times as far",
            control=Control("a largest step size of 2.05/max(...)", _wrong_stability(radial=2.0 / 2.05, direction=2.0 / 2.05)),
            derivation="descent",
        ),
        Claim(
            name="label-noise-multipliers",
            statement=r"\log\frac{r}{r_*}\leftarrow(1+\eta N r_*^{2-2/N}h'(r_*))\log\frac{r}{r_*},\quad"
            r"\theta\leftarrow(1-\eta c(1-2\varepsilon)r_*^{1-2/N})\,\theta",
            source="derived",
            setting=setting,
            theory=label_noise_stability,
            measure=_measure_multipliers,
            method="One step from 1e-4 off the minimiser, along the norm and across v, at 0.4 and 1.3 of the largest step size.",
            fails="one multiplier off by more than 2e-7",
            control=Control("1.000001 times both curvatures", _wrong_stability(radial=1.000001, direction=1.000001)),
            derivation="descent",
        ),
        Claim(
            name="descent-label-noise-direction-rate",
            statement=r"s_k\sim k\log\left|1-\eta c(1-2\varepsilon)r_*^{1-2/N}\right|",
            source="derived",
            setting=setting,
            theory=direction_rate,
            measure=_measure_rate,
            method="The slope of s over as many steps as the norm needed to come to rest, at 0.3 and 0.9 of the largest step size.",
            fails="one multiplier, exp(ds/dk), off by more than 1e-9",
            control=Control("1.00000001 eta in the place of eta", lambda risk, depth, eta: direction_rate(risk, depth, 1.00000001 * eta)),
            derivation="descent",
        ),
    ]
