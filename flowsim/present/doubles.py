r"""Gradient descent as one would first write it, in Cartesian doubles, beside flowsim: what rounding does to the edge of stability.

Across v a step multiplies z by 1 - sigma, sigma = eta a^(2N-2) (c - h(r))/r. At depth N >= 3 sigma grows past 2 while the part across
v is far below any double; whether it can grow back depends on whether it is still there.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from flowsim import arguments
from flowsim.dynamics import Trajectory, gradient_descent
from flowsim.present.axes import legend_above, log_values
from flowsim.present.style import THEORY, make_figure, palette, styled
from flowsim.problem import Gaussian, PopulationRisk, Start

Array = Float[np.ndarray, "..."]

AXIS, GENERAL = (0.0, 1.0), (0.6, 0.8)
"""Two teachers: one along an axis, where the part across v is a number of its own, and one that is not."""

DEPTH, STEP_SIZE, STEPS = 4, 0.3, 30_000
"""Of `doubles_runs`: s falls to -3356 at step 4029, where sigma passes 2, and the first burst comes at step 12411."""

FIRST, BINS = 10, 1500
"""The first step drawn, and into how many stretches the drawing divides log k."""

MARK = {"color": "0.35", "linestyle": ":", "linewidth": 0.9}

SMALLEST, ROUNDING = float(-np.log(5e-324)), float(-np.log(2.0**-53))
"""-s of the smallest double, 744.4, and of half a unit in the last place of 1, 36.7."""


@dataclass(frozen=True, eq=False)
class CartesianDescent:
    """What `cartesian_descent` returns, after 0, 1, ..., K steps.

    step: (K + 1,).  first_layer: z, (..., K + 1, 2).  layer: a, (..., K + 1).
    log_tan_half_angle: s = log tan(theta/2), (..., K + 1); -inf where z has no part across v left.
    norm: r = |a^(N-1) z|, (..., K + 1).  sharpness: sigma = eta a^(2N-2) (c - h(r))/r, (..., K + 1).
    """

    step: Int[np.ndarray, "step"]
    first_layer: Array
    layer: Array
    log_tan_half_angle: Array
    norm: Array
    sharpness: Array


def cartesian_descent(risk: PopulationRisk, start: Start, step_size: float, steps: int, depth: int, v: Any) -> CartesianDescent:
    """z <- z - eta a^(N-1) G, a <- a - eta a^(N-2) <G, z>, G = grad L(w) at w = a^(N-1) z, in doubles, z in R^2.

    risk, start, step_size, depth: as in `gradient_descent`, one of each.  steps: K, all of them recorded.
    v: (..., 2), teachers that run side by side; only their directions count.

    Rounding is what it shows: for anything else there is `gradient_descent`. ValueError on bad input.

    >>> import flowsim as fs
    >>> risk, start = fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(norm=1.0, angle=1.5)
    >>> run = fs.present.cartesian_descent(risk, start, step_size=0.3, steps=100, depth=4, v=[0.0, 1.0])
    >>> run.norm.shape
    (101,)
    """
    teacher = arguments.reals("v", v)
    if teacher.shape[-1:] != (2,) or not np.hypot(teacher[..., 0], teacher[..., 1]).all():
        raise ValueError(f"`v` must hold nonzero vectors, shape (..., 2), but is {v!r}")
    teacher = teacher / np.hypot(teacher[..., :1], teacher[..., 1:])
    count = int(arguments.whole("steps", steps, low=0))
    eta, n = arguments.real("step_size", step_size, low=0.0, strict=True), int(arguments.whole("depth", depth, low=1))
    norm, angle = arguments.real("start.norm", start.norm), arguments.real("start.angle", start.angle)
    ratio, pull = risk.profile.drag_ratio, risk.signal * teacher

    a = np.full((*teacher.shape[:-1], 1), norm ** (1.0 / n) if n > 1 else 1.0)
    z = norm ** (1.0 / n) * (np.cos(angle) * teacher + np.sin(angle) * np.stack([-teacher[..., 1], teacher[..., 0]], axis=-1))
    path, layer = np.empty((count + 1, *z.shape)), np.empty((count + 1, *a.shape))
    for k in range(count + 1):
        path[k], layer[k] = z, a
        u = a ** (n - 1)
        w = u * z
        gradient = ratio(np.hypot(w[..., :1], w[..., 1:])) * w - pull
        along = (gradient * z).sum(axis=-1, keepdims=True)
        z = z - eta * u * gradient
        a = a - eta * a ** (n - 2) * along if n > 1 else a
    path, layer = np.moveaxis(path, 0, -2), np.moveaxis(layer[..., 0], 0, -1)
    norms = layer ** (n - 1) * np.hypot(path[..., 0], path[..., 1])
    sharpness = eta * layer ** (2 * n - 2) * ratio(norms)
    return CartesianDescent(np.arange(count + 1), path, layer, _log_tan_half_angle(path, teacher), norms, sharpness)


def _log_tan_half_angle(z: Array, v: Array) -> Array:
    """s from z and z - <z, v> v, as well as z allows: in logarithms, and without squares, which would underflow before z does."""
    parallel = (z * v[..., None, :]).sum(axis=-1)
    across = z - parallel[..., None] * v[..., None, :]
    ahead = parallel > 0.0
    with np.errstate(divide="ignore"):
        log_across = np.log(np.hypot(across[..., 0], across[..., 1]))
        log_along = np.log(np.hypot(z[..., 0], z[..., 1]) + np.abs(parallel))
        return np.where(ahead, log_across - log_along, log_along - log_across)


def doubles_runs() -> tuple[Trajectory, CartesianDescent]:
    """One descent three times: by `gradient_descent`, and by `cartesian_descent` with the teachers (0, 1) and (3, 4)/5.

    Gaussian data, depth 4, eta = 0.3, from norm 1 at 1.5 radians; 30 000 steps, all of them recorded.

    >>> import flowsim as fs
    >>> descent, doubles = fs.present.doubles_runs()
    >>> int(descent.step[-1]), doubles.norm.shape
    (30000, (2, 30001))
    """
    risk, start = PopulationRisk(Gaussian(dim=2)), Start(norm=1.0, angle=1.5)
    descent = gradient_descent(risk, start, STEP_SIZE, np.arange(STEPS + 1), depth=DEPTH, method="exact")
    return descent, cartesian_descent(risk, start, STEP_SIZE, STEPS, DEPTH, [AXIS, GENERAL])


def doubles_figure(descent: Trajectory, doubles: CartesianDescent, figure: Figure | None = None, page: str | None = None) -> Figure:
    r"""-s = -log tan(theta/2), sigma and |w| against k: flowsim's run, and the same in Cartesian doubles with two teachers.

    Dashed: sigma = 2. Dotted: -s of the smallest double and of the rounding of 1, and the first step with sigma > 2.
    Steps that leave no part across v at all are not drawn.

    descent, doubles: what `doubles_runs` returns.  figure, page: as in `trajectory_figure`.

    >>> import flowsim as fs
    >>> len(fs.present.doubles_figure(*fs.present.doubles_runs()).axes)
    3
    """
    names = ["flowsim", r"doubles, $v=(0,1)$", r"doubles, $v=(3,4)/5$"]
    with styled(page):
        given, figure = figure, make_figure(figure, 4.6)
        axes = figure.subplots(3, 1, sharex=True, height_ratios=(3, 2, 2))
        ours = (-descent.log_tan_half_angle, descent.sharpness, descent.norm)
        theirs = (-doubles.log_tan_half_angle, doubles.sharpness, doubles.norm)
        for ax, first, others in zip(axes, ours, theirs, strict=True):
            # the lines coincide until rounding parts them: the wider ones below
            for values, colour, width in zip((first, *others), palette(), (2.6, 1.5, 0.8), strict=False):
                _draw(ax, doubles.step, values, colour, width)
            for passed in np.flatnonzero(descent.sharpness > 2.0)[:1]:
                ax.axvline(doubles.step[passed], zorder=1.5, **MARK)
        direction, sharpness, norm = axes
        log_values(direction, np.array([1.0, float(np.max(ours[0]))]))
        for level, name in ((SMALLEST, "smallest double"), (ROUNDING, "rounding of 1")):
            direction.axhline(level, zorder=1.5, **MARK)
            direction.annotate(name, (FIRST, level), (4, 2), "data", "offset points", va="bottom", color=MARK["color"], size="small")
        direction.set_ylabel(r"direction  $-s$")
        sharpness.axhline(2.0, **THEORY)
        sharpness.set_ylim(bottom=0.0)
        sharpness.set_ylabel(r"sharpness  $\sigma$")
        norm.set_ylim(bottom=0.0)
        norm.set_ylabel(r"norm  $|w|$")
        norm.set_xscale("log")
        norm.set_xlim(FIRST, float(doubles.step[-1]))
        norm.set_xlabel(r"step  $k$")
        figure.align_ylabels(axes)
        handles = [Line2D([], [], color=colour, linewidth=width) for colour, width in zip(palette(), (2.6, 1.5, 0.8), strict=False)]
        legend_above(figure, handles, names, grow=given is None)
    return figure


def _draw(ax: Axes, step: np.ndarray, values: Array, colour: str, width: float) -> None:
    """A line through the least and the largest value of each of `BINS` stretches of log k: bursts last only a few steps."""
    shown = np.flatnonzero((step >= FIRST) & np.isfinite(values))
    bins = np.floor(BINS * np.log(step[shown]) / np.log(step[-1]))
    edges = np.flatnonzero(np.diff(bins)) + 1
    kept = [part[pick(values[part])] for part in np.split(shown, edges) for pick in (np.argmin, np.argmax)]
    kept = np.unique(kept)
    ax.plot(step[kept], values[kept], color=colour, linewidth=width)
