"""Declarations of sweeps: what they come to, in Python and in a file, and what they refuse."""

import numpy as np
import pytest

import flowsim as fs
from flowsim.sweeps import linear, listed, log, random


def test_runs_are_the_product_of_the_axes_and_pairs_of_those_along_one_dimension() -> None:
    axes = {"depth": [1, 3], "norm": random(0.1, 1.0, 4, 0, along="draw"), "angle": linear(0.5, 2.0, 4, along="draw"), "step_size": [0.1]}
    sweep = fs.Sweep("descent", axes, chunk=4)
    assert sweep.sizes == {"depth": 2, "draw": 4, "step_size": 1}
    assert (sweep.elements, sweep.grid.shape) == (8, (1, 4, 1))
    for number, depth in enumerate((1, 3)):
        columns = sweep.columns(number)
        assert columns["depth"].tolist() == [depth] * 4
        np.testing.assert_array_equal(columns["norm"], axes["norm"].values)
        np.testing.assert_array_equal(columns["angle"], axes["angle"].values)


def test_columns_are_the_product_in_the_order_of_the_axes() -> None:
    sweep = fs.Sweep("flow", {"norm": [1.0, 2.0, 3.0], "depth": [1, 2]}, chunk=100)
    columns = sweep.columns(0)
    assert list(zip(columns["norm"].tolist(), columns["depth"].tolist(), strict=True)) == [(r, n) for r in (1.0, 2.0, 3.0) for n in (1, 2)]


def test_whole_arguments_take_whole_values_each_once() -> None:
    sweep = fs.Sweep("descent", {"steps": log(1, 100, 20), "depth": linear(1, 4, 7)}, final=["norm"])
    assert sweep.axes["steps"].values.tolist() == sorted({round(float(x)) for x in np.geomspace(1, 100, 20)})
    assert sweep.axes["depth"].values.tolist() == [1, 2, 3, 4]


def test_what_is_not_declared_has_the_default_of_the_run() -> None:
    fixed = fs.Sweep("flow", {"norm": [1.0]}).fixed
    assert (fixed["law"], fixed["angle"], fixed["depth"], fixed["rtol"], fixed["records"]) == ("gaussian", 1.5, 1, 1e-10, 100)
    assert "norm" not in fixed
    assert fs.Sweep("map", {"depth": [1]}).numbers == ("regime",)
    assert fs.Sweep("descent", {"depth": [1]}).final == ("log_norm", "log_tan_half_angle")


def test_series_have_records_and_layers_have_their_own_dimension() -> None:
    sweep = fs.Sweep(
        "layer-flow",
        {"seed": linear(0, 9, 10)},
        {"depth": 3, "times": [1.0, 10.0]},
        series=["log_norm", "layer_norm", "imbalance"],
        final=["alignment"],
        chunk=4,
    )
    variables = sweep.variables
    assert variables["log_norm"].dims == ("seed", "record")
    assert variables["layer_norm"].shape == (10, 2, 3)
    assert variables["imbalance"].dims == ("seed", "record", "pair")
    assert variables["final_alignment"].shape == (10, 2)
    assert variables["layer_norm"].chunks == (4, 2, 3)
    assert sweep.records["time"].tolist() == [1.0, 10.0]


def test_a_chunk_takes_the_memory_it_may_and_a_large_sweep_is_cut_into_many() -> None:
    axes = {"norm": log(0.1, 10, 1000), "angle": linear(0.1, 3, 1000)}
    few, many = (fs.Sweep("flow", axes, {"records": records}, memory_mib=64) for records in (10, 1000))
    taken = [sweep.grid.shape[0] * sweep.grid.shape[1] for sweep in (few, many)]
    assert 4096 < taken[0] <= 8192
    assert 64 * 2**20 / 40 < taken[1] * 1000 * 8 <= 64 * 2**20 / 20
    assert many.grid.count > 1000
    # of matrices, what they take themselves counts: 60 copies of 3 x 256 + 256^2 + 256 numbers
    wide = fs.Sweep("layer-flow", {"seed": linear(0, 999, 1000)}, {"depth": 3, "width": 256, "dim": 3, "records": 10}, memory_mib=300)
    assert 300 / 2 < wide.grid.shape[0] * 60 * 66_560 * 8 / 2**20 <= 300


