"""The paper's figure 1: bounds that stay on their side of what they bound."""

import numpy as np
import pytest

import flowsim as fs
from flowsim.present import paper_figure
from flowsim.theory.paper import FIGURE_1


def bounds(ax):
    return [line for line in ax.get_lines() if line.get_label() == "_bound"]


def curve(ax, name):
    return next(line for line in ax.get_lines() if line.get_label() == name)


@pytest.fixture(scope="module")
def figure(paper):
    figure = paper_figure(*paper)
    figure.draw_without_rendering()
    return figure


def test_flow_and_descent_are_the_runs_themselves(paper, figure):
    flow, descent = paper
    for row in range(2):
        for ax, name in zip(figure.axes[3 * row : 3 * row + 3], ("angle", "risk", "norm"), strict=True):
            np.testing.assert_array_equal(curve(ax, "flow").get_ydata(), getattr(flow[row], name))
            np.testing.assert_array_equal(curve(ax, "descent").get_ydata(), getattr(descent[row], name))
            np.testing.assert_array_equal(curve(ax, "flow").get_xdata(), flow.time)
            assert ax.get_yscale() == "log"


def test_bounds_start_at_the_beginning_and_where_the_paper_starts_them_anew(figure):
    for ax, restart in zip((figure.axes[0], figure.axes[3]), (5.0, 18.0), strict=True):
        assert [line.get_xdata()[0] for line in bounds(ax)] == pytest.approx([0.0, restart])
        assert all(line.get_linestyle() == "--" for line in bounds(ax))


def test_angle_and_risk_stay_below_their_bounds(figure):
    for ax in (*figure.axes[0:2], *figure.axes[3:5]):
        assert len(bounds(ax)) == 2
        for line in bounds(ax):
            measured = np.interp(line.get_xdata(), curve(ax, "flow").get_xdata(), curve(ax, "flow").get_ydata())
            assert (line.get_ydata() >= measured * (1 - 1e-9)).all()
            assert line.get_ydata()[0] == pytest.approx(measured[0], rel=1e-9)


def test_norms_stay_between_their_bounds(figure):
    for ax, count in zip((figure.axes[2], figure.axes[5]), (2, 4), strict=True):
        assert len(bounds(ax)) == count
        flow = curve(ax, "flow")
        for i, line in enumerate(bounds(ax)):
            measured = np.interp(line.get_xdata(), flow.get_xdata(), flow.get_ydata())
            above = line.get_ydata() >= measured * (1 - 1e-9)
            below = line.get_ydata() <= measured * (1 + 1e-9)
            # at N = 4 Lemma 4 gives a floor, then a ceiling; at N = 1 there is a ceiling alone
            assert (below if count == 4 and i % 2 == 0 else above).all()


def test_the_bound_from_the_start_turns_where_the_norm_does(paper, figure):
    """Theorem 1 from its definition: the first phase before the least norm, the second one after."""
    flow = paper[0][0]
    turn = int(np.argmin(flow.norm))
    line = bounds(figure.axes[0])[0]
    pull = flow.risks.item().pull
    first = 2.0 * pull / flow.norm[0] * flow.time[: turn - 1] - 2.0 * flow.log_tan_half_angle[0]
    np.testing.assert_allclose(line.get_ydata()[: turn - 1], 2 * np.arctan(np.exp(-first / 2)), rtol=1e-12)
    start = fs.Start.from_vectors([0.6, -0.8], [0.0, 1.0])
    fine = fs.gradient_flow(flow.risks.item(), start, np.linspace(*flow.time[[turn - 1, turn + 1]], 20_001), solver="dop853")
    least = int(np.argmin(fine.norm))
    norm, s = fine.norm[least], fine.log_tan_half_angle[least]
    later = flow.time[turn + 2 :] - fine.time[least]
    second = 4 * pull / np.sqrt(0.6) * np.sqrt(later + norm**2 / 0.6) - 2 * s - 4 * pull * norm / 0.6
    np.testing.assert_allclose(line.get_ydata()[turn + 2 :], 2 * np.arctan(np.exp(-second / 2)), rtol=1e-4)


def test_panels_are_named(figure):
    assert [ax.get_title() for ax in figure.axes[:3]] == [r"angle $\theta$ to the teacher", "risk $L(w)$", "norm $|w|$"]
    assert [figure.axes[0].get_ylabel(), figure.axes[3].get_ylabel()] == ["$N=1$", "$N=4$"]
    assert [ax.get_xlabel() for ax in figure.axes[3:]] == [r"$\eta n$"] * 3
    assert len(figure.legends[0].get_texts()) == 4


