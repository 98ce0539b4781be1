"""One flow and what the paper promises of it: the two phases of its norm, and the bounds on its direction."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from flowsim import arguments
from flowsim.dynamics import Trajectory
from flowsim.present.axes import finite, fit_values, log_limits, log_time, signed_values
from flowsim.present.bounds import VARIANTS, direction_promises, falls_for_good, norm_promise, single_flow, state_at, turning_state
from flowsim.present.style import THEORY, make_axes, palette, styled
from flowsim.problem.plane import angle_of
from flowsim.theory import State

PROMISES = ({**THEORY, "linestyle": (0, (4, 2))}, {**THEORY, "linestyle": (0, (1.8, 1.0))})
"""Bounds from the start in long dashes, from where they start anew in short ones."""

PRINTED = {**THEORY, "color": "0.45", "linestyle": (0, (5, 1.5, 1, 1.5))}
"""Bounds with the constants as printed, where they differ."""

VIEW = 100.0
"""Where records are spaced in log t, two phases are shown from T/VIEW to T VIEW."""


def plot_two_phases(run: Any, ax: Axes | None = None, theory: bool = True, legend: bool = True) -> Axes:
    r"""|w| of a flow against t: falling up to T in one colour, rising from T in another, T dotted; bounds on the norm dashed.

        r' < 0 before T, r' > 0 after;  T = 0 where the norm grows from the start

    Dashed: floor and ceiling of Lemma 4 (N > 2), or the ceiling r^2 <= r(0)^2 + 2 W(1/e) t of Lemma 1 (N = 1). T stands in the title; it
    is found on the run's own risk, start and depth, whatever was recorded. Where the times are spaced in log t, what is shown is two
    decades on either side of T.

    run: a gradient flow without label noise, fresh or loaded.  ax, theory, legend: as in `plot_path`. ValueError on bad input.

    Source: Lin, Sun, Zhang 2021 (submitted version), Lemmas 1, 2 and 4.

    >>> from flowsim import Gaussian, PopulationRisk, Start, gradient_flow, log_times
    >>> run = gradient_flow(PopulationRisk(Gaussian(dim=2)), Start(1.0, 2.0), log_times(1e-2, 1e3, 60), depth=3)
    >>> plot_two_phases(run).get_title()
    '$T=2.148$, $r(T)=0.4172$'
    """
    flow = single_flow(run)
    turn = turning_state(flow)
    with styled():
        ax = make_axes(ax)
        logarithmic = log_time(ax, [flow])
        reached = np.isfinite(flow.log_norm)
        time, norm = flow.time[reached], flow.norm[reached]
        for (times, values), name, colour in zip(_phases(time, norm, turn), _names(turn), palette(), strict=False):
            if times.size:
                ax.plot(times, values, color=colour, label=name, marker="o" if times.size == 1 else None)
        title = "$T=0$: the norm grows from the start"
        if turn is None:
            title = "the norm falls at all times" if falls_for_good(flow) else "$T$ is too late to be found"
        if turn is not None and turn.time > 0.0:
            title = f"$T={turn.time:.4g}$, $r(T)={turn.norm:.4g}$"
            low, high = max(turn.time / VIEW, ax.get_xlim()[0]), min(turn.time * VIEW, ax.get_xlim()[1])
            if logarithmic and low < high:
                log_limits(ax, low, high)
            if time[0] <= turn.time <= time[-1]:
                ax.axvline(turn.time, color="0.35", linestyle=":", linewidth=0.9, label="_turning", zorder=1.5)
                ax.annotate("$T$", (turn.time, 1.0), (3, -2), ("data", "axes fraction"), "offset points", va="top")
                ax.plot(turn.time, turn.norm, "o", color="black", label="_turning", zorder=4)
        ax.set_title(title)
        shown = (time >= ax.get_xlim()[0]) & (time <= ax.get_xlim()[1])
        drawn = [norm[shown]]
        if theory and np.isfinite(flow.start.log_tan_half_angle):
            promise = norm_promise(flow, State.of(flow.start))
            bounds = [bound for bound in (promise.floor, promise.ceiling) if bound is not None]
            for bound, label in zip(bounds, (promise.source, "_theory"), strict=False):
                values = finite(bound(time))
                ax.plot(time, values, label=label, **THEORY)
                drawn.append(_nearby(values[shown], norm[shown]))
        fit_values(ax, np.concatenate(drawn))
        ax.set_xlabel("$t$")
        ax.set_ylabel(r"norm  $|w|$")
        if legend:
            ax.legend()
    return ax


Curve = tuple[np.ndarray, np.ndarray]


def _phases(time: np.ndarray, norm: np.ndarray, turn: State | None) -> tuple[Curve, Curve]:
    """Times and norms up to T, and from T on, which is in both."""
    last = np.inf if turn is None else turn.time
    before, after = time < last, time > last
    falling, rising = (time[before], norm[before]), (time[after], norm[after])
    if turn is None or not (before.any() and after.any()):
        return falling, ((time[~before], norm[~before]) if turn is not None else rising)
    return (
        (np.append(falling[0], turn.time), np.append(falling[1], turn.norm)),
        (np.append(turn.time, rising[0]), np.append(turn.norm, rising[1])),
    )


def _names(turn: State | None) -> tuple[str, str]:
    if turn is None:
        return "falling", ""
    return ("falling to $T$", "rising from $T$") if turn.time > 0.0 else ("", "rising")


def _nearby(values: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Room for a bound that stays near, not for one that leaves."""
    return np.clip(values[np.isfinite(values)], 0.7 * measured.min(), 1.4 * measured.max()) if measured.size else values


