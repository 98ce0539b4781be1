"""A figure reaches its file whole or not at all, and the user's settings are left alone."""

import re
import shutil
import subprocess
import sys

import matplotlib
import pytest
from matplotlib.figure import Figure

from flowsim.present import figure_format, plot_path, save_figure, styled, trajectory_figure


@pytest.fixture
def figure():
    figure = Figure(figsize=(2, 1.5))
    figure.subplots().plot([1, 2, 3], label="x")
    return figure


@pytest.mark.parametrize(("name", "magic"), [("a.pdf", b"%PDF"), ("a.png", b"\x89PNG"), ("A.PNG", b"\x89PNG"), ("a.svg", b"<?xml")])
def test_the_suffix_decides_the_format(figure, tmp_path, name, magic):
    path = save_figure(figure, tmp_path / name)
    assert path.read_bytes().startswith(magic)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_text_in_a_pdf_stays_text(figure, tmp_path):
    """Fonts are embedded as TrueType with a map to Unicode, not as outlines of type 3."""
    content = save_figure(figure, tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in content
    assert b"/ToUnicode" in content
    assert b"/Type3" not in content


def test_the_text_of_a_pdf_can_be_taken_out_again(flows, tmp_path):
    tool = shutil.which("pdftotext")
    if tool is None:
        pytest.skip("pdftotext is not installed")
    path = save_figure(trajectory_figure(flows), tmp_path / "a.pdf")
    text = subprocess.run([tool, str(path), "-"], check=True, capture_output=True, text=True).stdout
    for words in ("leading order of the flow", "direction", "norm", "risk"):
        assert words in text


def test_text_in_an_svg_stays_text(flows, tmp_path):
    content = save_figure(trajectory_figure(flows), tmp_path / "a.svg").read_text(encoding="utf-8")
    assert re.search(r"<text[^>]*>leading order of the flow</text>", content)
    assert "dc:date" not in content


@pytest.mark.parametrize("kind", ["pdf", "png", "svg"])
def test_the_same_data_give_the_same_file(flows, tmp_path, kind):
    first = save_figure(plot_path(flows).figure, tmp_path / f"a.{kind}").read_bytes()
    assert save_figure(plot_path(flows).figure, tmp_path / f"b.{kind}").read_bytes() == first


def test_another_suffix_is_refused(figure, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.pdf, \.png or \.svg, but is '.*a\.eps'"):
        save_figure(figure, tmp_path / "a.eps")
    with pytest.raises(ValueError, match="must end in"):
        figure_format("figure")
    assert not list(tmp_path.iterdir())


def test_a_path_that_cannot_be_written_is_named(figure, tmp_path):
    with pytest.raises(OSError, match=r"cannot write '.*gone/a\.pdf': No such file"):
        save_figure(figure, tmp_path / "gone" / "a.pdf")


def test_a_write_that_breaks_off_leaves_the_old_file(figure, tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(self, target, **_):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", full)
    with pytest.raises(OSError, match=r"cannot write '.*a\.png': No space left on device"):
        save_figure(figure, path)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.png"]


def test_the_users_settings_neither_change_nor_show(flows, tmp_path):
    with matplotlib.rc_context({"lines.linewidth": 9.0, "font.size": 30.0, "axes.grid": False}):
        before = dict(matplotlib.rcParams)
        figure = trajectory_figure(flows)
        save_figure(figure, tmp_path / "a.png")
        assert dict(matplotlib.rcParams) == before
        assert figure.axes[0].get_lines()[0].get_linewidth() < 3
        assert figure.axes[0].yaxis.label.get_size() < 12
    with styled():
        assert matplotlib.rcParams["pdf.fonttype"] == 42
        assert not matplotlib.rcParams["text.usetex"]


def test_drawing_needs_no_pyplot(flows):
    code = "import sys, flowsim.present; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert plot_path(flows).figure.get_label() == ""