def test_two_layers_have_no_direction_bound_and_a_turning_point_beyond_the_run_is_found():
    risk, start = fs.PopulationRisk(fs.Sphere(dim=2)), fs.Start([1.0, 1.0, 1.0], [2.0, 2.0, 1.0])
    record = np.arange(0, 2001, 50)
    flow = fs.gradient_flow(risk, start, 1e-3 * record, depth=[2, 3, 3])
    assert (np.diff(flow[1].norm) < 0).all()
    figure = paper_figure(flow, fs.gradient_descent(risk, start, 1e-3, record, depth=[2, 3, 3]))
    assert [len(bounds(ax)) for ax in figure.axes] == [0, 0, 0, 1, 1, 2, 1, 1, 2]
    assert len(figure.legends[0].get_texts()) == 3
    # Theorem 5, first phase to the end of the run: alpha = 2/pi, A1 = c0, B1 = r(0)^(-1/3) = 1
    exponent = 2 / np.pi * np.log1p(np.pi * risk.pull * flow.time) - 2 * flow[1].log_tan_half_angle[0]
    np.testing.assert_allclose(bounds(figure.axes[3])[0].get_ydata(), 2 * np.arctan(np.exp(-exponent / 2)), rtol=1e-12)


def test_on_the_ray_where_the_norm_falls_for_good_there_is_no_direction_bound():
    risk, start = fs.PopulationRisk(fs.Sphere(dim=2)), fs.Start(1.0, np.pi)
    flow = fs.gradient_flow(risk, start, np.linspace(0.0, 1.0, 11), depth=2)
    figure = paper_figure(flow, fs.gradient_descent(risk, start, 0.1, np.arange(11), depth=2))
    assert [len(bounds(ax)) for ax in figure.axes] == [0, 0, 0]


def test_bounds_start_anew_between_records_too():
    risk, start = fs.PopulationRisk(fs.Sphere(dim=2)), fs.Start(1.0, 1.0)
    flow = fs.gradient_flow(risk, start, np.linspace(0.0, 4.0, 5))
    figure = paper_figure(flow, fs.gradient_descent(risk, start, 1.0, np.arange(5)), restarts={1: 1.5})
    later = bounds(figure.axes[0])[1]
    there = fs.gradient_flow(risk, start, [1.5])
    assert later.get_xdata().tolist() == [1.5, 2.0, 3.0, 4.0]
    assert later.get_ydata()[0] == pytest.approx(float(there.angle[0]), rel=1e-9)


def test_depths_that_do_not_match_are_refused(paper):
    with pytest.raises(ValueError, match="`descents` must have the depths of `flows`"):
        paper_figure(paper[0], [paper[1][1], paper[1][0]])


# --- SGD over the rest ---


def thin(ax):
    return [line for line in ax.get_lines() if line.get_label() == "SGD"]


@pytest.fixture(scope="module")
def sgd(paper):
    """At N = 1 three seeds, at N = 4 one."""
    return [
        fs.samples.sgd(FIGURE_1.risk, fs.layers.unit_vectors(FIGURE_1.predictor, n), 1e-3, paper[1].step, 1, seed, FIGURE_1.teacher)
        for n, seed in ((1, [0, 1, 2]), (4, 0))
    ]


def test_sgd_is_a_thin_line_of_the_first_seed_in_the_band_of_all(paper, sgd):
    figure = paper_figure(*paper, sgd=sgd)
    for row, run in enumerate(sgd):
        for ax, name in zip(figure.axes[3 * row : 3 * row + 3], ("angle", "risk", "norm"), strict=True):
            values = getattr(run, name).reshape(-1, run.time.size)
            (line,) = thin(ax)
            np.testing.assert_array_equal(line.get_ydata(), values[0])
            assert line.get_linewidth() < 1.0
            if name != "angle":
                low, high = ax.get_ylim()
                assert low < values.min() < values.max() < high
            assert line.get_zorder() > curve(ax, "flow").get_zorder()
            bands = [band for band in ax.collections if band.get_label() == "_band"]
            assert len(bands) == (row == 0)
            for band in bands:
                heights = band.get_paths()[0].vertices[:, 1]
                assert (heights.min(), heights.max()) == (values.min(), values.max())
    assert [text.get_text() for text in figure.legends[0].get_texts()][-1] == "SGD (band: 3 seeds)"


def test_without_sgd_the_figure_says_nothing_of_it(figure):
    assert not any(thin(ax) for ax in figure.axes)


def test_sgd_of_other_depths_is_refused(paper, sgd):
    for wrong in (sgd[::-1], sgd[0], list(paper)):
        with pytest.raises(ValueError, match="`sgd` must be runs of layers of depths 1, 4, those of `flows` in their order"):
            paper_figure(*paper, sgd=wrong)
