"""How far descent is from its flow: over time, and at one time against the step size.

Solid is a measured gap, in the colour of what it is measured against; dashed what the modified equation predicts.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes

from flowsim.dynamics import Comparison, GapOrder
from flowsim.dynamics.compare import gap_order_of
from flowsim.present.axes import log_sizes, log_time, log_values, mark_end, name_runs, say
from flowsim.present.quantities import quantity_named, time_label
from flowsim.present.style import THEORY, make_axes, palette, styled


def plot_gap(comparison: Comparison, quantity: str = "direction", ax: Axes | None = None) -> Axes:
    r"""|s_k - s(eta k)|, ||w_k|/|w(eta k)| - 1| or |L(w_k)/L(w(eta k)) - 1| against eta k, on logarithmic axes.

    Solid, each in the colour of what it is measured against: the gaps of descent to the flow, and to the modified flow up to its end.
    Dashed: the leading gap to the flow, eta e(t), of s and |w|. Gaps below 1e-13 are rounding, and left out.

    comparison: what `flowsim.compare` returns.  quantity, ax: as in `plot_path`.

    >>> from flowsim import Gaussian, PopulationRisk, Start, compare, gradient_descent, gradient_flow
    >>> descent = gradient_descent(PopulationRisk(Gaussian(dim=2)), Start(), 0.1, 100)
    >>> flow = gradient_flow(descent.problem, descent.start, descent.time)
    >>> [line.get_label() for line in plot_gap(compare(flow, descent)).get_lines()]
    ['gap to the flow', 'gap to the modified flow', '_theory']
    """
    what = quantity_named(quantity)
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
            say(ax, "no gap")
        ax.set_xlabel(time_label([comparison.descent]))
        ax.set_ylabel(f"gap  {what.gap_symbol}")
    return ax


def _sized(comparison: Comparison, gap: np.ndarray) -> np.ndarray:
    """|gap|; nan at t = 0, off a logarithmic axis anyway, and where rounding alone would set the range."""
    size = np.abs(gap)
    return np.where((size > 1e-13) & np.isfinite(size) & (comparison.time > 0), size, np.nan)


def plot_gap_order(order: Any, quantity: str = "direction", ax: Axes | None = None, theory: bool = True, legend: bool = True) -> Axes:
    r"""|s_k - s(t)| or ||w_k|/|w(t)| - 1| at one time t = eta k against the step size, on logarithmic axes.

    Points and solid lines: the gaps to the flow and to the modified flow, with their fitted slopes in the legend. Dashed: slope 1 through
    the leading gap that the modified equation predicts, eta e(t), and slope 2 through the smallest gap to the modified flow. Gaps that
    may be rounding are left out, of the lines and of the fit.

    order: what `flowsim.gap_order` returns; or descents, fresh or loaded, of several step sizes and one risk, start and depth, that share
        a time eta k: a batch, or a sequence of runs. The flow and the modified flow are then solved again there.
    quantity: "direction" or "norm".  ax, theory, legend: as in `plot_path`.

    ValueError on bad input; RuntimeError for a run that failed.

    >>> from flowsim import Gaussian, PopulationRisk, Start, gradient_descent
    >>> risk = PopulationRisk(Gaussian(dim=2))
    >>> descents = [gradient_descent(risk, Start(), 1.0 / k, [k]) for k in (10, 20, 40)]
    >>> plot_gap_order(descents, "norm").get_ylabel()
    'gap  $|\\Delta |w||\\,/\\,|w|$  at $t=1$'
    """
    what = quantity_named(quantity, tuple(_ORDERS))
    known = order if isinstance(order, GapOrder) else gap_order_of(order)
    gaps = _ORDERS[what.name](known)
    with styled():
        ax = make_axes(ax)
        shown = {name: np.where(np.abs(sizes) > gaps.floor, np.abs(sizes), np.nan) for name, sizes in gaps.sizes.items()}
        for (name, values), slope, colour in zip(shown.items(), gaps.slopes, palette()[0::2], strict=False):
            if np.isfinite(values).any():
                ax.plot(known.step_size, values, "o-", color=colour, label=f"gap to the {name}, slope {slope:.3f}")
        drawn = np.concatenate(list(shown.values()))
        if np.isfinite(drawn).any():
            log_sizes(ax, known.step_size)
            for power, eta, value in _anchors(known.step_size, gaps, *shown.values()) if theory else ():
                ax.plot(known.step_size, value * (known.step_size / eta) ** power, label="_theory", **THEORY)
            log_values(ax, drawn[np.isfinite(drawn)])
        else:
            say(ax, "no gap")
        ax.set_xlabel(r"step size  $\eta$")
        ax.set_ylabel(rf"gap  {what.gap_symbol}  at $t={known.time:.6g}$")
        if legend:
            name_runs(ax, "theory, slopes 1 and 2")
    return ax


class _Gaps(NamedTuple):
    """Of one quantity in a `GapOrder`: gaps by what they are measured to, their slopes, measured over predicted gap, and the floor."""

    sizes: dict[str, np.ndarray]
    slopes: tuple[float, float]
    ratio: float
    floor: np.ndarray


_ORDERS: dict[str, Callable[[GapOrder], _Gaps]] = {
    "direction": lambda order: _Gaps(
        {"flow": order.log_tan_half_angle, "modified flow": order.log_tan_half_angle_corrected},
        (order.slope_direction, order.slope_direction_corrected),
        order.ratio_direction,
        order.direction_floor,
    ),
    "norm": lambda order: _Gaps(
        {"flow": order.norm, "modified flow": order.norm_corrected},
        (order.slope_norm, order.slope_norm_corrected),
        order.ratio_norm,
        order.norm_floor,
    ),
}


def _anchors(step_size: np.ndarray, gaps: _Gaps, first: np.ndarray, second: np.ndarray) -> Iterator[tuple[int, float, float]]:
    """Slopes of the theory, each with a step size and the gap its line has there."""
    if np.isfinite(first[-1] / gaps.ratio):
        yield 1, float(step_size[-1]), float(first[-1] / gaps.ratio)
    for i in np.flatnonzero(np.isfinite(second))[-1:]:
        yield 2, float(step_size[i]), float(second[i])
