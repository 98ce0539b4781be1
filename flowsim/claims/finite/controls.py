"""Claims about where the theorems stop: data without a margin, a start above the threshold of the risk, a network of no degree."""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from scipy.optimize import minimize

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.finite.margins import NEVER
from flowsim.claims.finite.runs import DIM, LOG_TIMES, biased_network, data_sets, require_own_data, seeds_of
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import OutOfScope, Setting
from flowsim.finite import HomogeneousRun, TrainingSet, deep_linear, homogeneous_flow, mixture, relu_network
from flowsim.samples import max_margin

NOISE = 0.3
"""Share of labels that are flipped, so that no plane separates them."""
STREAM = 791
END = 12.0
"""log t, at which a flow to a finite minimiser has come to rest: it relaxes at a rate of order one."""
REST_ACCURACY = 1e-6
CLEARLY = 1e-3
"""Of the largest smoothed margin, by which it is to fall."""
WRONG_WAY = 0.5
"""|w(0)|, in units of the separator's norm at margin 1, of starts that point away from it."""
STEPPED = LOG_TIMES[LOG_TIMES <= 1e3]


@lru_cache(maxsize=4)
def flipped_sets(count: int, seed: int) -> tuple[TrainingSet, ...]:
    """Mixtures with flipped labels that no plane separates."""
    generator, out = Setting(seed=seed).generator(STREAM), []
    while len(out) < count:
        data = mixture(40, DIM, 1.0, label_noise=NOISE, seed=int(generator.integers(2**31)))
        try:
            max_margin(data)
        except ValueError:
            out.append(data)
    return tuple(out)


@lru_cache(maxsize=4)
def resting_runs(count: int, seed: int) -> tuple[HomogeneousRun, ...]:
    """Linear predictors on them, to where they have come to rest."""
    network, out = deep_linear(DIM), []
    for k, data in enumerate(flipped_sets(count, seed)):
        run = homogeneous_flow(network, data, network.start(seed=k), np.linspace(-3.0, END, 40))
        run.require_ok()
        out.append(run)
    return tuple(out)


def minimiser(data: TrainingSet) -> np.ndarray:
    """The W at which (1/n) sum exp(-y_i <W, x_i>) is least, by another method."""
    points = data.points

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        each = np.exp(-points @ w) / len(points)
        return float(each.sum()), -each @ points

    found = minimize(loss, np.zeros(data.dim), jac=True, method="BFGS", options={"gtol": 1e-12, "maxiter": 1000})
    w = found.x
    # Newton's steps, for the last digits
    for _ in range(3):
        each = np.exp(-points @ w)
        w = w + np.linalg.solve((points * each[:, None]).T @ points, each @ points)
    return w


def _measure_no_margin(setting: Setting, theory: Callable[[TrainingSet], np.ndarray]) -> Finding:
    require_own_data(setting)
    setting.depths_or((1,), high=1)
    count = seeds_of(setting)
    gaps: dict[str, float] = {}
    norms, losses = [], []
    sketch = Sketch(r"$\log t$", r"$|W-W_*|/|W_*|$", y_log=True)
    for k, (data, run) in enumerate(zip(flipped_sets(count, setting.seed), resting_runs(count, setting.seed), strict=True)):
        target = theory(data)
        w = run.direction * np.exp(run.log_norm)[:, None]
        away = np.linalg.norm(w - target, axis=1) / np.linalg.norm(target)
        gaps[f"seed {k}, minimiser"] = float(away[-1]) / REST_ACCURACY
        gaps[f"seed {k}, separated"] = 2.0 * float(run.separated.any())
        norms.append(float(np.exp(run.log_norm[-1])))
        losses.append(float(np.exp(run.log_loss[-1])))
        sketch.measured(run.log_time, np.maximum(away, 1e-16), f"seed {k}")
    return finding_of_gaps(
        gaps,
        1.0,
        "W comes to rest at the finite minimiser of L, which stays above l(0)/n: no direction at infinity, no smoothed margin",
        f"at log t = {END:g}: |W| {min(norms):.3g} to {max(norms):.3g}, L {min(losses):.3g} to {max(losses):.3g}, "
        "{gap} of the distance to the minimiser that is allowed",
        f"{REST_ACCURACY:g} of |W|",
        "gap over what is allowed",
        sketch.done(),
    )


def _fall(values: np.ndarray) -> float:
    """The largest fall from an earlier value, over the largest size."""
    return float((np.maximum.accumulate(values) - values).max() / np.abs(values).max()) if values.size > 1 else 0.0


@lru_cache(maxsize=8)
def above_runs(count: int, seed: int) -> tuple[HomogeneousRun, ...]:
    """Linear predictors that start away from the separator, where every sample is on its wrong side."""
    network, out = deep_linear(DIM), []
    for k, data in enumerate(data_sets(count, seed)):
        found = max_margin(data)
        aside = np.random.default_rng([seed, k]).standard_normal(DIM)
        start = -WRONG_WAY / found.margin * (found.direction + 0.1 * aside / np.linalg.norm(aside))
        run = homogeneous_flow(network, data, (start[None],), STEPPED)
        run.require_ok()
        out.append(run)
    return tuple(out)


