"""The bounds that figure 1 draws, from the start and anew from a later step, on the flow and on descent."""

from collections.abc import Callable
from typing import Any

import numpy as np

from flowsim.claims.claim import Claim, Control, Finding
from flowsim.claims.figure_1.runs import RELATIVE, ROUNDING, RUNS, STEPS, Drawn, depths_asked, drawn
from flowsim.claims.paper import PAPER
from flowsim.claims.picture import Sketch
from flowsim.claims.settings import Setting
from flowsim.claims.theorems.bounds import SLACK, Theorem1More, Theorem5More
from flowsim.theory import DirectionBound, State, Theorem1, Theorem5
from flowsim.theory.paper import FIGURE_1

Bound = Callable[[int, State, State | None], DirectionBound]


def bound_of(depth: int, begin: State, turn: State | None) -> DirectionBound:
    """Theorem 1 or 5 with derived constants from ``begin`` on; ``turn`` None where the norm grows there."""
    return Theorem1(FIGURE_1.risk, begin, turn) if depth == 1 else Theorem5(FIGURE_1.risk, begin, turn, depth)


def _more(depth: int, begin: State, turn: State | None) -> DirectionBound:
    if depth == 1:
        return Theorem1More(FIGURE_1.risk, begin, turn, more=1.002)
    return Theorem5More(FIGURE_1.risk, begin, turn, depth, more=1.002)


def _bounds(curve: Drawn, depth: int, make: Bound) -> list[DirectionBound]:
    """From the start, and from where the figure starts anew."""
    return [make(depth, begin, curve.turn if curve.turn.time > begin.time else None) for begin in curve.starts(depth)]


def _measure_bounds(setting: Setting, make: Bound) -> Finding:
    margins, ends = {}, {}
    sketch = Sketch(r"$\eta n$", r"$-2s$")
    for depth in depths_asked(setting):
        for curve in drawn(depth):
            run = curve.run
            for bound, begin in zip(_bounds(curve, depth, make), curve.starts(depth), strict=True):
                time, twice = run.time[run.time >= begin.time], -2.0 * run.log_tan_half_angle[run.time >= begin.time]
                exponent = bound.exponent(time)
                slack = SLACK * np.maximum(np.abs(twice), 1.0) + curve.relative * np.abs(exponent - _anchor(bound, time))
                name = f"N = {depth}, {curve.name}, from n = {round(begin.time / FIGURE_1.step_size)}"
                margins[name] = float(np.min(twice - exponent + slack))
                ends[name] = float(exponent[-1] / twice[-1])
                if curve.name == "flow":
                    if begin.time == 0.0:
                        sketch.measured(time, twice, f"$N={depth}$")
                    sketch.limit(time, exponent, "bounds" if depth == 1 and begin.time == 0.0 else "")
    worst = min(margins, key=lambda name: margins[name])
    reached = ", ".join(f"N = {n}: {100 * ends[f'N = {n}, flow, from n = 0']:.0f} %" for n in depths_asked(setting))
    return Finding(
        "holds" if margins[worst] >= 0.0 else "violated",
        "the drawn bounds stay below -2 s, from the start and from where they start anew",
        f"least margin {margins[worst]:+.2e}, {len(margins)} bounds; those from the start end, on the flow, at {reached} of -2 s",
        f"{SLACK:g} of max(|2 s|, 1); for descent also eta = {RELATIVE:g} of what the bound gains",
        worst,
        {"margins": margins, "bound over -2 s at the end": ends},
        sketch.done(),
    )


def _anchor(bound: Any, time: np.ndarray) -> np.ndarray:
    """-2 s where the phase of the bound began."""
    return np.where(time < bound.turning.time, -2.0 * bound.start.log_tan_half_angle, -2.0 * bound.turning.log_tan_half_angle)


def known_norm(depth: int, state: State, turn: State) -> State:
    """Where a bound starts anew: from the run's own norm and direction."""
    return state


def _assumed_norm(depth: int, state: State, turn: State) -> State:
    """From the run's direction, but of the norm only what the first bound uses: N = 1 its ceiling, N = 4 its least value."""
    norm = np.sqrt(turn.norm**2 + 0.6 * (state.time - turn.time)) if depth == 1 else turn.norm
    return state._replace(norm=float(norm))


def _measure_restart(setting: Setting, anew: Callable[[int, State, State], State]) -> Finding:
    ahead, least = {}, np.inf
    sketch = Sketch(r"$\eta n$", "bound started anew, less the first")
    for depth in depths_asked(setting):
        for curve in drawn(depth):
            first, second = curve.starts(depth)
            time = curve.run.time[curve.run.time >= second.time]
            again = bound_of(depth, anew(depth, second, curve.turn), None)
            lead = again.exponent(time) - bound_of(depth, first, curve.turn).exponent(time)
            name = f"N = {depth}, {curve.name}"
            ahead[name] = {"at first": float(lead[0]), "at the end": float(lead[-1]), "least gain": float(np.diff(lead).min())}
            least = min(least, lead[0], float(np.diff(lead).min() / lead[0]) - ROUNDING)
            if curve.name == "flow":
                sketch.measured(time, lead, f"$N={depth}$")
    worst = min(ahead, key=lambda name: ahead[name]["least gain"])
    said = "; ".join(f"{n}: {a['at first']:.2f} at first, {a['at the end']:.2f} at n = {STEPS}" for n, a in ahead.items() if "flow" in n)
    return Finding(
        "holds" if least > 0.0 else "violated",
        "E started anew is above the first E and gains on it at every record",
        f"ahead by {said}; the least gain between records is {ahead[worst]['least gain']:.1e}",
        f"{ROUNDING:g} of the lead, rounding",
        worst,
        ahead,
        sketch.done(),
    )


def claims() -> list[Claim]:
    figure, about = f"{PAPER}, figure 1", ("Figure 1",)
    return [
        Claim(
            "figure-1-bounds",
            r"-2s\ge E,\ E \text{ of Theorem 1 } (N=1),\ \text{of Theorem 5 } (N=4)",
            f"{figure}; the constants of Theorem 5 as derived",
            f"{RUNS}; bounds from n = 0 and n = 5000 (N = 1), 18000 (N = 4)",
            bound_of,
            _measure_bounds,
            "-2 s beside E at every record; T, r(T) and s(T) are each run's own.",
            "One record with -2 s < E - 1e-9 max(|2 s|, 1), in descent also less 1e-3 of what E has gained in its phase.",
            Control("what E gains in a phase larger by 0.2 %", _more),
            derivation="bounds",
            about=about,
        ),
        Claim(
            "figure-1-restart-is-tighter",
            r"E_{\text{anew}}(t)-E(t)>0\ \text{and increasing}",
            figure,
            f"{RUNS}; bounds anew from n = 5000 (N = 1), 18000 (N = 4)",
            known_norm,
            _measure_restart,
            "The difference of the two bounds at every record from where the second starts.",
            "One record at which the second bound is not above the first by more than at the record before.",
            Control("starting anew from the run's direction, but from the norm of which the first bound knows", _assumed_norm),
            about=about,
        ),
    ]
