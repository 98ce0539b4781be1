"""Networks that fit a mixture, in a sweep: the numbers of each are those of the network alone, and of its limit."""

import numpy as np
import pytest
from scipy.special import ndtri

import flowsim as fs
from flowsim.finite.limits import leaky_limit
from flowsim.finite.mixtures import linear_test_error, mixture
from flowsim.finite.neuron_error import neuron_test_error
from flowsim.finite.neurons import neuron_descent
from flowsim.sweeps import KINDS
from flowsim.sweeps.chunk import run_chunk
from flowsim.sweeps.kinds.kind import CODE, FAILURES
from flowsim.sweeps.kinds.mixtures import NUMBERS, TEST_SAMPLES

NAMES = list(NUMBERS)


def found_of(axes, fixed, numbers=None):
    found, reasons = run_chunk(fs.Sweep("mixture", axes, fixed, numbers=numbers or NAMES), 0)
    assert not reasons
    return found


@pytest.mark.parametrize(("noise", "df"), [("gaussian", None), ("student", 5.0), ("polynomial", 5.0)])
def test_a_chunk_holds_what_each_descent_alone_gives(monkeypatch, noise, df):
    # two at a time
    monkeypatch.setattr("flowsim.sweeps.kinds.mixtures.BLOCK", 2 * 12**2)
    axes = {"signal": [0.0, 2.0, 4.0], "label_noise": [0.0, 0.2], "seed": [3, 5]}
    fixed = {"samples": 12, "dim": 60, "noise": noise, "df": df, "slope": 0.4, "steps": 60, "step_size": 0.8, "start_scale": 0.01}
    found = found_of(axes, fixed)
    for i, signal in enumerate(axes["signal"]):
        for j, flips in enumerate(axes["label_noise"]):
            for k, seed in enumerate(axes["seed"]):
                data = mixture(12, 60, signal, noise, df, flips, seed, test=TEST_SAMPLES)
                eta = 0.8 * 12 / (data.x**2).sum(axis=1).mean()
                run = neuron_descent(data, eta, 60, slope=0.4, start_scale=0.01, seed=seed, normalised=True)
                limit = leaky_limit(data, 0.4, 2, 2)
                place = (i, j, k)
                assert found["margin"][place] == pytest.approx(run.margin[0], rel=1e-9)
                assert found["log_loss"][place] == pytest.approx(run.log_loss[0], rel=1e-9)
                assert found["distance_to_limit"][place] == pytest.approx(run.distance(limit.positive, limit.negative)[0], rel=1e-6)
                assert (found["activated"][place], found["settled"][place]) == (run.activated, run.settled)
                if noise == "polynomial":
                    wrong = data.test_y * run.outputs(data.test_x) < 0.0
                    expected = wrong.mean(), np.sqrt(wrong.mean() * (1.0 - wrong.mean()) / TEST_SAMPLES)
                else:
                    expected = neuron_test_error(run.weights[0], run.signs, 0.4, signal, noise, df, seed)
                assert found["test_error"][place] == pytest.approx(expected[0], rel=1e-7)
                assert found["test_error_spread"][place] == pytest.approx(expected[1], rel=1e-4, abs=1e-12)
    assert (found["train_error"] == 0.0).all()
    assert (found["status"] == CODE["ok"]).all()


def test_the_limit_itself_has_the_error_of_its_plane():
    axes = {"signal": [0.0, 3.0], "seed": [0, 1]}
    found = found_of(axes, {"samples": 16, "dim": 80, "slope": 0.2, "method": "limit", "noise": "student", "df": 4.0})
    for i, signal in enumerate(axes["signal"]):
        for seed in axes["seed"]:
            data = mixture(16, 80, signal, "student", 4.0, seed=seed)
            limit = leaky_limit(data, 0.2, 2, 2)
            expected = float(linear_test_error(limit.predictor, signal, "student", 4.0))
            assert found["test_error"][i, seed] == pytest.approx(expected, rel=1e-9)
            # of the network with its kinks, whatever the constraints suppose
            margin = float((data.y * limit.output(data.x)).min()) * limit.margin
            assert found["margin"][i, seed] == pytest.approx(margin, rel=1e-9)
    assert (found["distance_to_limit"] < 1e-15).all()
    assert (found["test_error_spread"] == 0.0).all()
    assert (found["settled"] == -1).all()
    # one scale among many: a direction has no loss
    assert (found["log_loss"] == -np.inf).all()


