"""Where runs on finite samples leave the population's prediction: the direction of each against t, and the time of parting against n."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from flowsim import arguments
from flowsim.claims.samples.crossovers import crossing
from flowsim.dynamics import Trajectory, gradient_flow
from flowsim.layers import LayerRun, balanced
from flowsim.present.axes import fit_values, legend_above, log_limits
from flowsim.present.bounds import single_flow
from flowsim.present.style import THEORY, make_figure, palette, styled, wide_page
from flowsim.problem import Gaussian, PopulationRisk, Start, log_times
from flowsim.samples import draw, sample_flow
from flowsim.theory import direction_crossover, margin_norm, sample_direction_error

SIZES = (100, 1000, 10_000, 100_000)
POPULATION = {"color": "0.35", "linewidth": 3.0, "zorder": 1.8}
"""A wide line below the samples', which lie on it until they leave."""


def crossover_runs(
    law: Any = None, sizes: Sequence[int] = SIZES, sets: int = 6, depth: int = 1, last: float = 1e5, count: int = 100, seed: int = 0
) -> tuple[Trajectory, list[LayerRun]]:
    """The population's flow, and flows on data sets of each size, from norm 1 and theta = 1.5, at the same times; about a minute.

    law: default Gaussian data in R^10, in which a mean over few data sets fluctuates little.  sizes: n.  sets: data sets of each n.
    depth: N, of balanced layers of width 1.  last: of the times, the first being 1.  count: of times.  seed: of the first data set.

    ValueError where one is not what it must be.

    >>> import flowsim as fs
    >>> flow, runs = fs.present.crossover_runs(fs.Gaussian(dim=2), sizes=[100], sets=2, last=30.0, count=8)
    >>> len(runs), bool((runs[0].time == flow.time).all())
    (2, True)
    """
    risk = PopulationRisk(Gaussian(dim=10) if law is None else law)
    numbers, per_size = arguments.whole("sizes", sizes, low=1).ravel(), int(arguments.whole("sets", sets, low=1))
    times, start = log_times(1.0, last, count), Start(norm=1.0, angle=1.5)
    w = np.zeros(risk.law.dim)
    w[:2] = np.cos(1.5), np.sin(1.5)
    network, first = balanced(w, depth), int(arguments.whole("seed", seed, low=0))
    runs = [
        sample_flow(draw(risk, int(n), first + k), network, times, "dop853", 1e-6, observe=()) for n in numbers for k in range(per_size)
    ]
    return gradient_flow(risk, start, times, depth), runs


def crossover_figure(flow: Any, runs: Any, figure: Figure | None = None, page: str | None = None) -> Figure:
    r"""theta against t of flows on n samples, leaving the population's, and the time at which they do against n.

    Left: the population's flow (grey); for each n the root mean square over data sets (line) and all of them (band); dashed theta_n at the
    population's norm, as long as that is below `flowsim.theory.margin_norm`, from where on the margins are felt.
    Right: the time at which mean theta^2 over data sets is twice the population's (points, with standard errors), and theta(t) = theta_n
    (dashed).

    flow: a single gradient flow without label noise.  runs: `LayerRun`s of `flowsim.samples.sample_flow` without a batch, of the same law,
    depth and times; those on as many samples are taken together. `crossover_runs` makes both.
    figure, page: as in `trajectory_figure`, but for the page "icml-single", which is too narrow.

    ValueError on bad input. Source: derived here, derivations/sample_noise.py.

    >>> import flowsim as fs
    >>> runs = fs.present.crossover_runs(fs.Gaussian(dim=2), sizes=[100, 200], sets=2, last=30.0, count=8)
    >>> [ax.get_xlabel() for ax in fs.present.crossover_figure(*runs).axes]
    ['$t$', 'samples  $n$']
    """
    course = single_flow(flow)
    groups = _by_size(runs, course)
    with styled(page):
        wide_page("crossover_figure")
        given, figure = figure, make_figure(figure, 2.75)
        left, right = figure.subplots(1, 2, width_ratios=(1.75, 1.0))
        left.plot(course.time, course.angle, label="population", **POPULATION)
        shown = []
        for (n, angles), colour in zip(groups.items(), _colours(len(groups)), strict=True):
            shown.append(_draw_size(left, course, n, angles, colour))
            left.fill_between(course.time, angles.min(axis=0), angles.max(axis=0), color=colour, alpha=0.25, linewidth=0.0, label="_band")
        left.set_xscale("log")
        log_limits(left, float(course.time[0]), float(course.time[-1]))
        low = min(float(values.min()) for values in shown)
        fit_values(left, np.array([0.5 * low, 1.2 * float(course.angle.max())]))
        left.set_xlabel("$t$")
        left.set_ylabel(r"angle  $\theta$ to the teacher")
        _draw_times(right, course, groups)
        handles = [
            Line2D([], [], color=POPULATION["color"], linewidth=POPULATION["linewidth"]),
            *(Line2D([], [], color=colour) for colour in _colours(len(groups))),
            Line2D([], [], **THEORY),
        ]
        names = ["population", *(f"$n={_power(n)}$" for n in groups), r"theory: $\theta_n$ and $\theta(t)=\theta_n$"]
        legend_above(figure, handles, names, grow=given is None)
    return figure


