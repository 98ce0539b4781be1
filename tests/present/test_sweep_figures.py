"""The picture of a sweep: numbers drawn against NumPy's own reductions, what was not run, the words around it, how much is read at once."""

import json
from collections import Counter
from itertools import pairwise
from threading import Lock

import dask.array
import numpy as np
import pytest
import xarray
from dask.callbacks import Callback
from matplotlib.colors import LogNorm, to_hex
from matplotlib.contour import QuadContourSet
from scipy.special import ndtr, ndtri

import flowsim as fs
from flowsim.present import PAGES, plot_regimes, slices, sweep_figure
from flowsim.present.sweep_theory import PHASES, PREDICTED
from flowsim.present.sweeps import COLOURS
from flowsim.sweeps import AXES, CLASSES, RegimeMap, linear, listed, log, random
from flowsim.sweeps.kinds.kind import CODE, STATUS
from flowsim.sweeps.store import FORMAT

NAMES = list(CLASSES)


def dataset(sweep, **values):
    """As `open_sweep` returns it, with these arrays, and the others as before any run; statuses are "ok" where not given."""
    coords = {}
    for name, axis in sweep.axes.items():
        argument = sweep.kind.argument(name)
        array = axis.values.astype(str) if axis.values.dtype == object else axis.values
        coords[name] = (sweep.dim_of(name), array, {"long_name": argument.long_name, "spacing": axis.spacing})
    values = {"status": np.zeros(tuple(sweep.sizes.values())), **values}
    arrays = {name: values.get(name, np.full(v.shape, v.fill)) for name, v in sweep.variables.items()}
    data = {name: (v.dims, _typed(arrays[name], v.dtype), dict(v.attrs)) for name, v in sweep.variables.items()}
    whole = xarray.Dataset(data, coords, {"format": FORMAT, "config": json.dumps(sweep.config())})
    return whole.chunk(dict(zip(sweep.sizes, sweep.grid.shape, strict=True)))


def _typed(array, dtype):
    return array.astype(dtype) if isinstance(array, np.ndarray) else array


def swept(run="map", chunk=40, **options):
    return fs.Sweep(run, chunk=chunk, **options)


@pytest.fixture
def rng():
    return np.random.default_rng(3)


@pytest.fixture
def numbers(rng):
    """Step sizes, depths out of order, angles: the peak sharpness with holes."""
    sweep = swept(
        axes={"step_size": log(0.01, 100.0, 9), "angle": [0.5, 1.0, 1.5, 2.5], "depth": [3, 1, 2]},
        numbers=["peak_sharpness", "first_burst"],
    )
    sharp = rng.normal(size=(9, 4, 3))
    sharp[rng.random(sharp.shape) < 0.2] = np.nan
    sharp[0, :, 1], sharp[1, 0, 0], sharp[2, 1, 2] = np.nan, np.inf, -np.inf
    return dataset(sweep, peak_sharpness=sharp, first_burst=rng.integers(-1, 4, sharp.shape))


def finite(values):
    values = np.asarray(values, dtype=float)
    return values[np.isfinite(values)]


def median_of(values):
    return np.median(finite(values)) if finite(values).size else np.nan


def shown(mesh):
    return np.ma.filled(mesh.get_array().astype(float), np.nan)


