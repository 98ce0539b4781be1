"""Claims about linear networks: to the max-margin separator, like 1/log t with one layer, and as layers become of rank one with more."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.finite.runs import (
    DIM,
    LAST,
    LOG_TIMES,
    SEEDS,
    data_sets,
    every_flow,
    exponent,
    linear,
    linear_kinds,
    require_own_data,
    seeds_of,
    spread,
)
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.finite import HomogeneousRun, TrainingSet, deep_linear, homogeneous_flow, load_data
from flowsim.samples import max_margin

SEPARATOR_ACCURACY = 0.02
DEEP_ACCURACY = 0.06
"""Of exponents of log t, relative, of medians over seeds: log |W| itself grows within 2 % of its power law."""
REAL = {"digits": "digits", "breast-cancer": "breast cancer"}
REAL_LAST = 5e3


class Deep(NamedTuple):
    """Exponents of log t. rank: of sigma_2/sigma_1.  alignment: of 1 - |<u_j, v_(j+1)>|.

    held, across: of what the unit predictor has across the separator, in the span of the support vectors and across it.
    """

    rank: float
    alignment: float
    held: float
    across: float


def deep(order: float) -> Deep:
    """What is frozen is of size c: sigma_2/sigma_1 ~ c/|W|; singular vectors turn by its product with the other's, 1/|W|^2.

    Margins of support vectors differ by O(1), and are log t themselves, so that in their span the predictor is held to 1/log t. Across it
    W_1 is frozen, and the predictor has c/|W| of it.
    """
    return Deep(-1.0 / order, -4.0 / order, -1.0, -1.0 / order)


def parts(run: HomogeneousRun, data: TrainingSet) -> tuple[np.ndarray, np.ndarray]:
    """What the unit predictor has across the separator, (T,): in the span of the support vectors, and across it (0 where they span R^d)."""
    found, unit = max_margin(data), run.predictor
    assert unit is not None
    basis = np.linalg.qr(data.points[found.support].T)[0]
    inside = unit @ basis @ basis.T
    held = inside - (unit @ found.direction)[:, None] * found.direction
    across = np.linalg.norm(unit - inside, axis=1)
    return np.linalg.norm(held, axis=1), across if basis.shape[1] < data.dim else np.zeros(len(unit))


def _single(data: TrainingSet, seed: int, last: float) -> HomogeneousRun:
    network = deep_linear(data.dim)
    times = LOG_TIMES[: np.searchsorted(LOG_TIMES, last, side="right")]
    run = homogeneous_flow(network, data, network.start(seed), times)
    run.require_ok()
    return run


def _measure_separator(setting: Setting, theory: float) -> Finding:
    require_own_data(setting)
    setting.depths_or((1,), high=1)
    sketch = Sketch(r"$\log t$", "1 - cos to the max-margin separator", x_log=True, y_log=True)
    sets = {f"mixture, seed {k}": data for k, data in enumerate(data_sets(seeds_of(setting), setting.seed))}
    runs = {name: run for (_, run), name in zip(every_flow([linear(1)], setting), sets, strict=True)}
    if setting.thorough:
        for name, title in REAL.items():
            sets[title] = load_data(name, seed=setting.seed)
            runs[title] = _single(sets[title], setting.seed, REAL_LAST)
    gaps: dict[str, float] = {}
    found, last = [], []
    for name, run in runs.items():
        distance = run.distance_to(max_margin(sets[name]).direction)
        # W - w_svm log t is some 1e-3 of W where the margin is small, and little of it across w_svm changes any more
        found.append(exponent(run, distance, run.log_norm))
        last.append(float(distance[-1]))
        gaps[name] = abs(found[-1] - theory) / SEPARATOR_ACCURACY
        late = run.log_time > 5.0
        sketch.measured(run.log_time[late], distance[late], name)
        sketch.predicted(run.log_time[late], distance[-1] * np.exp(theory * (run.log_norm[late] - run.log_norm[-1])))
    return finding_of_gaps(
        gaps,
        1.0,
        "W = w_svm log t + O(1): 1 - cos to the max-margin separator ~ |W|^-2 ~ (log t)^-2",
        f"exponents of |W| {spread(found)}; 1 - cos {spread(last)} at the end",
        f"{SEPARATOR_ACCURACY:g} of the exponent, over the last four doublings of log t",
        "gap over what is allowed",
        sketch.done(),
    )


def _measure_deep(setting: Setting, theory: Callable[[float], Deep]) -> Finding:
    gaps: dict[str, float] = {}
    said: list[str] = []
    sketch = Sketch(r"$\log t$", r"$\sigma_2/\sigma_1$ of the first layer", x_log=True, y_log=True)
    sets = data_sets(seeds_of(setting), setting.seed)
    for kind in linear_kinds(setting, low=2):
        runs = [run for _, run in every_flow([kind], setting)]
        order, ranks = runs[0].order, [run.rank_gap()[:, 0] for run in runs]
        expected = theory(order)
        found = {
            "rank": (_exponents(runs, ranks), expected.rank),
            "alignment": (_exponents(runs, [run.layer_alignment_gap()[:, 0] for run in runs]), expected.alignment),
        }
        halves = [parts(run, data) for run, data in zip(runs, sets, strict=True)]
        found["predictor, in the span"] = (_exponents(runs, [held for held, _ in halves]), expected.held)
        lost = [(run, across) for run, (_, across) in zip(runs, halves, strict=True) if across.any()]
        if lost:
            found["predictor, across it"] = ([exponent(run, across) for run, across in lost], expected.across)
        for what, (values, wanted) in found.items():
            gaps[f"{kind}, {what}"] = abs(float(np.median(values)) / wanted - 1.0) / DEEP_ACCURACY
        said.append(f"N = {order:g}: " + ", ".join(f"{what} {spread(values)}" for what, (values, _) in found.items()))
        late = runs[0].log_time > 10.0
        sketch.measured(runs[0].log_time[late], ranks[0][late], kind)
        sketch.predicted(runs[0].log_time[late], ranks[0][-1] * (runs[0].log_time[late] / LAST) ** expected.rank)
    return finding_of_gaps(
        gaps,
        1.0,
        "sigma_2/sigma_1 ~ (log t)^(-1/N), 1 - |<u_j, v_(j+1)>| ~ (log t)^(-4/N); the predictor's part across the separator ~ 1/log t in "
        "the span of the support vectors, (log t)^(-1/N) across it",
        "; ".join(said),
        f"{DEEP_ACCURACY:g} of each exponent, medians over seeds",
        "gap over what is allowed",
        sketch.done(),
    )


def _exponents(runs: list[HomogeneousRun], values: list[np.ndarray]) -> list[float]:
    return [exponent(run, value) for run, value in zip(runs, values, strict=True)]


def claims() -> list[Claim]:
    return [
        Claim(
            name="linear-to-the-max-margin",
            statement=r"W(t)=w_{\rm svm}\log t+O(1),\qquad 1-\cos(W,w_{\rm svm})\sim C\,|W|^{-2}\sim C'\,(\log t)^{-2}",
            source="Soudry, Hoffer, Nacson, Gunasekar, Srebro 2018 (Journal of Machine Learning Research 19), Theorem 3",
            setting=f"{SEEDS} mixtures in {DIM} dimensions, to log t = 1e4; 12, and two classes of digits and breast cancer, in --thorough",
            theory=-2.0,
            measure=_measure_separator,
            method="The exponent of |W| over the last four doublings of log t, of 1 - cos to the separator that a quadratic programme "
            "finds. |W| is log t over the margin up to O(1), which is not little where the margin is small.",
            fails=f"one data set off by more than {SEPARATOR_ACCURACY:g}",
            control=Control("an exponent of -2.05", -2.05),
        ),
        Claim(
            name="deep-linear-layers-of-rank-one",
            statement=r"\frac{\sigma_2}{\sigma_1}(W_j)\to0,\quad |\langle u_j,v_{j+1}\rangle|\to1,\quad "
            r"\frac{W_N\cdots W_1}{|W_N\cdots W_1|}\to\frac{w_{\rm svm}}{|w_{\rm svm}|}:\quad"
            r"(\log t)^{-1/N},\ (\log t)^{-4/N},\ (\log t)^{-1}+(\log t)^{-1/N}",
            source="Ji, Telgarsky 2019 (International Conference on Learning Representations), Theorem 2.2; the exponents: derived",
            setting=f"N = 2, 3, width 8, {SEEDS} mixtures with a start each (12 in --thorough), to log t = 1e4",
            theory=deep,
            measure=_measure_deep,
            method="Exponents of log t over its last four doublings: singular values of the first layer, its top left singular vector with "
            "the next one's right one, and the unit predictor beside the separator, in the span of the support vectors and across it; "
            "medians over seeds.",
            fails=f"a median off by more than {DEEP_ACCURACY:g} of itself",
            control=Control("exponents 1.2 times as large", lambda order: Deep(*(1.2 * x for x in deep(order)))),
            derivation="homogeneous_rates",
        ),
    ]
