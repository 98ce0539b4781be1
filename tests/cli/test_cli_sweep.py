"""sweep: a file in, a store and a summary out."""

import numpy as np
import pytest

import flowsim as fs
from flowsim.present import save_figure, sweep_figure
from flowsim.sweeps import KINDS, open_sweep, run_sweep
from flowsim.sweeps.kinds import kind as kinds
from flowsim.sweeps.kinds.kind import Part

FILE = """
run = "descent"
[axes]
step_size = { log = [0.01, 1.0], count = 4 }
depth = [1, 2]
[fixed]
steps = [1, 2, 5]
[record]
series = ["log_norm"]
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "norms.toml"
    path.write_text(FILE)
    return path


def test_the_store_is_the_librarys(command, file):
    outcome = command("sweep", file)
    assert (outcome.code, outcome.err) == (0, "")
    expected = run_sweep(fs.Sweep.from_toml(file), "theirs.zarr")
    np.testing.assert_array_equal(open_sweep("norms.zarr").log_norm, expected.log_norm)
    assert outcome.out.splitlines() == [
        *str(fs.Sweep.from_toml(file)).splitlines(),
        "status  8 reached the last time asked for",
        "store   norms.zarr",
    ]


def test_a_plan_runs_nothing(command, file):
    outcome = command("sweep", file, "--plan")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines() == str(fs.Sweep.from_toml(file)).splitlines()
    assert [path.name for path in file.parent.iterdir()] == ["norms.toml"]


def test_a_store_that_stands_there_is_only_gone_on_with_where_that_is_asked_for(command, file):
    assert command("sweep", file, "-o", "a.zarr", "--resume").code == 0
    outcome = command("sweep", file, "-o", "a.zarr")
    assert outcome.code == 2
    assert outcome.err == "flowsim: error: 'a.zarr' exists already: --resume goes on with it, --output names another store\n"
    assert outcome.out == ""
    assert command("sweep", file, "-o", "a.zarr", "--resume").code == 0
    file.write_text(FILE.replace("[1, 2]", "[1, 3]"))
    outcome = command("sweep", file, "-o", "a.zarr", "--resume")
    assert outcome.code == 2
    assert "'a.zarr' is the store of another sweep: there axes.depth is" in outcome.err


def test_a_map_tells_the_shares_of_its_classes(command, tmp_path):
    (tmp_path / "map.toml").write_text('run = "map"\n[axes]\nstep_size = [0.1, 20.0]\ndepth = [1, 2]\n[fixed]\nsteps = 1000\n')
    outcome = command("sweep", "map.toml")
    assert outcome.code == 0
    assert "shares  follows the flow 50 %, catapult 50 %" in outcome.out.splitlines()


def test_runs_that_failed_make_it_fail_and_are_counted(command, file, monkeypatch):
    def run(common, columns, wanted, records):
        if (columns["step_size"] > 0.5).any():
            raise ValueError("`step_size` is too large for this test")
        return Part(np.full(columns["norm"].size, "step_cap"), {"log_norm": np.zeros((columns["norm"].size, 3))}, {})

    monkeypatch.setitem(KINDS, "descent", kinds.Kind(**{**vars(KINDS["descent"]), "run": run}))
    outcome = command("sweep", file)
    assert outcome.code == 1
    assert "2 its arguments were refused" in outcome.out
    assert "6 all steps allowed were used" in outcome.out
    assert outcome.err.splitlines() == [
        "flowsim: error: 2 runs could not be run: ValueError: `step_size` is too large for this test",
        "flowsim: error: 8 runs failed; the store's status tells which",
    ]
    assert open_sweep("norms.zarr").status.values.tolist()[-1] == [kinds.CODE["refused"]] * 2


FIGURES = {
    "": {"x": "step_size", "y": "depth", "panels": "law"},
    "--y law": {"x": "step_size", "y": "law", "panels": "depth"},
    "--at depth=2 law=gaussian": {"x": "step_size", "y": "norm", "at": {"depth": 2.0, "law": "gaussian"}},
    "--x depth --at law=gaussian --value final_risk": {"x": "depth", "y": "step_size", "at": {"law": "gaussian"}, "value": "final_risk"},
    "--x step_size --y depth --panels law --page icml-double": {"x": "step_size", "y": "depth", "panels": "law", "page": "icml-double"},
}
MANY = FILE.replace("depth = [1, 2]", 'depth = [1, 2]\nlaw = ["gaussian", "sphere"]\nnorm = [1, 2, 3, 4, 5]').replace(
    'series = ["log_norm"]', 'final = ["log_norm", "risk"]'
)


def test_a_sweep_is_drawn_when_it_is_done_as_plot_draws_its_store(command, file, tmp_path):
    file.write_text(MANY)
    for line, options in FIGURES.items():
        outcome = command("sweep", file, "--resume", "--plot", "a.png", *line.split())
        assert (outcome.code, outcome.err) == (0, "")
        figure = sweep_figure(open_sweep("norms.zarr"), **options)
        assert (tmp_path / "a.png").read_bytes() == save_figure(figure, tmp_path / "b.png").read_bytes(), line


def test_panels_of_plot_are_those_of_sweep(command, file, tmp_path):
    file.write_text(MANY)
    assert command("sweep", file, "--plot", "a.png").code == 0
    assert command("plot", "norms.zarr", "--x", "step_size", "--y", "depth", "--panels", "law", "-o", "b.png").code == 0
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_seed_and_an_axis_along_another_are_neither_upwards_nor_panels(command, tmp_path):
    text = 'run = "mixture"\n[axes]\nseed = [0, 1]\nsignal = [1.0, 2.0]\nsamples = [3, 4]\n[fixed]\ndim = 20\nsteps = 3\n'
    (tmp_path / "a.toml").write_text(text)
    assert command("sweep", "a.toml", "--x", "samples", "--plot", "a.png").code == 0
    figure = sweep_figure(open_sweep("a.zarr"), "samples", "signal")
    assert (tmp_path / "a.png").read_bytes() == save_figure(figure, tmp_path / "b.png").read_bytes()
    (tmp_path / "b.toml").write_text(text.replace("[1.0, 2.0]", '{ random = [1.0, 2.0], count = 2, along = "case" }'))
    assert command("sweep", "b.toml", "--x", "samples", "--plot", "b.png").code == 0
    figure = sweep_figure(open_sweep("b.zarr"), "samples")
    assert (tmp_path / "b.png").read_bytes() == save_figure(figure, tmp_path / "c.png").read_bytes()


def test_what_was_interrupted_is_not_drawn(command, file, tmp_path, monkeypatch):
    def run(common, columns, wanted, records):
        return Part(np.full(columns["norm"].size, "stopped"), {}, {})

    monkeypatch.setitem(KINDS, "descent", kinds.Kind(**{**vars(KINDS["descent"]), "run": run}))
    assert command("sweep", file, "--plot", "a.png").code == 130
    assert not (tmp_path / "a.png").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["norms.toml", "--x", "depth"], "--x is for the figure of --plot, which is not asked for"),
        (["norms.toml", "--plot", "a.jpg"], "a figure's path must end in .pdf, .png or .svg, but is 'a.jpg'"),
        (["norms.toml", "--plot", "a.pdf", "--x", "dept"], "`x` must be one of step_size, depth, but is 'dept'; did you mean 'depth'?"),
        (["norms.toml", "--plot", "a.pdf", "--value", "risk"], "`value` must be one of status, log_norm, but is 'risk'"),
        (["norms.toml", "--plot", "a.pdf", "--at", "depth"], "--at must be NAME=VALUE, but is 'depth'"),
        (["norms.toml", "--plot", "a.pdf", "--at", "law=1"], "`at` must be one of step_size, depth, but is 'law'"),
        (["other.toml"], "no such file: 'other.toml'"),
        (["norms.toml", "--workers", "0"], "`workers` must be a whole number, 1 or more, but is 0"),
        (["norms.toml", "--workers", "2", "--scheduler", "tcp://a:1"], "`workers` and `scheduler` must not be given together"),
        (["norms.toml", "--scheduler", "here"], "`scheduler` must be an address such as tcp://host:8786, but is 'here'"),
    ],
)
def test_bad_input_is_one_line_and_makes_no_store(command, file, words, message):
    outcome = command("sweep", *words)
    assert (outcome.code, outcome.out if "other" in words[0] else "") == (2, "")
    assert outcome.err == f"flowsim: error: {message}\n"
    assert [path.name for path in file.parent.iterdir()] == ["norms.toml"]


def test_a_store_that_cannot_be_made_is_told(command, file):
    outcome = command("sweep", file, "-o", file / "a.zarr")
    assert outcome.code == 1
    assert outcome.err.startswith("flowsim: error: cannot make the store")
