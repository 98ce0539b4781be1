"""Single panels: a quantity of runs against time, its local exponent, and the gap of a descent to its flow.

Measured lines are solid and coloured, predicted ones dashed and black. A quantity is one of

    direction   -s = -log tan(theta/2)      ~ direction_constant t^(2N/(N+2))
    norm        |w|                         ~ norm_constant t^(N/(N+2))
    risk        L(w)                        ~ risk_constant t^(-N/(N+2))

with the exponents of a law whose density does not vanish or diverge at 0; `flowsim.theory.rates` has the others.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from flowsim import arguments
from flowsim.dynamics import EDGE, Comparison, Trajectory
from flowsim.present.style import THEORY, make_axes, palette, styled
from flowsim.theory import NoisyRates, Rates, noisy_rates, rates

QuantityName = Literal["direction", "norm", "risk"]
Runs = Trajectory | Sequence[Any]

LEGEND_ROWS = 8


@dataclass(frozen=True)
class Quantity:
    """What one panel shows, by name. symbol, title: of the axis.  of: its values in a run.  late, noisy: its predictions at times t.

    exponent: of time, signed.  gap, corrected, predicted: in a Comparison, with the gap's symbol.
    """

    name: QuantityName
    symbol: str
    title: str
    of: Callable[[Trajectory], np.ndarray]
    late: Callable[[Rates, np.ndarray], np.ndarray]
    noisy: Callable[[NoisyRates, np.ndarray], np.ndarray]
    exponent: Callable[[Rates], float]
    gap: Callable[[Comparison], np.ndarray]
    corrected: Callable[[Comparison], np.ndarray | None]
    predicted: Callable[[Comparison], np.ndarray | None]
    gap_symbol: str


QUANTITIES: dict[str, Quantity] = {
    "direction": Quantity(
        name="direction",
        symbol="(-s)",
        title=r"direction  $-s=-\log\,\tan(\theta/2)$",
        of=lambda run: -run.log_tan_half_angle,
        late=lambda law, t: -law.log_tan_half_angle(t),
        noisy=lambda law, t: -law.log_tan_half_angle(t),
        exponent=lambda law: law.direction_exponent,
        gap=lambda both: both.log_tan_half_angle,
        corrected=lambda both: both.log_tan_half_angle_corrected,
        predicted=lambda both: both.log_tan_half_angle_predicted,
        gap_symbol=r"$|\Delta s|$",
    ),
    "norm": Quantity(
        name="norm",
        symbol="|w|",
        title=r"norm  $|w|$",
        of=lambda run: run.norm,
        late=lambda law, t: law.norm(t),
        noisy=lambda law, t: np.full_like(t, law.norm_limit),
        exponent=lambda law: law.norm_exponent,
        gap=lambda both: both.norm,
        corrected=lambda both: both.norm_corrected,
        predicted=lambda both: both.norm_predicted,
        gap_symbol=r"$|\Delta |w||\,/\,|w|$",
    ),
    "risk": Quantity(
        name="risk",
        symbol="L",
        title=r"risk  $L(w)$",
        of=lambda run: run.risk,
        late=lambda law, t: law.risk(t),
        noisy=lambda law, t: np.full_like(t, law.risk_limit),
        exponent=lambda law: -law.risk_exponent,
        gap=lambda both: both.risk,
        corrected=lambda both: both.risk_corrected,
        predicted=lambda _: None,
        gap_symbol=r"$|\Delta L|\,/\,L$",
    ),
}


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


def _quantity(name: str) -> Quantity:
    return QUANTITIES[arguments.one_of("quantity", name, QUANTITIES)]


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


def colours(count: int) -> list[Any]:
    """One colour a run: the style's cycle, or a colour map once that is used up."""
    known = palette()
    if count <= len(known):
        return known[:count]
    return list(matplotlib.colormaps["cividis"](np.linspace(0.0, 0.85, count)))


def log_time(ax: Axes, runs: Sequence[Trajectory]) -> bool:
    """Make the time axis logarithmic where the records are: half of them in the first fifth of the time."""
    positive = np.concatenate([run.time[run.time > 0] for run in runs])
    spread = positive.size > 1 and float(np.median(positive)) < 0.2 * float(positive.max())
    if spread:
        ax.set_xscale("log")
        ax.set_xlim(float(positive.min()), float(positive.max()))
    return spread


def plot_path(runs: Runs, quantity: str = "direction", ax: Axes | None = None, theory: bool = True, legend: bool = True) -> Axes:
    r"""-s = -log tan(theta/2), |w| or L(w) against t (eta k for a descent), solid; the leading order of the late flow, dashed.

    runs: a Trajectory, a batch, or a sequence of them.  quantity: "direction", "norm" or "risk".
    ax: drawn into and returned; a new one by default.  theory: whether to draw predictions.  legend: whether to name the runs.

    Axes are logarithmic, that of time where the records are; a direction that passes theta = pi/2, where -s changes sign, is shown
    on an axis that is linear about 0. ValueError on bad input.
    """
    what = _quantity(quantity)
    singles = each_run(runs)
    with styled():
        ax = make_axes(ax)
        logarithmic = log_time(ax, singles)
        drawn = []
        for run, label, colour in zip(singles, labels(singles), colours(len(singles)), strict=True):
            values = what.of(run)
            values = np.where(np.isfinite(values), values, np.nan)
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
        note = f"{', '.join(rays)}\nthroughout" if np.isinf([run.start.log_tan_half_angle for run in runs]).all() else "nothing recorded"
        ax.text(0.5, 0.5, note, transform=ax.transAxes, ha="center", va="center")
        ax.set_yticks([])
    elif quantity == "direction" and (values <= 0).any():
        signed_values(ax, values)
    elif (values > 0).any():
        log_values(ax, values[values > 0])


