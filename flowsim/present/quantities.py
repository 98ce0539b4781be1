"""What is drawn of a run, what the theory of the late flow says of it, and what tells runs apart. A quantity is one of

    direction   -s = -log tan(theta/2)      ~ direction_constant t^(2N/(N+2))
    norm        |w|                         ~ norm_constant t^(N/(N+2))
    risk        L(w)                        ~ risk_constant t^(-N/(N+2))

with the exponents of a law whose density does not vanish or diverge at 0; `flowsim.theory.rates` has the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from flowsim import arguments
from flowsim.dynamics import Comparison, Trajectory
from flowsim.layers import LayerRun
from flowsim.theory import NoisyRates, Rates, noisy_rates, rates

QuantityName = Literal["direction", "norm", "risk"]
Runs = Trajectory | Sequence[Any]


@dataclass(frozen=True)
class Quantity:
    """What one panel shows, by name. logarithm, title: of axes.  of: its values in a run.  late, noisy: its predictions at times t.

    exponent: of time, signed.  rising: -s, |w| or 1/L in a run, by its symbol; late, it is ``slope`` times a power of t, ``power`` in N.
    gap, corrected, predicted: in a Comparison, with the gap's symbol.
    """

    name: QuantityName
    logarithm: str
    title: str
    of: Callable[[Trajectory], np.ndarray]
    late: Callable[[Rates, np.ndarray], np.ndarray]
    noisy: Callable[[NoisyRates, np.ndarray], np.ndarray]
    exponent: Callable[[Rates], float]
    rising: Callable[[Trajectory], np.ndarray]
    symbol: str
    slope: Callable[[Rates], float]
    power: str
    gap: Callable[[Comparison], np.ndarray]
    corrected: Callable[[Comparison], np.ndarray | None]
    predicted: Callable[[Comparison], np.ndarray | None]
    gap_symbol: str


QUANTITIES: dict[str, Quantity] = {
    "direction": Quantity(
        name="direction",
        logarithm=r"\log(-s)",
        title=r"direction  $-s=-\log\,\tan(\theta/2)$",
        of=lambda run: -run.log_tan_half_angle,
        late=lambda law, t: -law.log_tan_half_angle(t),
        noisy=lambda law, t: -law.log_tan_half_angle(t),
        exponent=lambda law: law.direction_exponent,
        rising=lambda run: -run.log_tan_half_angle,
        symbol="-s",
        slope=lambda law: law.direction_constant,
        power="2N/(N+2)",
        gap=lambda both: both.log_tan_half_angle,
        corrected=lambda both: both.log_tan_half_angle_corrected,
        predicted=lambda both: both.log_tan_half_angle_predicted,
        gap_symbol=r"$|\Delta s|$",
    ),
    "norm": Quantity(
        name="norm",
        logarithm=r"\log\,|w|",
        title=r"norm  $|w|$",
        of=lambda run: run.norm,
        late=lambda law, t: law.norm(t),
        noisy=lambda law, t: np.full_like(t, law.norm_limit),
        exponent=lambda law: law.norm_exponent,
        rising=lambda run: run.norm,
        symbol="|w|",
        slope=lambda law: law.norm_constant,
        power="N/(N+2)",
        gap=lambda both: both.norm,
        corrected=lambda both: both.norm_corrected,
        predicted=lambda both: both.norm_predicted,
        gap_symbol=r"$|\Delta |w||\,/\,|w|$",
    ),
    "risk": Quantity(
        name="risk",
        logarithm=r"\log\,L",
        title=r"risk  $L(w)$",
        of=lambda run: run.risk,
        late=lambda law, t: law.risk(t),
        noisy=lambda law, t: np.full_like(t, law.risk_limit),
        exponent=lambda law: -law.risk_exponent,
        rising=lambda run: 1.0 / run.risk,
        symbol="1/L(w)",
        slope=lambda law: 1.0 / law.risk_constant,
        power="N/(N+2)",
        gap=lambda both: both.risk,
        corrected=lambda both: both.risk_corrected,
        predicted=lambda _: None,
        gap_symbol=r"$|\Delta L|\,/\,L$",
    ),
}


def quantity_named(name: str, known: Sequence[str] = tuple(QUANTITIES)) -> Quantity:
    """The quantity of this name; ValueError for a name that is not among ``known``."""
    return QUANTITIES[arguments.one_of("quantity", name, known)]


def each_run(runs: Runs) -> list[Trajectory]:
    """Single runs out of a run, a batch, or a sequence of either; ValueError where it holds none."""
    batches = [runs] if isinstance(runs, Trajectory) else list(runs)
    for batch in batches:
        if not isinstance(batch, Trajectory):
            raise ValueError(f"`runs` must be a Trajectory or a sequence of them, but holds {batch!r}")
    singles = [batch[index] if batch.shape else batch for batch in batches for index in np.ndindex(batch.shape)]
    if not singles:
        raise ValueError("`runs` must hold at least one run, but is empty")
    return singles


def late_rates(run: Trajectory) -> Rates | NoisyRates | None:
    """What the flow of this risk and depth settles into; None without a power tail, for a run that failed, and on a ray."""
    if not run.ok or np.isinf(run.start.log_tan_half_angle):
        return None
    try:
        return (noisy_rates if run.problem.label_noise > 0.0 else rates)(run.problem, int(run.depth))
    except ValueError:
        return None


def labels(runs: Sequence[Trajectory]) -> list[str]:
    """What tells the runs apart: kind, depth, law, step size, the start if nothing else does; and how they ended, unless well."""
    parts = [
        ["modified flow" if run.config.get("function") == "modified_flow" else run.kind for run in runs],
        [f"$N={int(run.depth)}$" for run in runs],
        [run.problem.label() for run in runs],
        [_step_size(run) for run in runs],
    ]
    told = [part for part in parts if len(set(part)) > 1]
    if len(set(zip(*told, strict=True))) < len(runs):
        starts = [rf"$|w|={float(run.start.norm):.3g}$, $\theta={float(run.start.angle):.3g}$" for run in runs]
        told += [starts] if len(set(starts)) > 1 else []
    if not told:
        told = parts[1:2]
    endings = ["" if str(run.status) == "ok" else f" ({str(run.status).replace('_', ' ')})" for run in runs]
    return [", ".join(text for text in row if text) + ending for *row, ending in zip(*told, endings, strict=True)]


def _step_size(run: Trajectory) -> str:
    """The step size of a descent; a schedule has many."""
    return "" if run.step_size is None else rf"$\eta={float(run.step_size):.3g}$"


def late_times(law: Rates, times: np.ndarray) -> np.ndarray:
    """Those of ``times`` at which a late law says something: not where h is still near c, r below the scale at which c = K r^-(1+a)."""
    scale = (law.tail.constant / law.pull) ** (1.0 / (1.0 + law.tail.exponent))
    positive = times[times > 0.0]
    return positive[law.norm(positive) >= scale] if positive.size else positive


def time_label(runs: Sequence[Trajectory | LayerRun]) -> str:
    """t for flows, eta k for descents, both where both are."""
    flows = {run.kind.endswith("flow") for run in runs}
    return r"$t=\eta k$" if len(flows) > 1 else (r"$t$" if flows == {True} else r"$\eta k$")
