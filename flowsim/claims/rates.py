"""Claims about late times: exponents and constants of direction, norm and loss, next orders, and the law without time."""

from collections.abc import Callable

import numpy as np

from flowsim.claims.claim import Claim, Finding, finding_of_gaps
from flowsim.claims.settings import DEPTHS, Case, cases, flows, risks, turning
from flowsim.dynamics import Trajectory, gradient_flow
from flowsim.problem import Gaussian, Laplace, PopulationRisk, Start, StudentT
from flowsim.theory import Rates, rates

DERIVED = "derived (derivations/asymptotics.py)"


GENEROSITY = 3.0
"""How many times the size of what the leading order leaves out a measurement may differ from it."""


def correction(theory: Rates, case: Case, t: float) -> float:
    """The size of what the leading order leaves out at time t, relative: the tail's next term, the shift of time, the start's part of s."""
    norm = float(theory.norm(t))
    gap = theory.tail.next_power - 1.0 - theory.tail.exponent
    ratio = theory.tail.next_coefficient / theory.tail.constant
    # a next term that is no power is taken as one of order r^-2 with a large coefficient; beside q = 2 a logarithm may stand
    tail = (abs(ratio) if np.isfinite(ratio) else 100.0) * norm**-gap * (np.log(norm) if gap >= 2.0 else 1.0)
    turn = turning(case)
    # the flow forgets its start once it has turned and outgrown its norm there
    outgrown = (turn.norm / theory.norm_constant) ** (1.0 / theory.norm_exponent)
    leaving = turn.norm ** (2.0 / case.depth - 1.0) / theory.pull
    shift = (3.0 * turn.time + outgrown + 30.0 * leaving) / t
    # s at the turn, and the part of the law without time that belongs to norms below the turn's
    offset = 10.0 + abs(turn.log_tan_half_angle) + float(theory.time_free(turn.norm, 1))
    initial = offset / abs(float(theory.log_tan_half_angle(t)))
    return tail + shift + initial


def _exponents(
    quantity: str, depths: tuple[int, ...], predict: Callable[[Rates], float], constant: Callable[[Rates, Trajectory], np.ndarray]
) -> Finding:
    """The exact local exponent and the ratio to theory at t = 1e12, each against the correction expected there."""
    ratio_worst, worst, rows = 0.0, "", {}
    for case, run in cases(depths):
        theory = rates(case.risk, case.depth)
        allowed = GENEROSITY * correction(theory, case, float(run.time[-1]))
        exponent = float(run.local_exponent(quantity)[-1])  # type: ignore[arg-type]
        miss = abs(exponent - predict(theory)) / allowed
        value = abs(float(constant(theory, run)[-1]) - 1.0) / allowed
        rows.setdefault(str(case.depth), []).append((exponent, float(constant(theory, run)[-1]), allowed))
        if max(miss, value) > ratio_worst:
            ratio_worst, worst = max(miss, value), str(case)
    first = [predict(rates(risks()[0], depth)) for depth in depths]
    every = np.array([row for found in rows.values() for row in found])
    off = np.concatenate([[row[0] - exponent for row in rows[str(depth)]] for depth, exponent in zip(depths, first, strict=True)])
    at = f" at N = {depths[0]}-{depths[-1]}" if len(depths) > 1 else ""
    return Finding(
        "holds" if ratio_worst <= 1.0 else "violated",
        f"exponent {', '.join(f'{x:.4f}' for x in first)}{at}; constant as stated",
        f"at t = 1e12 the exponent is off by {np.abs(off).max():.1e}, the constant by {np.abs(every[:, 1] - 1.0).max():.1e}, at most",
        f"{GENEROSITY:g} times what the leading order leaves out, which is at most {every[:, 2].max() / GENEROSITY:.1e}",
        worst,
        {depth: [list(row) for row in found] for depth, found in rows.items()},
    )


def _direction(depth: int) -> Finding:
    return _exponents(
        "direction", (depth,), lambda x: x.direction_exponent, lambda x, run: run.log_tan_half_angle / x.log_tan_half_angle(run.time)
    )


def _measure_norm() -> Finding:
    return _exponents("norm", DEPTHS, lambda x: x.norm_exponent, lambda x, run: run.norm / x.norm(run.time))


def _measure_loss() -> Finding:
    return _exponents("risk", DEPTHS, lambda x: -x.risk_exponent, lambda x, run: run.risk / x.risk(run.time))


_NEXT_LAWS = (Gaussian(2), StudentT(2, 3.0), Laplace(2))


