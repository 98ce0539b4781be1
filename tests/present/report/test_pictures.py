"""A claim's picture shows its curves, by their roles, with names that hide nothing; inside a page it stays text and keeps its ids apart."""

import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from flowsim.claims import Curve, Picture
from flowsim.claims.picture import Sketch, picture_of_gaps
from flowsim.present.report.inline_svg import inline_svg
from flowsim.present.report.pictures import draw_picture, power, short_names, wrapped

TIME = np.geomspace(1e-2, 1e12, 60)
SIZES = np.array([0.1, 0.05, 0.025])


def exponents():
    sketch = Sketch("$t$", "$-s$", x_log=True, y_log=True)
    for depth in (1, 2, 3):
        sketch.measured(TIME, TIME ** (2 * depth / (depth + 2)), f"$N={depth}$")
    sketch.predicted(TIME, TIME**0.6, "theory")
    sketch.limit(TIME, 0.1 * TIME**0.5, "bound")
    return sketch.done("Gaussian(dim=2), from |w(0)| = 1 and theta(0) = 1.5, and more words than one line of so small a picture can take")


def cases():
    return picture_of_gaps({f"Gaussian(dim=3, scale=1), N = {n}, |w(0)| = 1": 10.0**-n for n in range(1, 9)}, 1e-3, "relative gap")


def linear():
    sketch = Sketch("step $k$", r"$\theta$")
    sketch.measured(np.arange(50), 0.025 * np.arange(50) ** 2)
    return sketch.done()


def many_names():
    sketch = Sketch(r"$\eta$", r"largest gap of $\log\tan(\theta/2)$ over all that was measured", x_log=True, y_log=True)
    for depth in range(6):
        sketch.measured(SIZES, SIZES * 3.0**depth, f"Radial(dim=3, radius=gamma(4)), $N={depth}$", points=True)
    return sketch.done()


def offset():
    sketch = Sketch("$m$", r"$(S_{2m} - S_m)$ / leading order of the sum")
    sketch.measured(np.arange(3.0) * 1e6, 1.0 + np.array([0.0, 2e-13, 5e-13]), "$q$")
    return sketch.done(note="one line, $q=1.01$")


PICTURES = {"offset": offset, "exponents": exponents, "cases": cases, "linear": linear, "many names": many_names}


def lines(ax):
    return ax.get_lines()


def test_roles_are_told_apart_without_colour():
    measured, predicted, limit = (
        next(line for line in lines(draw_picture(exponents())) if line.get_label() == n) for n in ("$N=2$", "theory", "bound")
    )
    assert measured.get_linestyle() == "-"
    assert to_hex(measured.get_color()) not in ("#000000", "black")
    assert (to_hex(predicted.get_color()), predicted.get_linestyle()) == ("#000000", "--")
    assert limit.get_linestyle() == ":"
    red, green, blue, _ = matplotlib.colors.to_rgba(limit.get_color())
    assert red == green == blue > 0.3


def test_measured_curves_have_colours_of_their_own():
    colours = [to_hex(line.get_color()) for line in lines(draw_picture(exponents()))[:3]]
    assert len(set(colours)) == 3


def test_what_is_drawn_is_what_was_measured():
    picture = exponents()
    ax = draw_picture(picture)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("$t$", "$-s$")
    for line, curve in zip(lines(ax), picture.curves, strict=True):
        np.testing.assert_array_equal(line.get_xydata(), np.column_stack([curve.x, curve.y]))


def test_a_label_is_named_once():
    sketch = Sketch("$t$", "exponent")
    for depth in (1, 2):
        sketch.measured(np.array([1.0, 2.0]), np.array([depth, depth]), f"$N={depth}$")
        sketch.predicted(np.array([1.0, 2.0]), np.array([depth, depth]), "$2N/(N+2)$")
    legend = draw_picture(sketch.done()).get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["$N=1$", "$2N/(N+2)$", "$N=2$"]


def test_predictions_of_several_names_are_told_apart():
    sketch = Sketch("$t$", "$r$")
    for name in ("floor", "ceiling", "floor"):
        sketch.limit(np.array([1.0, 2.0]), np.array([1.0, 2.0]), name)
    first, second, third = lines(draw_picture(sketch.done()))
    assert first.get_linestyle() == ":" != second._dash_pattern
    assert second._dash_pattern != first._dash_pattern
    assert third.get_label().startswith("_")


