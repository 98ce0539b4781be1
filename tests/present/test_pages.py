"""Figures have the width and the type of the page they are for, whoever draws them, and are drawn again from a saved run alone."""

import re
from functools import cache
from io import BytesIO
from itertools import pairwise

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest

import flowsim as fs
from flowsim.present import (
    PAGES,
    STYLE,
    bounds_figure,
    comparison_figure,
    exponents_figure,
    gap_order_figure,
    page_settings,
    paper_figure,
    plot_path,
    rates_figure,
    save_figure,
    sharpness_figure,
    straight_figure,
    styled,
    trajectory_figure,
    two_phases_figure,
)

WIDTHS = {"neurips": 5.5, "icml-single": 3.25, "icml-double": 6.75}
SIZES = {"neurips": (9.0, 8.0), "icml-single": (8.0, 7.0), "icml-double": (8.0, 7.0)}
"""Inches of the style files of the conferences; points of axis labels, and of ticks and legends."""

NARROW = ("comparison", "paper")
"""Too wide for a single column."""


FIGURES = {
    "trajectory": lambda runs, page: trajectory_figure(runs, page=page),
    "rates": lambda runs, page: rates_figure(runs, page=page),
    "exponents": lambda runs, page: exponents_figure(runs, page=page),
    "straight": lambda runs, page: straight_figure(runs, page=page),
    "sharpness": lambda runs, page: sharpness_figure(runs, page=page),
    "gap-order": lambda runs, page: gap_order_figure(runs, page=page),
    "two-phases": lambda runs, page: two_phases_figure(runs, page=page),
    "bounds": lambda runs, page: bounds_figure(runs, page=page),
    "comparison": lambda runs, page: comparison_figure(fs.compare(*runs), page=page),
    "paper": lambda runs, page: paper_figure(*runs, page=page),
}


@pytest.fixture(scope="module")
def runs_of(gaussian, flows, pair, paper):
    """The runs of each figure."""
    falling = fs.gradient_flow(gaussian, fs.Start(1.0, 2.5), np.linspace(0.0, 40.0, 161), depth=[1, 2, 4])
    descents = fs.gradient_descent(gaussian, fs.Start(), [1 / 32, 1 / 16, 1 / 8], [16, 32, 64, 128], depth=2)
    of = {name: [flows] for name in ("trajectory", "rates", "exponents", "straight")}
    of |= {"sharpness": [descents], "gap-order": [descents], "two-phases": [falling], "bounds": [falling]}
    return of | {"comparison": list(pair), "paper": list(paper)}


@pytest.fixture(scope="module")
def drawn(runs_of):
    """Each figure on a page, laid out, drawn once."""

    @cache
    def make(name, page):
        figure = FIGURES[name](runs_of[name], page)
        figure.draw_without_rendering()
        return figure

    return make


PAIRS = [(name, page) for name in FIGURES for page in WIDTHS if page != "icml-single" or name not in NARROW]


@pytest.mark.parametrize(("name", "page"), PAIRS)
def test_a_pdf_has_the_width_of_its_page_and_nothing_is_cut_off(drawn, tmp_path, name, page):
    figure = drawn(name, page)
    box = re.search(rb"/MediaBox \[([^]]*)\]", save_figure(figure, tmp_path / "a.pdf").read_bytes())
    *corner, width, height = [float(x) for x in box[1].split()]
    assert corner == [0.0, 0.0]
    assert width == 72.0 * WIDTHS[page]
    assert height == pytest.approx(72.0 * figure.get_figheight(), abs=0.01)
    assert figure.get_figheight() < 8.0
    inside = figure.get_tightbbox()
    assert min(inside.x0, inside.y0) >= -0.01
    assert inside.x1 <= WIDTHS[page] + 0.01
    assert inside.y1 <= figure.get_figheight() + 0.01


@pytest.mark.parametrize(("name", "page"), PAIRS)
def test_panels_have_room_and_legends_do_not_cover_them(drawn, name, page):
    figure = drawn(name, page)
    for ax in figure.axes:
        panel = ax.get_window_extent()
        assert panel.width / figure.dpi > 1.0, ax.get_ylabel()
        assert panel.height / figure.dpi > 0.7, ax.get_ylabel()
        assert not any(legend.get_window_extent().overlaps(panel) for legend in figure.legends)
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            shown = [tick.label1 for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high and tick.label1.get_visible()]
            boxes = [text.get_window_extent() for text in shown if text.get_text()]
            assert not any(one.overlaps(two) for one, two in pairwise(boxes)), (ax.get_ylabel(), axis)


@pytest.mark.parametrize("name", NARROW)
def test_figures_that_need_the_width_refuse_a_single_column(runs_of, name):
    with pytest.raises(ValueError, match=r"`page` must be 'neurips' or 'icml-double' for .*_figure, .* but is 'icml-single'"):
        FIGURES[name](runs_of[name], "icml-single")


