"""Runs of matrices: what is drawn is what was recorded, what is dashed is what theory says, and what there is not is said."""

from dataclasses import replace

import numpy as np
import pytest

import flowsim as fs
from flowsim.layers import LayerRun
from flowsim.present import layers_figure, plot_layers_direction

TIMES = np.geomspace(1e-2, 1e8, 41)
LAW = fs.PopulationRisk(fs.Gaussian(dim=3))


@pytest.fixture(scope="module")
def flow():
    """Balanced, and put together from the laws themselves: r = R and s as late, at rank one and aligned."""
    start = fs.layers.balanced([0.1, 1.0, 0.0], depth=2, width=5)
    law = fs.theory.rates(LAW, 2)
    layers = np.ones((TIMES.size, 2))
    observed = {
        "layer_norm": layers * (1.0 + 1e-16),
        "spectral_norm": layers,
        "alignment": layers[:, 1:],
        "imbalance_drift": np.outer(TIMES, [1e-12]),
    }
    s = law.log_tan_half_angle(TIMES)
    return LayerRun("flow", TIMES, None, np.log(law.norm(TIMES)), s, np.asarray("ok"), LAW, np.eye(3)[0], start, start, observed)


@pytest.fixture(scope="module")
def descent():
    """Three networks of full rank."""
    return fs.layer_descent(LAW, fs.layers.gaussian(3, 3, 4, seeds=[1, 2, 3]), 0.1, 3000)


def late(risk, depth, seeds):
    """A run to t = 1e8 put together from the laws themselves: theta = C t^-p, C by the layers, and r = R."""
    start = fs.layers.gaussian(3, depth, 3, seeds=np.arange(seeds))
    norm = fs.theory.rates(risk, depth).norm(TIMES)
    direction = fs.theory.generic_direction(risk, start.matrices, [1.0, 0.0, 0.0])
    angle = direction.constant[:, None] * TIMES**-direction.exponent
    log_norm = np.broadcast_to(np.log(norm), angle.shape).copy()
    status = np.full(seeds, "ok", dtype="<U16")
    return LayerRun("flow", TIMES, None, log_norm, np.log(np.tan(np.minimum(angle, 3.0) / 2.0)), status, risk, np.eye(3)[0], start, start)


def of_label(ax, label):
    return [line for line in ax.get_lines() if line.get_label() == label]


def measured(ax):
    return [line for line in ax.get_lines() if not line.get_label().startswith("_")]


def test_each_panel_shows_what_was_recorded(descent):
    figure = layers_figure(descent)
    figure.draw_without_rendering()
    assert len(figure.axes) == 6
    recorded = [
        descent.angle,
        np.where(-descent.log_tan_half_angle > 0.1, -descent.log_tan_half_angle, np.nan),
        descent.norm,
        descent.stable_rank.max(axis=-1) - 1.0,
        1.0 - descent.observed["alignment"].min(axis=-1),
        np.where(descent.time > 0.0, descent.observed["imbalance_drift"].max(axis=-1), np.nan),
    ]
    for ax, values in zip(figure.axes, recorded, strict=True):
        (line,) = measured(ax)
        there = np.isfinite(values).any(axis=0)
        np.testing.assert_allclose(line.get_xdata(), descent.time)
        np.testing.assert_allclose(line.get_ydata()[there], np.nanmedian(values[:, there], axis=0), rtol=1e-12)
        band = ax.collections[0].get_paths()
        corners = np.concatenate([path.vertices for path in band])
        assert corners[:, 1].max() == pytest.approx(np.nanmax(values))
        assert corners[:, 1].min() == pytest.approx(np.nanmin(values))
        assert ax.get_yscale() == ax.get_xscale() == "log"
    assert [ax.get_xlabel() for ax in figure.axes] == [""] * 3 + [r"$\eta k$"] * 3
    assert all(ax.get_ylabel() for ax in figure.axes)
    # the bounds are of a flow, whose imbalance stays what it is
    assert not any(of_label(ax, "_bound") for ax in figure.axes)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["$N=3$", "median and range of seeds", "leading order of the flow"]


@pytest.mark.parametrize("depth", [2, 3])
def test_what_is_dashed_are_the_laws(depth):
    run = late(LAW, depth, seeds=3)
    figure = layers_figure(run)
    angle, direction, norm = figure.axes[:3]
    for ax, values in ((angle, np.median(run.angle, axis=0)), (norm, run.norm[0])):
        (line,) = of_label(ax, "_theory")
        there = TIMES > 1e3
        np.testing.assert_allclose(line.get_ydata()[line.get_xdata() > 1e3], values[there], rtol=1e-9)
        assert line.get_xdata()[-1] == 1e8
        assert line.get_linestyle() == "--"
    (line,) = of_label(direction, "_theory")
    late_enough = line.get_xdata() > 1e3
    expected = np.median(-run.log_tan_half_angle, axis=0)[np.isin(TIMES, line.get_xdata())]
    np.testing.assert_allclose(line.get_ydata()[late_enough], expected[late_enough], rtol=1e-9)
    assert [text.get_text() for text in angle.texts] == [{2: "$t^{-7/4}$", 3: "$t^{-9/5}$"}[depth]]
    assert not any(of_label(ax, "_theory") for ax in layers_figure(run, theory=False).axes)
    assert not layers_figure(run, theory=False).axes[0].texts


