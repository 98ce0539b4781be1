"""What a claim's measurement looked at, drawn: measured solid, predicted dashed, limits dotted."""

import math
import re
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter, NullLocator, ScalarFormatter

from flowsim.claims.picture import Curve, Picture
from flowsim.present.style import THEORY, styled

WIDTH, HEIGHT = 4.6, 2.6
"""Inches."""
LIMIT = {"color": "0.45", "linestyle": ":", "linewidth": 1.2}
DASHES = ("--", "-.", (0, (6, 1.5, 1, 1.5, 1, 1.5)), (0, (2, 1)))
DOTS = (":", (0, (1, 3)), (0, (3, 1, 1, 1)), (0, (1, 1)))
"""Of predicted curves and of limits, where several have names of their own."""
MARKERS = "os^Dv"
LETTER = 0.05
"""Inches a letter of the small type takes, a little too much; measuring each text costs more than drawing the picture."""
DIGIT = 0.056
LINE = 0.155
LABEL_LETTER = 0.058
LABEL_LENGTH = 1.75
"""Of a letter of an axis' name, and of the name upright, before it goes on in a second line."""
NAME_LETTERS = 40
"""The most letters a case keeps beside its axis."""


def draw_picture(picture: Picture, ax: Axes | None = None) -> Axes:
    """Draw the curves of a claim's picture, and name them above the axes.

    picture: of a finding.  ax: where to draw; by default the axes of a new figure, whose margins fit. Returns it.

    Measured curves are solid in the colours of the style, predicted ones dashed and black, limits dotted and grey. Values that a
    logarithmic axis cannot show are left out. Cases (``picture.ticks``) stand below each other with their names, without the parts that
    all names share.

    >>> import numpy as np, flowsim as fs
    >>> from flowsim.claims import Curve, Picture
    >>> ax = fs.present.draw_picture(Picture((Curve(np.arange(3), np.arange(3)),), "$t$", "$r$"))
    >>> ax.get_xlabel()
    '$t$'
    """
    if ax is None:
        # its own size, whatever the page of a `styled` around it
        with styled("neurips"):
            ax = _figure(picture).subplots()
            _draw(picture, ax)
            _fit(picture, ax)
    else:
        with styled():
            _draw(picture, ax)
    return ax


def _figure(picture: Picture) -> Figure:
    """An empty figure, higher where there are many cases; of 72 dots an inch, as SVG and PDF count."""
    rows = len(picture.ticks)
    return Figure(figsize=(WIDTH, max(HEIGHT, 0.9 + 0.16 * rows) if rows else HEIGHT), dpi=72)


def _draw(picture: Picture, ax: Axes) -> None:
    across, up = (picture.y, picture.x) if picture.ticks else (picture.x, picture.y)
    # read where the style is in force: `palette` would put it in force once more, which takes as long as the curves
    cycle = matplotlib.rcParams["axes.prop_cycle"].by_key()["color"]
    colours = [colour for colour in cycle if to_hex(colour) != "#000000"]
    seen: dict[str, list[str]] = {"measured": [], "predicted": [], "limit": []}
    for curve in picture.curves:
        names = seen[curve.role]
        new = not curve.label or curve.label not in names
        if new:
            names.append(curve.label)
        place = len(names) - 1 if new else names.index(curve.label)
        x, y = _shown(curve, picture)
        label = curve.label if curve.label and new else "_"
        ax.plot(x, y, label=label, **_look(curve, colours[place % len(colours)], place, sum(bool(name) for name in names)))
    _scale(ax.xaxis, picture.y_log if picture.ticks else picture.x_log)
    _scale(ax.yaxis, False if picture.ticks else picture.y_log)
    if picture.ticks:
        ax.set_yticks(range(len(picture.ticks)), short_names(picture.ticks))
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(len(picture.ticks) - 0.5, -0.5)
        up = ""
    ax.set_xlabel(across + _apart(ax.xaxis))
    ax.set_ylabel(wrapped(up + _apart(ax.yaxis), LABEL_LENGTH, LABEL_LETTER))
    _legend(ax)
    if not any(np.isfinite(line.get_xydata()).all(axis=1).any() for line in ax.get_lines()):
        ax.text(0.5, 0.5, "no values that these axes can show", transform=ax.transAxes, ha="center", va="center", fontsize=8)
    if picture.note:
        ax.annotate(_note(picture), (0.0, 0.0), (0, -28), "axes fraction", textcoords="offset points", va="top", fontsize=8)


def _look(curve: Curve, colour: str, place: int, named: int) -> dict[str, Any]:
    """Of the curve that has this place among those of its role, ``named`` of which have had names of their own."""
    if curve.role == "measured":
        marks = curve.points or curve.x.size == 1
        return {"color": colour, **({"linestyle": "", "marker": MARKERS[place % len(MARKERS)]} if marks else {})}
    look, dashes = (THEORY, DASHES) if curve.role == "predicted" else (LIMIT, DOTS)
    return {**look, "linestyle": dashes[max(named - 1, 0) % len(dashes)], "zorder": 2.5}


def _shown(curve: Curve, picture: Picture) -> tuple[np.ndarray, np.ndarray]:
    """Where to draw it: cases along the vertical axis, and nan for what a logarithmic axis or a double range cannot show."""
    x, y = _drawable(curve.x, picture.x_log), _drawable(curve.y, picture.y_log)
    return (y, x) if picture.ticks else (x, y)


def _drawable(values: np.ndarray, logarithmic: bool) -> np.ndarray:
    # matplotlib's margins leave the double range from about 1e300 on
    good = np.isfinite(values) & (np.abs(values) < 1e290)
    if logarithmic:
        good &= values > 1e-290
    return np.where(good, values, np.nan)


