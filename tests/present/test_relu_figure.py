"""The paper's figure 2: medians and ranges of the seeds that last, against time, and a word for those that do not."""

from dataclasses import replace

import numpy as np
import pytest

from flowsim.present import relu_figure
from flowsim.relu import ReluRun

STEP = np.array([0, 1, 10, 100])


@pytest.fixture
def run():
    """Two step sizes, three scalings and three seeds, of the seed's own numbers."""
    shape = (2, 3, 3, 4)
    place = np.arange(np.prod(shape), dtype=float).reshape(shape)
    return ReluRun(
        STEP,
        np.array([0.01, 0.1]),
        np.array([1.0, 10.0, 1.0]),
        np.array([1.0, 1.0, 10.0]),
        np.arange(3),
        test_error=0.9 - 0.01 * place,
        train_loss=2.0 - 0.01 * place,
        log_product_norm=0.1 * place,
        largest_output=1.0 + place,
        status=np.full((2, 3, 3), "ok", dtype="U8"),
        config={"depth": 5},
    )


def lines(ax):
    return [line for line in ax.get_lines() if line.get_label() == "_median"]


def test_each_scaling_has_a_column_of_error_over_norm_and_each_step_size_a_line(run):
    figure = relu_figure(run)
    figure.draw_without_rendering()
    above, below = figure.axes[:3], figure.axes[3:]
    assert [ax.get_title() for ax in above] == ["unscaled", r"weights $\times\,10$", r"data $\times\,10$"]
    assert above[0].get_ylabel() == "test error"
    assert below[0].get_ylabel() == r"norm $|W_{5}\cdots W_1|_\mathrm{F}$"
    assert [ax.get_xlabel() for ax in below] == [r"$\eta k$"] * 3
    for j, (ax, under) in enumerate(zip(above, below, strict=True)):
        # the largest step size first
        for i, error, norm in zip((1, 0), lines(ax), lines(under), strict=True):
            time = run.step_sizes[i] * STEP[1:]
            np.testing.assert_allclose(error.get_xdata(), time)
            np.testing.assert_allclose(error.get_ydata(), np.median(run.test_error[i, j, :, 1:], axis=0))
            np.testing.assert_allclose(norm.get_ydata(), np.exp(np.median(run.log_product_norm[i, j, :, 1:], axis=0)))
    colours = [line.get_color() for line in lines(above[0])]
    assert colours == [line.get_color() for line in lines(below[2])]
    assert len(set(colours)) == 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [r"$\eta=0.1$", r"$\eta=0.01$", "median and range of seeds"]


def test_bands_reach_from_the_least_seed_to_the_largest(run):
    figure = relu_figure(run)
    band = figure.axes[1].collections[0].get_paths()[0].vertices
    values = run.test_error[1, 1, :, 1:]
    assert band[:, 1].min() == pytest.approx(values.min())
    assert band[:, 1].max() == pytest.approx(values.max())
    assert not relu_figure(alone(run)).axes[0].collections
    assert len(relu_figure(alone(run)).legends[0].get_texts()) == 2


def alone(run):
    """Its first seed."""
    names = ("test_error", "train_loss", "log_product_norm", "largest_output", "status")
    return replace(run, seeds=run.seeds[:1], **{name: getattr(run, name)[:, :, :1] for name in names})


def test_seeds_that_die_or_diverge_are_left_out_and_named(run):
    for name in ("test_error", "log_product_norm", "largest_output"):
        getattr(run, name)[1, 1, 2, 2:] = np.nan
    run.status[1, 1, 2] = "diverged"
    run.largest_output[0, 1, :2, 2:] = 0.0
    run.log_product_norm[0, 1, :2, 2:] = 400.0
    run.largest_output[0, 1, 1, 1] = 0.0
    figure = relu_figure(run)
    figure.draw_without_rendering()
    error = lines(figure.axes[1])[0]
    np.testing.assert_allclose(error.get_ydata()[1:], np.median(run.test_error[1, 1, :2, 2:], axis=0))
    living = lines(figure.axes[4])[1]
    np.testing.assert_allclose(living.get_ydata()[1:], np.exp(run.log_product_norm[0, 1, 2, 2:]))
    said = [text.get_text() for text in figure.axes[4].texts]
    assert said == [r"$\eta=0.1$: diverged at $k=10$ (1 of 3)", r"$\eta=0.01$: dead at $k=1\;\mathrm{to}\;10$ (2 of 3)"]
    assert [text.get_text() for ax in figure.axes for text in ax.texts] == said
    # what is on its way out does not set the axis
    assert figure.axes[4].get_ylim()[1] < 1e5


def test_the_axis_of_errors_is_logarithmic_unless_one_is_nought(run):
    run.test_error[:] = np.linspace(0.9, 0.02, run.test_error.size).reshape(run.test_error.shape)
    assert relu_figure(run).axes[0].get_yscale() == "log"
    run.test_error[0, 0, 0, 3] = 0.0
    assert relu_figure(run).axes[0].get_yscale() == "linear"


def test_runs_stand_side_by_side_and_share_the_colours_of_their_step_sizes(run):
    other = replace(run, step_sizes=np.array([0.01, 0.5]))
    figure = relu_figure([run, other])
    assert len(figure.axes) == 12
    assert [text.get_text() for text in figure.legends[0].get_texts()][:3] == [r"$\eta=0.5$", r"$\eta=0.1$", r"$\eta=0.01$"]
    assert lines(figure.axes[0])[1].get_color() == lines(figure.axes[3])[1].get_color()


def test_an_interrupted_run_is_drawn_as_far_as_it_went(run):
    for name in ("test_error", "train_loss", "log_product_norm", "largest_output"):
        getattr(run, name)[..., 2:] = np.nan
    run.status[...] = "stopped"
    figure = relu_figure(run)
    assert all(len(line.get_xdata()) == 1 for line in lines(figure.axes[0]))
    run.test_error[..., 1:] = np.nan
    with pytest.raises(ValueError, match="`runs` must have a record after k = 0 to be drawn"):
        relu_figure(run)
    with pytest.raises(ValueError, match="`runs` must have a record after k = 0 to be drawn"):
        relu_figure([])


def test_a_column_is_too_narrow(run):
    with pytest.raises(ValueError, match=r"`page` must be 'neurips' or 'icml-double' for relu_figure"):
        relu_figure(run, page="icml-single")
    assert relu_figure(run, page="icml-double").get_figwidth() == 6.75
