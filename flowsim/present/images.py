"""The paper's figure 2: what ReLU networks on images do when their first weights, or the images, are scaled up."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from flowsim.present.axes import colours, legend_above, log_limits, log_values
from flowsim.present.style import make_figure, styled, wide_page
from flowsim.relu import ReluRun

BAND = 0.22
"""Opacity of a band: with three of them on top of each other their lines still stand out."""


class _Group(NamedTuple):
    """The seeds of one step size. time: (T,), after 0.  error, log_norm: (S, T), nan once nothing is left to measure.

    lost: the records at which seeds died, and diverged, by the word for it; -1 for seeds that did not.
    """

    step_size: float
    time: np.ndarray
    error: np.ndarray
    log_norm: np.ndarray
    lost: dict[str, np.ndarray]


def relu_figure(runs: ReluRun | Sequence[ReluRun], figure: Figure | None = None, page: str | None = None) -> Figure:
    r"""Test error, and |W_L ... W_1|_F below it, against eta k: a column for each scaling, a colour for each step size.

    Lines are medians over seeds, bands reach from the least seed to the largest. Seeds whose outputs died, or which diverged, are left out
    from there on; a note in the panel of the norm says how many, and at which step. The records at k = 0 have no place on the logarithmic
    axis of time.

    runs: a ReluRun, or several of them, one beside the other.
    figure, page: as in `trajectory_figure`, but for the page "icml-single", which is too narrow.

    ValueError where there is nothing to draw: no run, or none with a record after k = 0.

    Source: Lin, Sun, Zhang 2021 (submitted version), figure 2.

    >>> import numpy as np
    >>> from flowsim.relu import Images, train
    >>> images = Images(np.eye(4), np.array([0, 1, 0, 1]), np.eye(4), np.array([0, 1, 0, 1]), "corners", 2)
    >>> run = train(images, [1.0, 0.1], data_scales=[1.0, 10.0], seeds=1, depth=2, width=8, batch=4, steps=10)
    >>> [ax.get_title() for ax in relu_figure(run).axes]
    ['unscaled', 'data $\\times\\,10$', '', '']
    """
    every = [runs] if isinstance(runs, ReluRun) else list(runs)
    columns = [(_title(run, scaling), list(_groups(run, scaling))) for run in every for scaling in range(run.data_scales.size)]
    groups = [group for _, column in columns for group in column]
    if not any(np.isfinite(group.error).any() for group in groups):
        raise ValueError("`runs` must have a record after k = 0 to be drawn, but none of them has")
    sizes = sorted({group.step_size for group in groups}, reverse=True)
    colour = dict(zip(sizes, colours(len(sizes)), strict=True))
    with styled(page):
        wide_page("relu_figure")
        given, figure = figure, make_figure(figure, 3.5)
        axes = figure.subplots(2, len(columns), sharex=True, sharey="row", squeeze=False)
        for (above, below), (title, column) in zip(axes.T, columns, strict=True):
            above.set_title(title)
            for group in column:
                _draw(above, group.time, group.error, colour[group.step_size])
                _draw(below, group.time, np.exp(np.minimum(group.log_norm, 700.0)), colour[group.step_size])
            _note(below, column, colour)
            below.set_xlabel(r"$\eta k$")
        _scales(axes, groups)
        depths = {run.depth for run in every}
        top = str(depths.pop()) if len(depths) == 1 else "L"
        axes[0, 0].set_ylabel("test error")
        axes[1, 0].set_ylabel(rf"norm $|W_{{{top}}}\cdots W_1|_\mathrm{{F}}$")
        handles: list[Any] = [Line2D([], [], color=colour[size]) for size in sizes]
        names = [rf"$\eta={size:g}$" for size in sizes]
        if any(len(group.error) > 1 for group in groups):
            handles.append((Patch(color="0.5", alpha=BAND, linewidth=0.0), Line2D([], [], color="0.5")))
            names.append("median and range of seeds")
        legend_above(figure, handles, names, grow=given is None)
    return figure


def _title(run: ReluRun, scaling: int) -> str:
    factors = {"weights": run.weight_scales[scaling], "data": run.data_scales[scaling]}
    return ", ".join(rf"{what} $\times\,{factor:g}$" for what, factor in factors.items() if factor != 1.0) or "unscaled"


def _groups(run: ReluRun, scaling: int) -> Iterator[_Group]:
    """One for each step size, the largest first, so that the slowest and shortest line lies on top."""
    later = run.step > 0
    for i in np.argsort(-run.step_sizes):
        dead = run.largest_output[i, scaling] == 0.0
        seen = np.isfinite(run.test_error[i, scaling])
        diverged = ~seen & (run.status[i, scaling] == "diverged")[:, None]
        alive = seen & ~dead
        lost = {
            word: np.where(gone.any(axis=-1), run.step[np.argmax(gone, axis=-1)], -1)
            for word, gone in (("dead", dead), ("diverged", diverged))
        }
        error, log_norm = (np.where(alive, values[i, scaling], np.nan)[:, later] for values in (run.test_error, run.log_product_norm))
        yield _Group(float(run.step_sizes[i]), run.time[i, later], error, log_norm, lost)


def _draw(ax: Axes, time: np.ndarray, values: np.ndarray, colour: Any) -> None:
    """Median and range of the seeds that are there, (S, T)."""
    there = np.isfinite(values).any(axis=0)
    if not there.any():
        return
    time, values = time[there], values[:, there]
    low, middle, high = (reduce(values, axis=0) for reduce in (np.nanmin, np.nanmedian, np.nanmax))
    if len(values) > 1:
        ax.fill_between(time, low, high, color=colour, alpha=BAND, linewidth=0.0)
    ax.plot(time, middle, color=colour, label="_median")


def _note(ax: Axes, column: Sequence[_Group], colour: dict[float, Any]) -> None:
    """Which seeds died or diverged, and when; one line for each step size, in its colour."""
    row = 0
    for group in column:
        for word, steps in group.lost.items():
            gone = steps[steps >= 0]
            if not gone.size:
                continue
            when = f"{gone.min()}" if gone.min() == gone.max() else rf"{gone.min()}\;\mathrm{{to}}\;{gone.max()}"
            count = "" if gone.size == steps.size else f" ({gone.size} of {steps.size})"
            said = rf"$\eta={group.step_size:g}$: {word} at $k={when}${count}"
            ax.annotate(
                said, (0.97, 0.05), (0, 11 * row), "axes fraction", "offset points", ha="right", color=colour[group.step_size], size="small"
            )
            row += 1


def _scales(axes: np.ndarray, groups: Sequence[_Group]) -> None:
    """Logarithmic axes, the norm's around the networks that last: one on its way out may have any norm."""
    times = np.concatenate([group.time for group in groups])
    for ax in axes.flat:
        ax.set_xscale("log")
        log_limits(ax, float(times.min()), float(times.max()))
    errors = np.concatenate([group.error.ravel() for group in groups])
    if np.nanmin(errors) > 0.0:
        log_values(axes[0, 0], errors[np.isfinite(errors)])
    lasting = [group.log_norm[np.maximum.reduce(list(group.lost.values())) < 0].ravel() for group in groups]
    log_norms = np.concatenate([*lasting, *([group.log_norm.ravel() for group in groups] if not sum(map(np.size, lasting)) else [])])
    log_norms = log_norms[np.isfinite(log_norms)]
    axes[1, 0].set_yscale("log")
    if log_norms.size:
        log_values(axes[1, 0], np.exp(np.minimum(log_norms, 700.0)))
