"""The claim about SGD on matrices: descent, and around it the fluctuations that one sample's noise makes, at any width.

From rank-one layers every step stays within them, and all widths walk alike; `band` is their descent and covariance to first order.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.figure_1.runs import depths_asked
from flowsim.claims.figure_1.samples import RECORDS, Band, band
from flowsim.claims.picture import Sketch
from flowsim.claims.samples.chance import allowed, chi_deviations
from flowsim.claims.settings import Setting
from flowsim.layers import LayerRun, unit_vectors
from flowsim.samples import sgd
from flowsim.theory.paper import FIGURE_1

WIDTH = 3
SHORT, SEEDS = 1000, 16
"""Steps of the runs whose spread is measured, and how many there are."""
LONG = {False: 12_000, True: 30_000}
"""Steps of one run, by whether the measurement is thorough."""
STREAM = 820
"""And N more: runs of different depths are on different samples."""

Law = Callable[[int], Band]


def observed(run: LayerRun) -> np.ndarray:
    """The angle to v and log |w|, (..., T, 2), as in `Band`, but without the angle's sign."""
    return np.stack([run.angle, run.log_norm], axis=-1)


def unsigned(states: np.ndarray) -> np.ndarray:
    """Angle and log |w|, (..., 2), with the angle's size alone."""
    return np.stack([np.abs(states[..., 0]), states[..., 1]], axis=-1)


@lru_cache(maxsize=8)
def walked(depth: int, seed: int, thorough: bool) -> tuple[np.ndarray, np.ndarray]:
    """`observed` of one long run at the records, (T, 2), and of the short ones at their last step, (seeds, 2)."""
    start = unit_vectors(FIGURE_1.predictor, depth, WIDTH)
    seeds = Setting(seed=seed).generator(STREAM + depth).integers(2**32, size=1 + SEEDS * (4 if thorough else 1))

    def run(steps: Any, seed: Any) -> np.ndarray:
        found = sgd(FIGURE_1.risk, start, FIGURE_1.step_size, steps, FIGURE_1.batch, seed, FIGURE_1.teacher, observe=())
        found.require_ok()
        return observed(found)

    return run(RECORDS[: 1 + LONG[thorough] // SHORT], int(seeds[0])), run([SHORT], seeds[1:])[:, 0]


def _measure(setting: Setting, theory: Law) -> Finding:
    scores: dict[str, float] = {}
    sketch = Sketch(r"$\eta k$", "(SGD - descent)/deviation, long runs")
    ratios, numbers, seeds = [], 0, SEEDS * (4 if setting.thorough else 1)
    for depth in depths_asked(setting):
        expected = theory(depth)
        path, ends = walked(depth, setting.seed, setting.thorough)
        count, short = len(path), int(np.searchsorted(RECORDS, SHORT))
        # an angle that has changed sign is no nearer to its mean than its size is to the mean's
        scaled = (path - unsigned(expected.mean[:count]))[1:] / expected.deviation[1:count]
        numbers += scaled.size + 4
        last = (ends - expected.mean[short]) / expected.deviation[short]
        for j, name in enumerate(("angle", "log norm")):
            scores[f"N = {depth}, {name} to step {RECORDS[count - 1]}"] = float(np.abs(scaled[:, j]).max())
            spread = float((last[:, j] ** 2).mean())
            ratios.append(spread**0.5)
            scores[f"N = {depth}, {name} of {len(last)} seeds at step {SHORT}, spread"] = float(chi_deviations(spread, len(last)))
            scores[f"N = {depth}, {name} of {len(last)} seeds at step {SHORT}, mean"] = float(abs(last[:, j].mean()) * np.sqrt(len(last)))
            sketch.measured(FIGURE_1.step_size * RECORDS[1:count], scaled[:, j], f"$N={depth}$, {name}")
    limit = allowed(numbers)
    ends_of = FIGURE_1.step_size * np.array([SHORT, LONG[setting.thorough]])
    for side in (limit, -limit):
        sketch.limit(ends_of, [side, side])
    farthest = max(score for name, score in scores.items() if " to step " in name)
    finding = finding_of_gaps(
        scores,
        limit,
        "SGD on the matrices = descent + normal fluctuations whose covariance obeys P' = J P J^T + (eta^2/B) M Sigma M^T",
        f"angle and log norm within {farthest:.2f} deviations along one run; over {seeds} seeds at step {SHORT} root mean squares of "
        f"{', '.join(f'{r:.2f}' for r in ratios)} deviations",
        f"{limit:.2f} standard deviations, which chance passes once in 1e4 measurements",
        "deviations",
        sketch.done(),
    )
    return replace(finding, numbers={**finding.numbers, "root mean squares": ratios})


def _faster(depth: int) -> Band:
    return band(depth, 1.003 * FIGURE_1.step_size)


def claims() -> list[Claim]:
    return [
        Claim(
            name="sgd-is-sample-noise-around-descent",
            statement=r"W_j\leftarrow W_j-\eta\,\nabla_{W_j}L_B:\quad y_{\text{SGD}}-y_{\text{GD}}\simeq\mathcal{N}(0,P_k),\ "
            r"P_{k+1}=JP_kJ^{\top}+\tfrac{\eta^2}{B}M\,\mathrm{Cov}(\nabla\ell)M^{\top}\ \text{at any width}",
            source="derived; the runs are those of Lin, Sun, Zhang 2021 (submitted version), figure 1, as matrices",
            setting=f"the circle, N = 1, and 4 of width {WIDTH}, unit vectors from w(0) = (0.6, -0.8), eta = 1e-3, B = 1000; "
            f"{SEEDS} runs of {SHORT} steps, one of {LONG[False]} ({LONG[True]} in --thorough)",
            theory=band,
            measure=_measure,
            method="SGD on the layers' matrices beside exact descent on the population's risk, in units of the predicted deviation: every "
            "1000th step of a long run, and mean and spread over seeds of short ones.",
            fails="one record, mean or spread off by more than chance gives once in 1e4 measurements",
            control=Control("eta larger by 0.3 % in descent", _faster),
        )
    ]
