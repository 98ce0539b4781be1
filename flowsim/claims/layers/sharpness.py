r"""Claim about the sharpness of balanced aligned layers: that of the direction, of the size, or of two layers against each other."""

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding, finding_of_gaps
from flowsim.claims.layers.runs import BATCH, layer_risks, teacher
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.layers import Layers, balanced, layer_descent
from flowsim.layers.observables import sharpness
from flowsim.problem import PopulationRisk

Array = np.ndarray
Law = Callable[[PopulationRisk, Array, int], Array]

WIDE, NARROW = 40, 4
"""Wide enough for Lanczos at N = 3, where the Hessian sees 164 numbers; at N = 2, and narrow at N = 16, it is written out."""
DESCENDING = 5
STREAM = 620
STEPS = np.array([0, 10, 30, 60, 100, 150, 200, 300])
ALIGNED = 1e-6
"""Records are held against the law, which is that of angle 0, up to the first angle above it: the law leaves out its square."""
ACCURACY = 1e-10
"""Relative: the squares of Lanczos's residual, 1e-8 at most, and of the angle."""


def aligned_sharpness(risk: PopulationRisk, norm: Array, depth: int, drop: float = 1.0) -> Array:
    """r^(1-2/N) max( c - h, N r (-h') - (N-1) kappa, kappa where N >= 2 ), kappa = c - 2 eps c - (c - h).

    drop: a factor on what h takes from the first, in a control.
    """
    kappa = risk.signal - risk.drag(norm)
    sizes = [risk.pull - drop * risk.growth(norm), depth * norm * risk.curvature(norm) - (depth - 1) * kappa]
    if depth >= 2:
        sizes.append(kappa)
    return norm ** (1.0 - 2.0 / depth) * np.max(sizes, axis=0)


class Seen(NamedTuple):
    """At the records of eight networks, flat: r, the largest eigenvalue of the Hessian, and eta times it, where there is an eta."""

    norm: Array
    sharpness: Array
    scaled: Array


def aligned_starts(risk: PopulationRisk, depth: int, seed: int) -> Layers:
    """Eight balanced networks with theta = 1e-9 and norms from 0.05/E|x_1| to 20/E|x_1|."""
    dim, unit = risk.law.dim, 0.5 / risk.pull
    v, norms = teacher(dim), np.geomspace(0.05, 20.0, BATCH) * unit
    across = Setting(seed=seed).generator(STREAM).standard_normal((BATCH, dim))
    across -= (across @ v)[:, None] * v
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    return balanced(norms[:, None] * (v + 1e-9 * across), depth, WIDE if depth <= DESCENDING else NARROW, seeds=range(BATCH))


@lru_cache(maxsize=32)
def seen_sharpness(risk: PopulationRisk, depth: int, seed: int) -> Seen:
    """Along descents of `aligned_starts` to depth `DESCENDING`, and at them beyond.

    The step size makes the sharpness of the largest start 1.5 over eta, from where it grows past 2 at N >= 3, before the direction has
    grown back.
    """
    start, v = aligned_starts(risk, depth, seed), teacher(risk.law.dim)
    w = start.end_to_end
    if depth > DESCENDING:
        found = sharpness(start, risk.gradient(w, v), risk.hessian(w, v))
        return Seen(np.linalg.norm(w, axis=1), found, np.full(BATCH, np.nan))
    largest = np.linalg.norm(w, axis=1).max()
    eta = 1.5 / float(largest ** (1.0 - 2.0 / depth) * risk.drag(largest))
    run = layer_descent(risk, start, eta, STEPS, v=v, observe=("sharpness",))
    run.require_ok()
    # past sigma = 2 the direction grows back, and then breaks the balance
    aligned = np.logical_and.accumulate(run.angle < ALIGNED, axis=1)
    found = run.observed["sharpness"][aligned]
    return Seen(run.norm[aligned], found, eta * found)


def _measure_sharpness(setting: Setting, theory: Law) -> Finding:
    gaps: dict[str, float] = {}
    peaks: dict[int, float] = {}
    sketch = Sketch("$r$", "largest eigenvalue of the Hessian", x_log=True, y_log=True)
    for risk in layer_risks(setting):
        for depth in setting.depths_or((2, 3, 16), low=2, high=16):
            seen = seen_sharpness(risk, depth, setting.seed)
            law = theory(risk, seen.norm, depth)
            gaps[f"{risk.label()}, N = {depth}"] = float(np.abs(seen.sharpness / law - 1.0).max())
            if np.isfinite(seen.scaled).all():
                peaks[depth] = max(peaks.get(depth, 0.0), float(seen.scaled.max()))
            if len(sketch.curves) < 6:
                order = np.argsort(seen.norm)
                sketch.measured(seen.norm[order], seen.sharpness[order], f"$N={depth}$", points=True)
                line = np.geomspace(seen.norm.min(), seen.norm.max(), 160)
                sketch.predicted(line, theory(risk, line, depth))
    grown = f"; eta times it grew to {', '.join(f'{peak:.3f} (N = {depth})' for depth, peak in peaks.items())}" if peaks else ""
    return finding_of_gaps(
        gaps,
        ACCURACY,
        "sharpness = r^(1-2/N) max( c - h, N r (-h') - (N-1) kappa, kappa )",
        f"largest relative gap {{gap}} over {{count}} batches of eight networks{grown}",
        f"{ACCURACY:g} (Lanczos with a residual of 1e-8, angles below {ALIGNED:g})",
        picture=sketch.done(),
    )


def claims() -> list[Claim]:
    return [
        Claim(
            name="sharpness-of-aligned-layers",
            statement=r"\lambda_{\max}\left(\nabla^2_{W_1,\ldots,W_N}L\right)=r^{1-2/N}\max\left(c-h,\ -N r h'-(N-1)\kappa,\ \kappa\right),"
            r"\quad \kappa=-\langle v,\nabla L\rangle=h\ (\theta=0)",
            source="derived",
            setting=f"Gaussian(3) (four laws in a thorough run); balanced layers with theta = 1e-9 and |w| = 0.05 to 20 over E|x_1|, so "
            f"that each term is the largest somewhere: descents of width {WIDE} at N = 2, 3; starts of width {NARROW} at N = 16",
            theory=aligned_sharpness,
            measure=_measure_sharpness,
            method="The largest eigenvalue of the Hessian in the matrices' entries, by Lanczos or written out, at each record.",
            fails=f"one record whose largest eigenvalue is off by more than {ACCURACY:g} of it",
            control=Control("1.00001 h in c - h", lambda risk, norm, depth: aligned_sharpness(risk, norm, depth, 1.00001)),
            derivation="",
        )
    ]
