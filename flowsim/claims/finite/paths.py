"""Claims about directions: the path of W/|W| is finite, -grad L aligns with W, and how fast where the network is linear.

Of W = |W| u only what makes the margins grow is fed; what W had of other directions, at the start or soon after, stays as it is, of size c
say. So |u - u_limit| ~ c/|W|, and the angle between W and -grad L as well, which has nothing of it. |W| = (log t/gamma)^(1/p).
"""

from collections.abc import Callable

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, as_formal, finding_of_gaps
from flowsim.claims.finite.runs import LAST, SEEDS, bent_kinds, every_flow, exponent, linear_kinds, spread
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.finite import HomogeneousRun

EXPONENT_ACCURACY = 0.05
"""Of a median over seeds, of exponents of log t: |W| is within 1 % of its power law."""
ALIGNED = 0.02
"""1 - cos(W, -grad L) at log t = 1e4, at most, where the network is not linear: a median over seeds."""
FALLS = 1.0
"""By which factor, at most, what the path gains from one doubling of log t to the next falls at the end: a median over seeds.

It is 2^(-1/p) once nothing moves but what is frozen, and nearer to 1 while a start leaves another direction, like a power of log t.
"""


def frozen(order: float) -> float:
    """Of the angle between u and its limit: the exponent of log t."""
    return -1.0 / order


def gains(run: HomogeneousRun) -> np.ndarray:
    """What the path of u gains in each of the last doublings of log t."""
    marks = LAST / 2.0 ** np.arange(5)[::-1]
    return np.diff(np.interp(np.log(marks), np.log(run.log_time[run.log_time > 0]), run.path_length[run.log_time > 0]))


def _measure_linear(setting: Setting, theory: Callable[[float], float]) -> Finding:
    gaps: dict[str, float] = {}
    said: list[str] = []
    sketch = Sketch(r"$\log t$", r"sine of the angle between $W$ and $-\nabla L$", x_log=True, y_log=True)
    for kind in linear_kinds(setting):
        runs = [run for _, run in every_flow([kind], setting)]
        order = runs[0].order
        angles = [exponent(run, run.stationarity) for run in runs]
        paths = [float(np.log2(gains(run)[-1] / gains(run)[-2])) for run in runs]
        for what, found in (("angle to the gradient", angles), ("path", paths)):
            gaps[f"{kind}, {what}"] = abs(float(np.median(found)) - theory(order))
        said.append(f"N = {order:g}: angle {spread(angles)}, path {spread(paths)}")
        run = runs[0]
        late = run.log_time > 10.0
        sketch.measured(run.log_time[late], run.stationarity[late], kind)
        sketch.predicted(run.log_time[late], run.stationarity[-1] * (run.log_time[late] / LAST) ** theory(order))
    finding = finding_of_gaps(
        gaps,
        EXPONENT_ACCURACY,
        "sin(W, -grad L) and the path that is left of W/|W| fall like (log t)^(-1/N)",
        "; ".join(said) + "; largest gap of a median {gap}",
        f"{EXPONENT_ACCURACY:g} of the median over seeds, at log t = {LAST / 16:g} to {LAST:g}",
        "gap of the exponent",
        sketch.done(),
    )
    return as_formal(finding)


def _measure_converges(setting: Setting, theory: float) -> Finding:
    kinds = bent_kinds(setting)
    gaps: dict[str, float] = {}
    said: list[str] = []
    sketch = Sketch(r"$\log t$", r"$1-\cos(W,-\nabla L)$", x_log=True, y_log=True)
    for kind in kinds:
        runs = [run for _, run in every_flow([kind], setting)]
        falls = [float(gains(run)[-1] / gains(run)[0]) ** (1.0 / 3.0) for run in runs]
        last = [float(run.alignment_gap[-1]) for run in runs]
        gaps[f"{kind}, path"] = float(np.median(falls)) / FALLS
        gaps[f"{kind}, alignment"] = abs((1.0 - float(np.median(last))) - theory) / ALIGNED
        settled = 2.0 ** frozen(runs[0].order)
        said.append(f"{kind}: 1 - cos {spread(last)}, path's gain a doubling of log t times {spread(falls)}, {settled:.3g} once settled")
        late = runs[0].log_time > 1.0
        sketch.measured(runs[0].log_time[late], runs[0].alignment_gap[late], kind)
    return finding_of_gaps(
        gaps,
        1.0,
        f"cos(W, -grad L) tends to {theory:g}, and the path of W/|W| is finite",
        "; ".join(said),
        f"{ALIGNED:g} of the cosine at log t = {LAST:g}; the path's gains to fall from doubling to doubling; medians over seeds",
        "gap over what is allowed",
        sketch.done(),
    )


def claims() -> list[Claim]:
    return [
        Claim(
            name="homogeneous-directions-converge",
            statement=r"\int\Big|\frac{d}{dt}\frac{W}{|W|}\Big|dt<\infty,\qquad \cos(W,-\nabla L)\to1",
            source="Ji, Telgarsky 2020 (Advances in Neural Information Processing Systems 33), Theorems 3.1 and 4.1",
            setting=f"ReLU and leaky ReLU networks (three layers, squared ReLU and convolution in --thorough), {SEEDS} mixtures with a "
            "start each (12 in --thorough), to log t = 1e4",
            theory=1.0,
            measure=_measure_converges,
            method="The length of the path of W/|W| at log t = 625, 1250, ..., 1e4, whose gains have to fall, and cos(W, -grad L) at the "
            "end. Single starts pass near other directions for long: the medians over seeds are what is asked.",
            fails=f"a median cosine below {1 - ALIGNED:g} at the end, or a path whose gains do not fall in half of the seeds",
            control=Control("a cosine of 0.95", 0.95),
        ),
        Claim(
            name="deep-linear-directions-by-the-norm",
            statement=r"\sin(W,-\nabla L)\sim\frac{c}{|W|}\sim C\,(\log t)^{-1/N},\qquad "
            r"\int_t^\infty\Big|\frac{d}{ds}\frac{W}{|W|}\Big|ds\sim C'\,(\log t)^{-1/N}",
            source="formal: what is not fed stays",
            setting=f"deep linear networks, N = 1, 2, 3, {SEEDS} mixtures with a start each (12 in --thorough), to log t = 1e4",
            theory=frozen,
            measure=_measure_linear,
            method="Exponents of log t over its last four doublings, and of the path's gains over its last two; their medians over seeds.",
            fails=f"a median off by more than {EXPONENT_ACCURACY:g}",
            control=Control("-1/N - 0.1", lambda order: frozen(order) - 0.1),
            expected="consistent",
            derivation="homogeneous_rates",
        ),
    ]
