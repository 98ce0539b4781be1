"""sgd: networks of matrices on samples, batch after batch, as in the paper's figure 1; or full-batch descent on a finite sample."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flowsim.commands.options import LAW_GROUP, OUTPUT_GROUP, RUN_GROUP, START_GROUP, LawOptions, StartOptions, Whole
from flowsim.commands.output import check_figure, check_writable, ending, write_all

if TYPE_CHECKING:
    from flowsim.layers import LayerRun
    from flowsim.problem import PopulationRisk

InRun = Parameter(group=RUN_GROUP)
Vector = Annotated[tuple[float, ...] | None, Parameter(consume_multiple=(1, None), negative="")]

DEPTHS = (1, 4)
STEPS = 30_000
BATCH = 1000
RECORDS = 300
"""Besides the start; evenly spaced, as the figure's axis is."""


@Parameter(name="*", group=LAW_GROUP)
@dataclass(frozen=True, kw_only=True)
class SampleLaw(LawOptions):
    """The law of the samples, by default the paper's."""

    law: str = "sphere"
    """gaussian, sphere, ball, student-t, laplace or radial."""


@Parameter(name="*", group=START_GROUP)
@dataclass(frozen=True, kw_only=True)
class PaperStart(StartOptions):
    """Where networks start, by default as in the paper's figure 1: w(0) = (0.6, -0.8), v = (0, 1)."""

    norm: float | None = None
    """|w(0)| of the end-to-end predictor [default: 1]."""
    angle: float | None = None
    """Angle between w(0) and the teacher v in radians, 0 to pi [default: that of the paper, 2.498]."""
    w: Vector = None
    """The end-to-end predictor w(0), in the place of --norm and --angle; needs --v."""
    v: Vector = None
    """The teacher v, of any length [default: the second axis]."""

    def vectors(self, dim: int) -> tuple[Any, Any]:
        """w(0) and v, (dim,) each; in the plane of the first two axes where they are not given."""
        import numpy as np

        if self.w is not None or self.v is not None:
            self.start(dim)
            return np.array(self.w), np.array(self.v)
        teacher, w = np.eye(dim)[1], np.zeros(dim)
        w[:2] = 0.6, -0.8
        if self.angle is not None:
            begin = StartOptions(norm=self.norm, angle=self.angle).start(dim)
            w[:2] = np.sin(begin.angle), np.cos(begin.angle)
        begin = StartOptions(norm=self.norm).start(dim)
        return float(begin.norm) * w, teacher


