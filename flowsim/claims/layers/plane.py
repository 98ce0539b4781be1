"""Claim about balanced layers: at any width they are the plane of v and w, in flow and in descent."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.flow.paths import matrix_path, polar, product, time_unit
from flowsim.claims.layers.runs import BATCH, DEEPEST, WIDTH, drawn, joined, layer_risks, teacher
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.dynamics import Trajectory, gradient_descent, gradient_flow
from flowsim.layers import balanced, layer_descent, layer_flow
from flowsim.problem import PopulationRisk, Start

Array = np.ndarray

WIDTHS = (1, 2, 7, 40)
DESCENT_WIDTHS = (1, 7)
RECORDS = 57
TIMES = np.geomspace(1e-2, 1e12, RECORDS)
STEPS = np.array([10, 100, 1_000, 10_000, 20_000])
AGREES = 1e-9
"""Of the norm, and of max(|s|, 1)."""
RTOL = 1e-11
STREAM = 610


class Plane:
    """The plane's flow and descent, a batch of predictors each. clock: a factor on times and step sizes, in a control."""

    def __init__(self, clock: float = 1.0) -> None:
        self.clock = clock

    def flow(self, risk: PopulationRisk, w: Array, times: Array, depth: int) -> Trajectory:
        return gradient_flow(risk, Start.from_vectors(w, teacher(w.shape[-1])), self.clock * times, depth, rtol=RTOL)

    def descent(self, risk: PopulationRisk, w: Array, step_size: float, depth: int) -> Trajectory:
        return gradient_descent(risk, Start.from_vectors(w, teacher(w.shape[-1])), self.clock * step_size, STEPS, depth, "exact")


class Path(NamedTuple):
    """What matrices did: log |w| and s, (runs, T), of some of the predictors. s is nan below the layers' rounding.

    times: (T,), or None for a descent of `STEPS` steps.  which: those predictors.
    """

    log_norm: Array
    s: Array
    times: Array | None
    which: slice = slice(None)


class Apart(NamedTuple):
    """The largest gap of each time, (T,): of the norm, and of s over max(|s|, 1); nan where no run has a direction."""

    norm: Array
    direction: Array

    @property
    def largest(self) -> float:
        """Of both. nan where a norm is."""
        return float(np.maximum(np.max(self.norm), np.nanmax(self.direction)))


def apart(path: Path, log_norm: Array, s: Array) -> Apart:
    """A path from log |w| and s of all predictors in the plane, (predictors, T) each."""
    log_norm, s = log_norm[path.which], s[path.which]
    turned = np.abs(path.s - s) / np.maximum(np.abs(s), 1.0)
    return Apart(np.abs(np.expm1(path.log_norm - log_norm)).max(axis=0), np.fmax.reduce(turned, axis=0))


def predictors(risk: PopulationRisk, seed: int) -> Array:
    """`BATCH` of them, of margins of order one and random directions, some of which point away from the teacher."""
    draw = Setting(seed=seed).generator(STREAM)
    w = draw.standard_normal((BATCH, risk.law.dim))
    w /= np.linalg.norm(w, axis=1, keepdims=True)
    return w * draw.uniform(0.5, 2.0, (BATCH, 1)) / (2.0 * risk.pull)


def step_size_of(risk: PopulationRisk, w: Array, depth: int) -> float:
    """At which eta c r^(1-2/N) is a tenth at the largest of the predictors."""
    return 0.1 / (risk.pull * float(np.linalg.norm(w, axis=1).max()) ** (1.0 - 2.0 / depth))