def legend_of(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_a_map_shows_the_median_of_the_finite_numbers_in_cells_around_the_values(numbers):
    figure = sweep_figure(numbers, "step_size", "depth", "peak_sharpness")
    ax, bar = figure.axes
    grey, mesh = ax.collections
    values = numbers.peak_sharpness.values
    expected = [[median_of(values[i, :, j]) for i in range(9)] for j in (1, 2, 0)]
    np.testing.assert_allclose(shown(mesh), expected, rtol=1e-14)
    assert 1 <= np.isnan(expected).sum() < 5
    np.testing.assert_array_equal(np.isfinite(shown(grey)), np.isnan(expected))
    assert legend_of(figure) == ["no number"]
    corners = mesh.get_coordinates()
    # values are a factor of 10^(1/2) apart
    np.testing.assert_allclose(corners[0, :, 0], 10.0 ** (np.arange(-2.25, 2.5, 0.5)))
    np.testing.assert_allclose(corners[:, 0, 1], [0.5, 1.5, 2.5, 3.5])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    assert (ax.get_xlabel(), ax.get_ylabel(), bar.get_ylabel()) == (r"step size  $\eta$", r"depth  $N$", r"largest sharpness  $\sigma$")
    assert ax.get_title() == "median over angle"
    figure.draw_without_rendering()
    assert all(float(tick).is_integer() for tick in ax.get_yticks())


def test_a_map_can_have_its_axes_either_way_round(numbers):
    one, other = (
        sweep_figure(numbers, x, y, "peak_sharpness").axes[0].collections[-1] for x, y in (("angle", "step_size"), ("step_size", "angle"))
    )
    np.testing.assert_array_equal(shown(one), shown(other).T)


def test_a_line_is_the_median_in_the_band_of_two_thirds(numbers):
    ax = sweep_figure(numbers, "step_size", value="peak_sharpness").axes[0]
    values = numbers.peak_sharpness.values
    (line,) = ax.get_lines()
    np.testing.assert_allclose(line.get_xdata(), numbers.step_size)
    np.testing.assert_allclose(line.get_ydata(), [median_of(row) for row in values], rtol=1e-14)
    band = ax.collections[0].get_paths()[0].vertices
    for level in (16, 84):
        for eta, row in zip(numbers.step_size.values, values, strict=True):
            edge = [np.isclose(x, eta) & np.isclose(y, np.percentile(finite(row), level), rtol=1e-13) for x, y in band]
            assert any(edge), (level, eta)
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "linear")
    assert ax.get_title() == "median and 16 to 84 % over angle, depth"


