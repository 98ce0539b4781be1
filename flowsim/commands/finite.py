"""finite: homogeneous networks on finite data, in a clock that never ends; and the crossover against the margin."""

from contextlib import suppress
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Group, Parameter

from flowsim.commands.finite_options import DataOptions, NetworkOptions
from flowsim.commands.options import LAW_GROUP, OUTPUT_GROUP, RUN_GROUP, START_GROUP, Several, Whole, refuse
from flowsim.commands.output import DONE, FAILED, RECORDS, check_figure, check_writable, complain, deliver, ending, table_of, write_all

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from flowsim.finite import HomogeneousRun, TrainingSet

InRun = Parameter(group=RUN_GROUP)
CROSSOVER_GROUP = Group("Crossover against the margin", sort_key=5)
InCrossover = Parameter(group=CROSSOVER_GROUP)
Margins = Parameter(consume_multiple=(1, None), negative="", group=CROSSOVER_GROUP)

STEPS = 10_000
LAST, COUNT = 1e4, 60
"""log t of the last record, and how many there are."""


def finite(
    *,
    data: DataOptions | None = None,
    network: NetworkOptions | None = None,
    samples: Annotated[int | None, Parameter(group=LAW_GROUP)] = None,
    depth: Annotated[int | None, Parameter(group=START_GROUP)] = None,
    seed: Annotated[int | None, InRun] = None,
    loss: Annotated[str | None, InRun] = None,
    log_times: Annotated[list[float] | None, Several] = None,
    log_time_last: Annotated[float | None, InRun] = None,
    count: Annotated[int | None, InRun] = None,
    solver: Annotated[str | None, InRun] = None,
    rtol: Annotated[float | None, InRun] = None,
    rounding: Annotated[float | None, InRun] = None,
    step_size: Annotated[float | None, InRun] = None,
    steps: Annotated[list[int] | None, Whole] = None,
    normalised: Annotated[bool | None, Parameter(negative="", group=RUN_GROUP)] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], group=OUTPUT_GROUP)] = None,
    plot: Annotated[Path | None, Parameter(group=OUTPUT_GROUP)] = None,
    crossover: Annotated[bool, Parameter(negative="", group=CROSSOVER_GROUP)] = False,
    margins: Annotated[list[float] | None, Margins] = None,
    law: Annotated[Literal["gaussian", "sphere"] | None, InCrossover] = None,
    seeds: Annotated[int | None, InCrossover] = None,
) -> int:
    """Homogeneous networks on finite data: gradient flow to log t = 1e4 and further; descent where --step-size or --steps is given.

    Parameters
    ----------
    samples
        n of a mixture [default: 100]; with --crossover n times the margin, the same for every margin [default: 10].
    depth
        Number of layers [default: 1 of linear, 2 of the others].
    seed
        Of the data and of the weights at the start [default: 0].
    loss
        exponential or logistic [default: exponential].
    log_times
        log t of the records, increasing; in the place of the next two.
    log_time_last
        log t of the last record [default: 1e4, with --crossover 1e3]; of descent, up to where its flow goes on after the last step.
    count
        Number of records, evenly spaced in log log t [default: 60, with --crossover 150].
    solver
        dopri8, dopri5, tsit5, kvaerno3, kvaerno4 or kvaerno5 [default: dopri8, and kvaerno5 where the flow is stiff; with --crossover
        kvaerno5].
    rtol
        Accuracy of a step in W/|W| and log |W|, 1e-13 to 1e-3 [default: 1e-11].
    rounding
        Half the width of a rounded kink of a ReLU, as the cosine of an angle, 0 to 0.1 [default: 1e-4].
    step_size
        Step size eta of descent [default: 0.1].
    steps
        Number of steps of descent, every one taken and about 60 recorded; or, increasing, the steps to record [default: 10000].
    normalised
        Divide eta by the loss, so that log t grows as the number of steps does.
    output
        Save the run as netCDF; one that is interrupted as far as it got.
    plot
        Draw direction, alignment and margins against log log t, as .pdf, .png or .svg; with --crossover that figure.
    crossover
        Draw, by --plot, how flows of samples with a margin cut out leave the population's law, some two minutes; of the options above
        with --samples, --depth, --seed, --log-time-last, --count and --solver.
    margins
        The margins, two or more [default: 0.1 0.03 0.01 0.003].
    law
        gaussian or sphere, in the plane [default: gaussian].
    seeds
        Data sets of each margin [default: 5].
    """
    data, network = data or DataOptions(), network or NetworkOptions()
    if crossover:
        others = {field.name: getattr(group, field.name) for group in (data, network) for field in fields(group)}
        given = {"loss": loss, "log_times": log_times, "rtol": rtol, "rounding": rounding, "step_size": step_size, "steps": steps}
        refuse("--crossover", **others, **given, normalised=normalised, output=output)
        asked = {"margins": margins, "samples": samples, "seeds": seeds, "depth": depth, "last": log_time_last, "count": count}
        return _crossover(law, {**asked, "seed": seed, "solver": solver}, plot)
    refuse("a single run, but to --crossover", margins=margins, law=law, seeds=seeds)
    from flowsim import arguments
    from flowsim import finite as room

    origin = int(arguments.whole("seed", 0 if seed is None else seed, low=0))
    learnt = data.load(samples, origin)
    made = network.make(learnt.dim, depth)
    scale = 1.0 if network.start_scale is None else network.start_scale
    begin: Any = made.start(origin, scale)  # pyright: ignore[reportAttributeAccessIssue]
    numerics = {name: value for name, value in {"solver": solver, "rtol": rtol, "rounding": rounding}.items() if value is not None}
    settings = {**numerics, "loss": "exponential" if loss is None else loss}
    check_writable(output)
    check_figure(plot)
    if step_size is not None or steps is not None or normalised:
        eta = arguments.real("step_size", 0.1 if step_size is None else step_size, low=0.0, strict=True)
        record = _steps(steps)
        beyond = _beyond(eta, int(record[-1]), log_times, log_time_last, count)
        if beyond is None:
            refuse("descent, after whose steps --log-time-last asks for no flow", **numerics)
        run = room.homogeneous_descent(made, learnt, begin, eta, record, normalised=bool(normalised), log_times=beyond, **settings)
    else:
        run = room.homogeneous_flow(made, learnt, begin, _log_times(log_times, log_time_last, count, -3.0), **settings)
    run = _told(run, learnt, seed=origin, start_scale=float(scale))
    drawn = plot if plot is not None and _drawable(run) else None
    code = deliver(run, output, drawn, _figure, _table)
    if drawn is None and plot is not None:
        code = complain(f"{str(plot)!r} was not drawn, for fewer than two records lie beyond t = 1.35", FAILED)
    return ending(run) or code


