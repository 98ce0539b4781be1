"""A quantity of runs against time: the path itself, straightened, and its local exponent.

Measured lines are solid and coloured, predicted ones dashed and black.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from flowsim.dynamics import Trajectory
from flowsim.present.axes import colours, finite, fraction, log_time, log_values, name_runs, say, signed_values
from flowsim.present.quantities import Quantity, Runs, each_run, labels, late_rates, late_times, quantity_named, time_label
from flowsim.present.style import THEORY, make_axes, styled
from flowsim.theory import NoisyRates, Rates


def plot_path(runs: Runs, quantity: str = "direction", ax: Axes | None = None, theory: bool = True, legend: bool = True) -> Axes:
    r"""-s = -log tan(theta/2), |w| or L(w) against t (eta k for a descent), solid; the leading order of the late flow, dashed.

    runs: a Trajectory, a batch, or a sequence of them.  quantity: "direction", "norm" or "risk".
    ax: drawn into and returned; a new one by default.  theory: whether to draw predictions.  legend: whether to name the runs.

    Axes are logarithmic, that of time where the records are; a direction that passes theta = pi/2, where -s changes sign, is shown
    on an axis that is linear about 0. ValueError on bad input.

    >>> from flowsim import Gaussian, PopulationRisk, Start, gradient_flow, log_times
    >>> run = gradient_flow(PopulationRisk(Gaussian(dim=2)), Start(), log_times(1e-2, 1e6, 30))
    >>> ax = plot_path(run, "norm")
    >>> [line.get_linestyle() for line in ax.get_lines()]
    ['-', '--']
    """
    what = quantity_named(quantity)
    singles = each_run(runs)
    with styled():
        ax = make_axes(ax)
        logarithmic = log_time(ax, singles)
        drawn = []
        for run, label, colour in zip(singles, labels(singles), colours(len(singles)), strict=True):
            values = finite(what.of(run))
            ax.plot(run.time, values, color=colour, label=label, marker="o" if run.time.size == 1 else None)
            drawn.append(values[np.isfinite(values) & ((run.time > 0) | (not logarithmic))])
        _value_scale(ax, quantity, np.concatenate(drawn), singles)
        ax.set_xlabel(time_label(singles))
        ax.set_ylabel(what.title)
        if theory and logarithmic:
            limits = ax.get_ylim()
            for times, values in _predictions(singles, what):
                ax.plot(times, values, label="_theory", **THEORY)
            ax.set_ylim(limits)
        if legend:
            name_runs(ax)
    return ax


def _value_scale(ax: Axes, quantity: str, values: np.ndarray, runs: Sequence[Trajectory]) -> None:
    """Logarithmic; linear about 0 for a direction that changes sign; a note where no run has a finite direction."""
    if not values.size:
        rays = sorted({r"$\theta=0$" if run.start.angle < 1.0 else r"$\theta=\pi$" for run in runs})
        on_rays = np.isinf([run.start.log_tan_half_angle for run in runs]).all()
        say(ax, f"{', '.join(rays)}\nthroughout" if on_rays else "nothing recorded")
    elif quantity == "direction" and (values <= 0).any():
        signed_values(ax, values)
    elif (values > 0).any():
        log_values(ax, values[values > 0])


def _predictions(runs: Sequence[Trajectory], what: Quantity) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Times and predicted values, once for each pair of risk and depth."""
    longest: dict[Any, Trajectory] = {}
    for run in runs:
        key = (run.problem, int(run.depth))
        if key not in longest or run.time[-1] > longest[key].time[-1]:
            longest[key] = run
    for run in longest.values():
        law, times = late_rates(run), run.time[run.time > 0]
        if law is None:
            continue
        if isinstance(law, Rates):
            times = late_times(law, times)
        if times.size:
            yield times, (what.noisy(law, times) if isinstance(law, NoisyRates) else what.late(law, times))


class _Line(NamedTuple):
    """What straightens a run: value ~ slope clock^power late in the flow; formula: of the power, in N."""

    power: float
    slope: float
    formula: str