def test_cases_stand_below_each_other_with_their_names():
    picture = cases()
    ax = draw_picture(picture)
    assert [text.get_text() for text in ax.get_yticklabels()] == [f"N = {n}" for n in range(1, 9)]
    assert ax.get_xscale() == "log"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("relative gap", "")
    points, tolerance = lines(ax)
    np.testing.assert_allclose(points.get_xdata(), 10.0 ** -np.arange(1, 9))
    np.testing.assert_array_equal(points.get_ydata(), np.arange(8))
    np.testing.assert_array_equal(tolerance.get_xdata(), [1e-3, 1e-3])
    low, high = ax.get_ylim()
    assert low > high, "the first case is on top"


def test_names_lose_what_they_share_and_stay_different():
    assert short_names(["Gaussian(dim=3, scale=1), N = 1", "Ball(dim=4, radius=2), N = 1"]) == [
        "Gaussian(dim=3, scale=1)",
        "Ball(dim=4, radius=2)",
    ]
    assert short_names(["one, two", "one, two"]) == ["one, two"] * 2
    assert short_names(["only"]) == ["only"]
    assert short_names(["a, b", "c"]) == ["a, b", "c"]
    long = ["a" * 50 + end for end in "xy"]
    assert all(len(name) <= 41 and "…" in name for name in short_names(long))
    only_inside = ["a" * 30 + middle + "b" * 30 for middle in "xy"]
    assert short_names(only_inside) == [f"({i}) {'a' * 30}{middle}bb …" for i, middle in ((1, "x"), (2, "y"))]
    # a part that only some of them have
    ball = "Ball(dim=5, radius=2), N = 3"
    more = [f"{ball}, 2c|w(0)| = 1, theta(0) = 2", f"{ball}, noise=0.1, 2c|w(0)| = 1, theta(0) = 2", f"{ball}, 2c|w(0)| = 5, theta(0) = 7"]
    assert short_names(more)[::2] == ["2c|w(0)| = 1, theta(0) = 2", "2c|w(0)| = 5, theta(0) = 7"]
    assert short_names(more)[1].startswith("noise=0.1, ")
    assert max(map(len, short_names(more))) <= 41


@pytest.mark.parametrize("name", PICTURES)
def test_no_text_is_cut_off_and_the_legend_hides_nothing(name):
    ax = draw_picture(PICTURES[name]())
    figure = ax.figure
    renderer = figure.canvas.get_renderer() if hasattr(figure.canvas, "get_renderer") else None
    figure.draw_without_rendering()
    inside = figure.bbox.padded(0.5)
    box = ax.get_tightbbox(renderer)
    assert inside.contains(box.x0, box.y0), f"{box} is outside {inside}"
    assert inside.contains(box.x1, box.y1), f"{box} is outside {inside}"
    if ax.get_legend() is not None:
        assert ax.get_legend().get_window_extent().y0 >= ax.bbox.y1
    # and the margins are not half the picture
    assert ax.bbox.width > 0.35 * figure.bbox.width
    assert ax.bbox.height > 0.3 * figure.bbox.height


def test_what_a_logarithmic_axis_cannot_show_is_left_out():
    curve = Curve(np.arange(1.0, 8.0), np.array([1.0, 0.0, -1.0, np.nan, np.inf, 1e305, 10.0]))
    (line,) = lines(draw_picture(Picture((curve,), "$t$", "gap", y_log=True)))
    np.testing.assert_array_equal(np.isfinite(line.get_ydata()), [True, False, False, False, False, False, True])
    assert "no values" not in [text.get_text() for text in line.axes.texts]


def test_a_picture_of_nothing_says_so():
    sketch = Sketch("$t$", "gap", x_log=True, y_log=True)
    sketch.measured(np.array([1.0, 2.0]), np.array([0.0, -1.0]), "gap")
    ax = draw_picture(sketch.done())
    assert [text.get_text() for text in ax.texts] == ["no values that these axes can show"]


@pytest.mark.parametrize(("low", "high"), [(1.0, 1.2), (3e-7, 3.1e-7), (0.5, 3.0), (1e-13, 6e-13), (0.02, 900.0), (1e-16, 1e5)])
def test_a_logarithmic_axis_names_at_least_two_and_at_most_eight_places(low, high):
    sketch = Sketch("$t$", "gap", y_log=True)
    sketch.measured(np.array([0.0, 1.0]), np.array([low, high]))
    ax = draw_picture(sketch.done())
    ax.figure.draw_without_rendering()
    bottom, top = ax.get_ylim()
    named = [text.get_text() for place, text in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True) if bottom <= place <= top]
    assert 2 <= len([text for text in named if text]) <= 8, named