def signed_values(ax: Axes, values: np.ndarray) -> None:
    """An axis around values of both signs: linear about 0, logarithmic far from it, without the kink of "symlog"."""
    ax.set_yscale("asinh", linear_width=0.5)
    turned = np.arcsinh(2.0 * np.array([values.min(), values.max()]))
    margin = 0.05 * max(float(np.ptp(turned)), 1.0)
    low, high = 0.5 * np.sinh(turned + np.array([-margin, margin]))
    ax.set_ylim(low, high)
    ax.axhline(0.0, color="0.6", linewidth=0.6)
    decades = np.arange(0, np.ceil(np.log10(max(-low, high, 10.0))) + 1)
    # 1 would run into 0 where there are many decades
    step = 1 + decades.size // 8
    kept = 10.0 ** decades[0 if step == 1 else step :: step]
    ax.yaxis.set_major_locator(FixedLocator(sorted([*-kept, 0.0, *kept])))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(_power_of_ten))


def _power_of_ten(value: float, _: int | None = None) -> str:
    if abs(value) <= 1.0:
        return f"${value:g}$"
    return f"${'-' if value < 0 else ''}10^{{{round(np.log10(abs(value)))}}}$"


def log_values(ax: Axes, values: np.ndarray) -> None:
    """A logarithmic axis around positive values: plain numbers at 1, 2 and 5 below two decades, and no logarithm below a factor of 4."""
    low, high = float(values.min()), float(values.max())
    if high / low < 4.0:
        return
    ax.set_yscale("log")
    margin = (high / low) ** 0.06
    ax.set_ylim(low / margin, high * margin)
    if high / low < 100.0:
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        ax.yaxis.set_minor_formatter(NullFormatter())


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
            # a late law says nothing where h is still near c: r below the scale at which c = K r^-(1+a)
            scale = (law.tail.constant / law.pull) ** (1.0 / (1.0 + law.tail.exponent))
            times = times[law.norm(times) >= scale] if times.size else times
        if times.size:
            yield times, (what.noisy(law, times) if isinstance(law, NoisyRates) else what.late(law, times))


def plot_exponent(runs: Runs, quantity: str = "direction", ax: Axes | None = None, theory: bool = True) -> Axes:
    r"""d log X/d log t against t for X = -s, |w| or L(w), solid; 2N/(N+2), N/(N+2) or -N/(N+2), dashed, with its value at the right.

    Arguments as in `plot_path`. Where -s <= 0 its logarithm has no slope, and nothing is drawn. RuntimeError for a run that failed.
    """
    what = _quantity(quantity)
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
            ax.annotate(f"${_fraction(mark)}$", (1.0, mark), (3, 0), ("axes fraction", "data"), "offset points", va="center", fontsize=7.5)
        if marks:
            # how the lines settle must stay readable, however steep the transient
            low, high = min(0.0, marks[0]), max(0.0, marks[-1])
            seen = np.concatenate([line.get_ydata() for line in ax.get_lines() if line.get_label() != "_theory"])
            room, margin = 0.4 * (high - low), 0.06 * (high - low)
            ax.set_ylim(max(np.nanmin(seen), low - room) - margin, min(max(np.nanmax(seen), high), high + room) + margin)
        ax.set_xlabel(time_label(singles))
        bare = what.symbol.strip("$")
        ax.set_ylabel(
            rf"$\mathrm{{d}}\,\log({bare})\,/\,\mathrm{{d}}\,\log\,t$"
            if bare[0] == "-"
            else rf"$\mathrm{{d}}\,\log\,{bare}\,/\,\mathrm{{d}}\,\log\,t$"
        )
    return ax


def _fraction(value: float) -> str:
    near = Fraction(value).limit_denominator(200)
    return str(near) if abs(float(near) - value) < 1e-12 else f"{value:.3g}"


