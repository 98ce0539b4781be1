"""How figures look and how they reach a file: one style, applied in a context and never to the user's settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import matplotlib
from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flowsim.files import write_whole

STYLE = Path(__file__).with_name("flowsim.mplstyle")
FORMATS = ("pdf", "png")
WIDTH = 5.5
"""Inches: the text width of a NeurIPS page."""

THEORY = {"color": "black", "linestyle": "--", "linewidth": 0.9}
"""Every line that is predicted and not measured. It lies on top of the solid, coloured line of what was measured."""


@contextmanager
def styled() -> Iterator[None]:
    """matplotlib's defaults and `flowsim.mplstyle`, and afterwards the rcParams as they were."""
    with style.context(str(STYLE), after_reset=True):
        yield


def palette() -> list[str]:
    """The colours of the style's cycle."""
    with styled():
        return list(matplotlib.rcParams["axes.prop_cycle"].by_key()["color"])


def make_figure(figure: Figure | None, height: float) -> Figure:
    """``figure`` itself, or a new one of the page's width. It belongs to no backend: nothing pops up and nothing has to be closed."""
    return Figure(figsize=(WIDTH, height), layout="constrained") if figure is None else figure


def make_axes(ax: Axes | None) -> Axes:
    """``ax`` itself, or the axes of a new figure."""
    return make_figure(None, 3.4).subplots() if ax is None else ax


def figure_format(path: str | PathLike[str]) -> str:
    """ "pdf" or "png", by the suffix of ``path``; ValueError for any other."""
    suffix = Path(path).suffix
    if suffix.lower().removeprefix(".") not in FORMATS:
        known = " or ".join(f".{name}" for name in FORMATS)
        raise ValueError(f"a figure's path must end in {known}, but is {str(path)!r}")
    return suffix.lower().removeprefix(".")


def save_figure(fig: Figure, path: str | PathLike[str]) -> Path:
    """Write ``fig`` as PDF or PNG by the suffix of ``path``, whole or not at all; returns the path.

    Files carry no date: the same data gives the same file. ValueError for another suffix; OSError naming the path where it
    cannot be written.
    """
    kind = figure_format(path)

    def write(part: Path) -> None:
        # fonts and their embedding are chosen when the file is written
        with styled():
            fig.savefig(part, format=kind, metadata={"CreationDate": None} if kind == "pdf" else None)

    return write_whole(path, write)
