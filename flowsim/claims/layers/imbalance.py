"""Claims about the imbalance of adjacent layers: the flow conserves it, and descent moves it in proportion to its step size."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.flow.paths import matrix_path, product
from flowsim.claims.layers.runs import DEEPEST, GENERIC, LAST, MIXED, WIDTH, drawn, late_flows, layer_risks, mixed_flow, teacher
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.dynamics import SciPy
from flowsim.layers import Layers, gaussian, layer_descent, layer_flow
from flowsim.problem import PopulationRisk
from flowsim.theory import imbalance_step, imbalances

Array = np.ndarray
Kept = Callable[[Sequence[Array]], list[Array]]

CONSERVED = 1e-9
"""Of the layers' squares: the relative tolerance of a step of the flow."""
SCIPY_TIME = 30.0
OTHER_WIDTHS = {2: (5,), 3: (2, 4), 4: (4, 1, 3)}
COORDINATES = 3
"""The depth at which SciPy also solves in flowsim's coordinates."""


def moved(theory: Kept, start: Layers, last: Layers) -> Array:
    """What is predicted to be kept, how much it moved, of the layers' largest square at the end: one number a network."""
    before, after = theory(start.matrices), theory(last.matrices)
    changes = [np.linalg.norm(b - a, axis=(-2, -1)) for a, b in zip(before, after, strict=True)]
    sizes = [np.linalg.norm(matrix, axis=(-2, -1)) ** 2 for matrix in last.matrices]
    return np.asarray(np.max(changes, axis=0) / np.max(sizes, axis=0))


def _by_scipy(risk: PopulationRisk, depths: Sequence[int], seed: int, theory: Kept) -> dict[str, float]:
    """Other widths, by SciPy: each as matrices in plain NumPy, and one in flowsim's coordinates."""
    gaps, dim, v = {}, risk.law.dim, teacher(risk.law.dim)
    for depth, width in OTHER_WIDTHS.items():
        if depth in depths:
            start = gaussian(dim, depth, width, seeds=seed)
            path = matrix_path(risk, start.matrices, v, np.array([0.5, 1.0]) * SCIPY_TIME)
            name = f"{risk.label()}, N = {depth}, widths {width}, SciPy"
            gaps[name] = max(float(moved(theory, start, Layers(layers))) for layers in path)
            if depth == COORDINATES:
                run = layer_flow(risk, start, [SCIPY_TIME], v=v, solver=SciPy("DOP853"), observe=())
                run.require_ok()
                gaps[f"{name} in p, Q and q"] = float(moved(theory, start, run.last))
    return gaps


def _measure_conserved(setting: Setting, theory: Kept) -> Finding:
    gaps: dict[str, float] = {}
    grown = []
    depths = setting.depths_or((2, 3, 4), low=2, high=DEEPEST)
    for risk in layer_risks(setting):
        for depth in depths:
            run = mixed_flow(risk, depth, setting.seed)
            name = f"{risk.label()}, N = {depth}, width {WIDTH}"
            for kind, gap in zip(MIXED, moved(theory, run.start, run.last), strict=True):
                gaps[f"{name}, {kind}"] = float(gap)
            grown.append(
                float((run.last.matrices[0] ** 2).sum(axis=(-2, -1)).max() / (run.start.matrices[0] ** 2).sum(axis=(-2, -1)).min())
            )
            if setting.thorough and np.isfinite(risk.tail.constant):
                for late in late_flows(risk, depth, GENERIC, 64, setting.seed):
                    gaps[f"{name}, to t = {LAST:g}"] = float(moved(theory, late.start, late.last).max())
    gaps.update(_by_scipy(layer_risks(setting)[0], depths, setting.seed, theory))
    return finding_of_gaps(
        gaps,
        CONSERVED,
        "W_j W_j^T - W_(j+1)^T W_(j+1) is conserved by the flow, for every start, width, depth and law",
        f"largest change {{gap}} of the layers' square over {{count}} flows, in which |W_1|^2 grew up to {max(grown):.3g}-fold",
        f"{CONSERVED:g} of the square of the largest layer (the tolerance of the flow's steps)",
        "change of the imbalance, of the layers' square",
    )


