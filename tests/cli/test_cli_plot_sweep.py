"""plot: a sweep from its store alone, finished or not; what belongs to it is refused elsewhere, and what does not, in it."""

import numpy as np
import pytest

import flowsim as fs
from flowsim.present import save_figure, sweep_figure
from flowsim.sweeps import CLASSES, open_sweep
from flowsim.sweeps.store import Store


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The words of a line such as "regimes.zarr --x depth" with its files by their paths: a map of two laws, one not run, and a run."""
    folder = tmp_path_factory.mktemp("saved")
    axes = {"step_size": fs.sweeps.log(0.1, 10.0, 5), "depth": [1, 2], "law": ["gaussian", "sphere"]}
    sweep = fs.Sweep("map", axes=axes, fixed={"dim": 3, "steps": 1000}, numbers=["regime", "peak_sharpness"], chunk=5)
    store = Store.create(folder / "regimes.zarr", sweep)
    rng = np.random.default_rng(0)
    for number in range(sweep.grid.count):
        shape = tuple(part.stop - part.start for part in sweep.grid.box(number))
        code = rng.integers(0, len(CLASSES) - 1, shape).astype("i1")
        if sweep.columns(number)["law"][0] == "gaussian":
            store.write(number, {"status": np.zeros(shape, "i1"), "regime": code, "peak_sharpness": rng.random(shape)})
    risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    fs.gradient_descent(risk, fs.Start(1.0, 2.0), 0.1, 20).save(folder / "run.nc")
    return lambda line: [folder / word if word.endswith((".nc", ".zarr")) else word for word in line.split()]


OPTIONS = {
    "--x step_size --y depth": {"y": "depth"},
    "--x step_size --y depth --at law=gaussian": {"y": "depth", "at": {"law": "gaussian"}},
    "--x step_size --value peak_sharpness --at law=gaussian depth=2.2": {"value": "peak_sharpness", "at": {"law": "gaussian", "depth": 2}},
    "--x step_size --at law=sphere --at depth=2 --page icml-single": {"at": {"law": "sphere", "depth": 2}, "page": "icml-single"},
}


@pytest.mark.parametrize("line", OPTIONS)
def test_a_sweep_is_drawn_from_its_store_as_in_python(command, saved, tmp_path, line):
    outcome = command("plot", *saved("regimes.zarr"), *line.split(), "-o", "a.png")
    assert (outcome.code, outcome.err) == (0, "")
    figure = sweep_figure(open_sweep(saved("regimes.zarr")[0]), "step_size", **OPTIONS[line])
    assert (tmp_path / "a.png").read_bytes() == save_figure(figure, tmp_path / "b.png").read_bytes()


REFUSED = {
    "regimes.zarr": "a sweep needs --x: one of step_size, depth, law",
    "regimes.zarr --x step_sizes": "`x` must be one of step_size, depth, law, but is 'step_sizes'; did you mean 'step_size'",
    "regimes.zarr --x depth --at law": "--at must be NAME=VALUE, but is 'law'",
    "regimes.zarr --x depth --at =1": "--at must be NAME=VALUE, but is '=1'",
    "regimes.zarr --x depth --at law=": "--at must be NAME=VALUE, but is 'law='",
    "regimes.zarr --x depth --at law=gaussian law=sphere": "--at must give law one value, but gives it two",
    "regimes.zarr --x depth --at step_size=small": r"`at\[step_size\]` must be a number, but is 'small'",
    "regimes.zarr --x depth --figure rates": "the store of a sweep is drawn alone and without --figure",
    "regimes.zarr regimes.zarr --x depth": "the store of a sweep is drawn alone and without --figure",
    "run.nc regimes.zarr --x depth": "the store of a sweep is drawn alone and without --figure",
    "run.nc --x depth": r"--x is for the store of a sweep, but '.*run\.nc' is not one",
    "run.nc --y depth": "--y is for the store of a sweep",
    "run.nc --value risk": "--value is for the store of a sweep",
    "run.nc --at depth=1": "--at is for the store of a sweep",
    ". --x depth": "'.' is not a sweep's store",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_does_not_go_together_is_one_line_and_no_file(plot_refuses, saved, line):
    plot_refuses(saved(line), REFUSED[line])