def plot_gap(comparison: Comparison, quantity: str = "direction", ax: Axes | None = None) -> Axes:
    r"""|s_k - s(eta k)|, ||w_k|/|w(eta k)| - 1| or |L(w_k)/L(w(eta k)) - 1| against eta k, on logarithmic axes.

    Solid, each in the colour of what it is measured against: the gaps of descent to the flow, and to the modified flow up to its end.
    Dashed: the leading gap to the flow, eta e(t), of s and |w|. Gaps below 1e-13 are rounding, and left out.

    comparison: what `flowsim.compare` returns.  quantity, ax: as in `plot_path`.
    """
    what = _quantity(quantity)
    with styled():
        ax = make_axes(ax)
        gaps = {"gap to the flow": what.gap(comparison), "gap to the modified flow": what.corrected(comparison)}
        shown = [np.zeros(0)]
        for (label, gap), colour in zip(gaps.items(), palette()[0::2], strict=False):
            if gap is not None:
                shown.append(_sized(comparison, gap))
                ax.plot(comparison.time, shown[-1], color=colour, label=label)
                mark_end(ax, comparison.time, np.abs(gap), colour)
        foreseen = what.predicted(comparison)
        if foreseen is not None:
            ax.plot(comparison.time, _sized(comparison, foreseen), label="_theory", **THEORY)
        log_time(ax, [comparison.flow])
        drawn = np.concatenate(shown)
        if np.isfinite(drawn).any():
            ax.set_yscale("log")
            log_values(ax, drawn[np.isfinite(drawn)])
        else:
            ax.text(0.5, 0.5, "no gap", transform=ax.transAxes, ha="center", va="center")
            ax.set_yticks([])
        ax.set_xlabel(time_label([comparison.descent]))
        ax.set_ylabel(f"gap  {what.gap_symbol}")
    return ax


def mark_end(ax: Axes, times: np.ndarray, values: np.ndarray, colour: Any) -> None:
    """A cross at the last of the values, where they end before the times do."""
    reached = np.flatnonzero(np.isfinite(values))
    if reached.size and reached[-1] + 1 < times.size:
        ax.plot(times[reached[-1]], values[reached[-1]], "x", color=colour, label="_end", zorder=5)


def _sized(comparison: Comparison, gap: np.ndarray) -> np.ndarray:
    """|gap|; nan at t = 0, off a logarithmic axis anyway, and where rounding alone would set the range."""
    size = np.abs(gap)
    return np.where((size > 1e-13) & np.isfinite(size) & (comparison.time > 0), size, np.nan)


def plot_sharpness(descents: Runs, ax: Axes | None = None) -> Axes:
    r"""sigma = eta |a^(N-1)| (c - h)/|z| against eta k, on logarithmic axes; a dotted line at 2, and a point where sigma first reaches it.

    descents: a descent, a batch, or a sequence of them.  ax: as in `plot_path`. ValueError for a flow, which has no step size.
    """
    singles = each_run(descents)
    with styled():
        ax = make_axes(ax)
        # a descent's colour in `comparison_figure`
        chosen = palette()[1:2] if len(singles) == 1 else colours(len(singles))
        for run, label, colour in zip(singles, labels(singles), chosen, strict=True):
            sigma = run.sharpness
            ax.plot(run.time, np.where(np.isfinite(sigma) & (sigma > 0), sigma, np.nan), color=colour, label=label)
            beyond = np.flatnonzero(sigma >= EDGE)
            if beyond.size:
                ax.plot(run.time[beyond[0]], sigma[beyond[0]], "o", color="black", label="_crossing")
        log_time(ax, singles)
        seen = np.concatenate([run.sharpness for run in singles])
        log_values(ax, np.append(seen[np.isfinite(seen) & (seen > 0)], 2.0 * EDGE))
        ax.axhline(EDGE, label="_edge", color="black", linestyle=":", linewidth=0.9)
        ax.annotate(r"$\sigma=2$", (0.02, EDGE), (0, 1.5), ("axes fraction", "data"), "offset points", va="bottom", fontsize=7.5)
        ax.set_xlabel(time_label(singles))
        ax.set_ylabel(r"sharpness  $\sigma$")
    return ax


def time_label(runs: Sequence[Trajectory]) -> str:
    """t for flows, eta k for descents, both where both are."""
    kinds = {run.kind for run in runs}
    return r"$t=\eta k$" if len(kinds) > 1 else (r"$t$" if kinds == {"flow"} else r"$\eta k$")


def name_runs(ax: Axes) -> None:
    """A legend of the runs, at most ``LEGEND_ROWS`` of them evenly chosen, and of the dashed line; none for a lone line."""
    handles, names = legend_entries(ax)
    if len(handles) > 1:
        ax.legend(handles, names)


def legend_entries(ax: Axes, theory_name: str = "leading order of the flow") -> tuple[list[Any], list[str]]:
    """Handles and names for a legend of ``ax``."""
    handles, names = ax.get_legend_handles_labels()
    if len(handles) > LEGEND_ROWS:
        kept = np.unique(np.linspace(0, len(handles) - 1, LEGEND_ROWS).round().astype(int))
        handles, names = [handles[i] for i in kept], [names[i] for i in kept]
    if any(line.get_label() == "_theory" for line in ax.get_lines()):
        handles, names = [*handles, Line2D([], [], **THEORY)], [*names, theory_name]
    return handles, names


def legend_columns(names: Sequence[str]) -> int:
    """How many columns of a legend fit the page's width; a handle takes the room of about eight letters."""
    widest = max((len(name.replace("$", "").replace("\\", "")) for name in names), default=0) + 8
    together = sum(len(name.replace("$", "")) + 8 for name in names)
    return max(1, len(names) if together <= 105 else min(len(names), 105 // widest))