@pytest.mark.parametrize("page", WIDTHS)
def test_type_has_the_sizes_of_the_page(flows, page):
    figure = trajectory_figure(flows, page=page)
    figure.draw_without_rendering()
    label, tick = SIZES[page]
    for ax in figure.axes:
        assert {ax.yaxis.label.get_size(), ax.title.get_size()} == {label}
        assert {text.get_size() for text in (*ax.get_xticklabels(), *ax.get_yticklabels())} == {tick}
        assert {text.get_fontname() for text in ax.get_yticklabels()} == {"STIXGeneral"}
    assert {text.get_size() for text in figure.legends[0].get_texts()} == {tick}


def test_a_figure_keeps_its_type_when_others_draw_it(flows):
    """Ticks too, which matplotlib can make as late as when a figure is drawn."""
    figure = trajectory_figure(flows, page="icml-single")
    with matplotlib.rc_context({"xtick.labelsize": 30.0, "ytick.labelsize": 30.0, "font.family": "DejaVu Sans", "axes.grid": False}):
        figure.savefig(BytesIO(), format="png")
    for ax in figure.axes:
        for text in (*ax.get_xticklabels(), *ax.get_yticklabels()):
            assert (text.get_size(), text.get_fontname(), text.get_math_fontfamily()) == (7.0, "STIXGeneral", "stix")
        assert ax.yaxis.get_gridlines()[0].get_visible()


def test_panels_drawn_inside_a_page_have_its_width_and_type(flows):
    with styled("icml-single"):
        ax = plot_path(flows)
        assert matplotlib.rcParams["axes.labelsize"] == 8.0
        with styled():
            assert matplotlib.rcParams["axes.labelsize"] == 8.0
        with styled("neurips"):
            assert matplotlib.rcParams["axes.labelsize"] == 9.0
        assert matplotlib.rcParams["axes.labelsize"] == 8.0
    assert ax.figure.get_figwidth() == 3.25
    assert ax.yaxis.label.get_size() == 8.0
    assert plot_path(flows).figure.get_figwidth() == 5.5
    assert trajectory_figure(flows).get_figwidth() == 5.5


def test_a_page_that_is_none_is_refused_and_leaves_the_settings(flows):
    before = dict(matplotlib.rcParams)
    for call in (lambda: trajectory_figure(flows, page="icml"), lambda: page_settings("icml")):
        with pytest.raises(ValueError, match="`page` must be one of neurips, icml-single, icml-double, but is 'icml'"):
            call()
    with pytest.raises(ZeroDivisionError), styled("icml-single"):
        _ = 1 / 0
    assert dict(matplotlib.rcParams) == before
    assert trajectory_figure(flows).get_figwidth() == 5.5


@pytest.mark.parametrize("page", WIDTHS)
def test_the_style_serves_figures_of_ones_own(page):
    with plt.style.context([STYLE, page_settings(page)], after_reset=True):
        figure, ax = plt.subplots()
        assert figure.get_figwidth() == WIDTHS[page]
        assert ax.xaxis.label.get_size() == SIZES[page][0]
        assert matplotlib.rcParams["pdf.fonttype"] == 42
        plt.close(figure)
    assert {name: size.width for name, size in PAGES.items()} == WIDTHS


def test_the_style_alone_is_that_of_the_default_page():
    with plt.style.context(STYLE, after_reset=True):
        alone = dict(matplotlib.rcParams)
    with plt.style.context([STYLE, page_settings("neurips")], after_reset=True):
        for name, value in page_settings("neurips").items():
            assert np.allclose(alone[name], value, atol=0.02), name


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_drawn_again_from_saved_runs_alone(runs_of, drawn, tmp_path, name):
    again = [fs.load(run.save(tmp_path / f"{i}.nc")) for i, run in enumerate(runs_of[name])]
    for ax, other in zip(drawn(name, "neurips").axes, FIGURES[name](again, "neurips").axes, strict=True):
        assert len(ax.get_lines()) == len(other.get_lines()) > 0
        for line, twin in zip(ax.get_lines(), other.get_lines(), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), twin.get_xdata())
            np.testing.assert_array_equal(line.get_ydata(), twin.get_ydata())
            assert line.get_linestyle() == twin.get_linestyle()
        assert ax.get_ylim() == other.get_ylim()
        assert ax.get_title() == other.get_title()


@pytest.mark.parametrize("name", FIGURES)
def test_what_is_measured_is_solid_and_coloured_and_what_is_predicted_is_dashed_and_not(drawn, name, lines):
    for ax in drawn(name, "neurips").axes:
        grey = {line for line in ax.get_lines() if np.ptp(matplotlib.colors.to_rgb(line.get_color())) == 0.0}
        assert lines[0](ax)
        assert not grey & set(lines[0](ax))
        assert set(lines[1](ax)) <= grey
