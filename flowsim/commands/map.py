"""map: what descent does, over step sizes and one more axis."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from flowsim.commands.options import OUTPUT_GROUP, RUN_GROUP, LawOptions, StartOptions, Whole
from flowsim.commands.output import DONE, INTERRUPTED, check_figure, check_writable, complain, write_all

InRun = Parameter(group=RUN_GROUP)
OneWhole = Annotated[list[int] | None, Whole]

DEEPEST = 32


def regimes(
    *,
    law: LawOptions | None = None,
    start: StartOptions | None = None,
    axis: Annotated[Literal["angle", "norm", "depth"], InRun] = "angle",
    axis_first: Annotated[float | None, InRun] = None,
    axis_last: Annotated[float | None, InRun] = None,
    step_size_first: Annotated[float, InRun] = 0.01,
    step_size_last: Annotated[float, InRun] = 100.0,
    cells: Annotated[int, InRun] = 128,
    depth: Annotated[int | None, InRun] = None,
    steps: OneWhole = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], group=OUTPUT_GROUP)] = None,
    plot: Annotated[Path | None, Parameter(group=OUTPUT_GROUP)] = None,
) -> int:
    """What descent does, over step sizes and starts or depths: follows the flow, reaches the edge of stability, overflows, ...

    Parameters
    ----------
    axis
        What is varied beside the step size: angle, norm or depth.
    axis_first
        First value on that axis [default: angle: half a cell from 0; norm: 0.01; depth: 1].
    axis_last
        Last value on it [default: angle: half a cell from pi; norm: 100; depth: 32].
    step_size_first
        First of the step sizes, evenly spaced in log eta.
    step_size_last
        Last of them.
    cells
        How many on each axis; on the axis of depths, every whole number from first to last.
    depth
        Number of layers, 1 to 100, where it is not the axis [default: 1].
    steps
        Number of steps of each descent, 100 or more [default: 100000].
    output
        Save the map as netCDF.
    plot
        Draw it with the predicted boundaries, as .pdf, .png or .svg.
    """
    law, start = law or LawOptions(), start or StartOptions()
    if steps is not None and len(steps) > 1:
        raise ValueError(f"--steps must be one number, but is {' '.join(map(str, steps))}")
    for name, given in (("angle", start.angle), ("norm", start.norm), ("depth", depth)):
        if axis == name and given is not None:
            raise ValueError(f"--{name} must be left out where it is the --axis")
    if axis != "depth" and start.w is not None:
        raise ValueError(f"--w and --v must be left out where the {axis} is the --axis")
    import numpy as np

    from flowsim import arguments, sweeps

    risk = law.risk()
    begin = start.start(risk.law.dim)
    count = int(arguments.whole("cells", cells, low=2))
    low = arguments.real("step_size_first", step_size_first, low=0.0, strict=True)
    sizes = np.geomspace(low, arguments.real("step_size_last", step_size_last, low=low, strict=True), count)
    values: dict[str, Any] = {f"{axis}s": _along(axis, axis_first, axis_last, count)}
    check_writable(output)
    check_figure(plot)
    chart = sweeps.regime_map(risk, sizes, **values, steps=steps[0] if steps else 100_000, depth=depth, start=begin)
    # saved first, so that nothing else can lose it
    code = write_all(output and partial(chart.save, output))
    print(chart)
    if plot is not None:
        from flowsim.present import regime_figure, save_figure

        code = write_all(partial(save_figure, regime_figure(chart), plot)) or code
    if not chart.complete:
        return complain("interrupted; the cells that were decided are saved and drawn where --output and --plot were given", INTERRUPTED)
    return code or DONE


def _along(axis: str, first: float | None, last: float | None, count: int) -> Any:
    """The values on the axis: between ``first`` and ``last``, or its defaults."""
    import numpy as np

    from flowsim import arguments

    half = np.pi / (2 * count)
    defaults = {"angle": (half, np.pi - half), "norm": (0.01, 100.0), "depth": (1.0, float(DEEPEST))}[axis]
    limits: dict[str, Any] = {"low": 0.0, "high": float(np.pi)} if axis == "angle" else {"low": 0.0, "strict": True}
    begin = arguments.real("axis_first", defaults[0] if first is None else first, **limits)
    end = arguments.real("axis_last", defaults[1] if last is None else last, low=begin, strict=True)
    if axis == "norm":
        return np.geomspace(begin, end, count)
    if axis == "depth":
        return np.arange(int(arguments.whole("axis_first", begin, low=1)), int(arguments.whole("axis_last", end, low=2)) + 1)
    return np.linspace(begin, end, count)
