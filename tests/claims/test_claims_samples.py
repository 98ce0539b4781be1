"""The measurements of the claims about samples, each held against another way to the same numbers."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, stats

import flowsim as fs
from flowsim.claims.claim import judge
from flowsim.claims.samples import chance, claims, crossovers, directions, gradients, margins, separators, sgd
from flowsim.claims.settings import Setting, risk_of
from flowsim.samples import DataSet, EmpiricalRisk, draw, max_margin, sample_flow
from flowsim.theory.paper import FIGURE_1

CLAIMS = {claim.name: claim for claim in claims()}


# --- chance ---


@pytest.mark.parametrize("count", [1, 10, 300])
def test_of_so_many_normal_numbers_one_in_ten_thousand_sets_passes(count: int) -> None:
    assert 2.0 * count * stats.norm.sf(chance.allowed(count)) == pytest.approx(1e-4, rel=1e-12)


def test_deviations_of_a_mean_square_are_as_rare_as_it_is() -> None:
    freedom = 7.0
    for ratio in (0.05, 0.4, 2.0, 6.0):
        p = min(stats.chi2.sf(freedom * ratio, freedom), stats.chi2.cdf(freedom * ratio, freedom))
        assert stats.norm.sf(float(chance.chi_deviations(ratio, freedom))) == pytest.approx(p, rel=1e-9)
    # of many squares the mean is normal, with the variance 2 over their number
    for z in (-3.0, 2.0):
        assert float(chance.chi_deviations(1.0 + z * np.sqrt(2e-8), 1e8)) == pytest.approx(abs(z), rel=2e-3)


def test_slack_forgives_so_much_and_no_more() -> None:
    assert float(chance.chi_deviations(1.05, 1e6, 0.05)) < 1e-3
    assert float(chance.chi_deviations(0.95, 1e6, 0.05)) < 1e-3
    assert float(chance.chi_deviations(1.06, 1e6, 0.05)) == pytest.approx(0.01 / 1.05 * np.sqrt(5e5), rel=1e-2)


@pytest.mark.parametrize(("components", "size"), [(1, 2), (1, 4), (3, 3)])
def test_the_freedom_of_a_mean_square_is_told_by_the_fourth_moment(components: int, size: int) -> None:
    """|mean of Laplace numbers|^2, Monte Carlo: its variance is another than that of normal ones, and the one predicted."""
    draw_ = np.random.default_rng(1)
    rows = draw_.laplace(size=(40_000, size, components))
    squares = (rows.mean(axis=1) ** 2).sum(axis=-1)
    # of one data set: Var/mean^2 = 2/freedom; the standard error of the variance by its own fourth moment
    seen = squares.var() / squares.mean() ** 2
    error = np.sqrt(((squares - squares.mean()) ** 4).mean() - squares.var() ** 2) / np.sqrt(len(squares)) / squares.mean() ** 2
    freedom = chance.freedom_of(rows.reshape(-1, components), 1, size)
    assert 2.0 / freedom == pytest.approx(seen, abs=5.0 * error)
    assert abs(2.0 / components - seen) > 5.0 * error


def test_the_slope_of_a_line_with_its_error() -> None:
    x, error = np.array([0.0, 1.0, 3.0]), np.array([0.1, 0.2, 0.1])
    found = chance.slope(x, 2.0 - 0.5 * x, error)
    fit = np.polyfit(x, 2.0 - 0.5 * x, 1, w=1.0 / error, cov="unscaled")
    assert found == pytest.approx((-0.5, np.sqrt(fit[1][0, 0])), rel=1e-12)


@pytest.mark.parametrize("law", [fs.StudentT(2, 4.0), fs.Radial(3, stats.pareto(3.5))], ids=["student", "pareto"])
def test_laws_without_a_fourth_moment_are_left_out(law: fs.Law) -> None:
    for name in ("empirical-gradient-noise", "sample-direction", "sample-crossover"):
        finding = judge(CLAIMS[name], Setting(laws=law)).finding
        assert finding.verdict == "outside"
        assert "need a fourth moment" in finding.measured
    for fine in (fs.StudentT(2, 4.1), fs.Radial(3, stats.pareto(4.5)), fs.Laplace(2)):
        chance.require_fourth_moment(fine)


# --- gradients ---


def test_means_and_variances_are_those_of_the_empirical_gradients() -> None:
    law, size, sets = fs.Laplace(3), 16, 40
    count = sets * size
    found = gradients.measured(law, 3, 0, count)
    x = law.sample(Setting(seed=3).generator(gradients.STREAM), count)
    w = 10.0 * 0.5 / risk_of(law).pull * np.eye(3)[0]
    each = np.array([EmpiricalRisk(DataSet(part, np.eye(3)[0])).gradient(w) for part in x.reshape(sets, size, 3)])
    along, across = found[10.0, size, "along v"], found[10.0, size, "across"]
    np.testing.assert_allclose([*along.mean, *across.mean], each.mean(axis=0), rtol=1e-12, atol=1e-16)
    np.testing.assert_allclose(along.variance, each[:, 0].var(ddof=1), rtol=1e-12)
    np.testing.assert_allclose(across.variance, each[:, 1:].var(axis=0, ddof=1).mean(), rtol=1e-12)


# --- directions ---


def test_the_direction_of_least_loss_in_the_plane_by_a_search() -> None:
    risk, norm = risk_of(fs.Sphere(2)), 9.0
    sets = [draw(risk, 400, seed) for seed in range(3)]
    u = directions.directions(np.array([data.points for data in sets]), norm, np.eye(2)[0], risk.pull)
    for data, found in zip(sets, u, strict=True):
        loss = EmpiricalRisk(data)
        best = optimize.minimize_scalar(
            lambda phi, loss=loss: float(loss.value(norm * np.array([np.cos(phi), np.sin(phi)]))),
            bounds=(-0.4, 0.4),
            method="bounded",
            options={"xatol": 1e-9},
        )
        # a search by values alone tells the place to the root of their rounding
        assert np.arctan2(found[1], found[0]) == pytest.approx(best.x, abs=2e-7)


def test_at_the_direction_of_least_loss_the_gradient_is_radial() -> None:
    risk, norm = risk_of(fs.Gaussian(6)), 12.0
    data = draw(risk, 2000, 4)
    u = directions.directions(data.points[None], norm, np.eye(6)[0], risk.pull)[0]
    gradient = EmpiricalRisk(data).gradient(norm * u)
    assert np.linalg.norm(gradient - (gradient @ u) * u) < 10.0 * directions.STILL * risk.pull
    assert np.linalg.norm(gradient[1:]) < np.linalg.norm(EmpiricalRisk(data).gradient(norm * np.eye(6)[0])[1:])


def test_a_search_that_does_not_end_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directions, "ROUNDS", 2)
    data = draw(fs.Gaussian(2), 100, 0)
    with pytest.raises(RuntimeError, match="the least loss at norm 5 was not found in 2 steps"):
        directions.directions(data.points[None], 5.0, np.eye(2)[0], 0.4)


def test_angles_are_to_the_first_axis() -> None:
    np.testing.assert_allclose(directions.angles(np.array([[3.0, 0.0, 4.0], [-1.0, 0.0, 0.0]])), [np.arctan2(4.0, 3.0), np.pi])


# --- crossovers ---


def test_the_crossover_of_a_known_departure() -> None:
    """theta = exp(-t), theta_n = exp(-5): twice the square at t = 5, exactly, for the logarithm of the excess is linear."""
    time = np.linspace(1.0, 9.0, 12)
    population = np.exp(-time)
    assert crossovers.crossing(time, population**2 + np.exp(-10.0), population) == pytest.approx(5.0, abs=1e-9)
    # chance may have it below the population's for a while
    square = population**2 + np.where(time < 4.0, -1e-3 * population**2, np.exp(-10.0))
    assert crossovers.crossing(time, square, population) == pytest.approx(5.0, abs=1e-9)
    for wrong in (1e-8 * population**2, 9.0 * population**2):
        with pytest.raises(RuntimeError, match="does not leave the population's between t = 1 and 9"):
            crossovers.crossing(time, population**2 + wrong, population)


def test_the_course_of_two_layers_is_known_exactly() -> None:
    """s = s(0) - c t."""
    law = fs.Gaussian(4, 0.5)
    course, start = crossovers.course(law, 2), crossovers.start_of(risk_of(law))
    log_time = np.linspace(course.x[3], course.x[-5], 50)
    s = float(start.log_tan_half_angle) - risk_of(law).pull * np.exp(log_time)
    np.testing.assert_allclose(course(log_time), np.log(2.0 * np.arctan(np.exp(s))), rtol=1e-6)


def test_the_noise_makes_the_crossover_as_uncertain_as_is_said() -> None:
    """theta = |p + e|, e normal in d - 1 dimensions with E e^2 = p^2: log of (mean theta^2/p^2 - 1), Monte Carlo."""
    rows = np.random.default_rng(2).standard_normal((4000, 20, 9)) / 3.0
    rows[..., 0] += 1.0
    excess = 0.5 * np.log((rows**2).sum(axis=-1).mean(axis=1) - 1.0)
    assert excess.std() == pytest.approx(0.5 * np.sqrt(6.0 / (9 * 20)), rel=0.08)


# --- margins ---


def test_the_time_of_half_the_risk_and_its_error() -> None:
    times = np.exp(np.arange(0.0, 8.0))
    slopes = np.random.default_rng(3).normal(-0.25, 0.02, (400, 40, 1))
    found = np.array([margins.half_time(times, rows * np.log(times)) for rows in slopes])
    assert found[:, 0].mean() == pytest.approx(np.log(2.0) / 0.25, rel=5e-3)
    assert found[:, 0].std() == pytest.approx(found[:, 1].mean(), rel=0.25)
    for wrong in (-0.01, -9.0):
        with pytest.raises(RuntimeError, match="does not fall below half"):
            margins.half_time(times[1:], np.full((3, 7), wrong) * np.log(times[1:]))


def test_the_order_of_the_margins_time_is_the_planes() -> None:
    finding = judge(CLAIMS["sample-margin-crossover"], Setting(laws=fs.Gaussian(3))).finding
    assert finding.verdict == "outside"
    assert "speaks of the plane" in finding.measured


# --- separators ---


def test_where_the_flow_ends_in_closed_form() -> None:
    """Points (1, 1), (1, -1) and one far behind: u = (1, 0), alpha = 1/2 each, exp(-w~_1) = 3/2."""
    late = separators.late_flow(DataSet([[1.0, 1.0], [1.0, -1.0], [9.0, 0.0]], [1.0, 0.0]))
    np.testing.assert_allclose(late.leading, [1.0, 0.0], atol=1e-12)
    np.testing.assert_allclose(late.offset, [-np.log(1.5), 0.0], atol=1e-12)
    np.testing.assert_allclose(late.at(np.array([2.0, 3.0]))[:, 0], np.array([2.0, 3.0]) - np.log(1.5), rtol=1e-12)
    with pytest.raises(ValueError, match="must have 2 samples that hold the margin, but has 1"):
        separators.late_flow(DataSet([[1.0, 0.0], [9.0, 0.0]], [1.0, 0.0]))


def test_where_the_flow_ends_by_another_solver() -> None:
    data = DataSet([[1.0, 0.9], [0.8, -0.5], [3.0, 1.0], [-4.0, 1.0]], [1.0, 0.0], law=fs.Gaussian(2))
    run = sample_flow(data, fs.layers.balanced([0.6, -0.8], 1), [np.exp(40.0)], "radau", 1e-9, observe=("empirical_risk",))
    late = separators.late_flow(data)
    np.testing.assert_allclose(run.last.end_to_end, late.at(np.array(40.0)), rtol=1e-6)
    assert run.observed["empirical_risk"][-1] * np.exp(40.0) == pytest.approx(late.leading @ late.leading, rel=1e-6)


def test_data_sets_are_taken_where_two_samples_hold_the_margin_clearly() -> None:
    sets = [data for data, _ in zip(separators.separable_clearly(fs.Gaussian(2), np.random.default_rng(0), 24), range(5), strict=False)]
    assert len(sets) == 5
    for data in sets:
        found = max_margin(data)
        least = np.sort(data.points @ found.direction)[:3]
        np.testing.assert_allclose(least[:2], found.margin, rtol=1e-9)
        assert least[2] > 1.2 * found.margin


def test_the_exponent_of_a_known_power_and_the_angle_between_vectors() -> None:
    for power in (1.0, 0.9):
        angles = np.arctan(1.0 / (3.0 * separators.LOG_TIMES**power + 7.0))
        assert separators.exponent(angles) == pytest.approx(power, rel=1e-9)
    assert float(separators.angle_between(np.array([1.0, 1.0]), np.array([0.0, 2.0]))) == pytest.approx(np.pi / 4, rel=1e-12)


def test_separators_are_of_one_layer_in_the_plane() -> None:
    for setting, reason in ((Setting(laws=fs.Gaussian(3)), "in the plane"), (Setting(depths=2), "speaks of N = 1")):
        finding = judge(CLAIMS["sample-margin-turn"], setting).finding
        assert finding.verdict == "outside"
        assert reason in finding.measured


@pytest.mark.parametrize("name", ["sample-direction", "sample-crossover", "sample-margin-crossover"])
@pytest.mark.parametrize("shape", [1.0, 0.5])
def test_laws_with_ever_more_small_margins_are_left_out(name: str, shape: float) -> None:
    finding = judge(CLAIMS[name], Setting(laws=fs.Radial(2, stats.gamma(shape)))).finding
    assert finding.verdict == "outside"
    assert "finite at 0" in finding.measured


# --- SGD ---


def test_the_bands_and_the_runs_are_of_the_same_quantities() -> None:
    start = fs.layers.unit_vectors(FIGURE_1.predictor, 4, sgd.WIDTH)
    run = fs.samples.sgd(FIGURE_1.risk, start, 1e-3, [0, 5], 100, 0, FIGURE_1.teacher, observe=())
    seen = sgd.observed(run)
    np.testing.assert_allclose(seen[0], sgd.unsigned(sgd.band(4).mean)[0], rtol=1e-12, atol=1e-12)
    w = run.last.end_to_end
    np.testing.assert_allclose(seen[1], [np.arctan2(abs(w[0]), w[1]), np.log(np.linalg.norm(w))], rtol=1e-12)
    np.testing.assert_array_equal(sgd.unsigned(np.array([[-0.1, -2.0]])), [[0.1, -2.0]])


def test_fluctuations_of_the_wrong_size_are_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """On runs made up of the right ones: a spread that is four times, or a fourth of, what theory says."""
    bands = {n: sgd.band(n) for n in FIGURE_1.depths}
    noise = np.random.default_rng(5).standard_normal((13, 2)), np.random.default_rng(6).standard_normal((sgd.SEEDS, 2))

    def made(depth: int, seed: int, thorough: bool) -> tuple[np.ndarray, np.ndarray]:
        mean, deviation = bands[depth]
        return sgd.unsigned(mean[:13] + deviation[:13] * noise[0]), mean[1] + deviation[1] * noise[1]

    monkeypatch.setattr(sgd, "walked", made)
    claim = CLAIMS["sgd-is-sample-noise-around-descent"]
    for factor, verdict in ((1.0, "holds"), (4.0, "violated"), (0.25, "violated")):
        wrong = replace(claim, theory=lambda depth, factor=factor: bands[depth]._replace(deviation=bands[depth].deviation * factor))
        assert judge(wrong).finding.verdict == verdict