def _scale(axis: Axis, logarithmic: bool) -> None:
    """Few ticks: their formulas take most of the time of a drawing."""
    data = axis.get_data_interval()
    if not logarithmic or not np.isfinite(data).all() or data[0] <= 0.0:
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        axis.set_major_formatter(ScalarFormatter(useMathText=False))
        return
    setter = axis.axes.set_xscale if axis is axis.axes.xaxis else axis.axes.set_yscale
    setter("log")
    low, high = axis.get_view_interval()
    decades = math.log10(high / low) if high > low > 0.0 else 0.0
    if decades < 0.6:
        axis.set_major_locator(MaxNLocator(5))
    elif decades < 1.5:
        axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    else:
        axis.set_major_locator(LogLocator(numticks=5))
    plain = low > 0.99e-2 and high < 1.01e3
    axis.set_major_formatter(FuncFormatter((lambda value, _: f"{value:g}") if plain else power))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def _apart(axis: Axis) -> str:
    """What the numbers at the ticks are to be multiplied by and what is to be added, for the label: on its own it lies on the legend."""
    formatter = axis.get_major_formatter()
    formatter.format_ticks(list(axis.get_majorticklocs()))
    found = re.fullmatch(r"(1e\S*?\d)?([+\u2212-].*)?", formatter.get_offset())
    if found is None or not found[0]:
        return ""
    axis.offsetText.set_visible(False)
    words = [f"times {found[1]}" if found[1] else "", f"plus {found[2].removeprefix('+')}" if found[2] else ""]
    return f" ({', '.join(word for word in words if word)})"


def _note(picture: Picture) -> str:
    return wrapped(picture.note, WIDTH - 0.7)


def power(value: float, _: object = None) -> str:
    """A tick of a logarithmic axis, as a power of ten or a small multiple of one."""
    if not (math.isfinite(value) and value > 0.0):
        return ""
    exponent = math.floor(math.log10(value) + 1e-9)
    front = value / 10.0**exponent
    return f"$10^{{{exponent}}}$" if abs(front - 1.0) < 1e-6 else rf"${front:g}\cdot10^{{{exponent}}}$"


def short_names(names: Sequence[str]) -> list[str]:
    """Names of cases without the parts between commas that all of them share; what is still long loses its middle, or is numbered.

    >>> short_names(["circle, N = 3, from 1", "circle, N = 4, from 1"])
    ['N = 3', 'N = 4']
    """
    # no comma inside brackets ends a part
    parts = [re.split(r",\s+(?![^()]*\))", name) for name in names]
    shared = set.intersection(*map(set, parts)) if len(names) > 1 else set()
    whole = [", ".join([part for part in own if part not in shared] or own) for own in parts]
    half = NAME_LETTERS // 2 - 1
    short = [name if len(name) <= NAME_LETTERS else f"{name[:half]} … {name[-half:]}" for name in whole]
    if len(set(short)) < len(set(names)):
        short = [f"({i}) {name if len(name) <= NAME_LETTERS - 5 else name[: NAME_LETTERS - 7] + ' …'}" for i, name in enumerate(whole, 1)]
    return short


def _letters(text: str) -> int:
    """About how many letters wide it is, commands of formulas counted as one each."""
    return len(re.sub(r"[\\]\w+|\\.", "x", text).translate(str.maketrans("", "", "${}^_")))


def wrapped(text: str, inches: float, letter: float = LETTER) -> str:
    r"""``text`` in lines of at most so many inches, broken at spaces outside formulas.

    >>> wrapped("a long name of $x y$ here", 0.5)
    'a long\nname of\n$x y$ here'
    """
    lines = [""]
    for word in re.findall(r"(?:\$[^$]*\$|[^\s$])+|\$", text):
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and _letters(longer) * letter > inches:
            lines.append(word)
        else:
            lines[-1] = longer
    return "\n".join(lines)


def _legend(ax: Axes) -> None:
    """Above the axes, in as many columns as fit, so that it hides nothing."""
    handles, names = ax.get_legend_handles_labels()
    if handles:
        columns = _columns(names)
        ax.legend(handles, names, loc="lower left", bbox_to_anchor=(0.0, 1.01), ncols=columns, borderaxespad=0.0, borderpad=0.2)


def _columns(names: Sequence[str]) -> int:
    room = WIDTH - 0.5
    wide = LETTER * max(map(_letters, names)) + 0.48
    return max(1, min(len(names), int(room / wide)))


def _fit(picture: Picture, ax: Axes) -> None:
    """Margins from the lengths of what stands there."""
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    width, height = figure.get_size_inches()
    names = ax.get_legend_handles_labels()[1]
    rows = -(-len(names) // _columns(names)) if names else 0
    if picture.ticks:
        beside = [text.get_text() for text in ax.get_yticklabels()]
    else:
        beside = ax.yaxis.get_major_formatter().format_ticks(list(ax.yaxis.get_majorticklocs()))
    left = 0.19 + DIGIT * max(map(_letters, beside), default=0) + (0.2 + LINE * ax.get_ylabel().count("\n") if ax.get_ylabel() else 0.0)
    bottom = 0.44 + (0.06 + LINE * (_note(picture).count("\n") + 1) if picture.note else 0.0)
    top = 0.1 + (LINE + 0.01) * rows
    figure.set_size_inches(width, height + LINE * max(rows - 2, 0))
    height = figure.get_size_inches()[1]
    figure.subplots_adjust(left / width, bottom / height, 1.0 - 0.17 / width, 1.0 - top / height)
