"""plot: a figure from saved runs or maps alone."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from flowsim.commands.output import check_figure, write_all


def plot(
    runs: Annotated[list[Path], Parameter(consume_multiple=(1, None), negative="")],
    /,
    *,
    output: Annotated[Path, Parameter(name=["--output", "-o"])],
    figure: Literal["trajectory", "rates", "comparison"] | None = None,
) -> int:
    """Draw saved runs, or saved regime maps.

    Parameters
    ----------
    runs
        Files that --output wrote: runs, or up to three maps.
    output
        The figure, as .pdf or .png.
    figure
        Of runs. trajectory: direction, norm and risk. rates: direction and norm with local exponents. comparison: a descent beside its
        flow. [default: comparison for a flow and a descent, else trajectory].
    """
    check_figure(output)
    from flowsim.dynamics import Trajectory, compare
    from flowsim.dynamics.trajectory import FORMAT, trajectory_of
    from flowsim.files import read_netcdf
    from flowsim.present import comparison_figure, rates_figure, regime_figure, save_figure, trajectory_figure
    from flowsim.sweeps import RegimeMap
    from flowsim.sweeps.chart import FORMAT as MAP_FORMAT
    from flowsim.sweeps.chart import map_of

    known = {FORMAT: trajectory_of, MAP_FORMAT: map_of}
    every: list[Trajectory | RegimeMap] = [read_netcdf(path, "a flowsim run or regime map", known) for path in runs]
    loaded = [one for one in every if isinstance(one, Trajectory)]
    maps = [one for one in every if isinstance(one, RegimeMap)]
    if maps:
        if loaded or figure is not None:
            raise ValueError("regime maps are drawn without runs beside them and without --figure")
        return write_all(partial(save_figure, regime_figure(maps), output))
    by_kind = {run.kind: run for run in loaded}
    pair = len(loaded) == 2 and len(by_kind) == 2
    if figure is None:
        figure = "comparison" if pair and not any(run.shape for run in loaded) else "trajectory"
    if figure == "comparison":
        if not pair:
            raise ValueError(f"--figure comparison needs two runs, a flow and a descent, but got {', '.join(run.kind for run in loaded)}")
        drawn = comparison_figure(compare(by_kind["flow"], by_kind["descent"]))
    else:
        drawn = (rates_figure if figure == "rates" else trajectory_figure)(loaded)
    return write_all(partial(save_figure, drawn, output))