def _measure_next_norm() -> Finding:
    """What r misses the leading order by, over what theory says, where the start's shift of time is still smaller."""
    misses = {}
    times = np.geomspace(1e9, 1e13, 9)
    for law in _NEXT_LAWS:
        risk = PopulationRisk(law)
        for depth in (1, 2):
            theory = rates(risk, depth)
            run = gradient_flow(risk, Start(1.0, 1.5), times, depth, rtol=1e-12)
            run.require_ok()
            leading, next_order = theory.norm(times), theory.norm(times, 2)
            if depth == 2 and theory.tail.next_power == 4.0:
                # r^2 - 4 K t + beta log(4 K t) is a constant of the start: its change over four decades beside the logarithm's
                rest, logarithm = run.norm**2 - next_order**2, leading**2 - next_order**2
                miss = (rest[-1] - rest[0]) / (logarithm[-1] - logarithm[0])
            else:
                miss = (run.norm[-1] - leading[-1]) / (next_order[-1] - leading[-1]) - 1.0
            misses[f"{law.label()}, N = {depth}"] = abs(float(miss))
    return finding_of_gaps(
        misses,
        0.03,
        "r - R = next order: N = 1: -beta/R; N = 2: r^2 = 4Kt - beta log(4Kt) + const; a kink at 0 (Laplace): a constant",
        "relative miss of the correction, at most {gap}",
        "3% of the correction; the reversed sign misses by 200%",
    )


def _measure_time_free() -> Finding:
    """-s - (c/N)[r^2/(2K) + (beta/K) log r] along a flow: its change while the terms themselves change by orders."""
    misses = {}
    for law in _NEXT_LAWS[:2]:
        risk = PopulationRisk(law)
        for depth in (1, 2, 3, 5):
            theory = rates(risk, depth)
            # r from 30 to 300: the terms left out are O(r^-2), the accuracy of s is r^2 1e-10
            times = (np.array([30.0, 300.0]) / theory.norm_constant) ** (1.0 / theory.norm_exponent)
            run = gradient_flow(risk, Start(1.0, 1.5), times, depth, rtol=1e-12)
            run.require_ok()
            rest = -run.log_tan_half_angle - theory.time_free(run.norm)
            logarithm = theory.time_free(run.norm) - theory.time_free(run.norm, 1)
            misses[f"{law.label()}, N = {depth}"] = abs(float((rest[1] - rest[0]) / (logarithm[1] - logarithm[0])))
    return finding_of_gaps(
        misses,
        0.01,
        "-s - (c/N)[r^2/(2K) + (beta/K) log r] tends to a constant",
        "its change from r = 30 to 300 is at most {gap} of the logarithm's",
        "1%",
    )


def _measure_local_exponent() -> Finding:
    """The local exponent approaches its limit: its distance falls over the last decades of every flow."""
    run = flows()
    distance = np.abs(run.local_exponent("direction") - 2.0 * run.depth[..., None] / (run.depth[..., None] + 2.0))
    at = [int(np.searchsorted(run.time, t)) for t in (1e6, 1e9)]
    # where the distance is at the rounding of the flow it may stay there
    falls = (distance[..., -1] <= 0.3 * distance[..., at[0]]) | (distance[..., -1] < 1e-7)
    worst = np.unravel_index(int(np.argmax(distance[..., -1])), falls.shape)
    case = [c for c, _ in cases()][int(np.ravel_multi_index(worst, falls.shape))]
    return Finding(
        "holds" if falls.all() else "violated",
        "d log(-s)/d log t -> 2N/(N+2)",
        f"distance to the limit at t = 1e6, 1e9, 1e12: {', '.join(f'{distance[..., i].max():.1e}' for i in (*at, -1))}",
        "falls at least to 0.3 from t = 1e6 to 1e12 in each of the flows, or is below 1e-7",
        str(case),
    )


def claims() -> list[Claim]:
    spread = "six laws, six starts, to t = 1e12"
    direction = r"-s \sim \tfrac{c(N+2)}{2N}((N+2)K)^{\frac{N-2}{N+2}}\,t^{\frac{2N}{N+2}}"

    def of_depth(depth: int) -> Claim:
        return Claim(f"direction-rate-depth-{depth}", direction, DERIVED, f"N = {depth}, {spread}", lambda: _direction(depth))

    return [
        *[of_depth(depth) for depth in (1, 2, 3, 5)],
        Claim(
            "direction-local-exponent",
            r"\tfrac{d\log(-s)}{d\log t}\to\tfrac{2N}{N+2}",
            DERIVED,
            f"N = 1-5, {spread}",
            _measure_local_exponent,
        ),
        Claim("norm-rate", r"r \sim ((N+2)Kt)^{N/(N+2)}", DERIVED, f"N = 1-5, {spread}", _measure_norm),
        Claim("loss-rate", r"L \sim K\,((N+2)Kt)^{-N/(N+2)}", DERIVED, f"N = 1-5, {spread}", _measure_loss),
        Claim(
            "norm-next-order",
            r"N=1:\ r=R-\beta/R;\quad N=2:\ r^2=4Kt-\beta\log(4Kt)+\mathrm{const}",
            DERIVED,
            "Gaussian, StudentT, Laplace; N = 1, 2; t = 1e9 to 1e13",
            _measure_next_norm,
        ),
        Claim(
            "time-free-law",
            r"-s=\tfrac{c}{N}\bigl[\tfrac{r^2}{2K}+\tfrac{\beta}{K}\log r+\mathrm{const}\bigr]+o(1)",
            DERIVED,
            "Gaussian, StudentT; N = 1, 2, 3, 5; r = 30 to 300",
            _measure_time_free,
        ),
    ]
