"""plot: a figure from what other commands saved alone."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from flowsim.commands.output import check_figure, write_all

if TYPE_CHECKING:
    import xarray
    from matplotlib.figure import Figure

    from flowsim.dynamics import Trajectory

FigureName = Literal[
    "trajectory", "rates", "exponents", "straight", "comparison", "gap-order", "sharpness", "two-phases", "bounds", "paper"
]
PageName = Literal["neurips", "icml-single", "icml-double"]

NEEDS = {
    "comparison": "two runs, a flow and a descent",
    "gap-order": "descents of two step sizes or more",
    "sharpness": "descents",
    "two-phases": "one to three flows",
    "bounds": "one to three flows",
    "paper": "flows and descents",
}
"""Of the figures that are not for any runs."""


def plot(
    runs: Annotated[list[Path], Parameter(consume_multiple=(1, None), negative="")],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    figure: FigureName | None = None,
    page: PageName = "neurips",
    x: str | None = None,
    y: str | None = None,
    value: str | None = None,
    at: Annotated[list[str] | None, Parameter(consume_multiple=True, negative="")] = None,
    panels: str | None = None,
) -> int:
    """Draw saved runs, runs of layers, of ReLU or of homogeneous networks, regime maps, or a sweep.

    Parameters
    ----------
    runs
        Files that --output wrote: runs, runs of `layers` or `sgd`, runs of `relu` or of `finite`, or up to three maps. Or the store of one
        sweep, finished or not.
    output
        The figure, as .pdf, .png or .svg.
    figure
        Of any runs: trajectory: direction, norm and risk. rates: direction and norm with local exponents. exponents: all three of these.
        straight: direction, norm and 1/risk against the powers of time that make them straight.
        Of a flow and a descent: comparison: one beside the other, with their gaps. Of descents: sharpness: against 2/eta. gap-order: gap to
        the flow against the step size, at a time that all share. Of up to three flows: two-phases: the norm, with the time T at which it
        turns. bounds: the direction between the bounds of the theorems. Of flows and descents: paper: the paper's figure 1.
        [default: comparison for a flow and a descent, else trajectory].
    page
        Whose width and sizes of type the figure has: neurips, icml-single (a column) or icml-double (both).
    x
        Of a sweep: the axis from left to right, such as step_size.
    y
        Of a sweep: the axis upwards, of a map in colours; without it a line is drawn, or the shares of classes.
    value
        Of a sweep: what is drawn [default: regime, or else the first of the numbers, or of what was recorded at the end].
    at
        Of a sweep: NAME=VALUE ..., where to take it along other axes; along all others the median is drawn, or the most frequent class.
    panels
        Of a sweep: an axis of up to four values, each of which has a map of its own beside the others.
    """
    check_figure(output)
    given = {"x": x, "y": y, "value": value, "at": at, "panels": panels}
    asked = [f"--{name}" for name, value in given.items() if value is not None]
    # a sweep's store is a folder, what else is saved is a file
    if any(path.is_dir() for path in runs):
        return _plot_sweep(runs, output, figure, page, x, y, value, at or [], panels)
    if asked:
        raise ValueError(f"{asked[0]} is for the store of a sweep, but {str(runs[0])!r} is not one")
    from flowsim.dynamics import Trajectory
    from flowsim.dynamics.trajectory import FORMAT, trajectory_of
    from flowsim.files import read_netcdf
    from flowsim.finite import HomogeneousRun
    from flowsim.finite.run import FORMAT as FINITE_FORMAT
    from flowsim.finite.run import homogeneous_run_of
    from flowsim.layers.run import FORMAT as LAYERS_FORMAT
    from flowsim.layers.run import LayerRun, layer_run_of
    from flowsim.present import finite_figure, layers_figure, regime_figure, relu_figure, save_figure
    from flowsim.relu.run import FORMAT as RELU_FORMAT
    from flowsim.relu.run import ReluRun, run_of
    from flowsim.sweeps import RegimeMap
    from flowsim.sweeps.chart import FORMAT as MAP_FORMAT
    from flowsim.sweeps.chart import map_of

    known = {FORMAT: trajectory_of, MAP_FORMAT: map_of, LAYERS_FORMAT: layer_run_of, RELU_FORMAT: run_of, FINITE_FORMAT: homogeneous_run_of}
    every: list[Trajectory | RegimeMap | LayerRun | ReluRun | HomogeneousRun] = [
        read_netcdf(path, "a flowsim run or regime map", known) for path in runs
    ]
    loaded = [one for one in every if isinstance(one, Trajectory)]
    drawers: dict[type, tuple[str, Callable[..., Any]]] = {
        RegimeMap: ("regime maps", regime_figure),
        LayerRun: ("runs of layers", layers_figure),
        ReluRun: ("runs of ReLU networks", relu_figure),
        HomogeneousRun: ("runs of homogeneous networks", finite_figure),
    }
    for kind, (what, draw) in drawers.items():
        own = [one for one in every if isinstance(one, kind)]
        if own and (len(own) < len(every) or figure is not None):
            raise ValueError(f"{what} are drawn without runs of another kind beside them and without --figure")
        if own:
            return write_all(partial(save_figure, draw(own, page=page), output))
    name = figure or ("comparison" if _pair(loaded) else "trajectory")
    kinds = [run.kind for run in loaded]
    if not _fits(name, loaded):
        raise ValueError(f"--figure {name} needs {NEEDS[name]}, but got {', '.join(kinds)}")
    return write_all(partial(save_figure, _drawer(name)(loaded, page), output))


def _plot_sweep(
    stores: Sequence[Path],
    output: Path,
    figure: str | None,
    page: str,
    x: str | None,
    y: str | None,
    value: str | None,
    at: Sequence[str],
    panels: str | None,
) -> int:
    import json

    from flowsim.sweeps import open_sweep

    if len(stores) > 1 or figure is not None:
        raise ValueError("the store of a sweep is drawn alone and without --figure")
    data = open_sweep(stores[0])
    if x is None:
        raise ValueError(f"a sweep needs --x: one of {', '.join(json.loads(data.attrs['config'])['axes'])}")
    return draw_sweep(data, output, x=x, y=y, value=value, at=at, page=page, panels=panels)


def draw_sweep(data: "xarray.Dataset", output: Path, **options: Any) -> int:
    """The figure of a sweep into a file: what `plot` and `sweep` have in common. options: of `sweep_figure`, but for `at`, NAME=VALUE."""
    from flowsim.present import save_figure, sweep_figure

    picks = picks_of(options.pop("at"))
    return write_all(partial(save_figure, sweep_figure(data, at=picks, **options), output))


def picks_of(words: Sequence[str]) -> dict[str, str | float]:
    """NAME=VALUE as a value by its name: a number, where it is one."""
    out: dict[str, str | float] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise ValueError(f"--at must be NAME=VALUE, but is {word!r}")
        if name in out:
            raise ValueError(f"--at must give {name} one value, but gives it two")
        try:
            out[name] = float(value)
        except ValueError:
            out[name] = value
    return out


def _pair(runs: Sequence["Trajectory"]) -> bool:
    """A single flow and a single descent."""
    return sorted(run.kind for run in runs) == ["descent", "flow"] and not any(run.shape for run in runs)


def _fits(name: str, runs: Sequence["Trajectory"]) -> bool:
    """Whether the figure can be drawn from runs of these kinds."""
    kinds = {run.kind for run in runs}
    if name == "comparison":
        return sorted(run.kind for run in runs) == ["descent", "flow"]
    wanted = {"gap-order": {"descent"}, "sharpness": {"descent"}, "two-phases": {"flow"}, "bounds": {"flow"}, "paper": {"flow", "descent"}}
    return name not in wanted or kinds == wanted[name]


def _drawer(name: str) -> Callable[[Sequence["Trajectory"], str], "Figure"]:
    """What draws the figure of this name from runs, on a page."""
    from flowsim import present
    from flowsim.dynamics import compare

    def of(kind: str, runs: Sequence["Trajectory"]) -> list["Trajectory"]:
        return [run for run in runs if run.kind == kind]

    drawers = {
        "trajectory": lambda runs, page: present.trajectory_figure(runs, page=page),
        "rates": lambda runs, page: present.rates_figure(runs, page=page),
        "exponents": lambda runs, page: present.exponents_figure(runs, page=page),
        "straight": lambda runs, page: present.straight_figure(runs, page=page),
        "comparison": lambda runs, page: present.comparison_figure(compare(*of("flow", runs), *of("descent", runs)), page=page),
        "gap-order": lambda runs, page: present.gap_order_figure(runs, page=page),
        "sharpness": lambda runs, page: present.sharpness_figure(runs, page=page),
        "two-phases": lambda runs, page: present.two_phases_figure(runs, page=page),
        "bounds": lambda runs, page: present.bounds_figure(runs, page=page),
        "paper": lambda runs, page: present.paper_figure(of("flow", runs), of("descent", runs), page=page),
    }
    return drawers[name]