def _measure_above(setting: Setting, theory: bool) -> Finding:
    require_own_data(setting)
    setting.depths_or((1,), high=1)
    sketch = Sketch(r"$\log t$", "smoothed margin over its last value")
    before, after = [], []
    for k, run in enumerate(above_runs(seeds_of(setting), setting.seed)):
        margin, held = run.smoothed_margin, run.separated
        before.append(_fall(margin[~held]))
        after.append(_fall(margin[held]))
        early = run.log_time < 10.0
        sketch.measured(run.log_time[early], margin[early] / margin[-1], f"seed {k}")
    falls = max(before) > CLEARLY
    verdict = "holds" if falls == theory and max(after) <= NEVER else "violated"
    return Finding(
        verdict,
        "above the threshold the smoothed margin may fall; below it never does",
        f"falls by {max(before):.2g} of its size before n L < l(0), in {sum(x > CLEARLY for x in before)} of {len(before)} starts; by "
        f"{max(after):.1g} after",
        f"{CLEARLY:g} for a fall, {NEVER:g} for none",
        numbers={"before": before, "after": after},
        picture=sketch.done(),
    )


@lru_cache(maxsize=8)
def mixed_runs(count: int, seed: int) -> tuple[HomogeneousRun, ...]:
    """Networks of degrees 1 and 2, followed without the check that would refuse them."""
    network, layers, out = biased_network(), relu_network(DIM, [4]), []
    for k, data in enumerate(data_sets(count, seed)):
        start = {"layers": layers.start(seed=k, scale=0.5), "skip": np.random.default_rng([seed, k]).standard_normal(DIM)}
        run = homogeneous_flow(network, data, start, STEPPED, check=False)
        run.require_ok()
        out.append(run)
    return tuple(out)


def _measure_mixed(setting: Setting, theory: bool) -> Finding:
    require_own_data(setting)
    if setting.depths is not None:
        raise OutOfScope("is measured on a ReLU network with a linear predictor beside it")
    sketch = Sketch(r"$\log t$", "smoothed margin by $|W|^2$ over its last value", x_log=True)
    falls = []
    for k, run in enumerate(mixed_runs(seeds_of(setting), setting.seed)):
        held = run.separated
        margin = run.smoothed_margin[held]
        falls.append(_fall(margin))
        sketch.measured(np.maximum(run.log_time[held], 0.1), margin / margin[-1], f"seed {k}")
    verdict = "holds" if (max(falls) > CLEARLY) == theory else "violated"
    return Finding(
        verdict,
        "where f has no degree, log(1/(n L))/|W|^p need not rise",
        f"falls by {max(falls):.2g} of its largest value after n L < l(0), in {sum(x > CLEARLY for x in falls)} of {len(falls)} flows",
        f"{CLEARLY:g} for a fall",
        numbers={"falls": falls},
        picture=sketch.done(),
    )


def claims() -> list[Claim]:
    return [
        Claim(
            name="no-margin-no-direction",
            statement=r"\max_{|u|=1}\min_i y_i\langle u,x_i\rangle<0\ \Rightarrow\ W(t)\to W_*\ \text{finite},\quad L\to L(W_*)>\ell(0)/n",
            source="derived (a negative control)",
            setting=f"linear predictors on mixtures in {DIM} dimensions with {NOISE:.0%} of 40 labels flipped, to log t = {END:g}",
            theory=minimiser,
            measure=_measure_no_margin,
            method="W at the end beside the minimiser found by BFGS and Newton's method; n L beside l(0) at every record.",
            fails=f"one W off by more than {REST_ACCURACY:g} of |W|, or n L below l(0) at any time",
            control=Control("a minimiser larger by 1e-4", lambda data: 1.0001 * minimiser(data)),
        ),
        Claim(
            name="above-the-threshold-margins-may-fall",
            statement=r"nL\ge\ell(0):\quad \frac{\ell^{-1}(nL)}{|W|^p}\ \text{may fall};\qquad nL<\ell(0):\ \text{never}",
            source="derived (a negative control of Lyu, Li 2019, Theorem 4.1)",
            setting="linear predictors that start on the wrong side of every sample, to log t = 1e3",
            theory=True,
            measure=_measure_above,
            method="The largest fall of the smoothed margin before and after the loss passes the threshold.",
            fails="no fall before, in any start, or one after",
            control=Control("that it never falls", False),
        ),
        Claim(
            name="without-a-degree-margins-may-fall",
            statement=r"f(W;x)=f_2(W_1,W_2;x)+\langle w,x\rangle:\quad \frac{\log 1/(nL)}{|W|^2}\ \text{may fall though}\ nL<\ell(0)",
            source="derived (a negative control of Lyu, Li 2019, Theorem 4.1)",
            setting="a two-layer ReLU network with a linear predictor beside it, degrees 2 and 1, to log t = 1e3",
            theory=True,
            measure=_measure_mixed,
            method="The largest fall of log 1/(n L) over |W|^2 after the loss passed the threshold.",
            fails="no fall in any flow",
            control=Control("that it never falls", False),
        ),
    ]
