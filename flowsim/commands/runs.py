"""flow, descend, compare: one run, or a batch of them, from the command line."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flowsim.commands.options import OUTPUT_GROUP, RUN_GROUP, LawOptions, Several, StartOptions, Whole, one_or_several, times_of
from flowsim.commands.output import check_figure, check_writable, complain, deliver, ending, write_all

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from flowsim.dynamics import Trajectory

Output = Annotated[Path | None, Parameter(name=["--output", "-o"], group=OUTPUT_GROUP)]
Plot = Annotated[Path | None, Parameter(group=OUTPUT_GROUP)]
InRun = Parameter(group=RUN_GROUP)


def flow(
    *,
    law: LawOptions | None = None,
    start: StartOptions | None = None,
    depth: Annotated[list[int] | None, Whole] = None,
    times: Annotated[list[float] | None, Several] = None,
    time_first: Annotated[float | None, InRun] = None,
    time_last: Annotated[float | None, InRun] = None,
    count: Annotated[int | None, InRun] = None,
    solver: Annotated[str | None, InRun] = None,
    rtol: Annotated[float, InRun] = 1e-10,
    verify: Annotated[bool, Parameter(negative="", group=RUN_GROUP)] = False,
    output: Output = None,
    plot: Plot = None,
) -> int:
    """Gradient flow of a linear network.

    Parameters
    ----------
    depth
        Number of layers, 1 to 100; several make a batch [default: 1].
    times
        Times to record, increasing; in the place of the next three.
    time_first
        First of the times, evenly spaced in log t [default: 0.01].
    time_last
        Last of them [default: 1e12].
    count
        How many [default: 200].
    solver
        dopri8, dopri5, tsit5, kvaerno3, kvaerno4, kvaerno5, radau, bdf, lsoda or dop853 [default: dopri8].
    rtol
        Relative accuracy aimed at, 1e-12 to 1e-3.
    verify
        Solve again with another solver and report the largest gap.
    output
        Save the run as netCDF.
    plot
        Draw direction, norm and risk, as .pdf, .png or .svg.
    """
    law, start = law or LawOptions(), start or StartOptions()
    from flowsim.dynamics import gradient_flow

    risk = law.risk()
    begin = start.start(risk.law.dim)
    save = times_of(times, time_first, time_last, count, until=1e12, records=200)
    check_writable(output)
    check_figure(plot)
    run = gradient_flow(risk, begin, save, one_or_several(depth or [1]), solver, rtol, verify=verify)
    code = deliver(run, output, plot, _trajectory)
    if "verification" in run.config:
        gaps = run.config["verification"]
        print(f"\nverified by {gaps['engine']}: largest gap {gaps['norm_gap']:.2g} in the norm, {gaps['log_tan_half_angle_gap']:.2g} in s")
    return ending(run) or code


def descend(
    *,
    law: LawOptions | None = None,
    start: StartOptions | None = None,
    depth: Annotated[list[int] | None, Whole] = None,
    step_size: Annotated[list[float] | None, Several] = None,
    steps: Annotated[list[int] | None, Whole] = None,
    method: Annotated[str, InRun] = "auto",
    max_exact_steps: Annotated[int | None, InRun] = None,
    output: Output = None,
    plot: Plot = None,
) -> int:
    """Gradient descent on the layers of a linear network, to any number of steps.

    Parameters
    ----------
    depth
        Number of layers, 1 to 100; several make a batch, with every step size each [default: 1].
    step_size
        Step size eta; several make a batch [default: 0.1].
    steps
        Number of steps, to 1e18, about 200 of them recorded; or, increasing, the steps to record [default: 10000].
    method
        auto: slow stretches are covered by the modified field, with an estimate of the error; exact: every step is taken.
    max_exact_steps
        The most steps auto takes one by one in each run [default: 1e8].
    output
        Save the run as netCDF.
    plot
        Draw direction, norm and risk, as .pdf, .png or .svg.
    """
    law, start = law or LawOptions(), start or StartOptions()
    import numpy as np

    from flowsim.dynamics import gradient_descent

    risk = law.risk()
    begin = start.start(risk.law.dim)
    depths, sizes = np.array(depth or [1]), np.array(step_size or [0.1])
    if depths.size > 1 and sizes.size > 1:
        depths = depths[:, None]
    check_writable(output)
    check_figure(plot)
    run = gradient_descent(
        risk,
        begin,
        sizes if sizes.size > 1 else float(sizes[0]),
        one_or_several(steps or [10_000]),
        depths if depths.size > 1 else int(depths[0]),
        method,
        max_exact_steps,
    )
    code = deliver(run, output, plot, _trajectory)
    return ending(run) or code


def compare(
    *,
    law: LawOptions | None = None,
    start: StartOptions | None = None,
    depth: Annotated[int, InRun] = 1,
    step_size: Annotated[float, InRun] = 0.1,
    steps: Annotated[list[int] | None, Whole] = None,
    solver: Annotated[str | None, InRun] = None,
    rtol: Annotated[float, InRun] = 1e-10,
    output: Output = None,
    plot: Plot = None,
) -> int:
    """Gradient descent beside the flow it discretises and beside the modified flow, at t = eta k.

    Parameters
    ----------
    depth
        Number of layers, 1 to 100.
    step_size
        Step size eta of the descent.
    steps
        Number of steps, about 200 of them compared; or, increasing, the steps to compare [default: 10000].
    solver
        Of the flow: dopri8, dopri5, tsit5, kvaerno3, kvaerno4, kvaerno5, radau, bdf, lsoda or dop853 [default: dopri8].
    rtol
        Relative accuracy aimed at by the flows, 1e-12 to 1e-3.
    output
        Save the runs as netCDF: run.nc makes run-flow.nc, run-modified.nc and run-descent.nc.
    plot
        Draw direction, norm and sharpness, and the gaps of descent to the two flows, as .pdf, .png or .svg.
    """
    law, start = law or LawOptions(), start or StartOptions()
    from flowsim import arguments
    from flowsim.dynamics import SOLVERS, gradient_descent, gradient_flow
    from flowsim.dynamics import compare as beside

    risk = law.risk()
    begin = start.start(risk.law.dim)
    if solver is not None:
        arguments.one_of("solver", solver.lower(), SOLVERS)
    kinds = () if output is None else ("flow", "modified", "descent")
    paths = {kind: output.with_name(f"{output.stem}-{kind}{output.suffix}") for kind in kinds if output is not None}
    for path in paths.values():
        check_writable(path)
    check_figure(plot)
    descent = gradient_descent(risk, begin, step_size, one_or_several(steps or [10_000]), depth)
    smooth = gradient_flow(risk, begin, descent.time, depth, solver, rtol)
    runs = {"flow": smooth, "descent": descent}
    code = write_all(*(partial(run.save, paths[kind]) for kind, run in runs.items() if kind in paths))
    for run in runs.values():
        print(run)
    ended = ending(*runs.values())
    if not smooth.ok:
        return ended
    try:
        comparison = beside(smooth, descent)
    except ValueError as error:
        # both runs are good input that went nowhere, so this is a failure and not bad input
        return ended or complain(error, 1)
    print(comparison)
    if comparison.modified is not None and "modified" in paths:
        code = write_all(partial(comparison.modified.save, paths["modified"])) or code
    if plot is not None:
        from flowsim.present import comparison_figure, save_figure

        code = write_all(partial(save_figure, comparison_figure(comparison), plot)) or code
    return ended or code


def _trajectory(run: "Trajectory") -> "Figure":
    from flowsim.present import trajectory_figure

    return trajectory_figure(run)
