"""Runs of homogeneous networks on finite data: what is left of their direction's path, alignment, and margins, against log log t."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flowsim import arguments
from flowsim.finite import HomogeneousRun
from flowsim.finite.training_set import training_set_of
from flowsim.present.axes import colours, fraction, legend_above, log_limits, log_values, mark_end, say
from flowsim.present.style import THEORY, make_figure, styled, wide_page
from flowsim.samples import max_margin

EARLIEST = 0.3
"""log t from which runs are shown: before, the logarithm of log t says nothing."""

LAST_SHARE = 0.4
"""Of the axis of log log t, from its end, along which a predicted power is drawn."""

SMALLEST = 1e-30
"""Squared rounding: gaps below it are not told from 0."""

SMOOTHED = (0, (1.0, 1.2))
"""Of the smoothed margin: dotted, and in the colour of its run."""

SEPARATOR = "max_margin"
"""Of `HomogeneousRun.config`, where a run was saved with the direction of the largest margin."""


@dataclass(frozen=True)
class _Drawn:
    """there: the records shown, (T,).  left, error: of the path.  target: direction of largest margin, of a linear network, if known."""

    run: HomogeneousRun
    name: str
    colour: Any
    there: np.ndarray
    left: np.ndarray
    error: float
    target: np.ndarray | None

    @property
    def log_time(self) -> np.ndarray:
        return self.run.log_time[self.there]

    def of(self, values: np.ndarray) -> np.ndarray:
        """What is shown of (T,) values; gaps where they are not positive."""
        shown = values[self.there]
        return np.where(np.isfinite(shown) & (shown > SMALLEST), shown, np.nan)


def finite_figure(
    runs: Any, data: Any = None, names: Sequence[str] | None = None, figure: Figure | None = None, page: str | None = None
) -> Figure:
    r"""Direction, alignment and margin of homogeneous networks against log t on a logarithmic axis: a colour a run.

    Above: what is left of the path of u = W/|W|, the last of it extrapolated (`HomogeneousRun.path_tail`, its error as a band; without
    it what is left to the last record), circles the angle between a linear predictor and the separator of largest margin; and
    1 - cos(W, -grad L). Below: the slackness of the margin (`HomogeneousRun.slackness`); and the normalised margin (solid) and the
    smoothed one (dotted), over the last normalised one.

    Dashed, through the last record, powers of log t that theory has, where it has them. With order 1, W = W_svm log t + O(1): left of
    the path -1, gap -2. Linear with p layers, of which the flow conserves the imbalance while |W| ~ (log t)^(1/p): -1/p and -2/p. Of all
    networks, slackness -1. A separator that is held by one sample, or equal layers, do better than that.

    runs: a `HomogeneousRun` or a sequence of them.
    data: what linear ones ran on, for the circles; a `TrainingSet` or `DataSet`.  `flowsim finite` saves the separator with its runs.
    names: what the legend calls the runs; by default what tells them apart.
    figure, page: as in `trajectory_figure`, but for the page "icml-single", which is too narrow.

    ValueError on bad input. Source: Soudry et al. 2018 (https://arxiv.org/abs/1710.10345); Lyu, Li 2019 (https://arxiv.org/abs/1906.05890);
    Ji, Telgarsky 2020 (https://arxiv.org/abs/2006.06657).

    >>> import flowsim as fs
    >>> data, network = fs.finite.mixture(n=10, dim=3, signal=2.0), fs.finite.deep_linear(dim=3)
    >>> run = fs.finite.homogeneous_flow(network, data, network.start(), fs.finite.log_log_times(1e3, count=20))
    >>> [ax.get_ylabel().split("  ")[0] for ax in fs.present.finite_figure(run, data).axes]
    ['left of the path', 'alignment', 'slackness', 'margin, over its last']
    """
    drawn = _drawn(runs, data, names)
    with styled(page):
        wide_page("finite_figure")
        given, figure = figure, make_figure(figure, 4.2)
        axes = figure.subplots(2, 2, sharex=True)
        (path, gap), (slack, margin) = axes
        _draw(path, drawn, [one.of(one.left) for one in drawn], [_direction_power(one.run) for one in drawn])
        for one in drawn:
            low, high = (np.maximum(one.of(one.left + sign * one.error), SMALLEST) for sign in (-1.0, 1.0))
            path.fill_between(one.log_time, low, high, color=one.colour, alpha=0.25, linewidth=0.0, label="_error")
        _draw_separators(path, drawn)
        _draw(gap, drawn, [one.of(one.run.alignment_gap) for one in drawn], [_gap_power(one.run) for one in drawn])
        _draw(slack, drawn, [one.of(one.run.slackness) for one in drawn], [-1.0 for _ in drawn])
        _draw_margins(margin, drawn)
        path.set_ylabel("left of the path  (rad)")
        gap.set_ylabel(r"alignment  $1-\cos(W,-\nabla L)$")
        slack.set_ylabel("slackness")
        margin.set_ylabel("margin, over its last")
        times = np.concatenate([one.log_time for one in drawn])
        for ax in axes.flat:
            ax.set_xscale("log")
            log_limits(ax, float(times.min()), float(times.max()))
        for ax in axes[1]:
            ax.set_xlabel(r"$\log t$,  on a logarithmic axis: $\log\log t$")
        figure.align_ylabels()
        legend_above(figure, *_entries(drawn, axes.flat), grow=given is None)
    return figure


def _drawn(runs: Any, data: Any, names: Sequence[str] | None) -> list[_Drawn]:
    """What is drawn of each run; ValueError where ``runs`` holds something else, or nothing."""
    given = [runs] if isinstance(runs, HomogeneousRun) else list(runs)
    for run in given:
        if not isinstance(run, HomogeneousRun):
            raise ValueError(f"`runs` must be a HomogeneousRun or a sequence of them, but holds {run!r}")
        if np.count_nonzero((run.log_time > EARLIEST) & np.isfinite(run.log_norm)) < 2:
            raise ValueError(f"`runs` must have two records or more beyond log t = {EARLIEST:g}, but one has fewer: {run.message}")
    if not given:
        raise ValueError("`runs` must hold at least one run, but is empty")
    if names is not None and len(names) != len(given):
        raise ValueError(f"`names` must be {len(given)}, one for each run, but are {len(names)}")
    called = _names(given) if names is None else list(names)
    out = []
    for run, name, colour in zip(given, called, colours(len(given)), strict=True):
        left, error = _left(run)
        out.append(_Drawn(run, name, colour, run.log_time > EARLIEST, left, error, _target(run, data)))
    return out


def _left(run: HomogeneousRun) -> tuple[np.ndarray, float]:
    """Of the path, (T,), and the error of what is extrapolated."""
    reached = float(np.nanmax(run.path_length))
    try:
        tail = run.path_tail()
    except ValueError:
        return reached - run.path_length, 0.0
    if not np.isfinite([tail.left, tail.error]).all():
        return reached - run.path_length, 0.0
    return reached + tail.left - run.path_length, tail.error


def _target(run: HomogeneousRun, data: Any) -> np.ndarray | None:
    if run.predictor is None:
        return None
    if data is not None:
        given = training_set_of(data)
        if given.config()["digest"] != run.config["data"]["digest"]:
            raise ValueError(f"`data` must be what the run was on, {run.config['data']['name']}, but are others")
        return max_margin(given).direction
    known = run.config.get(SEPARATOR)
    return None if known is None else arguments.reals(SEPARATOR, known)


def _names(runs: Sequence[HomogeneousRun]) -> list[str]:
    """What tells the runs apart: network, data, loss, descent, seed; a number if nothing does. And what did not end well."""
    parts = [
        [_network(run.config["network"]) for run in runs],
        [str(run.config["data"]["name"]) for run in runs],
        [f"n = {run.config['data']['samples']}" for run in runs],
        [run.loss for run in runs],
        [f"seed {run.config['seed']}" if "seed" in run.config else "" for run in runs],
        [_steps(run) for run in runs],
    ]
    told = [part for part in parts if len(set(part)) > 1] or parts[:1]
    if len(set(zip(*told, strict=True))) < len(runs) > 1:
        told = [*told, [f"run {i}" for i in range(1, len(runs) + 1)]]
    ended = ["" if run.ok else f" ({run.status.replace('_', ' ')})" for run in runs]
    return [", ".join(text for text in row if text) + end for *row, end in zip(*told, ended, strict=True)]


def _network(config: Mapping[str, Any]) -> str:
    layers = f"{len(config['widths']) + 1} layers" if config.get("widths") else ""
    return ", ".join(text for text in (config["network"], layers, "fixed output" if config.get("fixed_output") else "") if text)


def _steps(run: HomogeneousRun) -> str:
    if run.kind == "homogeneous-flow":
        return "flow"
    return rf"{'normalised steps' if run.config['normalised'] else 'steps'} $\eta={run.config['step_size']:g}$"


def _direction_power(run: HomogeneousRun) -> float | None:
    """Of log t in what is left of the path."""
    return None if run.predictor is None and run.order != 1.0 else -1.0 / run.order


def _gap_power(run: HomogeneousRun) -> float | None:
    power = _direction_power(run)
    return None if power is None else 2.0 * power


def _draw(ax: Axes, drawn: Sequence[_Drawn], shown: Sequence[np.ndarray], powers: Sequence[float | None]) -> None:
    """Lines, and what is predicted of their last ones; each power once."""
    every = np.concatenate([values[np.isfinite(values)] for values in shown])
    if not every.size:
        say(ax, "nothing above rounding")
        return
    for one, values in zip(drawn, shown, strict=True):
        ax.plot(one.log_time, values, color=one.colour, label=one.name)
        mark_end(ax, one.log_time, values, one.colour)
    log_values(ax, every)
    ax.set_ylim(ax.get_ylim())
    first = {power: k for k, power in reversed(list(enumerate(powers))) if power is not None}
    for power, k in first.items():
        _predict(ax, drawn[k].log_time, shown[k], power)


def _predict(ax: Axes, log_time: np.ndarray, values: np.ndarray, power: float) -> None:
    """Through the last of the values, along a share of the axis."""
    reached = np.flatnonzero(np.isfinite(values))
    if not reached.size or log_time[-1] < 8.0:
        return
    end, height = float(log_time[reached[-1]]), float(values[reached[-1]])
    along = np.geomspace(end * (float(log_time[0]) / end) ** LAST_SHARE, end, 20)
    ax.plot(along, height * (along / end) ** power, label="_theory", **THEORY)
    middle = float(along[4])
    said = rf"$(\log t)^{{{fraction(power)}}}$"
    # below the line, which falls
    ax.annotate(said, (middle, height * (middle / end) ** power), (2, -3), textcoords="offset points", ha="right", va="top", size="small")


def _draw_separators(ax: Axes, drawn: Sequence[_Drawn]) -> None:
    for one in drawn:
        if one.target is None:
            continue
        angle = one.of(one.run.angle_to(one.target))
        some = slice(None, None, max(1, one.log_time.size // 20))
        ax.plot(one.log_time[some], angle[some], "o", color=one.colour, markerfacecolor="none", markersize=3.5, label="_separator")
        low, high = ax.get_ylim()
        log_values(ax, np.append(angle[np.isfinite(angle)], [low, high]))


def _draw_margins(ax: Axes, drawn: Sequence[_Drawn]) -> None:
    for one in drawn:
        normalised, smoothed = one.run.normalised_margin[one.there], one.run.smoothed_margin[one.there]
        last = float(normalised[np.isfinite(normalised)][-1])
        if not last > 0.0:
            continue
        for values, look in ((normalised, "-"), (smoothed, SMOOTHED)):
            ax.plot(one.log_time, values / last, color=one.colour, linestyle=look, label=one.name if look == "-" else "_smoothed")
    if not ax.get_lines():
        say(ax, "no positive margin")
        return
    ax.set_ylim(0.0, 1.15)


def _entries(drawn: Sequence[_Drawn], axes: Any) -> tuple[list[Any], list[str]]:
    """Handles and names: the runs, and what each kind of mark is that is there."""
    handles: list[Any] = [Line2D([], [], color=one.colour) for one in drawn]
    names = [one.name for one in drawn]
    there = {line.get_label() for ax in axes for line in ax.get_lines()}
    looks: dict[str, tuple[str, dict[str, Any]]] = {
        "_separator": (
            "angle to the separator",
            {"color": "0.4", "marker": "o", "markerfacecolor": "none", "linestyle": "", "markersize": 3.5},
        ),
        "_smoothed": ("smoothed margin", {"color": "0.4", "linestyle": SMOOTHED}),
        "_theory": (r"theory: power of $\log t$", THEORY),
    }
    for label, (name, look) in looks.items():
        if label in there:
            handles.append(Line2D([], [], **look))
            names.append(name)
    return handles, names