def test_the_same_sweep_comes_back_from_its_configuration() -> None:
    axes = {"law": ["gaussian", "sphere"], "norm": random(0.1, 1.0, 4, 5, log=True), "depth": [1, 2]}
    sweep = fs.Sweep("flow", axes, {"time_last": 100.0}, ["log_norm"], ["angle"], ["norm_exponent"], chunk=3)
    again = fs.Sweep.from_config(sweep.config())
    assert again.config() == sweep.config()
    np.testing.assert_array_equal(again.columns(2)["norm"], sweep.columns(2)["norm"])
    assert again.variables.keys() == sweep.variables.keys()


FILE = """
run = "descent"
[axes]
step_size = { log = [0.01, 10.0], count = 4 }
depth = [1, 2]
norm = { random = [0.1, 1.0], count = 3, seed = 7 }
[fixed]
law = "student-t"
df = 4.0
steps = [1, 10, 100, 1000]
[record]
series = ["log_norm"]
final = ["risk"]
numbers = ["first_burst"]
[chunks]
elements = 6
"""


def test_a_file_declares_the_same_sweep(tmp_path) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(FILE)
    axes = {"step_size": log(0.01, 10.0, 4), "depth": [1, 2], "norm": random(0.1, 1.0, 3, 7)}
    fixed = {"law": "student-t", "df": 4.0, "steps": [1, 10, 100, 1000]}
    assert fs.Sweep.from_toml(path).config() == fs.Sweep("descent", axes, fixed, ["log_norm"], ["risk"], ["first_burst"], 6).config()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("run = ", "is not TOML"),
        ("[axes]\nnorm = [1]", "`run` is missing: one of flow, descent"),
        ('run = "flow"', "`axes` must hold at least one axis"),
        ('run = "flwo"\n[axes]\nnorm = [1]', "`run` must be one of flow, .*did you mean 'flow'"),
        ('run = "flow"\naxis = 3', "`a key of a sweep` must be one of run, axes, .*did you mean 'axes'"),
        ('run = "flow"\naxes = 3', "`axes` must be a table, but is 3"),
        ('run = "flow"\n[axes]\nnorm = [1]\n[record]\nfinals = ["norm"]', "must be one of series, final, numbers, but is 'finals'"),
        ('run = "flow"\n[axes]\nnorm = [1]\n[chunks]\nsize = 3', "must be one of elements, memory_mib, but is 'size'"),
    ],
)
def test_a_file_that_is_wrong_is_told_by_its_name(tmp_path, text: str, message: str) -> None:
    path = tmp_path / "sweep.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match=rf"sweep.toml'.*{message}"):
        fs.Sweep.from_toml(path)
    with pytest.raises(FileNotFoundError, match=r"no such file: .*other\.toml"):
        fs.Sweep.from_toml(tmp_path / "other.toml")