def plot_bounds(
    run: Any,
    quantity: str = "exponent",
    ax: Axes | None = None,
    variant: str = "as_derived",
    restarts: Sequence[float] = (),
    legend: bool = True,
) -> Axes:
    r"""-2 s = -2 log tan(theta/2), or theta, of a flow against t, solid; the bounds E of the theorems on -2 s, dashed:

        cos theta >= 1 - 2/(exp(E) + 1)

    N = 1: Theorem 1, from below.  N = 2: the exact law -2 s = -2 s(0) + 2 c t, derived here.  N > 2: Theorem 5, from below and above.

    run: a gradient flow without label noise, off the rays, fresh or loaded.  quantity: "exponent", -2 s and E; or "angle", theta.
    variant: "as_derived"; "as_printed", with the constants as printed, dash-dotted, false on some starts (Theorem 1: its A2 read under the
        root); or "both".  restarts: times within the run at which the bounds start anew, in short dashes.
    ax, legend: as in `plot_path`. ValueError on bad input.

    Source: Lin, Sun, Zhang 2021 (submitted version), Theorems 1 and 5.

    >>> from flowsim import Gaussian, PopulationRisk, Start, gradient_flow, log_times
    >>> run = gradient_flow(PopulationRisk(Gaussian(dim=2)), Start(1.0, 1.0), log_times(1e-2, 1e3, 60), depth=3)
    >>> ax = plot_bounds(run)
    >>> ax.get_title(), [text.get_text() for text in ax.get_legend().get_texts()]
    ('$N=3$: Theorem 5', ['flow', 'theory'])
    """
    flow = single_flow(run)
    arguments.one_of("quantity", quantity, ("exponent", "angle"))
    arguments.one_of("variant", variant, VARIANTS)
    depth = int(flow.depth)
    if depth == 2 and variant != "as_derived":
        raise ValueError(f"`variant` must be 'as_derived' for two layers, whose law is exact and not in the paper, but is {variant!r}")
    if np.isinf(flow.start.log_tan_half_angle):
        raise ValueError("`run` must start off the rays theta = 0 and theta = pi, where no bound holds")
    turn = turning_state(flow)
    if turn is None:
        raise ValueError("`run` must have a norm that stops falling, but the time T at which it does is too late to be found")
    reached = np.isfinite(flow.log_tan_half_angle)
    time, s = flow.time[reached], flow.log_tan_half_angle[reached]
    begins = _begins(flow, time, restarts)
    shown = {"exponent": lambda e: e, "angle": lambda e: angle_of(-0.5 * e)}[quantity]
    with styled():
        ax = make_axes(ax)
        logarithmic = log_time(ax, [flow])
        measured = shown(-2.0 * s)
        if quantity == "angle":
            # below the smallest double an angle is 0, which a logarithm has no place for
            measured = np.where(measured > 0.0, measured, np.nan)
        ax.plot(time, measured, color=palette()[0], label="flow", marker="o" if time.size == 1 else None)
        drawn, named = [measured], set()
        for begin, look in zip(begins, PROMISES[:1] + PROMISES[1:] * len(begins), strict=False):
            times = np.unique(np.append(time[time >= begin.time], [begin.time, max(turn.time, begin.time)]))
            times = times[times <= time[-1]]
            for promise in direction_promises(flow, begin, turn, variant):
                name = "theory, as printed" if promise.printed else "theory"
                if begin is not begins[0] and not promise.printed:
                    name = f"theory, from $t={begin.time:g}$"
                values = finite(shown(promise.exponent(times)))
                ax.plot(times, values, label=f"_{name}" if name in named else name, **(PRINTED if promise.printed else look))
                drawn.append(_nearby(values, measured[np.isfinite(measured)]))
                named.add(name)
        together = np.concatenate(drawn)
        together = together[np.isfinite(together)]
        if quantity == "exponent" and logarithmic and (measured > 0.0).any() and (measured <= 0.0).any():
            signed_values(ax, together)
        elif quantity == "angle" or logarithmic:
            fit_values(ax, together)
        else:
            fit_values(ax, together, linear=True)
        ax.set_xlabel("$t$")
        ax.set_ylabel(r"$-2s=-2\,\log\,\tan(\theta/2)$" if quantity == "exponent" else r"angle  $\theta$")
        law = {1: "Theorem 1", 2: "exact law $s(0)-ct$"}.get(depth, "Theorem 5")
        ax.set_title(f"$N={depth}$: {law}")
        if legend:
            ax.legend()
    return ax


def _begins(flow: Trajectory, time: np.ndarray, restarts: Sequence[float]) -> list[State]:
    """The start, and the states at ``restarts``."""
    later = list(restarts)
    if later:
        arguments.reals("restarts", later, low=float(time[0]), high=float(time[-1]))
    return [State.of(flow.start), *(state_at(flow, float(t)) for t in later)]