def _colours(count: int) -> list[str]:
    known = palette()
    return [known[i % len(known)] for i in range(count)]


def _power(n: int) -> str:
    """A power of ten as such."""
    exponent = int(np.log10(n))
    return f"10^{{{exponent}}}" if n == 10**exponent else f"{n}"


def _by_size(runs: Any, flow: Trajectory) -> dict[int, np.ndarray]:
    """theta of the runs on n samples, (sets, T), by n in order."""
    every = [runs] if isinstance(runs, LayerRun) else list(runs)
    if not every or not all(isinstance(run, LayerRun) and run.kind == "sample-flow" and not run.shape for run in every):
        raise ValueError("`runs` must be LayerRuns of flowsim.samples.sample_flow, each a single one")
    found: dict[int, list[np.ndarray]] = {}
    for run in every:
        run.require_ok()
        if run.depth != int(flow.depth) or run.problem != flow.problem or not np.array_equal(run.time, flow.time):
            raise ValueError("`runs` must have the law, the depth and the times of `flow`")
        found.setdefault(int(run.config["data"]["samples"]), []).append(run.angle)
    return {n: np.array(found[n]) for n in sorted(found)}


def _draw_size(ax: Axes, flow: Trajectory, n: int, angles: np.ndarray, colour: str) -> np.ndarray:
    """The root mean square of one n, and theory from a little before it is reached to where margins are felt."""
    square = np.sqrt((angles**2).mean(axis=0))
    ax.plot(flow.time, square, color=colour, label=f"n = {n}")
    below = flow.norm < float(margin_norm(flow.problem, n))
    level = np.full(flow.time.shape, np.nan)
    level[below] = sample_direction_error(flow.problem, flow.norm[below], n)
    level[flow.angle > 3.0 * level] = np.nan
    ax.plot(flow.time, level, label="_theory", **THEORY)
    return square


def _draw_times(ax: Axes, flow: Trajectory, groups: dict[int, np.ndarray]) -> None:
    """Times of parting, of those that part within the run, and theory between the first and the last n."""
    sizes, depth = np.array(list(groups)), int(flow.depth)
    fine = np.unique(np.geomspace(sizes[0], sizes[-1], 25).round().astype(int))
    expected = np.array([direction_crossover(flow.problem, flow.start, int(n), depth).time for n in fine])
    times = []
    for (n, angles), colour in zip(groups.items(), _colours(len(groups)), strict=True):
        try:
            time = crossing(flow.time, (angles**2).mean(axis=0), flow.angle)
        except RuntimeError:
            continue
        # of log theta_n, over the rate -s' at which theta(t) passes it
        rate = flow.problem.pull * float(np.interp(time, flow.time, flow.norm)) ** (1.0 - 2.0 / depth)
        error = 0.5 * np.sqrt(6.0 / ((flow.problem.law.dim - 1) * len(angles))) / rate
        times += [time - error, time + error]
        ax.errorbar(n, time, error, fmt="o", color=colour, markersize=4.0, capsize=2.5, elinewidth=1.0, label=f"n = {n}")
    ax.plot(fine, expected, label="_theory", **THEORY)
    ax.set_xscale("log")
    log_limits(ax, 0.6 * float(sizes[0]), 1.7 * float(sizes[-1]))
    fit_values(ax, np.array([*times, *expected]), linear=True)
    ax.set_ylim(bottom=0.0)
    ax.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    ax.set_xlabel("samples  $n$")
    ax.set_ylabel("time of the crossover")