@lru_cache(maxsize=32)
def matrix_runs(risk: PopulationRisk, depth: int, seed: int) -> dict[str, Path]:
    """Flows and descents of balanced layers, and two flows of matrices that were not reduced to the rank they have.

    These are SciPy's, and flowsim's in one batch with networks of full rank. They last as long as a direction in matrices has its digits.
    """
    v, w = teacher(risk.law.dim), predictors(risk, seed)
    found = {}
    # of a start that does not pass near 0, where SciPy's interpolation between its steps is poor
    k = int(np.argmax(w @ v / np.linalg.norm(w, axis=1)))
    times = time_unit(risk, float(np.linalg.norm(w[k])), depth) * np.linspace(0.2, 4.0, RECORDS)
    matrices = matrix_path(risk, balanced(w[k], depth, 7, seeds=3).matrices, v, times)
    seen = polar(np.array([product(layers) for layers in matrices]), v)
    found["width 7, matrices by SciPy"] = Path(np.log(seen.norm)[None], np.log(np.tan(0.5 * seen.angle))[None], times, slice(k, k + 1))
    half = BATCH // 2
    mixed = joined([balanced(w[:half], depth, WIDTH, seeds=range(half)), drawn(("gaussian",), risk.law.dim, depth, range(half))])
    early = np.geomspace(0.5, 50.0, RECORDS) / risk.pull
    both = layer_flow(risk, mixed, early, v=v, rtol=RTOL, observe=())
    both.require_ok()
    found[f"width {WIDTH}, beside layers of full rank"] = Path(both.log_norm[:half], both.log_tan_half_angle[:half], early, slice(half))
    for width in WIDTHS:
        start = balanced(w, depth, width, seeds=range(BATCH))
        flow = layer_flow(risk, start, TIMES, v=v, rtol=RTOL, observe=())
        flow.require_ok()
        found[f"width {width}, flow"] = Path(flow.log_norm, flow.log_tan_half_angle, TIMES)
        if width in DESCENT_WIDTHS:
            descent = layer_descent(risk, start, step_size_of(risk, w, depth), STEPS, v=v, observe=())
            descent.require_ok()
            found[f"width {width}, descent"] = Path(descent.log_norm, descent.log_tan_half_angle, None)
    return found


def _measure_plane(setting: Setting, theory: Plane) -> Finding:
    gaps: dict[str, float] = {}
    sketch = Sketch("$t$", "gap of norm and direction", x_log=True, y_log=True)
    depths = setting.depths_or((2, 3, 4), low=2, high=DEEPEST)
    for risk in layer_risks(setting):
        w = predictors(risk, setting.seed)
        for depth in depths:
            flow, descent = theory.flow(risk, w, TIMES, depth), theory.descent(risk, w, step_size_of(risk, w, depth), depth)
            for case, path in matrix_runs(risk, depth, setting.seed).items():
                plane = descent if path.times is None else flow if path.times is TIMES else theory.flow(risk, w, path.times, depth)
                gap = apart(path, plane.log_norm, plane.log_tan_half_angle)
                gaps[f"{risk.label()}, N = {depth}, {case}"] = gap.largest
                if len(sketch.curves) < 6 and case == f"width {WIDTHS[-1]}, flow":
                    sketch.measured(TIMES, np.maximum(np.fmax(gap.norm, gap.direction), 1e-17), f"{case}, $N={depth}$")
    sketch.limit(TIMES[[0, -1]], np.full(2, AGREES), "tolerance")
    return finding_of_gaps(
        gaps,
        AGREES,
        "balanced rank-one layers of any width follow the plane's flow and descent",
        f"largest gap {{gap}} of |w|, or of max(|s|, 1), over {{count}} batches: flows to t = 1e12, {STEPS[-1]} steps of descent, and "
        "unreduced matrices as long as they resolve the direction",
        f"{AGREES:g} (flows at rtol = {RTOL:g} on both sides)",
        picture=sketch.done(),
    )


def claims() -> list[Claim]:
    return [
        Claim(
            name="balanced-layers-are-the-plane",
            statement=r"W_j=|w|^{1/N}u_{j+1}u_j^{T}:\quad W_N\cdots W_1 \text{ follows the reduced flow and map in } \mathrm{span}(v,w)",
            source="derived; Lin, Sun, Zhang 2021 (submitted version), equation 7",
            setting=f"Gaussian(3) (four laws in a thorough run); N = 2, 3, 4; widths {', '.join(map(str, WIDTHS))}; eight starts; flows to "
            f"t = 1e12, descents of {STEPS[-1]} steps",
            theory=Plane(),
            measure=_measure_plane,
            method="Norm and s of the layers' runs beside those in the plane. The layers' engine finds the rank itself; two more runs hold "
            "matrices that it does not reduce: SciPy's, and a batch that has full-rank networks in it.",
            fails=f"one record off by more than {AGREES:g} of |w|, or of max(|s|, 1)",
            control=Control("a clock that runs fast by 1e-8", Plane(1.0 + 1e-8)),
            derivation="deep_flow",
            about=("equation 7",),
        )
    ]