def _log_times(times: list[float] | None, last: float | None, count: int | None, first: float) -> Any:
    from flowsim.finite import log_log_times

    if times is None:
        return log_log_times(LAST if last is None else last, COUNT if count is None else count, first)
    if last is None and count is None:
        return times
    raise ValueError("--log-time-last and --count must be left out where --log-times lists the times")


def _steps(steps: list[int] | None) -> Any:
    """The steps to record."""
    import numpy as np

    from flowsim import arguments

    asked = arguments.whole("steps", [STEPS] if steps is None else steps, low=0)
    if asked.size > 1:
        return arguments.increasing("steps", asked)
    last = int(asked[0])
    return np.unique(np.concatenate([[0, last], np.geomspace(1, max(last, 1), COUNT).round().astype(np.int64).clip(max=last)]))


def _beyond(eta: float, steps: int, times: list[float] | None, last: float | None, count: int | None) -> Any:
    """log t after the last step, where the flow goes on; None where nobody asked for it."""
    import math

    from flowsim import arguments

    if times is None and last is None:
        refuse("descent, after whose steps --log-time-last asks for no flow", count=count)
        return None
    if times is not None or steps == 0:
        return _log_times(times, last, count, -3.0)
    first = math.log(eta * steps)
    number = int(arguments.whole("count", COUNT if count is None else count, low=1))
    # the first is where the steps end
    return _log_times(None, last, number + 1, first)[1:]


