"""layers: networks as matrices, balanced or not, along the flow or the descent of the population's risk."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowsim.commands.options import (
    OUTPUT_GROUP,
    RUN_GROUP,
    START_GROUP,
    LawOptions,
    Several,
    StartOptions,
    Whole,
    one_or_several,
    refuse,
    times_of,
)
from flowsim.commands.output import check_figure, check_writable, deliver, ending

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from flowsim.layers import LayerRun, Layers

InRun = Parameter(group=RUN_GROUP)
Vector = Annotated[tuple[float, ...] | None, Parameter(consume_multiple=(1, None), negative="")]


@Parameter(name="*", group=START_GROUP)
@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Where the networks start. An option that does not belong to the start is an error."""

    start: str = "gaussian"
    """gaussian, orthogonal, xavier, he, pytorch-default, identity, balanced, balanced-rank-one or unit-vectors."""
    start_scale: float | None = None
    """Of gaussian, orthogonal and identity [default: 1]."""
    norm: float | None = None
    """|w(0)| of balanced and balanced-rank-one [default: 1]."""
    angle: float | None = None
    """Angle between w(0) and the teacher v of balanced and unit-vectors, in radians, 0 to pi [default: 1.5]."""
    w: Vector = None
    """The end-to-end predictor w(0) of balanced and unit-vectors, in the place of --norm and --angle; needs --v."""
    v: Vector = None
    """The teacher v, of any length [default: the first axis]."""

    def network(self, dim: int, depth: int, width: Any, seed: int | None, seeds: int | None) -> "Layers":
        """The network, or one a seed; ValueError naming the option that is wrong, and what it may be."""
        from flowsim import arguments
        from flowsim import layers as room

        known = {name.replace("_", "-"): name for name in room.OPTIONS}
        chosen = known[arguments.one_of("start", self.start.replace("_", "-"), known)]
        takes, what = room.OPTIONS[chosen], f"the start {self.start!r}"
        # a start that has an angle can be given as a vector
        own = [*("start_scale" if name == "scale" else name for name in takes), *(("w",) if "angle" in takes else ())]
        given = {field.name: getattr(self, field.name) for field in fields(self) if field.name not in ("start", "v")}
        refuse(what, own, **{name: value for name, value in given.items() if name not in own})
        if chosen == "identity":
            refuse(f"{what}, in which nothing is drawn", seed=seed, seeds=seeds)
        first = int(arguments.whole("seed", 0 if seed is None else seed, low=0))
        chosen_seeds = first if seeds is None else range(first, first + int(arguments.whole("seeds", seeds, low=1)))
        if self.w is not None:
            # what goes with it is checked there
            StartOptions(norm=self.norm, angle=self.angle, w=self.w, v=self.v).start(dim)
            return getattr(room, chosen)(self.w, depth=depth, width=width, seeds=chosen_seeds)
        options = {"scale": self.start_scale, "norm": self.norm, "angle": self.angle}
        given_options = {name: value for name, value in options.items() if value is not None}
        return room.start_by_name(chosen, dim, depth, width, chosen_seeds, **given_options)


def layers(
    *,
    law: LawOptions | None = None,
    start: NetworkOptions | None = None,
    depth: Annotated[int, InRun] = 2,
    width: Annotated[list[int] | None, Whole] = None,
    seeds: Annotated[int | None, InRun] = None,
    seed: Annotated[int | None, InRun] = None,
    times: Annotated[list[float] | None, Several] = None,
    time_first: Annotated[float | None, InRun] = None,
    time_last: Annotated[float | None, InRun] = None,
    count: Annotated[int | None, InRun] = None,
    solver: Annotated[str | None, InRun] = None,
    rtol: Annotated[float | None, InRun] = None,
    step_size: Annotated[float | None, InRun] = None,
    steps: Annotated[list[int] | None, Whole] = None,
    observe: Annotated[list[str] | None, Several] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], group=OUTPUT_GROUP)] = None,
    resume: Annotated[bool, Parameter(negative="", group=OUTPUT_GROUP)] = False,
    checkpoint_every: Annotated[float, Parameter(group=OUTPUT_GROUP)] = 60.0,
    plot: Annotated[Path | None, Parameter(group=OUTPUT_GROUP)] = None,
) -> int:
    """Gradient flow of a network of matrices, from any start; gradient descent where --step-size or --steps is given.

    Parameters
    ----------
    depth
        Number of layers, 1 to 100.
    width
        Of the hidden layers, one number for all or one for each [default: 4].
    seeds
        Number of seeds, each a network of one batch: 64 are the seeds 0 to 63 [default: a single network].
    seed
        The first of them, or the only one [default: 0].
    times
        Times to record, increasing; in the place of the next three.
    time_first
        First of the times, evenly spaced in log t [default: 0.01].
    time_last
        Last of them [default: 1e4].
    count
        How many [default: 100].
    solver
        dopri8, dopri5, tsit5, kvaerno3, kvaerno4, kvaerno5, radau, bdf, lsoda or dop853 [default: dopri8, and kvaerno5 where the flow is
        stiff].
    rtol
        Relative accuracy aimed at in every matrix, 1e-12 to 1e-3 [default: 1e-9].
    step_size
        Step size eta of descent [default: 0.1].
    steps
        Number of steps of descent, every one taken and about 200 recorded; or, increasing, the steps to record [default: 10000].
    observe
        What to record beside norm and direction: layer_norm, spectral_norm, imbalance, imbalance_drift, alignment, sharpness
        [default: all but the last].
    output
        Save the run as netCDF; as far as it is, also while it is under way.
    resume
        Go on with the run that stands at --output, to the same numbers as if it had never stopped.
    checkpoint_every
        Seconds from one saving to the next, while the run is under way.
    plot
        Draw angle and direction, norm, stable rank, alignment and imbalance, as .pdf, .png or .svg.
    """
    law, start = law or LawOptions(), start or NetworkOptions()
    from flowsim import arguments
    from flowsim import layers as room

    descent = step_size is not None or steps is not None
    if descent:
        flow_only = {"times": times, "time_first": time_first, "time_last": time_last, "count": count, "solver": solver, "rtol": rtol}
        refuse("descent, which --step-size and --steps ask for", **flow_only)
    risk = law.risk()
    begin = start.network(risk.law.dim, depth, one_or_several(width or [4]), seed, seeds)
    every = arguments.real("checkpoint_every", checkpoint_every, low=0.0)
    names = None if observe is None else [name.replace("-", "_") for name in observe]
    check_writable(output)
    check_figure(plot)
    earlier = _standing(output) if resume else None
    run: LayerRun
    if descent:
        run = room.layer_descent(
            risk,
            begin,
            0.1 if step_size is None else step_size,
            one_or_several(steps or [10_000]),
            start.v,
            names,
            output,
            earlier,
            every,
        )
    else:
        run = room.layer_flow(
            risk,
            begin,
            times_of(times, time_first, time_last, count, until=1e4, records=100),
            start.v,
            solver,
            1e-9 if rtol is None else rtol,
            names,
            checkpoint=output,
            resume=earlier,
            checkpoint_every=every,
        )
    code = deliver(run, output, plot, _figure)
    return ending(run) or code


def _standing(output: Path | None) -> "LayerRun":
    """The run to go on with."""
    from flowsim.layers import load_layers

    if output is None:
        raise ValueError("--resume needs --output, where the run stands that it goes on with")
    if not output.exists():
        raise ValueError(f"--resume needs a run at --output to go on with, but there is no file {str(output)!r}")
    return load_layers(output)


def _figure(run: "LayerRun") -> "Figure":
    from flowsim.present import layers_figure

    return layers_figure(run)
