"""The picture of a regime map: colours by class, a legend of what is there, boundaries where theory puts them."""

import numpy as np
import pytest
from matplotlib.colors import to_hex

import flowsim as fs
from flowsim import theory
from flowsim.dynamics.trajectory import versions
from flowsim.present import PAGES, plot_regimes, regime_figure, save_figure
from flowsim.present.regimes import BOUNDARIES, COLOURS
from flowsim.sweeps import CLASSES, RegimeMap

NAMES = list(CLASSES)


def drawn_up(risk, axis, values, names, depth=2, etas=(0.1, 1.0, 10.0, 100.0), steps=1000):
    """A map with given classes: drawing needs no runs."""
    code = np.array([[NAMES.index(name) for name in row] for row in names])
    unknown = [np.zeros(code.shape) for _ in range(4)]
    burst = np.full(code.shape, -1)
    start, config = fs.Start(1.0, 1.5), {"versions": versions()}
    return RegimeMap(axis, np.asarray(values, dtype=float), np.asarray(etas), code, burst, *unknown, risk, start, depth, steps, config)


@pytest.fixture
def chart(gaussian):
    return drawn_up(
        gaussian, "angle", [0.5, 1.5, 2.5], [["flow", "other", "edge", "edge"]] * 2 + [["flow", "other", "catapult", "overflow"]]
    )


def test_what_is_predicted_is_never_a_solid_line():
    assert all(boundary.dashes[1] for boundary in BOUNDARIES)
    assert len({boundary.dashes for boundary in BOUNDARIES}) == len(BOUNDARIES)


@pytest.mark.parametrize(("page", "rows"), [("neurips", 1), ("icml-single", 2), ("icml-double", 1)])
def test_maps_stand_side_by_side_or_above_each_other(chart, page, rows):
    figure = regime_figure([chart, chart], page=page)
    figure.draw_without_rendering()
    one, two = (ax.get_window_extent() for ax in figure.axes)
    assert (one.y0 > two.y1) == (rows == 2)
    assert figure.get_figwidth() == PAGES[page].width
    assert not any(legend.get_window_extent().overlaps(one) for legend in figure.legends)


def lines_of(ax):
    return [line for line in ax.get_lines() if line.get_color() == "black"]


def test_each_cell_has_the_colour_of_its_class(chart):
    ax = plot_regimes(chart)
    ax.figure.draw_without_rendering()
    mesh = ax.collections[0]
    shown = [to_hex(colour) for colour in mesh.to_rgba(mesh.get_array()).reshape(-1, 4)]
    assert shown == [COLOURS[name].lower() for name in chart.names.ravel()]
    assert (ax.get_xlabel(), ax.get_ylabel()) == (r"step size  $\eta$", r"starting angle  $\theta(0)$")
    assert ax.get_xscale() == "log"
    np.testing.assert_allclose(ax.get_xlim(), [10**-1.5, 10**2.5])
    np.testing.assert_allclose(ax.get_ylim(), [0.0, 3.0])


def test_the_colours_differ_and_every_class_has_one():
    assert list(COLOURS) == NAMES
    assert len(set(COLOURS.values())) == len(NAMES)


def test_the_legend_names_what_is_present_and_nothing_else(chart):
    names = [text.get_text() for text in regime_figure(chart).legends[0].get_texts()]
    assert names == [
        *("follows the flow", "converges otherwise", "catapult", "edge of stability", "overflow"),
        *(r"$\sigma=2$ at the start", r"$\eta c=2$"),
    ]
    assert len(regime_figure(chart, theory=False).legends[0].get_texts()) == 5
    assert not lines_of(plot_regimes(chart, theory=False))


def test_the_boundaries_of_two_layers_are_eta_c_2_and_the_start(chart):
    start, critical = lines_of(plot_regimes(chart))
    np.testing.assert_allclose(critical.get_xdata(), 2.0 / chart.risk.pull)
    np.testing.assert_allclose(theory.sharpness(chart.risk, 2, start.get_xdata(), 1.0), 2.0)
    for line in (start, critical):
        np.testing.assert_allclose(line.get_ydata()[[0, -1]], [0.0, 3.0])


def test_the_boundaries_over_depth_and_norm(gaussian):
    depths = drawn_up(gaussian, "depth", [2, 3, 4, 5], [["flow", "other", "edge", "edge"]] * 4, steps=100_000, etas=(0.01, 0.1, 1.0, 10.0))
    _, critical, edge, burst = lines_of(plot_regimes(depths))
    np.testing.assert_array_equal(critical.get_ydata(), [1.5, 2.5, 2.5, 3.5, 3.5, 4.5, 4.5, 5.5])
    assert np.isfinite(critical.get_xdata()).sum() == 2
    for line, step in (
        (edge, lambda n, eta: theory.edge(gaussian, n, eta).step),
        (burst, lambda n, eta: theory.first_burst(gaussian, n, eta).step_refined),
    ):
        assert np.isnan(line.get_xdata()[:2]).all()
        for row, depth in enumerate((3, 4, 5), start=1):
            assert step(depth, line.get_xdata()[2 * row]) == pytest.approx(1e5, rel=0.03)
    norms = drawn_up(gaussian, "norm", [0.1, 1.0, 10.0], [["flow", "other", "edge", "edge"]] * 3)
    ax = plot_regimes(norms)
    assert ax.get_yscale() == "log"
    np.testing.assert_allclose(ax.get_ylim(), [10**-1.5, 10**1.5])
    start = lines_of(ax)[0]
    np.testing.assert_allclose(theory.sharpness(gaussian, 2, start.get_xdata()[1:-1], norms.values), 2.0)


def test_several_maps_share_a_legend_and_are_told_apart(chart, gaussian, tmp_path):
    other = drawn_up(gaussian, "depth", [1, 2], [["flow", "flow", "saddle", "undecided"]] * 2, steps=1234)
    figure = regime_figure([chart, other])
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert {"saddle", "undecided", "edge of stability"} <= set(names)
    assert "sharpness past 2, burst ahead" not in names
    titles = [ax.get_title() for ax in figure.axes]
    assert titles == ["$N=2$, $r(0)=1$, $K=10^{3}$", r"$r(0)=1$, $\theta(0)=1.5$, $K=1234$"]
    assert save_figure(figure, tmp_path / "a.png").stat().st_size > 10_000
    assert save_figure(figure, tmp_path / "a.pdf").stat().st_size > 5_000
    with pytest.raises(ValueError, match="`charts` must be one to three maps, but are 4"):
        regime_figure([chart] * 4)


def test_a_single_cell_can_be_drawn(gaussian):
    ax = plot_regimes(drawn_up(gaussian, "angle", [1.0], [["flow"]], etas=(0.1,)))
    ax.figure.draw_without_rendering()
    assert ax.get_xlim()[0] < 0.1 < ax.get_xlim()[1]