def weighted(weight: float) -> Kept:
    """W_j W_j^T - weight W_(j+1)^T W_(j+1)."""

    def kept(matrices: Sequence[Array]) -> list[Array]:
        lower = [matrix @ np.swapaxes(matrix, -1, -2) for matrix in matrices[:-1]]
        upper = [np.swapaxes(matrix, -1, -2) @ matrix for matrix in matrices[1:]]
        return [a - weight * b for a, b in zip(lower, upper, strict=True)]

    return kept


Drift = Callable[[Any, Array, float], list[Array]]

DESCENT_TIME = 2.0
"""In units of 1/c."""
STEPS = (32, 64, 128, 256, 512, 1024)
"""To that time: step sizes from 0.06/c down."""
SLOPE, LEADING, SUM = 0.05, 1e-6, 1e-10
"""Tolerances: of the slope; of the constant, extrapolated from three step sizes in the order eta^3; of a sum of rounded terms."""


def _flat(parts: Sequence[Array]) -> Array:
    return np.concatenate([part.reshape(*part.shape[:-2], -1) for part in parts], axis=-1)


def drift_of_descent(risk: PopulationRisk, start: Layers, step_size: float, steps: int) -> Array:
    """What ``steps`` steps of flowsim's descent add to the imbalances, flat."""
    run = layer_descent(risk, start, step_size, [steps], v=teacher(risk.law.dim), observe=())
    run.require_ok()
    return _flat([after - before for after, before in zip(run.last.imbalances, start.imbalances, strict=True)])


def descent_path(risk: PopulationRisk, start: Layers, step_size: float, steps: int) -> tuple[list[Array], Array]:
    """The layers before each step, (steps, ...) each, and grad L there: W_j - eta (dL/dw) backwards through the product, in plain NumPy."""
    v, layers = teacher(risk.law.dim), [matrix.copy() for matrix in start.matrices]
    path, gradients = [], []
    for _ in range(steps):
        below = [np.eye(start.dim)]
        for layer in layers:
            below.append(layer @ below[-1])
        gradient = risk.gradient(below[-1][0], v)
        path.append(layers)
        gradients.append(gradient)
        above, new = np.ones((1, 1)), []
        for j in range(start.depth - 1, -1, -1):
            new.append(layers[j] - step_size * above.T @ gradient[None, :] @ below[j].T)
            above = above @ layers[j]
        layers = new[::-1]
    return [np.stack(parts) for parts in zip(*path, strict=True)], np.stack(gradients)


def leading_drift(risk: PopulationRisk, start: Layers, time: float, theory: Drift) -> Array:
    """theory(layers, grad L, 1), integrated along the flow of the matrices by SciPy's DOP853 with Gauss's 40 points."""
    nodes, weights = np.polynomial.legendre.leggauss(40)
    times, v = 0.5 * time * (1.0 + nodes), teacher(risk.law.dim)
    path = matrix_path(risk, start.matrices, v, times)
    gradients = risk.gradient(np.stack([product(layers) for layers in path]), v)
    rates = _flat(theory([np.stack(parts) for parts in zip(*path, strict=True)], gradients, 1.0))
    return 0.5 * time * weights @ rates


