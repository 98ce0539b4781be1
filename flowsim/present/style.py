"""How figures look and how they reach a file: one style on a conference's page, applied in a context and never to the user's settings.

with styled("icml-single"):             # sizes of that page for every figure and panel made inside
    ax = plot_path(run)
plt.style.use([STYLE, page_settings("icml-single")])      # the same look for a user's own figures
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flowsim import arguments
from flowsim.files import write_whole

STYLE = Path(__file__).with_name("flowsim.mplstyle")
"""The style sheet, for `matplotlib.pyplot.style.use`: colours, type and lines, on the page of NeurIPS."""

FORMATS = ("pdf", "png", "svg")

THEORY = {"color": "black", "linestyle": "--", "linewidth": 0.9}
"""Every line that is predicted and not measured. It lies on top of the solid, coloured line of what was measured."""


@dataclass(frozen=True)
class Page:
    """width: of a figure, in inches.  label, tick: points of axis labels, and of tick labels and legends."""

    width: float
    label: float
    tick: float

    @property
    def wide(self) -> bool:
        """Whether panels find room side by side."""
        return self.width > 5.0


PAGES = {
    # neurips_2023.sty: textwidth 5.5in, text and captions in 10 points
    "neurips": Page(width=5.5, label=9.0, tick=8.0),
    # icml2023.sty: textwidth 6.75in less columnsep 0.25in, by two; text in 10 points, captions in 9
    "icml-single": Page(width=3.25, label=8.0, tick=7.0),
    "icml-double": Page(width=6.75, label=8.0, tick=7.0),
}
"""Pages by name. Labels are a point smaller than the page's captions, ticks and legends two; both conferences set text in Times."""

_page: ContextVar[str] = ContextVar("page", default="neurips")


def current_page() -> Page:
    """The page of the `styled` around the caller; that of NeurIPS outside any."""
    return PAGES[_page.get()]


def wide_page(name: str) -> None:
    """ValueError naming ``name``, a figure, on a page that is too narrow for it."""
    if not current_page().wide:
        known = " or ".join(repr(page) for page, size in PAGES.items() if size.wide)
        raise ValueError(f"`page` must be {known} for {name}, whose panels need the width, but is {_page.get()!r}")


def page_settings(page: str) -> dict[str, Any]:
    """What a page changes of `STYLE`: matplotlib's settings by name, to use after it.

    page: "neurips", "icml-single" or "icml-double"; ValueError for another.

    >>> page_settings("icml-single")["axes.labelsize"]
    8.0
    """
    size = PAGES[arguments.one_of("page", page, PAGES)]
    labels = dict.fromkeys(("font.size", "axes.labelsize", "axes.titlesize"), size.label)
    ticks = dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), size.tick)
    return {**labels, **ticks, "figure.figsize": (size.width, 0.62 * size.width)}


@contextmanager
def styled(page: str | None = None) -> Iterator[None]:
    """matplotlib's defaults, `STYLE` and the sizes of ``page``, and afterwards the rcParams as they were.

    page: "neurips", "icml-single" or "icml-double"; by default that of the `styled` around this one, or else "neurips".

    >>> with styled("icml-single"):
    ...     current_page().width
    3.25
    """
    name = _page.get() if page is None else page
    settings = page_settings(name)
    token = _page.set(name)
    try:
        with style.context([STYLE, settings], after_reset=True):
            yield
    finally:
        _page.reset(token)


def palette() -> list[str]:
    """The colours of the style's cycle."""
    with styled():
        return list(matplotlib.rcParams["axes.prop_cycle"].by_key()["color"])


def make_figure(figure: Figure | None, height: float) -> Figure:
    """``figure`` itself, or a new one of the page's width. It belongs to no backend: nothing pops up and nothing has to be closed."""
    return Figure(figsize=(current_page().width, height), layout="constrained") if figure is None else figure


def make_axes(ax: Axes | None) -> Axes:
    """``ax`` itself, or the axes of a new figure."""
    return make_figure(None, 0.62 * current_page().width).subplots() if ax is None else ax


def figure_format(path: str | PathLike[str]) -> str:
    """ "pdf", "png" or "svg", by the suffix of ``path``; ValueError for any other.

    >>> figure_format("rates.PDF")
    'pdf'
    """
    suffix = Path(path).suffix
    if suffix.lower().removeprefix(".") not in FORMATS:
        *others, last = (f".{name}" for name in FORMATS)
        raise ValueError(f"a figure's path must end in {', '.join(others)} or {last}, but is {str(path)!r}")
    return suffix.lower().removeprefix(".")


METADATA = {"pdf": {"CreationDate": None}, "png": None, "svg": {"Date": None}}


def save_figure(fig: Figure, path: str | PathLike[str]) -> Path:
    """Write ``fig`` as PDF, PNG or SVG by the suffix of ``path``, whole or not at all; returns the path.

    Text stays text in PDF and SVG. Files carry no date: the same data gives the same file. ValueError for another suffix; OSError naming
    the path where it cannot be written.

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     save_figure(Figure(), f"{folder}/empty.pdf").name
    'empty.pdf'
    """
    kind = figure_format(path)

    def write(part: Path) -> None:
        # fonts and their embedding are chosen when the file is written
        with styled(), matplotlib.rc_context({"svg.hashsalt": "flowsim"}):
            fig.savefig(part, format=kind, metadata=METADATA[kind])

    return write_whole(path, write)
