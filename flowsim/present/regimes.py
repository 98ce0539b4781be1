"""A regime map as a picture: each cell in the colour of its class, with the boundaries that theory predicts drawn over them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from flowsim.dynamics import EDGE
from flowsim.present.axes import legend_above
from flowsim.present.style import current_page, make_axes, make_figure, styled
from flowsim.problem import PopulationRisk, Start
from flowsim.sweeps import CLASSES, RegimeMap
from flowsim.theory import critical_step_size, edge, first_burst, sharpness

COLOURS = {
    # Okabe and Ito's, their yellow among them: on areas it is not too pale
    "flow": "#0072B2",
    "other": "#56B4E9",
    "catapult": "#E69F00",
    "delayed": "#F0E442",
    "edge": "#D55E00",
    "saddle": "#CC79A7",
    "overflow": "#8C8C8C",
    "undecided": "#FFFFFF",
    "stopped": "#E5E5E5",
}

SYMBOLS = {
    "step_size": r"step size  $\eta$",
    "angle": r"starting angle  $\theta(0)$",
    "norm": r"starting norm  $r(0)$",
    "depth": r"depth  $N$",
    "law": r"law of $x$",
    "dim": r"dimension  $d$",
    "scale": r"scale of the law of $x$",
    "radius": r"radius of the law of $x$",
    "df": r"degrees of freedom  $\nu$",
    "label_noise": r"label noise  $\epsilon$",
    "start": "kind of start",
    "start_scale": "scale of the start",
    "width": "width of the hidden layers",
    "seed": "seed of the start",
    "steps": r"number of steps  $K$",
}
"""Names of what is varied, for axes."""


class Grid(NamedTuple):
    """What theory has to know of a map to draw its boundaries over it, by the names of `RegimeMap`."""

    axis: str
    values: np.ndarray
    step_sizes: np.ndarray
    risk: PopulationRisk
    start: Start
    depth: int
    steps: int


Mapped = RegimeMap | Grid


@dataclass(frozen=True)
class Boundary:
    """A predicted step size for a row of a map, inf or nan where there is none. label: of the legend.  dashes: of its line.

    step_size: of the map, the row's r(0) and N, and a guess, nan for none.
    """

    label: str
    dashes: Any
    step_size: Callable[[Mapped, float, int, float], float]


def _start_sharp(chart: Mapped, norm: float, depth: int, _: float) -> float:
    return EDGE / float(sharpness(chart.risk, depth, 1.0, norm))


def _critical(chart: Mapped, _: float, depth: int, __: float) -> float:
    return critical_step_size(chart.risk, depth) if depth == 2 else np.nan


def _edge_at_end(chart: Mapped, norm: float, depth: int, guess: float) -> float:
    return _where(chart, lambda eta: edge(chart.risk, depth, eta, norm).step, depth, guess)


def _burst_at_end(chart: Mapped, norm: float, depth: int, guess: float) -> float:
    return _where(chart, lambda eta: first_burst(chart.risk, depth, eta, norm).step_refined, depth, guess)


def _where(chart: Mapped, step: Callable[[float], float], depth: int, guess: float) -> float:
    """The step size in or near the map at which something comes at its last step, to half a percent; nan for none, or for N < 3."""
    if depth < 3:
        return np.nan
    low, high = chart.step_sizes[[0, -1]]
    eta = guess if np.isfinite(guess) else float(np.sqrt(low * high))
    # k ~ eta^-power at large norms, for h ~ K r^-2
    power = 1.0 + (depth + 2.0) / (depth - 2.0)
    for _ in range(30):
        ratio = (step(eta) / chart.steps) ** (1.0 / power)
        eta *= ratio
        if not low / 4.0 < eta < 4.0 * high:
            return np.nan
        if abs(ratio - 1.0) < 5e-3:
            return eta
    return np.nan


BOUNDARIES = (
    Boundary(r"$\sigma=2$ at the start", (0, (1, 1.2)), _start_sharp),
    Boundary(r"$\eta c=2$", (0, (5, 2)), _critical),
    Boundary(r"$\sigma=2$ at the last step", (0, (5, 1.5, 1, 1.5)), _edge_at_end),
    Boundary("first burst at the last step", (0, (9, 1.5)), _burst_at_end),
)
"""All for a run that starts balanced; the last two for one that is aligned too, from three layers on."""

Boundaries = list[tuple[Boundary, np.ndarray]]


def plot_regimes(chart: RegimeMap, ax: Axes | None = None, theory: bool = True) -> Axes:
    r"""Classes over log eta and the other axis; dashed or dotted the predicted boundaries, which do not know the angle:

        sigma(0) = eta (c - h(r(0))) r(0)^(1-2/N) = 2,   eta c = 2 (N = 2),   sigma = 2 or the first burst at k = K (N >= 3)

    chart: what `flowsim.regime_map` returns.  ax: axes to draw into; new ones by default.  theory: whether to draw the boundaries.

    >>> import flowsim as fs
    >>> chart = fs.regime_map(fs.PopulationRisk(fs.Gaussian(dim=2)), step_sizes=[0.1, 1.0, 20.0], depths=[1, 2], steps=100)
    >>> fs.present.plot_regimes(chart).get_xlabel()
    'step size  $\\eta$'
    """
    return _plot(chart, ax, predicted(chart) if theory else [])


def _plot(chart: RegimeMap, ax: Axes | None, boundaries: Boundaries) -> Axes:
    with styled():
        ax = make_axes(ax)
        ax.grid(False)
        colours = ListedColormap([COLOURS[name] for name in CLASSES])
        classes = BoundaryNorm(np.arange(len(CLASSES) + 1) - 0.5, len(CLASSES))
        etas = np.exp(cell_edges(np.log(chart.step_sizes)))
        ax.set_xscale("log")
        rows = _row_edges(chart)
        # one image in a PDF too, not a path for each cell
        ax.pcolormesh(etas, rows, chart.code, cmap=colours, norm=classes, rasterized=True, linewidth=0)
        ax.set_xlim(etas[0], etas[-1])
        ax.set_ylim(rows[0], rows[-1])
        for boundary, sizes in boundaries:
            draw_boundary(ax, chart, rows, sizes, boundary.dashes)
        ax.set_xlabel(SYMBOLS["step_size"])
        ax.set_ylabel(SYMBOLS[chart.axis])
        _ticks(chart, ax)
        return ax


def regime_figure(
    charts: RegimeMap | list[RegimeMap], theory: bool = True, figure: Figure | None = None, page: str | None = None
) -> Figure:
    """Maps as `plot_regimes` draws them, with one legend that names the classes present and the boundaries drawn.

    charts: a map, or up to three, side by side, or above each other in a single column.  theory: whether to draw the boundaries.
    figure, page: as in `trajectory_figure`.

    >>> import flowsim as fs
    >>> chart = fs.regime_map(fs.PopulationRisk(fs.Gaussian(dim=2)), step_sizes=[0.1, 1.0, 20.0], depths=[1, 2], steps=100)
    >>> len(fs.present.regime_figure(chart).axes)
    1
    """
    several = [charts] if isinstance(charts, RegimeMap) else list(charts)
    if not 1 <= len(several) <= 3:
        raise ValueError(f"`charts` must be one to three maps, but are {len(several)}")
    with styled(page):
        wide, count = current_page().wide, len(several)
        given, figure = figure, make_figure(figure, (3.4 if count == 1 else 2.9) if wide else 2.4 * count + 0.3)
        axes = figure.subplots(*((1, count) if wide else (count, 1)), squeeze=False).ravel()
        known = [predicted(chart) if theory else [] for chart in several]
        for chart, ax, boundaries in zip(several, axes, known, strict=True):
            _plot(chart, ax, boundaries)
            ax.set_title(_title(chart))
        present = [name for name in CLASSES if any(name in chart.shares for chart in several)]
        handles: list[Any] = [Patch(facecolor=COLOURS[name], edgecolor="0.3", linewidth=0.4) for name in present]
        names = [CLASSES[name] for name in present]
        lines, labels = boundary_entries([boundary for boundaries in known for boundary, _ in boundaries])
        legend_above(figure, handles + lines, names + labels, grow=given is None)
    return figure


def boundary_entries(drawn: Iterable[Boundary]) -> tuple[list[Any], list[str]]:
    """Handles and names for a legend of the boundaries drawn, each once."""
    labels = {boundary.label for boundary in drawn}
    lines = [boundary for boundary in BOUNDARIES if boundary.label in labels]
    return [Line2D([], [], color="black", linewidth=1.1, linestyle=line.dashes) for line in lines], [line.label for line in lines]


def _title(chart: RegimeMap) -> str:
    fixed = {"depth": f"$N={chart.depth}$", "norm": f"$r(0)={float(chart.start.norm):.3g}$"}
    fixed["angle"] = rf"$\theta(0)={float(chart.start.angle):.3g}$"
    power = np.log10(chart.steps)
    steps = f"10^{{{power:.0f}}}" if power == round(power) else f"{chart.steps}"
    return ", ".join([*(text for axis, text in fixed.items() if axis != chart.axis), f"$K={steps}$"])


def cell_edges(centres: np.ndarray) -> np.ndarray:
    """Halfway between neighbours, and as far beyond the first and the last."""
    if centres.size == 1:
        return centres[0] + np.array([-0.5, 0.5])
    inner = 0.5 * (centres[1:] + centres[:-1])
    return np.concatenate([[2 * centres[0] - inner[0]], inner, [2 * centres[-1] - inner[-1]]])


def _row_edges(chart: RegimeMap) -> np.ndarray:
    if chart.axis == "norm":
        return np.exp(cell_edges(np.log(chart.values)))
    edges = cell_edges(chart.values)
    return np.clip(edges, 0.0, np.pi) if chart.axis == "angle" else edges


def predicted(chart: Mapped) -> Boundaries:
    """Each boundary with its step size in every row, if any of them lies within the map."""
    rows = {"norm": np.full(chart.values.size, float(chart.start.norm)), "depth": np.full(chart.values.size, float(chart.depth))}
    rows |= {chart.axis: chart.values}
    pairs = list(zip(rows["norm"].tolist(), rows["depth"].astype(int).tolist(), strict=True))
    low, high = chart.step_sizes[[0, -1]]
    out = []
    for boundary in BOUNDARIES:
        known: dict[tuple[float, int], float] = {}
        guess = np.nan
        for pair in dict.fromkeys(pairs):
            known[pair] = guess = boundary.step_size(chart, *pair, guess)
        sizes = np.array([known[pair] for pair in pairs])
        if ((sizes >= low) & (sizes <= high)).any():
            out.append((boundary, np.where(np.isfinite(sizes), sizes, np.nan)))
    return out


def draw_boundary(ax: Axes, chart: Mapped, rows: np.ndarray, sizes: np.ndarray, dashes: Any) -> None:
    """Through the middle of the rows, up and down across a row that stands alone or where rows are whole depths."""
    if chart.axis == "depth" or np.isfinite(sizes).sum() == 1:
        y, x = np.repeat(rows, 2)[1:-1], np.repeat(sizes, 2)
    else:
        y, x = np.concatenate([rows[:1], chart.values, rows[-1:]]), np.concatenate([sizes[:1], sizes, sizes[-1:]])
    # on a white band: the line is to be seen on every colour
    ax.plot(x, y, color="white", linewidth=2.2)
    ax.plot(x, y, color="black", linewidth=1.0, linestyle=dashes)


_QUARTERS = ("0", r"$\pi/4$", r"$\pi/2$", r"$3\pi/4$", r"$\pi$")


def _ticks(chart: RegimeMap, ax: Axes) -> None:
    if chart.axis == "norm":
        ax.set_yscale("log")
    elif chart.axis == "depth":
        ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    else:
        quarter_ticks(ax.yaxis)
    ax.yaxis.set_minor_locator(NullLocator())


def quarter_ticks(axis: Axis) -> None:
    """Of an axis of angles from 0 to pi."""
    axis.set_major_locator(FixedLocator([i * np.pi / 4 for i in range(5)]))
    axis.set_major_formatter(FuncFormatter(lambda angle, _: _QUARTERS[round(4 * angle / np.pi)]))