def _measure_drift(setting: Setting, theory: Drift) -> Finding:
    gaps, said = {}, []
    sketch = Sketch(r"$\eta c$", r"$|B(t)-B(0)|$ at $ct=2$", x_log=True, y_log=True)
    depths = setting.depths_or((2, 3), low=2, high=DEEPEST)
    for risk in layer_risks(setting):
        for depth in depths:
            start = drawn(GENERIC, risk.law.dim, depth, [setting.seed + depth])[0]
            time, name = DESCENT_TIME / risk.pull, f"{risk.label()}, N = {depth}"
            etas = time / np.array(STEPS)
            drifts = np.stack([drift_of_descent(risk, start, float(eta), k) for eta, k in zip(etas, STEPS, strict=True)])
            sizes = np.linalg.norm(drifts, axis=1)
            slope = float(np.polyfit(np.log(etas), np.log(sizes), 1)[0])
            # over eta, without the orders eta and eta^2
            a, b, c = drifts[-3:] / etas[-3:, None]
            limit = (a - 6.0 * b + 8.0 * c) / 3.0
            law = leading_drift(risk, start, time, theory)
            path, gradients = descent_path(risk, start, float(etas[0]), STEPS[0])
            total = _flat(theory(path, gradients, float(etas[0]))).sum(axis=0)
            gaps[f"{name}: slope"] = abs(slope - 1.0) / SLOPE
            gaps[f"{name}: constant"] = float(np.linalg.norm(limit - law) / np.linalg.norm(law)) / LEADING
            gaps[f"{name}: sum"] = float(np.linalg.norm(total - drifts[0]) / sizes[0]) / SUM
            said.append(f"{name}: slope {slope:.4f}, constant to {gaps[f'{name}: constant'] * LEADING:.0e}")
            if len(sketch.curves) < 6:
                sketch.measured(etas * risk.pull, sizes, f"{risk.law.label()}, $N={depth}$", points=True)
                sketch.predicted(etas * risk.pull, etas * np.linalg.norm(law))
    return finding_of_gaps(
        gaps,
        1.0,
        "B_j(t) - B_j(0) = eta int (G_j G_j^T - G_(j+1)^T G_(j+1)) dt + O(eta^2), and the sum of eta^2 (...) over the steps exactly",
        f"{'; '.join(said[:3])}; each sum to rounding; {{count}} gaps, the largest {{gap}} of its tolerance",
        f"slope 1 +- {SLOPE:g} over {len(STEPS)} step sizes; constant {LEADING:g}, extrapolated from the last three; sums {SUM:g}",
        picture=sketch.done("dashed: the leading order, integrated along the flow"),
    )


def claims() -> list[Claim]:
    return [
        Claim(
            name="imbalance-conserved-by-flow",
            statement=r"\frac{d}{dt}\left(W_jW_j^{T}-W_{j+1}^{T}W_{j+1}\right)=0",
            source="derived; Du, Hu, Lee 2018",
            setting=f"Gaussian(3) (four laws in a thorough run); N = 2, 3, 4; eight kinds of starts of width {WIDTH} to t = 1e4; widths 5, "
            "(2, 4) and (4, 1, 3) to t = 30 by SciPy; in a thorough run 64 seeds to t = 1e8",
            theory=imbalances,
            measure=_measure_conserved,
            method="The imbalances of the last layers, less those of the start, of flows by diffrax and by SciPy's DOP853.",
            fails=f"one imbalance that moves by more than {CONSERVED:g} of the largest layer's square",
            control=Control("W_j W_j^T - 1.0000001 W_(j+1)^T W_(j+1) conserved", weighted(1.0 + 1e-7)),
            derivation="imbalance",
        ),
        Claim(
            name="imbalance-drifts-with-the-step-size",
            statement=r"B_j(t)-B_j(0)=\eta\int_0^t\left(G_jG_j^{T}-G_{j+1}^{T}G_{j+1}\right)dt+O(\eta^2),\quad G_j=\nabla_{W_j}L",
            source="derived",
            setting="Gaussian(3) (four laws in a thorough run); N = 2, 3; a generic start of width 3; six step sizes to c t = 2",
            theory=imbalance_step,
            measure=_measure_drift,
            method="The slope in eta of what descent adds to the imbalances; that over eta, extrapolated, beside the integral along "
            "SciPy's flow of the matrices; and beside the sum over the steps of a descent in plain NumPy.",
            fails=f"a slope off 1 by {SLOPE:g}, a constant by {LEADING:g}, or a sum by {SUM:g}",
            control=Control("1.0001 eta^2 (...)", lambda *given: [1.0001 * change for change in imbalance_step(*given)]),
            derivation="imbalance",
        ),
    ]
