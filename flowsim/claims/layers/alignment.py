"""Claims about layers that grow: how far each is from rank one, and how far adjacent ones are from being lined up."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding
from flowsim.claims.layers.runs import DEEPEST, MIXED, WIDTH, layer_risks, mixed_flow
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.theory import alignment_bound, rank_one_excess_bound

Array = np.ndarray

ACCURACY = 1e-9
"""Of the layers' squares: the tolerance of the flow's steps."""
SOURCE = 'Ji, Telgarsky 2019, "Gradient descent aligns the layers of deep linear networks"; the constants: derived'


def bound_finding(shares: dict[str, Array], says: str, what: str, tolerance: str, sketch: Sketch) -> Finding:
    """Holds if no share of its bound, (T, ...) each, exceeds 1."""
    largest = {name: float(share.max()) for name, share in shares.items()}
    worst = max(largest, key=lambda name: largest[name] if largest[name] == largest[name] else np.inf)
    holds = all(share <= 1.0 for share in largest.values())
    count = sum(share.size for share in shares.values())
    broken = sum(int((~(share <= 1.0)).sum()) for share in shares.values())
    middle = float(np.median(list(largest.values())))
    return Finding(
        "holds" if holds else "violated",
        says,
        f"{what} up to {largest[worst]:.6f} of its bound, {middle:.2g} in the middle one of {len(shares)} flows; "
        f"{broken} of {count} records above it",
        tolerance,
        worst,
        {**largest, "broken": broken},
        sketch.done(),
    )


def _measure_excess(setting: Setting, theory: Callable[[Sequence[Array]], Array]) -> Finding:
    shares: dict[str, Array] = {}
    sketch = Sketch("$t$", r"$(\|W_1\|_F^2-\|W_1\|^2)/D_1$", x_log=True)
    depths = setting.depths_or((2, 3, 4), low=2, high=DEEPEST)
    for risk in layer_risks(setting):
        for depth in depths:
            run = mixed_flow(risk, depth, setting.seed)
            whole, top = run.observed["layer_norm"] ** 2, run.observed["spectral_norm"] ** 2
            bound = theory(run.start.matrices)[:, None, :-1]
            # both sides to the accuracy of the flow
            share = (whole - top)[..., :-1] / (bound + ACCURACY * whole[..., :-1])
            for kind, values in zip(MIXED, share, strict=True):
                shares[f"{risk.label()}, N = {depth}, {kind}"] = values
            if len(sketch.curves) < 6:
                for i in (0, len(MIXED) - 2):
                    sketch.measured(run.time, share[i, :, 0], f"$N={depth}$, {MIXED[i]}")
    sketch.limit(np.array([0.1, 1e4]), np.ones(2), "bound")
    return bound_finding(
        shares,
        "|W_k|_F^2 - |W_k|^2 <= D_k, the sum over j from k on of tr B_j - lambda_min(B_j), at every time of the flow",
        "what the layers have in excess of rank one is",
        f"none, but for {ACCURACY:g} of the layers' squares, the tolerance of the flow's steps",
        sketch,
    )


SEEN = 1e-13
"""Misalignments below it are the rounding of singular vectors."""


def _measure_alignment(setting: Setting, theory: Callable[[Sequence[Array], Array], Array]) -> Finding:
    shares: dict[str, Array] = {}
    sketch = Sketch("$t$", r"$1-\langle v_2,u_1\rangle^2$", x_log=True, y_log=True)
    depths = setting.depths_or((2, 3, 4), low=2, high=DEEPEST)
    for risk in layer_risks(setting):
        for depth in depths:
            run = mixed_flow(risk, depth, setting.seed)
            top, cosine = run.observed["spectral_norm"], run.observed["alignment"]
            miss = (1.0 - cosine) * (1.0 + cosine)
            bound = 1.0 - np.swapaxes(theory(run.start.matrices, np.swapaxes(top[..., :-1], 0, 1)), 0, 1)
            # the imbalance is known to this, of e
            spread = np.sqrt(np.maximum(bound, 1e-300)) * top[..., :-1] ** 2
            allowed = bound * (1.0 + 4.0 * ACCURACY * top[..., :-1] ** 2 / np.maximum(spread, 1e-300)) + SEEN
            # a layer that is still small has no bound
            share = np.where(bound < 1.0, miss / allowed, 0.0)
            for kind, values in zip(MIXED, share, strict=True):
                shares[f"{risk.label()}, N = {depth}, {kind}"] = values
            if len(sketch.curves) < 5:
                for i in (0, len(MIXED) - 1):
                    sketch.measured(run.time, np.maximum(miss[i, :, 0], 1e-17), f"$N={depth}$, {MIXED[i]}")
                    sketch.limit(run.time, np.maximum(bound[i, :, 0], 1e-17), "" if len(sketch.curves) > 2 else "bound")
    return bound_finding(
        shares,
        "1 - <v_(k+1), u_k>^2 <= min( e/(S - D_k), (e/(2 (S - e - D_k)))^2 ), S = |W_k|^2, e the spread of B_k's eigenvalues",
        "the misalignment is",
        f"none, but for {ACCURACY:g} of the layers' squares in the imbalance, and {SEEN:g}, the rounding of singular vectors",
        sketch,
    )


def less_allowed(factor: float) -> Callable[[Any, Any], Array]:
    """What the bound on the alignment leaves to 1, multiplied."""
    return lambda matrices, singular_values: 1.0 - factor * (1.0 - alignment_bound(matrices, singular_values))


def claims() -> list[Claim]:
    setting = (
        f"Gaussian(3) (four laws in a thorough run); N = 2, 3, 4; layers of width {WIDTH}: seven usual or generic starts, and one made so "
        "that it nearly attains the bound; t = 0.1 to 1e4"
    )
    return [
        Claim(
            name="layers-become-rank-one",
            statement=r"\|W_k\|_F^2-\|W_k\|_2^2 \;\le\; D_k=\sum_{j\ge k}\left(\mathrm{tr}\,B_j-\lambda_{\min}(B_j)\right),\quad "
            r"B_j=W_jW_j^{T}-W_{j+1}^{T}W_{j+1}",
            source=SOURCE,
            setting=setting,
            theory=rank_one_excess_bound,
            measure=_measure_excess,
            method="Frobenius and spectral norms at every record, and D from the start.",
            fails="one record of one layer above its bound",
            control=Control("0.999 D", lambda matrices: 0.999 * rank_one_excess_bound(matrices)),
            derivation="imbalance",
        ),
        Claim(
            name="adjacent-layers-align",
            statement=r"1-\langle v_{k+1},u_k\rangle^2 \;\le\; \min\left(\frac{e}{S-D_k},\ "
            r"\left(\frac{e}{2(S-e-D_k)}\right)^2\right),\quad S=\|W_k\|_2^2,\ e=\lambda_{\max}(B_k)-\lambda_{\min}(B_k)",
            source=SOURCE,
            setting=setting,
            theory=alignment_bound,
            measure=_measure_alignment,
            method="Top singular vectors of adjacent layers at every record; e and D from the start, S from the record.",
            fails="one record of one pair of layers above its bound",
            control=Control("0.9 of what is allowed", less_allowed(0.9)),
            derivation="imbalance",
        ),
    ]