def sgd(
    *,
    law: SampleLaw | None = None,
    start: PaperStart | None = None,
    depth: Annotated[list[int] | None, Whole] = None,
    width: Annotated[int, InRun] = 1,
    step_size: Annotated[float, InRun] = 1e-3,
    batch: Annotated[int | None, InRun] = None,
    steps: Annotated[list[int] | None, Whole] = None,
    seeds: Annotated[int | None, InRun] = None,
    seed: Annotated[int, InRun] = 0,
    samples: Annotated[int | None, InRun] = None,
    full_batch: Annotated[bool, Parameter(negative="", group=RUN_GROUP)] = False,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], group=OUTPUT_GROUP)] = None,
    resume: Annotated[bool, Parameter(negative="", group=OUTPUT_GROUP)] = False,
    checkpoint_every: Annotated[float, Parameter(show=False, group=OUTPUT_GROUP)] = 60.0,
    plot: Annotated[Path | None, Parameter(group=OUTPUT_GROUP)] = None,
) -> int:
    """Stochastic gradient descent of a linear network, each step on fresh samples; by default the paper's figure 1.

    Parameters
    ----------
    depth
        Number of layers, 1 to 100; several make a run each [default: 1 4].
    width
        Of the hidden layers, which start balanced and of rank one.
    step_size
        Step size eta.
    batch
        Samples a step [default: 1000].
    steps
        Number of steps, 300 of them recorded; or, increasing, the steps to record [default: 30000].
    seeds
        Number of seeds, each a run on samples of its own [default: 1].
    seed
        The first of them; also of the data set, where there is one.
    samples
        Draw one data set of so many samples, and the batches out of it, with replacement.
    full_batch
        Take all of that data set in each step: gradient descent on the empirical risk.
    output
        Save the runs as netCDF; every minute while they are under way. With several depths run.nc makes run-1.nc, run-4.nc, ...
    resume
        Go on with the runs that stand at --output, to the same numbers as if they had never stopped.
    plot
        Draw angle, risk and norm over flow, descent on the population's risk, and the paper's bounds, as .pdf, .png or .svg.
    """
    law, start = law or SampleLaw(), start or PaperStart()
    _check_options(batch, seeds, samples, full_batch, output, resume)
    from flowsim import arguments, layers, problem
    from flowsim import samples as room

    risk = law.risk()
    w, v = start.vectors(risk.law.dim)
    depths = depth or list(DEPTHS)
    every = arguments.real("checkpoint_every", checkpoint_every, low=0.0)
    first, count = int(arguments.whole("seed", seed, low=0)), int(arguments.whole("seeds", 1 if seeds is None else seeds, low=1))
    record = _records(steps)
    starts = {n: layers.balanced(w, n, width, first) for n in depths}
    paths = {n: output and (output if len(starts) == 1 else output.with_name(f"{output.stem}-{n}{output.suffix}")) for n in starts}
    for path in paths.values():
        check_writable(path)
    _check_plot(plot, risk, record.size)
    source = risk if samples is None else room.draw(risk, samples, first, v)
    if full_batch:
        run_of: Callable[..., LayerRun] = partial(room.sample_descent, source, step_size=step_size, steps=record)
    else:
        chosen = first if count == 1 else list(range(first, first + count))
        teacher = v if samples is None else None
        run_of = partial(
            room.sgd, source, step_size=step_size, steps=record, batch=BATCH if batch is None else batch, seed=chosen, v=teacher
        )
    runs: dict[int, Any] = {}
    code = 0
    for n, begin in starts.items():
        path = paths[n]
        earlier = layers.load_layers(path) if resume and path is not None and path.exists() else None
        run = run_of(begin, checkpoint=path, resume=earlier, checkpoint_every=every)
        # saved first, so that nothing else can lose it
        code = write_all(path and partial(run.save, path)) or code
        print(run, end="\n\n")
        runs[n] = run
        if (run.status == "stopped").any():
            break
    ended = ending(*runs.values())
    if plot is not None and len(runs) == len(starts):
        code = write_all(partial(_draw, risk, problem.Start.from_vectors(w, v), list(runs.values()), plot)) or code
    return ended or code


def _check_options(batch: int | None, seeds: int | None, samples: int | None, full_batch: bool, output: Path | None, resume: bool) -> None:
    """ValueError where options do not go together."""
    if full_batch and samples is None:
        raise ValueError("--full-batch needs --samples, the number of them in the data set")
    for name, given in (("batch", batch), ("seeds", seeds)):
        if full_batch and given is not None:
            raise ValueError(f"--{name} must be left out with --full-batch, where every step takes all samples")
    if resume and output is None:
        raise ValueError("--resume needs --output, where the runs stand that it goes on with")


def _check_plot(plot: Path | None, risk: "PopulationRisk", records: int) -> None:
    check_figure(plot)
    if plot is not None and records < 2:
        raise ValueError("--steps must be 1 or more with --plot, for there to be a curve")
    if plot is not None and risk.label_noise > 0.0:
        raise ValueError(
            f"--label-noise must be left out with --plot, whose bounds are for labels without noise, but is {risk.label_noise:g}"
        )


def _records(steps: list[int] | None) -> Any:
    """The steps to record."""
    import numpy as np

    from flowsim import arguments

    asked = arguments.whole("steps", [STEPS] if steps is None else steps, low=0)
    if asked.size > 1:
        return arguments.increasing("steps", asked)
    return np.unique(np.linspace(0, int(asked[0]), RECORDS + 1).round().astype(np.int64))


def _draw(risk: "PopulationRisk", begin: Any, runs: Sequence["LayerRun"], plot: Path) -> None:
    """The paper's figure 1, of these runs."""
    from flowsim.dynamics import gradient_descent, gradient_flow
    from flowsim.present import paper_figure, save_figure
    from flowsim.present.paper import RESTARTS
    from flowsim.theory.paper import FIGURE_1

    depths = [run.depth for run in runs]
    times, record = runs[0].time, runs[0].step
    flows = gradient_flow(risk, begin, times, depths)
    descents = gradient_descent(risk, begin, float(runs[0].config["step_size"]), record, depths, "exact")
    as_paper = risk == FIGURE_1.risk and begin == FIGURE_1.start
    save_figure(paper_figure(flows, descents, RESTARTS if as_paper else {}, sgd=runs), plot)