@pytest.mark.parametrize("count", [1, 2, 3, 50])
def test_quantiles_are_those_of_numpy(rng, count):
    values = rng.normal(size=(4, 3, count))
    values[0, 0] = np.nan
    values[1, :, : count // 2] = np.nan
    expected = np.full((3, 4, 3), np.nan)
    for i, j in np.ndindex(4, 3):
        if finite(values[i, j]).size:
            expected[:, i, j] = np.quantile(finite(values[i, j]), [0.16, 0.5, 0.84])
    np.testing.assert_allclose(slices.quantiles(values.copy()), expected, rtol=1e-13)


def test_whole_numbers_below_zero_stand_for_none(numbers):
    mesh = sweep_figure(numbers, "step_size", "angle", "first_burst").axes[0].collections[-1]
    values = numbers.first_burst.values
    expected = [[median_of(values[i, j][values[i, j] >= 0]) for i in range(9)] for j in range(4)]
    assert (values < 0).any()
    np.testing.assert_array_equal(shown(mesh), expected)


def test_positive_numbers_over_many_decades_have_a_logarithmic_scale():
    sweep = swept(axes={"step_size": [0.1, 0.2], "depth": [1, 2]}, numbers=["peak_sharpness"])
    for last, scale in ((2e3, True), (5e2, False)):
        data = dataset(sweep, peak_sharpness=np.array([[1.0, 2.0], [3.0, last]]))
        assert isinstance(sweep_figure(data, "step_size", "depth").axes[0].collections[0].norm, LogNorm) == scale
    data = dataset(sweep, peak_sharpness=np.array([[-1.0, 2.0], [3.0, 2e3]]))
    assert not isinstance(sweep_figure(data, "step_size", "depth").axes[0].collections[0].norm, LogNorm)
    data = dataset(sweep, peak_sharpness=np.array([[1.0, 1.0], [1e4, 1e4]]))
    assert sweep_figure(data, "step_size").axes[0].get_yscale() == "log"


@pytest.fixture
def classes(rng):
    """Regimes over step size, depth and norm, with a corner that was not run, and two runs that could not be."""
    sweep = swept(axes={"step_size": log(0.1, 100.0, 6), "depth": [1, 2, 3], "norm": [0.1, 1.0, 10.0, 20.0, 30.0]}, fixed={"steps": 1000})
    code, status = rng.integers(0, 3, (6, 3, 5)), np.zeros((6, 3, 5), dtype=int)
    status[4:, 2], status[3, 2, :2], status[0, 0, 0], status[2, 1] = -1, -1, CODE["refused"], CODE["crashed"]
    return dataset(sweep, regime=np.where(status == 0, code, -1), status=status)


def most_frequent(codes):
    """Of equals, the first."""
    found = Counter(codes)
    return min(found, key=lambda code: (-found[code], code))


def test_a_map_of_classes_shows_the_most_frequent_and_what_there_is_none_of(classes):
    figure = sweep_figure(classes, "step_size", "depth")
    figure.draw_without_rendering()
    ax = figure.axes[0]
    mesh = ax.collections[0]
    cells = mesh.get_array()
    colours = np.array([to_hex(colour) for colour in mesh.to_rgba(cells).reshape(-1, 4)]).reshape(3, 6)
    for i, j in np.ndindex(6, 3):
        done = [int(code) for code in classes.regime.values[i, j] if code >= 0]
        assert bool(cells.mask[j, i]) == (j == 2 and i >= 4)
        if done:
            assert colours[j, i] == COLOURS[NAMES[most_frequent(done)]].lower()
        elif not cells.mask[j, i]:
            assert (i, j, colours[j, i]) == (2, 1, "#4d4d4d")
    assert ax.patch.get_hatch() == "/////"
    assert ax.get_title() == "most frequent over norm; 12 runs not run yet"
    assert legend_of(figure) == ["follows the flow", "converges otherwise", "catapult", "not run yet", "could not be run"]


def test_statuses_have_names_and_colours_of_their_own(classes):
    figure = sweep_figure(classes, "step_size", "depth", "status", at={"norm": 0.1})
    mesh = figure.axes[0].collections[0]
    assert legend_of(figure) == ["ok", "refused", "crashed", "not run yet"]
    assert to_hex(mesh.to_rgba(mesh.get_array())[0, 0]) == COLOURS["refused"].lower()
    assert figure.axes[0].get_title() == "norm = 0.1; 3 runs not run yet"
    assert set(COLOURS) == {*STATUS, *CLASSES} - {"pending"}
    assert len({COLOURS[name] for name in STATUS if name != "pending"}) == len(STATUS) - 1


def test_over_one_axis_classes_are_shares_that_add_up_to_one(classes):
    figure = sweep_figure(classes, "step_size")
    ax = figure.axes[0]
    codes, status = classes.regime.values.reshape(6, -1), classes.status.values.reshape(6, -1)
    parts = [codes == 0, codes == 1, codes == 2, status == -1, (codes == -1) & (status > 0)]
    bottom = np.zeros(6)
    for area, part in zip(ax.collections, parts, strict=True):
        # a step for each value, told by the height in the middle of it
        vertices = np.round(area.get_paths()[0].vertices, 12)
        top = bottom + part.mean(axis=1)
        left = np.round(10.0 ** (-1.0 + 0.6 * (np.arange(6) - 0.5)), 12)
        for x, low, high in zip(left, bottom, top, strict=True):
            heights = vertices[np.isclose(vertices[:, 0], x), 1]
            assert np.isclose(heights, low).any()
            assert np.isclose(heights, high).any()
        bottom = top
    np.testing.assert_allclose(bottom, 1.0)
    assert ax.get_ylim() == (0.0, 1.0)
    assert legend_of(figure) == ["follows the flow", "converges otherwise", "catapult", "not run yet", "could not be run"]


def test_runs_that_share_a_value_are_taken_together():
    sweep = swept("descent", axes={"norm": listed([2.0, 1.0, 2.0, 1.0], along="case")}, numbers=["first_burst"])
    data = dataset(sweep, status=np.array([0, 0, CODE["burst"], 0]))
    ax = sweep_figure(data, "norm", value="status").axes[0]
    burst = ax.collections[1].get_paths()[0].vertices
    # only at norm 2, and half of those
    assert set(np.round(burst[burst[:, 0] > 1.6, 1], 12)) == {0.5, 1.0}
    assert set(burst[burst[:, 0] < 1.4, 1]) == {1.0}


def lines_of(ax):
    return [line for line in ax.get_lines() if line.get_color() == "black"]


@pytest.mark.parametrize("y", AXES)
def test_a_map_of_regimes_has_the_boundaries_of_a_regime_map(y):
    axes = {"angle": [0.5, 2.5], "norm": [0.5, 5.0, 50.0], "depth": [1, 2]}
    picked = {"angle": 0.5, "norm": 5.0, "depth": 2}
    sweep = swept(axes={"law": ["gaussian", "sphere"], "step_size": log(0.1, 100.0, 6), **axes}, fixed={"steps": 1000, "dim": 3})
    data = dataset(sweep, regime=np.zeros(tuple(sweep.sizes.values()), dtype=int))
    at = {"law": "sphere", **{name: value for name, value in picked.items() if name != y}}
    figure = sweep_figure(data, "step_size", y, at=at)
    shape = (len(axes[y]), 6)
    chart = RegimeMap(
        y,
        np.array(axes[y], dtype=float),
        sweep.axes["step_size"].values,
        np.zeros(shape, dtype=int),
        np.full(shape, -1),
        *(np.zeros(shape) for _ in range(4)),
        fs.PopulationRisk(fs.Sphere(dim=3)),
        fs.Start(5.0, 0.5),
        2,
        1000,
    )
    drawn, known = lines_of(figure.axes[0]), lines_of(plot_regimes(chart))
    assert len(drawn) == len(known) > 0
    for one, other in zip(drawn, known, strict=True):
        # rows of a listed axis of a factor of 100 are logarithmic, as those of norms always are
        np.testing.assert_allclose(one.get_xydata(), other.get_xydata())
    assert legend_of(figure)[0] == "follows the flow"
    assert len(legend_of(figure)) == 1 + len(known)
    # where something is reduced, there is no one theory
    assert not lines_of(sweep_figure(data, "step_size", y, at={"law": "sphere"}).axes[0])
    assert not lines_of(sweep_figure(data, "step_size", y, "status", at=at).axes[0])


@pytest.fixture
def errors():
    """The test error on mixtures: 0, some beyond chance, many decades, none where it could not be run."""
    axes = {"samples": log(16, 256, 6), "signal": log(0.5, 10.0, 5), "label_noise": [0.1, 0.0], "seed": [0, 1, 2]}
    sweep = swept("mixture", axes=axes, fixed={"dim": 500, "slope": 0.3}, numbers=["test_error", "margin"])
    shape = tuple(sweep.sizes.values())
    n, mu = sweep.axes["samples"].values, sweep.axes["signal"].values
    eps = np.array([0.1, 0.0])
    values = np.broadcast_to(fs.theory.benign_error(n[:, None, None], mu[:, None], 500, eps, 0.3)[..., None], shape).copy()
    values[0, 0], values[5, 4, 1] = 0.52, 0.0
    return dataset(sweep, test_error=values, margin=np.ones(shape))


def test_a_test_error_has_a_scale_that_is_even_in_the_quantile(errors):
    figure = sweep_figure(errors, "samples", "signal", at={"label_noise": 0.0})
    figure.draw_without_rendering()
    ax, bar = figure.axes
    mesh = next(one for one in ax.collections if hasattr(one, "get_coordinates"))
    np.testing.assert_allclose(shown(mesh), errors.test_error.values[:, :, 1].mean(axis=-1).T)
    norm = mesh.norm
    assert (norm.vmin, norm.vmax) == (1e-8, 0.5)
    places = norm([1e-8, ndtr(0.5 * ndtri(1e-8)), 0.5])
    np.testing.assert_allclose(places, [0.0, 0.5, 1.0], atol=1e-12)
    # what is beyond the ends has their colours: it is not left out
    colours = mesh.to_rgba(np.array([0.0, 1e-8, 0.5, 0.52]))
    np.testing.assert_array_equal(colours[0], colours[1])
    np.testing.assert_array_equal(colours[3], colours[2])
    assert [text.get_text() for text in bar.get_yticklabels()] == [
        *(rf"$10^{{-{k}}}$" for k in (8, 6, 4, 3, 2)),
        "0.1",
        "0.3",
        "0.5",
    ][:: 1 if bar.get_yticks()[0] < bar.get_yticks()[-1] else -1]
    assert bar.get_ylabel() == "test error"
    # near chance only, the scale ends where they do
    few = sweep_figure(errors.isel(signal=slice(0, 2)), "samples", "signal", at={"label_noise": 0.0})
    norm = next(one for one in few.axes[0].collections if hasattr(one, "get_coordinates")).norm
    assert norm.vmin == errors.test_error.values[:, :2, 1].min()


@pytest.mark.parametrize("turned", [False, True])
def test_a_map_of_test_errors_has_the_boundaries_and_the_error_of_theory(errors, turned):
    names = ("signal", "samples") if turned else ("samples", "signal")
    figure = sweep_figure(errors, *names, at={"label_noise": 0.1})
    ax = figure.axes[0]
    drawn = [line.get_xydata()[:, ::-1] if turned else line.get_xydata() for line in lines_of(ax)]
    for line, expected in zip(drawn, fs.theory.benign_boundaries(drawn[0][:, 0].astype(int), 500), strict=True):
        np.testing.assert_allclose(line[:, 1], expected)
        assert line[0, 0] <= 16.0
        assert line[-1, 0] >= 256.0
    contours = next(one for one in ax.collections if isinstance(one, QuadContourSet))
    for level, path in zip(contours.levels, contours.get_paths(), strict=True):
        inner = path.vertices[1:-1][:: max(len(path.vertices) // 20, 1)]
        for n, mu in inner[:, ::-1] if turned else inner:
            around = [float(fs.theory.benign_error(k, mu, 500, 0.1, 0.3)) for k in (int(np.floor(n)), int(np.ceil(n)))]
            # straight between whole n and between 400 values of |mu|
            assert ndtri(level) == pytest.approx(float(np.mean(ndtri(around))), abs=0.05)
    assert legend_of(figure) == [*PHASES, PREDICTED]


def test_where_theory_has_nothing_to_say_there_are_no_lines(errors):
    # two noises in one cell, another quantity, another axis, a line
    for options in ({}, {"value": "margin", "at": {"label_noise": 0.0}}, {"y": "seed"}, {"y": None}):
        figure = sweep_figure(errors, "samples", **{"y": "signal", **options})
        assert not lines_of(figure.axes[0])
        assert not legend_of(figure)


def test_panels_stand_beside_each_other_on_one_scale(errors):
    figure = sweep_figure(errors, "samples", "signal", panels="label_noise")
    left, right, bar = figure.axes
    meshes = [next(one for one in ax.collections if hasattr(one, "get_coordinates")) for ax in (left, right)]
    for j, (ax, mesh, name) in enumerate(zip((left, right), meshes, ("0", "0.1"), strict=True)):
        # in increasing order, as axes are
        np.testing.assert_allclose(shown(mesh), np.median(errors.test_error.values[:, :, 1 - j], axis=-1).T)
        assert ax.get_title() == f"median over seed; label_noise = {name}"
    assert meshes[0].norm is meshes[1].norm
    assert (left.get_ylabel(), right.get_ylabel(), bar.get_ylabel()) == (r"signal  $|\mu|$", "", "test error")
    assert len(legend_of(figure)) == 3, "each name once"


def test_panels_of_classes_share_a_legend_in_its_own_order(classes):
    # the first panel waits, and only the last one crashed
    data = classes.assign(status=classes.status.roll(depth=1, roll_coords=False))
    figure = sweep_figure(data, "step_size", "norm", "status", panels="depth")
    assert [ax.get_title() for ax in figure.axes] == ["depth = 1;\n12 runs not run yet", "depth = 2", "depth = 3"]
    assert legend_of(figure) == ["ok", "refused", "crashed", "not run yet"]


PANELS_REFUSED = {
    "unknown": ({"panels": "dept"}, "`panels` must be one of .*; did you mean 'depth'"),
    "line": ({"panels": "depth", "y": None}, "`panels` must be left out where there is no `y`"),
    "drawn": ({"panels": "norm"}, "`panels` must be an axis that is not drawn, .* at most 4 values, but is 'norm'"),
    "many": ({"panels": "norm", "y": "depth"}, "`panels` must be an axis that is not drawn, .* at most 4 values, but is 'norm'"),
    "picked": ({"panels": "depth", "at": {"depth": 1}}, "`panels` must not be an axis that `at` picks along, but is 'depth'"),
}


@pytest.mark.parametrize("case", PANELS_REFUSED)
def test_bad_panels_are_refused(classes, case):
    given, message = PANELS_REFUSED[case]
    with pytest.raises(ValueError, match=message):
        sweep_figure(classes, **{"x": "step_size", "y": "norm", **given})


@pytest.fixture
def paths(rng):
    """Flows with a series, over laws, starts in pairs, depths, and an axis of a single value."""
    sweep = swept(
        "flow",
        axes={
            "law": ["gaussian", "sphere"],
            "norm": listed([3.0, 1.0, 2.0], along="case"),
            "angle": listed([0.1, 0.2, 3.0], along="case"),
            "depth": [1, 2],
            "label_noise": [0.1],
        },
        fixed={"dim": 3, "time_last": 10.0, "records": 5},
        series=["log_norm"],
        final=["risk"],
    )
    shape = tuple(sweep.sizes.values())
    return dataset(sweep, log_norm=rng.normal(size=(*shape, 5)), final_risk=rng.random(shape))


def test_a_series_is_taken_at_its_last_record(paths):
    figure = sweep_figure(paths, "law", "depth", "log_norm")
    mesh = figure.axes[0].collections[0]
    np.testing.assert_allclose(shown(mesh), np.median(paths.log_norm.values[..., 0, -1], axis=1).T)
    assert figure.axes[1].get_ylabel() == r"$\log\,|w|$, last record"
    assert figure.axes[0].get_title() == "median over case; label_noise = 0.1"
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["gaussian", "sphere"]


def test_axes_along_one_dimension_are_points(paths):
    ax = sweep_figure(paths, "norm", at={"law": "sphere"}).axes[0]
    (points,) = ax.get_lines()
    assert points.get_linestyle() == "None"
    np.testing.assert_array_equal(points.get_xdata(), [1.0, 2.0, 3.0])
    np.testing.assert_allclose(points.get_ydata(), np.median(paths.final_risk.values[1, :, :, 0], axis=1)[[1, 2, 0]])
    (bars,) = ax.collections
    np.testing.assert_allclose(
        [bar[:, 1] for bar in bars.get_segments()], np.quantile(paths.final_risk.values[1, [1, 2, 0], :, 0], [0.16, 0.84], axis=1).T
    )
    assert ax.get_title() == "median and 16 to 84 % over depth; law = sphere, label_noise = 0.1"


def test_what_is_picked_is_nearest_in_log_on_a_logarithmic_axis_and_of_one_dimension_only(paths, numbers):
    data = numbers.sel(step_size=numbers.step_size[[0, 4]])
    # 0.01 and 1: the middle is 0.1, not 0.5
    for wanted, told in ((0.11, 1), (0.09, 0.01)):
        ax = sweep_figure(data, "angle", value="peak_sharpness", at={"step_size": wanted, "depth": 3}).axes[0]
        assert ax.get_title() == f"step_size = {told}, depth = 3"
        column = data.peak_sharpness.values[list(data.step_size.values).index(told), :, 0]
        np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), np.where(np.isfinite(column), column, np.nan))
    assert sweep_figure(paths, "depth", at={"angle": 2.9}).axes[0].get_title().endswith("angle = 3, label_noise = 0.1")


def test_a_flag_is_a_name():
    sweep = swept("descent", axes={"stop_at_burst": [True, False], "step_size": [0.1, 1.0]}, final=["risk"])
    data = dataset(sweep, final_risk=np.array([[1.0, 2.0], [3.0, 4.0]]))
    figure = sweep_figure(data, "stop_at_burst", "step_size")
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["true", "false"]
    line = sweep_figure(data, "step_size", at={"stop_at_burst": False}).axes[0].get_lines()[0]
    np.testing.assert_array_equal(line.get_ydata(), [3.0, 4.0])


@pytest.mark.parametrize(
    ("axis", "scale"),
    [
        (listed([2, 10, 100]), "log"),
        (listed([2, 10, 50]), "linear"),
        (listed([2, 41, 80]), "linear"),
        (log(2, 10, 3), "log"),
        (linear(2, 200, 3), "linear"),
        (random(2, 2000, 9, log=True), "log"),
        (random(2, 2000, 9), "linear"),
    ],
)
def test_the_scale_of_an_axis_is_that_of_its_spacing(axis, scale):
    sweep = swept("flow", axes={"dim": axis}, final=["risk"])
    data = dataset(sweep, final_risk=np.ones(sweep.sizes["dim"]))
    assert sweep_figure(data, "dim").axes[0].get_xscale() == scale


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("y", [None, "depth"])
def test_nothing_lies_on_anything_else(classes, page, y):
    figure = sweep_figure(classes, "step_size", y, page=page)
    figure.draw_without_rendering()
    ax, (legend,) = figure.axes[0], figure.legends
    assert figure.get_figwidth() == PAGES[page].width
    title, words = ax.title.get_window_extent(), legend.get_window_extent()
    assert not words.overlaps(title)
    assert not words.overlaps(ax.get_window_extent())
    for box in (title, words, ax.get_tightbbox()):
        assert figure.bbox.x0 - 1.0 <= box.x0
        assert box.x1 <= figure.bbox.x1 + 1.0
        assert box.y1 <= figure.bbox.y1 + 1.0
    assert ax.get_window_extent().height > 0.35 * figure.bbox.height


@pytest.mark.parametrize("filled", [0.0, np.nan])
def test_a_single_cell_and_one_without_numbers_can_be_drawn(filled):
    sweep = swept(axes={"step_size": [0.1], "angle": [1.5]}, numbers=["peak_sharpness"])
    data = dataset(sweep, peak_sharpness=np.full((1, 1), filled))
    for y in (None, "angle"):
        figure = sweep_figure(data, "step_size", y)
        figure.draw_without_rendering()
        assert len(figure.axes) == (2 if y and filled == 0.0 else 1)
    data = dataset(sweep, status=np.full((1, 1), -1))
    figure = sweep_figure(data, "step_size", "angle")
    assert legend_of(figure) == ["not run yet"]
    assert figure.axes[0].get_title() == "1 run not run yet"


class Recorder:
    """An array that can be asked for parts of itself, and keeps how large they were."""

    def __init__(self, values):
        self.values, self.shape, self.dtype, self.ndim = values, values.shape, values.dtype, values.ndim
        self.lock, self.parts = Lock(), []

    def __getitem__(self, key):
        part = self.values[key].copy()
        # dask asks for nothing once, to see of what type it is
        if part.size:
            with self.lock:
                self.parts.append(part.size)
        return part


@pytest.mark.parametrize(
    ("y", "chunk", "whole"),
    [
        (None, (10, 10, 10), True),
        (None, (3, 40, 50), True),
        (None, (60, 5, 5), False),
        ("angle", (10, 10, 10), True),
        ("angle", (60, 3, 5), True),
        ("angle", (3, 40, 1), True),
        ("angle", (60, 40, 50), False),
    ],
)
def test_no_array_is_ever_loaded_whole(monkeypatch, rng, y, chunk, whole):
    """One computation asks for no more than the limit; chunks are read whole where they fit, with all that is reduced, and once."""
    sweep = fs.Sweep(
        "flow",
        axes={"norm": log(0.1, 10.0, 60), "angle": linear(0.1, 3.0, 40), "dim": list(range(2, 52))},
        fixed={"time_last": 10.0},
        final=["risk"],
    )
    values = rng.random((60, 40, 50))
    source = Recorder(values)
    data = dataset(sweep)
    data["final_risk"] = data.final_risk.copy(data=dask.array.from_array(source, chunks=chunk))
    limit = 10_000 if y else 20_000
    monkeypatch.setattr(slices, "LARGEST", 8 * limit)
    starts = []
    with Callback(start=lambda _: starts.append(len(source.parts))):
        ax = sweep_figure(data, "norm", y).axes[0]
    cuts = [*starts, len(source.parts)]
    sizes = [sum(source.parts[i:j]) for i, j in pairwise(cuts)]
    assert max(sizes) <= limit < values.size
    assert sum(sizes) == values.size
    if whole:
        assert len(source.parts) == np.prod([-(-side // part) for side, part in zip(values.shape, chunk, strict=True)])
    if y:
        np.testing.assert_allclose(shown(ax.collections[0]), np.median(values, axis=2).T, rtol=1e-14)
    else:
        np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), np.median(values.reshape(60, -1), axis=1), rtol=1e-14)


@pytest.mark.parametrize("most", [1, 3, 4, 7, 100])
def test_cuts_cover_all_and_keep_chunks_whole_where_they_fit(most):
    for chunks in ((4, 4, 4, 1), (1,) * 9, (10,), (3, 9)):
        parts = list(slices._cuts(chunks, most))
        assert [part.start for part in parts] == [0, *(part.stop for part in parts[:-1])]
        assert parts[-1].stop == sum(chunks)
        assert max(part.stop - part.start for part in parts) <= most
        if most >= max(chunks):
            assert {part.stop for part in parts} <= set(np.cumsum(chunks).tolist())


REFUSED = {
    "x": ({"x": "step_sice"}, "`x` must be one of step_size, depth, norm, but is 'step_sice'; did you mean 'step_size'"),
    "y": ({"y": "dept"}, "`y` must be one of .*; did you mean 'depth'"),
    "same": ({"y": "step_size"}, "`y` must be another axis than `x`, but both are 'step_size'"),
    "value": ({"value": "regimes"}, "`value` must be one of .*; did you mean 'regime'"),
    "at": ({"at": {"nrm": 1.0}}, "`at` must be one of .*; did you mean 'norm'"),
    "drawn": ({"at": {"step_size": 1.0}}, "`at` must not pick along 'step_size', which is drawn"),
    "number": ({"at": {"depth": "two"}}, r"`at\[depth\]` must be a number, but is 'two'"),
    "positive": ({"at": {"norm": -1.0}}, r"`at\[norm\]` must be positive and finite, but is -1"),
    "mapping": ({"at": ["norm"]}, "`at` must hold values by the names of axes"),
    "page": ({"page": "icml"}, "`page` must be one of neurips, .*; did you mean"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_arguments_are_refused_by_name(classes, case):
    given, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        sweep_figure(classes, **{"x": "step_size", **given})


def test_what_is_no_plane_or_no_sweep_is_refused(paths, classes):
    with pytest.raises(ValueError, match="`x` of a map must have a dimension of its own, but 'norm' lies along 'case'; leave out `y`"):
        sweep_figure(paths, "norm", "depth")
    with pytest.raises(ValueError, match="`y` of a map must have a dimension of its own, but 'angle' lies along 'case'"):
        sweep_figure(paths, "depth", "angle")
    with pytest.raises(ValueError, match="`at` must not pick along 'norm', which is drawn, but names 'angle'"):
        sweep_figure(paths, "norm", at={"angle": 0.1})
    with pytest.raises(ValueError, match="`at` must name one axis along 'case', but names 'angle'"):
        sweep_figure(paths, "depth", at={"norm": 1.0, "angle": 0.1})
    with pytest.raises(ValueError, match=r"`at\[law\]` must be one of gaussian, sphere, but is 'spher'; did you mean 'sphere'"):
        sweep_figure(paths, "depth", at={"law": "spher"})
    for data in (classes.regime, classes.assign_attrs(format="flowsim run 4"), None):
        with pytest.raises(ValueError, match="`data` must be the dataset of a sweep"):
            sweep_figure(data, "step_size")
    layers = swept("layer-flow", axes={"seed": [0, 1]}, fixed={"depth": 3, "time_last": 10.0}, final=["risk", "layer_norm"])
    with pytest.raises(ValueError, match="`value` must be one number a run, but 'final_layer_norm' has one for each layer"):
        sweep_figure(dataset(layers), "seed", value="final_layer_norm")