def test_descent_ends_where_the_limit_is():
    axes = {"method": ["descent", "limit"], "signal": [1.0, 3.0], "seed": [0, 1, 2]}
    found = found_of(axes, {"samples": 20, "dim": 400, "slope": 0.5, "steps": 2000}, ["test_error", "distance_to_limit"])
    assert (found["distance_to_limit"][0] < 1e-6).all()
    np.testing.assert_allclose(ndtri(found["test_error"][0]), ndtri(found["test_error"][1]), rtol=2e-3)


def test_what_is_not_asked_for_is_not_computed(monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr("flowsim.sweeps.kinds.mixtures.multipliers", never)
    found = found_of({"seed": [0]}, {"samples": 12, "dim": 60, "steps": 60}, ["test_error"])
    assert 0.0 < found["test_error"][0] < 0.5


def test_points_that_depend_on_each_other_have_their_limit():
    # in the plane, 30 of them: only two or three are support
    found = found_of({"signal": [8.0], "seed": [0]}, {"samples": 30, "dim": 2, "method": "limit"})
    data = mixture(30, 2, 8.0, seed=0)
    assert found["margin"][0, 0] == pytest.approx(leaky_limit(data, 0.1, 2, 2).margin, rel=1e-9)
    assert found["status"].tolist() == [[CODE["ok"]]]


@pytest.mark.parametrize("method", ["descent", "limit"])
def test_labels_that_no_such_network_fits_are_told_by_the_status(method):
    found = found_of({"seed": [0, 1]}, {"samples": 40, "dim": 2, "signal": 0.5, "method": method, "steps": 50})
    assert found["status"].tolist() == [CODE["not_separated"]] * 2
    assert (found["train_error"] > 0.0).all()
    assert np.isnan(found["distance_to_limit"]).all(), "there is no limit"
    assert np.isnan(found["test_error"]).all() == (method == "limit")
    assert "not_separated" not in FAILURES, "it is what the run came to"


def test_the_map_of_errors_is_the_predicted_one():
    samples, signals = [16, 32, 64], [1.5, 3.0, 6.0]
    axes = {"samples": samples, "signal": signals, "label_noise": [0.0, 0.2], "seed": list(range(9))}
    found = found_of(axes, {"dim": 800, "slope": 0.5, "steps": 200}, ["test_error"])
    median = np.median(found["test_error"], axis=-1)
    n, mu, eps = np.meshgrid(samples, signals, [0.0, 0.2], indexing="ij")
    ratio = ndtri(median) / ndtri(fs.theory.benign_error(n, mu, 800, eps, 0.5))
    # measured: 0.91 to 1.03 with clean labels; the number of flips differs from run to run
    np.testing.assert_allclose(ratio[..., 0], 1.0, atol=0.12)
    np.testing.assert_allclose(ratio[..., 1], 1.0, atol=0.3)


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"width": 3}, "`width` must be even"),
        ({"noise": "student"}, "`df` must be given where `noise` is student"),
        ({"df": 3.0}, "`df` must be left out where `noise` is gaussian"),
        ({"label_noise": 0.5}, r"`label_noise` must be in \[0, 0.5\), but is 0.5"),
        ({"slope": 0.0}, r"`slope` must be above 0"),
        ({"noise": "cauchy"}, "`noise` must be one of gaussian, student, polynomial"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_is_run(fixed, message):
    with pytest.raises(ValueError, match=message):
        fs.Sweep("mixture", {"seed": [0]}, fixed)


def test_it_records_the_test_error_where_nothing_else_is_asked_for():
    assert fs.Sweep("mixture", {"seed": [0]}).numbers == ("test_error",)
    assert not KINDS["mixture"].series