def test_what_all_ticks_share_is_said_in_the_label():
    ax = draw_picture(offset())
    ax.figure.draw_without_rendering()
    assert ax.get_ylabel().replace("\n", " ").endswith("leading order of the sum (times 1e−13, plus 1)")
    assert ax.get_xlabel() == "$m$ (times 1e6)"
    assert not ax.yaxis.get_offset_text().get_visible()
    # tick and words together are the value
    bottom, top = ax.get_ylim()
    for place, tick in zip(ax.get_yticks(), ax.get_yticklabels(), strict=True):
        if bottom <= place <= top:
            assert float(tick.get_text().replace("−", "-")) * 1e-13 + 1.0 == pytest.approx(place, abs=1e-15)


def test_long_names_go_on_in_another_line_outside_formulas():
    assert wrapped("a $b + c$ d", 0.1).split("\n") == ["a", "$b + c$", "d"]
    assert wrapped("a $b + c$ d", 9.0) == "a $b + c$ d"
    assert wrapped("costs 5 $ or more", 9.0) == "costs 5 $ or more"
    assert wrapped("", 1.0) == ""
    label = r"how far the run has come / how far the bound says $-2s$"
    assert wrapped(label, 1.75).replace("\n", " ") == label


def test_powers_of_ten():
    named = [power(x) for x in (1e-9, 1.0, 2e-13, 1e300, 0.0, np.nan)]
    assert named == [
        "$10^{-9}$",
        "$10^{0}$",
        r"$2\cdot10^{-13}$",
        "$10^{300}$",
        "",
        "",
    ]


def test_axes_that_are_given_are_used_and_settings_left_alone():
    before = dict(matplotlib.rcParams)
    ax = Figure(figsize=(3.0, 2.0)).subplots()
    assert draw_picture(linear(), ax) is ax
    assert tuple(ax.figure.get_size_inches()) == (3.0, 2.0)
    assert len(lines(ax)) == 1
    assert dict(matplotlib.rcParams) == before


SVG = "{http://www.w3.org/2000/svg}"


def svg_of(picture, name="a"):
    return inline_svg(draw_picture(picture).figure, name, "what it shows: a < b & c")


@pytest.mark.parametrize("name", PICTURES)
def test_an_inline_picture_is_one_sound_element(name):
    text = svg_of(PICTURES[name](), "claim-1")
    root = ElementTree.fromstring(text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    title = root.find(f"{SVG}title")
    assert title.text == "what it shows: a < b & c"
    assert root.get("aria-labelledby") == title.get("id")
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids)) > 1
    assert all(one.startswith("claim-1-") for one in ids)
    pointed = set(re.findall(r"url\(#([^)]+)\)|href=\"#([^\"]+)\"", text))
    assert {a or b for a, b in pointed} <= set(ids)
    assert "<style" not in text
    assert "xlink" not in text


def test_pictures_of_different_names_share_no_id():
    first, second = (set(re.findall(r' id="([^"]+)"', svg_of(exponents(), name))) for name in ("a", "b"))
    assert first
    assert not first & second


def test_the_same_picture_gives_the_same_text():
    assert svg_of(exponents()) == svg_of(exponents())


def test_text_in_a_page_stays_as_it_was_written():
    sketch = Sketch("$t$", "gap of #0072b2, 0.123456")
    sketch.measured(np.array([0.0, 0.1]), np.array([0.0, 0.0012345]), "sharp constant 0.27846454 <")
    text = svg_of(sketch.done())
    words = " ".join(re.findall(r"<text[^>]*>([^<]*)</text>", text))
    assert "sharp constant 0.27846454 &lt;" in words
    assert "gap of #0072b2, 0.123456" in words
    assert "0.0005" in words, "ticks too"


def test_colours_are_the_pages_own():
    text = svg_of(exponents())
    assert not re.search(r"style=\"[^\"]*#[0-9a-f]{6}", text)
    for name in ("ink", "blue", "red", "green", "grey", "grid", "paper"):
        assert f"var(--fig-{name})" in text
