"""Axes and colours of a figure of a sweep: where cells end, which scale numbers have, what an axis is called."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colorbar import Colorbar
from matplotlib.colors import FuncNorm, LogNorm, Normalize
from matplotlib.ticker import FixedFormatter, FixedLocator, MaxNLocator, NullLocator
from scipy.special import ndtr, ndtri

from flowsim.present.axes import log_sizes, log_values
from flowsim.present.regimes import SYMBOLS, cell_edges, quarter_ticks
from flowsim.present.slices import SweptAxis
from flowsim.present.style import current_page

ARGUMENTS = {**SYMBOLS, "samples": r"samples  $n$", "signal": r"signal  $|\mu|$", "slope": r"slope  $\gamma$"}
"""Names of what is swept, likewise."""

PROBABILITIES = {"test_error": (1e-8, 0.5)}
"""Numbers whose scale is even in the normal quantile, between these: chance is 0.5, and what is beyond an end has its colour."""

PERCENTS = {
    0.5: "0.5",
    0.3: "0.3",
    0.1: "0.1",
    1e-2: r"$10^{-2}$",
    1e-3: r"$10^{-3}$",
    1e-4: r"$10^{-4}$",
    1e-6: r"$10^{-6}$",
    1e-8: r"$10^{-8}$",
}
"""Ticks of such a scale."""

SPANS = 1e3
"""The factor that positive numbers span beyond which their scale is logarithmic."""
LETTERS = 8.0
"""Letters of names an inch of a horizontal axis up to which they stand upright."""


class Scale(NamedTuple):
    """Of colours. norm: what matplotlib takes.  extend: of the colour bar, which ends are open.  even: whether in the normal quantile."""

    norm: Normalize
    extend: str = "neither"
    even: bool = False

    def mark(self, bar: Colorbar) -> None:
        """The ticks of a scale that matplotlib has none for."""
        if self.even:
            low, high = float(self.norm.vmin or 0.0), float(self.norm.vmax or 1.0)
            shown = {tick: text for tick, text in PERCENTS.items() if low * (1.0 - 1e-9) <= tick <= high * (1.0 + 1e-9)}
            bar.ax.yaxis.set_major_locator(FixedLocator(list(shown)))
            bar.ax.yaxis.set_major_formatter(FixedFormatter(list(shown.values())))
            bar.ax.yaxis.set_minor_locator(NullLocator())


def scale_of(name: str, numbers: np.ma.MaskedArray) -> Scale:
    """For all of ``numbers``, of which there are some."""
    low, high = float(numbers.min()), float(numbers.max())
    floor, top = PROBABILITIES.get(name, (np.inf, np.inf))
    if floor < high and low < top:
        return Scale(FuncNorm((_quantile, ndtr), max(low, floor), top), "min" if low < floor else "neither", even=True)
    return Scale(LogNorm(low, high) if spans(low, high) else Normalize(low, high))


def _quantile(probability: Any) -> Any:
    """Finite also of 0 and 1, which have a place beyond the ends."""
    return ndtri(np.clip(probability, 1e-300, 1.0 - 1e-16))


def spans(low: float, high: float) -> bool:
    """Whether a scale of numbers between these is logarithmic."""
    return low > 0.0 and high > SPANS * low


def edges_of(axis: SweptAxis, places: np.ndarray) -> np.ndarray:
    """Of cells around ``places``, which increase."""
    if axis.log:
        return np.exp(cell_edges(np.log(places)))
    edges = cell_edges(places)
    # no cell reaches where no value can be
    return np.clip(edges, 0.0 if places[0] > 0.0 else -np.inf, np.pi if axis.name == "angle" else np.inf)


def scale_axis(ax: Axes, which: str, axis: SweptAxis) -> None:
    """Name, scale and ticks of an axis, before anything is drawn."""
    own = ax.xaxis if which == "x" else ax.yaxis
    own.set_label_text(ARGUMENTS.get(axis.name, axis.long_name))
    if axis.names:
        own.set_ticks(range(len(axis.names)), axis.names)
        if which == "x" and sum(map(len, axis.names)) > LETTERS * current_page().width:
            ax.tick_params("x", rotation=30)
    elif axis.log:
        (log_sizes if which == "x" else log_values)(ax, axis.places)
    elif axis.whole:
        own.set_major_locator(MaxNLocator(integer=True))
    elif axis.name == "angle" and np.ptp(axis.places) > np.pi / 2.0:
        quarter_ticks(own)
    own.set_minor_locator(NullLocator())
