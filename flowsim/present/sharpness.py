"""The sharpness of descent against the edge of stability: sigma against 2, or lambda = sigma/eta against 2/eta."""

import numpy as np
from matplotlib.axes import Axes

from flowsim.dynamics import EDGE, Trajectory
from flowsim.present.axes import colours, finite, log_time, log_values, name_runs, say
from flowsim.present.quantities import Runs, each_run, labels, time_label
from flowsim.present.style import THEORY, make_axes, palette, styled


def plot_sharpness(descents: Runs, ax: Axes | None = None, scaled: bool = True, legend: bool = True) -> Axes:
    r"""sigma = eta |a^(N-1)| (c - h)/|z| against eta k, on logarithmic axes; dashed 2, and a point where sigma first reaches it.

    scaled: False draws lambda = sigma/eta instead, the curvature of the loss in the first layer z across w, and dashed 2/eta, for each
        step size once; under a schedule, eta of each step.
    descents: a descent, a batch, or a sequence of them.  ax, legend: as in `plot_path`. ValueError for a flow, which has no step size.

    >>> from flowsim import Gaussian, PopulationRisk, Start, gradient_descent
    >>> run = gradient_descent(PopulationRisk(Gaussian(dim=2)), Start(), 0.5, 100, depth=3)
    >>> edge = plot_sharpness(run, scaled=False).get_lines()[-1]
    >>> edge.get_linestyle(), edge.get_ydata()[-1].item()
    ('--', 4.0)
    """
    singles = each_run(descents)
    with styled():
        ax = make_axes(ax)
        # a descent's colour in `comparison_figure`
        chosen = palette()[1:2] if len(singles) == 1 else colours(len(singles))
        shown, edges = [np.zeros(0)], {}
        for run, label, colour in zip(singles, labels(singles), chosen, strict=True):
            sigma, unit = run.sharpness, np.ones(run.time.shape) if scaled else _step_sizes(run)
            values = finite(np.where(sigma > 0, sigma / unit, np.nan))
            ax.plot(run.time, values, color=colour, label=label)
            for k in np.flatnonzero(sigma >= EDGE)[:1]:
                ax.plot(run.time[k], values[k], "o", color="black", label="_crossing")
            edges.setdefault(unit.tobytes() if run.step_size is None else unit[0], (run.time, EDGE / unit))
            shown += [values, EDGE / unit]
        log_time(ax, singles)
        for times, edge in edges.values():
            if edge.min() == edge.max():
                ax.axhline(edge[0], label="_edge", **THEORY)
            else:
                ax.plot(times, edge, label="_edge", **THEORY)
        seen = np.concatenate(shown)
        seen = seen[np.isfinite(seen)]
        if seen.size:
            log_values(ax, np.append(seen, 2.0 * seen.max()))
            name, highest = r"$\sigma=2$" if scaled else r"$2/\eta$", max(edge[0] for _, edge in edges.values())
            ax.annotate(name, (0.02, highest), (0, 1.5), ("axes fraction", "data"), "offset points", va="bottom", size="small")
        else:
            say(ax, "nothing recorded")
        ax.set_xlabel(time_label(singles))
        ax.set_ylabel(r"sharpness  $\sigma$" if scaled else r"sharpness  $\lambda=\sigma/\eta$")
        if legend:
            name_runs(ax)
    return ax


def _step_sizes(run: Trajectory) -> np.ndarray:
    """eta of the step after each record; nan after the last of a schedule."""
    if run.step_size is not None:
        return np.full(run.time.shape, float(run.step_size))
    return np.append(run.config["schedule"], np.nan)[run.step]