def test_a_balanced_run_has_the_exponential_law_and_no_power(flow):
    figure = layers_figure(flow)
    angle, direction, norm, excess, misaligned, drift = figure.axes
    assert not of_label(angle, "_theory")
    assert not angle.texts
    assert angle.get_ylim()[0] > 1e-18
    for ax, values in ((direction, -flow.log_tan_half_angle), (norm, flow.norm)):
        (line,) = of_label(ax, "_theory")
        np.testing.assert_allclose(line.get_ydata(), values[np.isin(TIMES, line.get_xdata())], rtol=1e-12)
    assert [ax.texts[0].get_text() for ax in (excess, misaligned)] == ["rank one throughout", "aligned throughout"]
    assert measured(drift)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["$N=2$", "leading order of the flow"]


def test_the_bounds_of_the_start_lie_above_a_flow(descent):
    """A descent of small steps, whose imbalance has moved by a hundredth, in the place of a flow."""
    assert descent.observed["imbalance_drift"].max() < 0.05
    start, singular = descent.start.matrices, descent.observed["spectral_norm"]
    excess = (fs.theory.rank_one_excess_bound(start)[:, None, :] / singular**2).max(axis=-1)
    cosines = [np.sqrt(fs.theory.alignment_bound(start, singular[:, k, :2])).min(axis=-1) for k in range(descent.time.size)]
    for ax, expected in zip(layers_figure(replace(descent, kind="flow")).axes[3:5], (excess.T, 1.0 - np.array(cosines)), strict=True):
        (line,), (bound,) = measured(ax), of_label(ax, "_bound")
        np.testing.assert_allclose(bound.get_ydata(), np.median(expected, axis=1), rtol=1e-9)
        assert (bound.get_ydata() >= line.get_ydata()).all()


def test_runs_have_a_colour_each_and_names_by_what_differs(flow, descent):
    figure = layers_figure([flow, descent])
    names = [text.get_text() for text in figure.legends[0].get_texts()][:2]
    assert names == ["flow, $N=2$, width 5, balanced", r"descent, $N=3$, width 4, $\eta=0.1$, unbalanced"]
    assert len({line.get_color() for line in measured(figure.axes[0])}) == 2
    assert figure.axes[3].get_xlabel() == r"$t=\eta k$"
    # the power reaches down to the end of the descent; what is exponential leaves the axis
    assert figure.axes[0].get_ylim()[0] > 1e-2 * np.nanmin(descent.angle)
    twice = [text.get_text() for text in layers_figure([descent, descent]).legends[0].get_texts()]
    assert twice[:2] == ["$N=3$, run 1", "$N=3$, run 2"]
    called = layers_figure([flow, descent], names=["one", "two"])
    assert [text.get_text() for text in called.legends[0].get_texts()][:2] == ["one", "two"]


def test_runs_on_samples_and_with_label_noise_have_no_law(descent):
    for run in (replace(descent, kind="sgd"), replace(descent, problem=fs.PopulationRisk(fs.Gaussian(dim=3), 0.1))):
        figure = layers_figure(run)
        assert not any(of_label(ax, "_theory") for ax in figure.axes)
        assert measured(figure.axes[0])
    assert "SGD" in layers_figure([descent, replace(descent, kind="sgd")]).legends[0].get_texts()[1].get_text()


def test_networks_that_end_early_are_left_out_from_there_and_named(descent):
    log_norm, s, status = descent.log_norm.copy(), descent.log_tan_half_angle.copy(), descent.status.copy()
    log_norm[0, 50:], s[0, 50:], s[1, 60:] = np.nan, np.nan, np.nan
    status[:2] = "overflow", "floor"
    run = replace(descent, log_norm=log_norm, log_tan_half_angle=s, status=status)
    figure = layers_figure(run)
    assert figure.legends[0].get_texts()[0].get_text() == "$N=3$ (1 floor, 1 overflow)"
    np.testing.assert_allclose(measured(figure.axes[0])[0].get_ydata()[60:], run.angle[2, 60:])
    gone = replace(run[0], log_norm=np.full_like(log_norm[0], np.nan), log_tan_half_angle=np.full_like(s[0], np.nan), observed={})
    said = [ax.texts[0].get_text() for ax in layers_figure(gone).axes]
    assert said[2:] == ["nothing recorded", "not recorded", "not recorded", "not recorded"]


def test_a_single_layer_has_no_pairs():
    start = fs.layers.gaussian(3, 1, seeds=2)
    figure = layers_figure(fs.layer_descent(LAW, start, 0.1, [0, 1, 2]))
    assert [ax.texts[0].get_text() for ax in figure.axes[3:]] == ["rank one throughout", "a single layer", "a single layer"]


def test_the_panel_alone_is_named_and_goes_where_it_is_told(flow, descent):
    ax = plot_layers_direction([flow, descent])
    assert ax.get_xlabel() == r"$t=\eta k$"
    assert len(ax.get_legend().get_texts()) == 4
    assert plot_layers_direction(flow, ax=ax) is ax
    assert plot_layers_direction(descent, legend=False).get_legend() is None
    assert plot_layers_direction(flow).get_legend() is None


def test_what_cannot_be_drawn_is_refused(flow):
    with pytest.raises(ValueError, match="`runs` must be a LayerRun or a sequence of them, but holds 3"):
        layers_figure([flow, 3])
    with pytest.raises(ValueError, match="`runs` must hold at least one run"):
        layers_figure([])
    with pytest.raises(ValueError, match="`names` must be 1, one for each run, but are 2"):
        layers_figure(flow, names=["a", "b"])
    with pytest.raises(ValueError, match=r"`page` must be 'neurips' or 'icml-double' for layers_figure"):
        layers_figure(flow, page="icml-single")
    assert layers_figure(flow, page="icml-double").get_figwidth() == 6.75