def plot_straightened(runs: Runs, quantity: str = "direction", ax: Axes | None = None, theory: bool = True, legend: bool = True) -> Axes:
    r"""-s, |w| or 1/L(w) on linear axes, against the power of t in which each ends up as a straight line; that line dashed:

        -s ~ C t^(2N/(N+2)),   |w| ~ C t^(N/(N+2)),   1/L ~ C t^(N/(N+2)),   C of `flowsim.theory.rates`

    Runs of one power share the axis t^p. Of several powers each has its own: values/t_last^p against (t/t_last)^p, t_last the run's last
    time, where the line still has slope C. Start-dependent terms of lower order leave a run parallel to its line or bent towards it.
    With label noise only the direction is a line, -s ~ C t.

    runs, quantity, ax, theory, legend: as in `plot_path`.

    ValueError on bad input, and for a run without such a power: on a ray, of a law without a power tail, or with label noise but for its
    direction. RuntimeError for a run that failed.

    >>> from flowsim import Gaussian, PopulationRisk, Start, gradient_flow
    >>> run = gradient_flow(PopulationRisk(Gaussian(dim=2)), Start(), [1e3, 2e3, 4e3])
    >>> plot_straightened(run, "norm").get_xlabel()
    '$t^{1/3}$'
    """
    what = quantity_named(quantity)
    singles = each_run(runs)
    straight = [_straight(run, what) for run in singles]
    shared = max(line.power for line in straight) - min(line.power for line in straight) < 1e-12
    with styled():
        ax = make_axes(ax)
        ends: dict[_Line, float] = {}
        for run, line, label, colour in zip(singles, straight, labels(singles), colours(len(singles)), strict=True):
            last = 1.0 if shared else float(run.time[-1])
            x = (run.time / last) ** line.power
            y = finite(what.rising(run) / last**line.power)
            ax.plot(x, y, color=colour, label=label, marker="o" if run.time.size == 1 else None)
            ends[line] = max(ends.get(line, 0.0), float(x[-1]))
        if theory:
            for line, end in ends.items():
                ax.plot([0.0, end], [0.0, line.slope * end], label="_theory", **THEORY)
        ax.set_xlim(0.0, max(ends.values()))
        ax.set_ylim(bottom=min(0.0, ax.get_ylim()[0]))
        clock = r"\eta k" if all(run.kind == "descent" for run in singles) else "t"
        if shared:
            ax.set_xlabel(_powered(clock, fraction(straight[0].power)))
            ax.set_ylabel(what.title if what.name != "risk" else f"${what.symbol}$")
        else:
            formulas = {line.formula for line in straight}
            power = formulas.pop() if len(formulas) == 1 else "p"
            ax.set_xlabel(rf"$({clock}\,/\,t_\mathrm{{last}})^{{{power}}}$")
            ax.set_ylabel(rf"${what.symbol}\;/\;t_\mathrm{{last}}^{{\,{power}}}$")
        if legend:
            name_runs(ax)
    return ax


def _straight(run: Trajectory, what: Quantity) -> _Line:
    """The power law of ``run``; ValueError where it has none."""
    run.require_ok()
    law = late_rates(run)
    if law is None:
        why = "starts on a ray" if np.isinf(run.start.log_tan_half_angle) else "has a growth without a power tail"
        raise ValueError(f"`runs` must have a power of time to be straightened by, but the one of {run.problem.label()} {why}")
    if not run.time[-1] > 0.0:
        raise ValueError("`runs` must have a record after t = 0 to be straightened, but one has none")
    if isinstance(law, NoisyRates):
        if what.name != "direction":
            raise ValueError(
                f"`quantity` must be direction for a run with label noise, whose {what.name} has a limit, but is {what.name!r}"
            )
        return _Line(1.0, law.direction_rate, "p")
    return _Line(abs(what.exponent(law)), what.slope(law), what.power if law.tail.exponent == 1.0 else "p")


def _powered(clock: str, power: str) -> str:
    if power == "1":
        return f"${clock}$"
    return f"$({clock})^{{{power}}}$" if len(clock) > 1 else f"${clock}^{{{power}}}$"


def plot_exponent(runs: Runs, quantity: str = "direction", ax: Axes | None = None, theory: bool = True) -> Axes:
    r"""d log X/d log t against t for X = -s, |w| or L(w), solid; 2N/(N+2), N/(N+2) or -N/(N+2), dashed, with its value at the right.

    runs, quantity, ax, theory: as in `plot_path`. Where -s <= 0 its logarithm has no slope, and nothing is drawn.

    RuntimeError for a run that failed.

    >>> from flowsim import Gaussian, PopulationRisk, Start, gradient_flow, log_times
    >>> run = gradient_flow(PopulationRisk(Gaussian(dim=2)), Start(), log_times(1e-2, 1e6, 30), depth=3)
    >>> plot_exponent(run).texts[0].get_text()
    '$6/5$'
    """
    what = quantity_named(quantity)
    singles = each_run(runs)
    with styled():
        ax = make_axes(ax)
        for run, label, colour in zip(singles, labels(singles), colours(len(singles)), strict=True):
            values = run.local_exponent(what.name)
            ax.plot(run.time, np.where(np.isfinite(values) & (what.of(run) > 0), values, np.nan), color=colour, label=label)
        log_time(ax, singles)
        laws = [law for law in map(late_rates, singles) if isinstance(law, Rates)]
        marks = sorted({what.exponent(law) for law in laws}) if theory else []
        for mark in marks:
            ax.axhline(mark, label="_theory", **THEORY)
            ax.annotate(f"${fraction(mark)}$", (1.0, mark), (3, 0), ("axes fraction", "data"), "offset points", va="center", size="small")
        seen = np.concatenate([line.get_ydata() for line in ax.get_lines() if line.get_label() != "_theory"])
        if marks and np.isfinite(seen).any():
            # how the lines settle must stay readable, however steep the transient
            low, high = min(0.0, marks[0]), max(0.0, marks[-1])
            room, margin = 0.4 * (high - low), 0.06 * (high - low)
            ax.set_ylim(max(np.nanmin(seen), low - room) - margin, min(max(np.nanmax(seen), high), high + room) + margin)
        ax.set_xlabel(time_label(singles))
        ax.set_ylabel(rf"$\mathrm{{d}}\,{what.logarithm}\,/\,\mathrm{{d}}\,\log\,t$")
    return ax