ONE = {"norm": [1.0]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("flow", {"step_size": [0.1]}), "`an argument of flow` must be one of .* but is 'step_size'"),
        (("flow", {"nrom": [0.1]}), "did you mean 'norm'"),
        (("flow", {"norm": [0.0, 1.0]}), "`norm` must be positive and finite, but is 0"),
        (("flow", {"norm": ["a"]}), r"`norm` must be numbers, but is \['a'\]"),
        (("flow", {"depth": [1.5]}), "`depth` must be a whole number from 1 to 100, but is 1.5"),
        (("flow", {"angle": [4.0]}), r"`angle` must be in \[0, 3.14159\], but is 4"),
        (("flow", {"law": ["gauss"]}), "`law` must be one of gaussian, .* but is 'gauss'"),
        (("flow", {"law": ["radial"]}), "`law` must be one of"),
        (("flow", {"df": [0.5, 2.0]}, {"law": "student-t"}), "`df` must be above 1 and finite, but is 0.5"),
        (("flow", ONE, {"df": 3.0}), "`df` does not belong to the law 'gaussian', whose arguments are dim, scale"),
        (("flow", {"law": ["student-t", "sphere"]}, {"df": 3.0}), "`df` does not belong to the law 'sphere'"),
        (("flow", ONE, {"norm": 2.0}), "`norm` must be fixed or an axis, but is both"),
        (("flow", ONE, {"depth": [1, 2]}), r"`depth` must be one value, but is \[1, 2\]: several make an axis"),
        (("flow", ONE, {"times": [2.0, 1.0]}), "`times` must increase strictly"),
        (("flow", ONE, {"times": [1.0], "time_last": 3.0}), "`time_last` must be left out where `times` lists the records"),
        (("flow", ONE, {"time_first": 10.0, "time_last": 1.0}), "`last` must be above 10"),
        (("flow", ONE, {}, ["log_nrom"]), "`series` must be one of .*did you mean 'log_norm'"),
        (("flow", ONE, {}, [], ["sharpness"]), "`final` must be one of"),
        (("flow", ONE, {}, [], [], ["regime"]), "`numbers` must be one of"),
        (("flow", ONE, {}, "log_norm"), "`series` must be a list of names, but is 'log_norm'"),
        (("map", ONE, {}, ["log_norm"]), "`series` must be left out of a map, which has none"),
        (("map", {"label_noise": [0.1]}), "must be one of .* but is 'label_noise'"),
        (("flow", {"time_last": [1.0, 10.0]}, {}, ["log_norm"]), "`series` must be left out where `time_last` is an axis"),
        (("flow", ONE, {"times": [1.0, 10.0]}, [], [], ["norm_exponent"]), "needs 4 records in the last two decades, but there are 2"),
        (("layer-flow", {"depth": [2, 3]}, {}, [], ["layer_norm"]), "`layer_norm` has a number for each layer, and cannot be recorded"),
        (("layer-flow", {"norm": [1.0]}), "`norm` does not belong to the start 'gaussian'"),
        (("descent", ONE, {"method": "exact", "stop_at_burst": True}), "belong to the method 'auto'"),
        (("descent", ONE, {"stop_at_burst": 1}), "`stop_at_burst` must be true or false, but is 1"),
        (("flow", {"norm": listed([1, 2], "norms"), "angle": listed([1.0], "norms")}), "must be of one length, but 'norm' has 2 values"),
        (("flow", {"norm": listed([1, 2], "depth")}), "`along` of the axis 'norm' must be a name of its own"),
        (("flow", {"norm": listed([1, 2], "record")}), "'record' cannot be a dimension of a sweep"),
        (("flow", {}), "`axes` must hold at least one axis"),
    ],
)
def test_a_sweep_refuses_what_cannot_be_run(given: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fs.Sweep(*given)


def test_sizes_are_checked() -> None:
    with pytest.raises(ValueError, match="`chunk` must be a whole number, 1 or more, but is 0"):
        fs.Sweep("flow", ONE, chunk=0)
    with pytest.raises(ValueError, match="`memory_mib` must be positive and finite, but is -1"):
        fs.Sweep("flow", ONE, memory_mib=-1)


def test_it_says_what_it_is() -> None:
    sweep = fs.Sweep("map", {"step_size": log(0.1, 10, 50), "depth": [1, 2]}, {"steps": 1000}, chunk=30)
    lines = str(sweep).splitlines()
    assert lines[0] == "sweep of map: 100 runs, 50 step_size x 2 depth"
    assert lines[1].startswith("fixed   law = gaussian, norm = 1, angle = 1.5, steps = 1000")
    assert lines[2] == "records status, regime"
    assert lines[3] == "store   4 chunks of 25 x 1 runs at most; 200 bytes before compression"
