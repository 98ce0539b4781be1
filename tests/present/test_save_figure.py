"""A figure reaches its file whole or not at all, and the user's settings are left alone."""

import matplotlib
import pytest
from matplotlib.figure import Figure

from flowsim.present import figure_format, plot_path, save_figure, styled, trajectory_figure


@pytest.fixture
def figure():
    figure = Figure(figsize=(2, 1.5))
    figure.subplots().plot([1, 2, 3], label="x")
    return figure


@pytest.mark.parametrize(("name", "magic"), [("a.pdf", b"%PDF"), ("a.png", b"\x89PNG"), ("A.PNG", b"\x89PNG")])
def test_the_suffix_decides_the_format(figure, tmp_path, name, magic):
    path = save_figure(figure, tmp_path / name)
    assert path.read_bytes().startswith(magic)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_text_in_a_pdf_stays_text(figure, tmp_path):
    """Type 42 fonts are embedded as TrueType, not as outlines of type 3."""
    content = save_figure(figure, tmp_path / "a.pdf").read_bytes()
    assert b"/FontFile2" in content or b"/CIDFontType2" in content or b"/TrueType" in content
    assert b"/Type3" not in content


def test_the_same_figure_gives_the_same_file(figure, tmp_path):
    first = save_figure(figure, tmp_path / "a.pdf").read_bytes()
    assert save_figure(figure, tmp_path / "b.pdf").read_bytes() == first


def test_another_suffix_is_refused(figure, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.pdf or \.png, but is '.*a\.svg'"):
        save_figure(figure, tmp_path / "a.svg")
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
    import subprocess
    import sys

    code = "import sys, flowsim.present; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert plot_path(flows).figure.get_label() == ""
