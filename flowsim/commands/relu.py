"""relu: networks beyond linear ones, on images, as in the paper's figure 2."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from flowsim.commands.options import OUTPUT_GROUP, RUN_GROUP, Several, Whole
from flowsim.commands.output import DONE, FAILED, INTERRUPTED, check_figure, check_writable, complain, write_all

if TYPE_CHECKING:
    from flowsim.relu import ReluRun

InRun = Parameter(group=RUN_GROUP)


def relu(
    *,
    data: Annotated[Path | None, InRun] = None,
    scale: Annotated[list[Literal["weights", "data"]] | None, Several] = None,
    alpha: Annotated[float | None, InRun] = None,
    step_size: Annotated[list[float] | None, Several] = None,
    seeds: Annotated[int | None, InRun] = None,
    depth: Annotated[int | None, InRun] = None,
    width: Annotated[int | None, InRun] = None,
    batch: Annotated[int | None, InRun] = None,
    steps: Annotated[list[int] | None, Whole] = None,
    initial: Annotated[Literal["pytorch", "he"] | None, InRun] = None,
    output: Annotated[Path | None, Parameter(name=["--output", "-o"], group=OUTPUT_GROUP)] = None,
    resume: Annotated[bool, Parameter(negative="", group=OUTPUT_GROUP)] = False,
    plot: Annotated[Path | None, Parameter(group=OUTPUT_GROUP)] = None,
) -> int:
    """ReLU networks without bias on images, trained by minibatch descent: unscaled, and with weights or data scaled up.

    Parameters
    ----------
    data
        A file of images: .npz with x_train, y_train, x_test and y_test, or cifar-10-binary.tar.gz
        [default: the digits bundled with scikit-learn].
    scale
        What is multiplied by alpha, beside the networks in which nothing is: weights, data, or both, one after the other
        [default: weights data].
    alpha
        The factor [default: 10].
    step_size
        Step size eta; several make a batch [default: 0.1 0.01 0.005].
    seeds
        Number of seeds, of first weights and batches [default: 3].
    depth
        Number of layers [default: 5].
    width
        Of each hidden layer [default: 100].
    batch
        Images a step, drawn with replacement; all of them, if there are no more [default: 1000].
    steps
        Number of steps, about 60 of them recorded; or, increasing, the steps to record [default: 1000].
    initial
        Law of the first weights: pytorch, as torch.nn.Linear has it, or he [default: pytorch].
    output
        Save the run as netCDF; every minute while it is under way, to be resumed if it is killed.
    resume
        Go on with the run that stands in --output, which says what is trained. A run that is through is drawn again.
    plot
        Draw test error and norm over time, as .pdf, .png or .svg.
    """
    from flowsim import relu as room

    check_figure(plot)
    if resume:
        if output is None:
            raise ValueError("--resume needs --output, where the run stands that it goes on with")
        given = {
            "scale": scale,
            "alpha": alpha,
            "step-size": step_size,
            "seeds": seeds,
            "depth": depth,
            "width": width,
            "batch": batch,
            "steps": steps,
            "initial": initial,
        }
        twice = [f"--{name}" for name, value in given.items() if value is not None]
        if twice:
            raise ValueError(f"{', '.join(twice)} must be left out with --resume, for the file says what is trained")
        begun = room.load_relu(output)
        if begun.state is None:
            return _deliver(begun, None, plot)
        check_writable(output)
        name = begun.config["images"]["name"]
        images = room.load_images(data if data is not None or name == "digits" else name)
        return _deliver(room.resume(begun, images, checkpoint=output), output, plot)
    from flowsim import arguments

    factor = 10.0 if alpha is None else arguments.real("alpha", alpha, low=0.0, strict=True)
    # what is scaled by 1 is not trained twice
    kinds = [] if factor == 1.0 else list(dict.fromkeys(scale or ["weights", "data"]))
    check_writable(output)
    run = room.train(
        room.load_images(data),
        room.STEP_SIZES if step_size is None else step_size,
        [1.0, *(factor if kind == "weights" else 1.0 for kind in kinds)],
        [1.0, *(factor if kind == "data" else 1.0 for kind in kinds)],
        seeds=3 if seeds is None else seeds,
        depth=5 if depth is None else depth,
        width=100 if width is None else width,
        batch=1000 if batch is None else batch,
        steps=1000 if steps is None else steps[0] if len(steps) == 1 else steps,
        initial=initial or "pytorch",
        checkpoint=output,
    )
    return _deliver(run, output, plot)


def _deliver(run: "ReluRun", output: Path | None, plot: Path | None) -> int:
    """Save first, so that nothing else can lose the run; then print and draw."""
    code = write_all(output and partial(run.save, output))
    print(run)
    print()
    print(_table(run))
    if plot is not None:
        from flowsim.present import relu_figure, save_figure

        try:
            figure = relu_figure(run)
        except ValueError as error:
            # the input was good, and went nowhere
            code = complain(error, FAILED)
        else:
            code = write_all(partial(save_figure, figure, plot)) or code
    if run.state is not None:
        return complain("interrupted; what was reached is printed, and saved where --output was given: --resume goes on", INTERRUPTED)
    if (run.status == "diverged").any():
        return complain(f"some networks failed: {run.message}", FAILED)
    return code or DONE


def _table(run: "ReluRun") -> str:
    """How the seeds of each step size and scaling ended: medians over those whose outputs live."""
    import numpy as np

    names = ["step_size", "weights_x", "data_x", "k", "test_error", "train_loss", "log10_norm", "seeds"]
    rows = [names]
    reached = max(int(np.searchsorted(run.step, run.reached, side="right")) - 1, 0)
    for i, size in enumerate(run.step_sizes):
        for j, scales in enumerate(zip(run.weight_scales, run.data_scales, strict=True)):
            kinds, counts = np.unique(run.status[i, j], return_counts=True)
            living = np.isin(run.status[i, j], ("ok", "stopped")) & np.isfinite(run.test_error[i, j, :, reached])
            values = (run.test_error, run.train_loss, run.log_product_norm / np.log(10.0))
            medians = [f"{np.median(v[i, j, living, reached]):.4g}" if living.any() else "-" for v in values]
            ended = ", ".join(f"{count} {kind}" for count, kind in zip(counts, kinds, strict=True))
            rows.append([f"{size:.4g}", *(f"{factor:.4g}" for factor in scales), f"{run.step[reached]}", *medians, ended])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