def _told(run: "HomogeneousRun", data: "TrainingSet", **more: Any) -> "HomogeneousRun":
    """With what the figures of a saved run need: how it began, and of a linear network the separator, if there is one."""
    from flowsim.samples import max_margin

    if run.predictor is not None:
        # there is none where no direction separates the labels
        with suppress(ValueError):
            more["max_margin"] = max_margin(data).direction.tolist()
    return replace(run, config={**run.config, **more})


def _drawable(run: "HomogeneousRun") -> bool:
    import numpy as np

    from flowsim.present.finite import EARLIEST

    return bool(np.count_nonzero((run.log_time > EARLIEST) & np.isfinite(run.log_norm)) >= 2)


def _table(run: "HomogeneousRun") -> str:
    """Eight records, the last that was reached among them."""
    import numpy as np

    reached = np.flatnonzero(np.isfinite(run.log_norm))
    shown = np.unique(np.linspace(0, reached[-1] if reached.size else 0, RECORDS).round().astype(int))
    columns = {
        "log_t": (run.log_time, ".6g"),
        "log_loss": (run.log_loss, ".6g"),
        "log_norm": (run.log_norm, ".6g"),
        "margin": (run.normalised_margin, ".5g"),
        "1-cos(W,-grad)": (run.alignment_gap, ".3g"),
    }
    if "max_margin" in run.config:
        columns["1-cos(separator)"] = (run.distance_to(run.config["max_margin"]), ".3g")
    if np.isfinite(run.test_error).any():
        columns["test_error"] = (run.test_error, ".4g")
    cells = {name: [format(float(x), form) for x in values[shown]] for name, (values, form) in columns.items()}
    if run.step is not None:
        cells = {"k": [str(int(k)) if k >= 0 else "-" for k in run.step[shown]], **cells}
    return table_of(list(cells), list(cells.values()))


def _figure(run: "HomogeneousRun") -> "Figure":
    from flowsim.present import finite_figure

    return finite_figure(run)


def _crossover(law: str | None, asked: dict[str, Any], plot: Path | None) -> int:
    """The flows of several margins, when they part from the population's, and the figure."""
    import numpy as np

    from flowsim.present import margin_crossover_figure, margin_crossover_runs, margin_crossover_times, save_figure
    from flowsim.problem import Gaussian, Sphere

    if plot is None:
        raise ValueError("--crossover needs --plot, the figure that it draws")
    check_figure(plot)
    given = {name: value for name, value in asked.items() if value is not None}
    flow, runs = margin_crossover_runs(Sphere(dim=2) if law == "sphere" else Gaussian(dim=2), **given)
    times = margin_crossover_times(flow, runs)
    sizes = {one.margin: one.data.size for one in runs}
    own = {margin: float(np.median([one.separator.margin for one in runs if one.margin == margin])) for margin in sizes}
    columns = [
        [f"{margin:g}" for margin in times.margins],
        [str(sizes[margin]) for margin in times.margins.tolist()],
        [f"{own[margin]:.4g}" for margin in times.margins.tolist()],
        [f"{np.median(some):.4f}" for some in times.times],
        [f"{expected:.4f}" for expected in times.expected],
    ]
    print(f"log t at which the risk is half of the population's, medians over {times.times.shape[1]} seeds of the sample")
    print(table_of(["margin", "n", "own_margin", "log_t", "theory"], columns))
    spread = f" +- {times.error:.2f}" if np.isfinite(times.error) else ""
    print(f"slope against log margin {times.slope:.3f}{spread}; theory {times.exponent:.3g}")
    return write_all(partial(save_figure, margin_crossover_figure(flow, runs), plot)) or DONE
