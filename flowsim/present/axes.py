"""Scales of axes that suit what is drawn, marks, and legends that fit the page."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.lines import Line2D
from matplotlib.textpath import TextPath
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from flowsim.dynamics import Trajectory
from flowsim.layers import LayerRun
from flowsim.present.style import THEORY, palette

LEGEND_ROWS = 8


def colours(count: int) -> list[Any]:
    """One colour a run: the style's cycle, or a colour map once that is used up."""
    known = palette()
    if count <= len(known):
        return known[:count]
    return list(matplotlib.colormaps["cividis"](np.linspace(0.0, 0.85, count)))


def finite(values: np.ndarray) -> np.ndarray:
    """nan where not finite: a gap in a line."""
    return np.where(np.isfinite(values), values, np.nan)


def log_time(ax: Axes, runs: Sequence[Trajectory | LayerRun]) -> bool:
    """Make the time axis logarithmic where the records are: half of them in the first fifth of the time."""
    positive = np.concatenate([run.time[run.time > 0] for run in runs])
    spread = positive.size > 1 and float(np.median(positive)) < 0.2 * float(positive.max())
    if spread:
        ax.set_xscale("log")
        log_limits(ax, float(positive.min()), float(positive.max()))
    return spread


def log_limits(ax: Axes, low: float, high: float) -> None:
    """Limits of a logarithmic axis of time; each decade has a tick where they are few, also in a small panel."""
    ax.set_xlim(low, high)
    if high / low < 2e4:
        ax.xaxis.set_major_locator(LogLocator(numticks=6))
    _plain_ticks(ax.xaxis, low, high)


def log_sizes(ax: Axes, sizes: np.ndarray) -> None:
    """A logarithmic horizontal axis around step sizes."""
    ax.set_xscale("log")
    low, high = float(sizes.min()), float(sizes.max())
    margin = (high / low) ** 0.05
    ax.set_xlim(low / margin, high * margin)
    _plain_ticks(ax.xaxis, low, high)


def _plain_ticks(axis: Axis, low: float, high: float) -> None:
    """Plain numbers at 1, 2 and 5 below two decades."""
    if high / low < 100.0:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.set_minor_formatter(NullFormatter())


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
    _plain_ticks(ax.yaxis, low, high)


def fit_values(ax: Axes, values: np.ndarray, linear: bool = False) -> None:
    """An axis around exactly these values, whatever else is drawn: logarithmic as in `log_values` unless ``linear`` or not positive."""
    low, high = float(values.min()), float(values.max())
    margin = 0.05 * ((high - low) or abs(high) or 1.0)
    ax.set_ylim(low - margin, high + margin)
    if not linear and low > 0.0:
        log_values(ax, values)


def fraction(value: float) -> str:
    """A number as the fraction that it is, if its denominator is small."""
    near = Fraction(value).limit_denominator(200)
    return str(near) if abs(float(near) - value) < 1e-12 else f"{value:.3g}"


def say(ax: Axes, note: str) -> None:
    """A note in the place of lines that are not there."""
    ax.text(0.5, 0.5, note, transform=ax.transAxes, ha="center", va="center")
    ax.set_yticks([])


def mark_end(ax: Axes, times: np.ndarray, values: np.ndarray, colour: Any) -> None:
    """A cross at the last of the values, where they end before the times do."""
    reached = np.flatnonzero(np.isfinite(values))
    if reached.size and reached[-1] + 1 < times.size:
        ax.plot(times[reached[-1]], values[reached[-1]], "x", color=colour, label="_end", zorder=5)


LATE = "leading order of the flow"


def name_runs(ax: Axes, theory_name: str = LATE) -> None:
    """A legend of the runs, at most ``LEGEND_ROWS`` of them evenly chosen, and of the dashed line; none for a lone line."""
    handles, names = legend_entries(ax, theory_name)
    if len(handles) > 1:
        ax.legend(handles, names)


def legend_entries(ax: Axes, theory_name: str = LATE) -> tuple[list[Any], list[str]]:
    """Handles and names for a legend of ``ax``."""
    handles, names = ax.get_legend_handles_labels()
    if len(handles) > LEGEND_ROWS:
        kept = np.unique(np.linspace(0, len(handles) - 1, LEGEND_ROWS).round().astype(int))
        handles, names = [handles[i] for i in kept], [names[i] for i in kept]
    if any(line.get_label() == "_theory" for line in ax.get_lines()):
        handles, names = [*handles, Line2D([], [], **THEORY)], [*names, theory_name]
    return handles, names


def legend_above(figure: Figure, handles: Sequence[Any], names: Sequence[str], grow: bool) -> None:
    """One legend above all panels, in as many columns as fit. grow: whether rows beyond the first add to the figure's height."""
    columns = legend_columns(names, figure.get_figwidth())
    figure.legend(handles, names, loc="outside upper center", ncols=columns)
    if grow:
        rows = -(-len(names) // columns)
        figure.set_figheight(figure.get_figheight() + (rows - 1) * 1.5 * matplotlib.rcParams["legend.fontsize"] / 72.0)


def shared_entries(axes: Iterable[Axes]) -> tuple[list[Any], list[str]]:
    """Handles and names out of all ``axes``, each name once."""
    both = [entry for ax in axes for entry in zip(*ax.get_legend_handles_labels(), strict=True)]
    once = {name: handle for handle, name in reversed(both)}
    names = list(dict.fromkeys(name for _, name in both))
    return [once[name] for name in names], names


def legend_columns(names: Sequence[str], width: float) -> int:
    """Columns of a legend whose entries, filled column by column, fit ``width`` inches: in as few rows as can be, and these even.

    Sizes are those of the style in force.
    """
    size = float(matplotlib.rcParams["legend.fontsize"])
    handle, gap = matplotlib.rcParams["legend.handlelength"], matplotlib.rcParams["legend.handletextpad"]
    widths = np.array([_text_width(name, size) for name in names]) + (handle + gap) * size
    room = 72.0 * width - 2.0 * size
    for rows in range(1, len(names) + 1):
        columns = -(-len(names) // rows)
        # as matplotlib fills them: the first columns take one more where they do not come out even
        parts = np.array_split(widths, columns)
        if sum(part.max() for part in parts) + (columns - 1) * matplotlib.rcParams["legend.columnspacing"] * size <= room:
            return columns
    return 1


@lru_cache(maxsize=512)
def _text_width(text: str, size: float) -> float:
    """Points, formulas included; the font is that of the style in force, which is always ours."""
    return float(TextPath((0.0, 0.0), text, size=size, prop=FontProperties()).get_extents().width) if text.strip() else 0.0
