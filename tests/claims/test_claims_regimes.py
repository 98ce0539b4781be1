"""The regimes of descent: what their claims are measured with, and the settings they do and do not speak of."""

import numpy as np
import pytest
from scipy import stats

import flowsim as fs
from flowsim.claims import Setting, Verdict, judge
from flowsim.claims.regimes.bursts import collapse, growth_in_a_burst, next_burst
from flowsim.claims.regimes.edge import claims, edge_step
from flowsim.claims.regimes.one_layer import late_gap
from flowsim.claims.regimes.two_layer_swings import near_the_edge, peaks_of, swing_law
from flowsim.claims.regimes.two_layers import Swings, even_in_root, held
from flowsim.claims.units import step_size_for, unit_norm, unit_step_size
from flowsim.theory import edge, two_layer_edge

CLAIMS = {claim.name: claim for claim in claims()}
SINGULAR, LOGARITHMIC = fs.Radial(3, stats.gamma(0.5)), fs.Radial(2, stats.expon())
GAUSSIAN = fs.PopulationRisk(fs.Gaussian(2))


def verdict(name: str, control: bool = False, **setting: object) -> Verdict:
    return judge(CLAIMS[name], Setting(**setting), control)


# --- a burst without growth ---


def test_a_burst_ends_below_two_and_the_deeper_the_network_the_lower() -> None:
    for depth, low, high in ((3, 1.41, 1.42), (4, 0.86, 0.87), (6, 0.33, 0.38)):
        sigma = {3: 2.5116, 4: 2.9136, 6: 3.389}[depth]
        after = collapse(sigma, depth)
        assert low < after.sharpness.min() <= after.sharpness.max() < high
        # the part across v takes from a and gives to z
        assert (after.layer < 1.0).all()
        assert (after.first > after.layer).all()
        np.testing.assert_allclose(after.norm, after.layer ** (depth - 1) * after.first)


def test_a_shallow_burst_is_a_swing_about_two() -> None:
    """To leading order in sigma - 2 the swing is even: it ends as far below 2 as it began above."""
    for excess in (0.02, 0.05):
        after = collapse(2.0 + excess, 3)
        assert 2.0 - after.sharpness.mean() == pytest.approx(excess, rel=0.1)


def test_the_collapse_is_that_of_descent_where_nothing_grows() -> None:
    """A run of flowsim's own at so large a norm that h is below 1e-10, on its way into and out of one burst."""
    depth, norm = 4, 1e6
    eta = step_size_for(GAUSSIAN, depth, 2.9, norm)
    start = fs.Start(norm * unit_norm(GAUSSIAN), 1e-6)
    run = fs.gradient_descent(GAUSSIAN, start, eta, np.arange(120), depth, "exact")
    assert run.sharpness[0] == pytest.approx(2.9, rel=1e-6)
    last = int(np.flatnonzero((run.sharpness < 2.0) & (run.angle < 1e-7))[0])
    after = collapse(2.9, depth)
    assert after.sharpness.min() * 0.999 < run.sharpness[last] < after.sharpness.max() * 1.001
    assert after.norm.min() * 0.999 < run.norm[last] / run.norm[0] < after.norm.max() * 1.001


def test_a_burst_that_does_not_come_back_has_no_end() -> None:
    assert np.isnan(collapse(5.0, 10).norm).any()
    found = verdict("first-burst-collapse", laws=SINGULAR, depths=[10])
    assert found.finding.verdict == "outside"
    assert "speaks of bursts that end" in found.finding.measured


@pytest.mark.parametrize(("depth", "sigma"), [(3, 2.5), (6, 3.2)])
def test_between_bursts_the_logarithms_add_up_to_nothing(depth: int, sigma: float) -> None:
    """By a plain sum over steps of the aligned map, from where a collapse leaves the layers: sigma above 1 at N = 3, below at N = 6."""
    norm, eta = 30.0 * unit_norm(GAUSSIAN), step_size_for(GAUSSIAN, depth, sigma, 30.0)
    after = collapse(sigma, depth)
    assert bool(after.sharpness[0] > 1.0) is (depth == 3)
    steps = next_burst(GAUSSIAN, depth, eta, norm, after)[0]
    size = norm ** (1.0 / depth)
    a, z, total, sums = size * after.layer[0], size * after.first[0], 0.0, []
    c = GAUSSIAN.pull
    for _ in range(int(1.1 * steps) + 50):
        h = float(GAUSSIAN.growth(a ** (depth - 1) * z))
        total += np.log(abs(1.0 - eta * (c - h) * a ** (depth - 1) / z))
        a, z = a + eta * a ** (depth - 2) * z * h, z + eta * a ** (depth - 1) * h
        sums.append(total)
    lowest = int(np.argmin(sums))
    back = lowest + int(np.flatnonzero(np.array(sums[lowest:]) > 0.0)[0])
    # a sum is its integral up to a few steps
    assert steps == pytest.approx(back, abs=8)
    assert growth_in_a_burst(GAUSSIAN, depth, sigma, norm) > growth_in_a_burst(GAUSSIAN, depth, sigma, 10.0 * norm)


# --- predictions written here ---


def test_the_edge_is_reached_where_single_steps_reach_it() -> None:
    """A plain loop over the aligned map: the crossing between two steps, to a tenth of one."""
    depth, start = 3, unit_norm(GAUSSIAN)
    eta = step_size_for(GAUSSIAN, depth, 2.0, 30.0)
    a, sigma = start ** (1.0 / depth), [0.0]
    while sigma[-1] < 2.0:
        h = float(GAUSSIAN.growth(a**depth))
        sigma.append(eta * (GAUSSIAN.pull - h) * a ** (depth - 2))
        a += eta * a ** (depth - 1) * h
    steps = len(sigma) - 2
    found = steps - 1 + (2.0 - sigma[-2]) / (sigma[-1] - sigma[-2])
    assert edge_step(GAUSSIAN, depth, eta, start) == pytest.approx(found, abs=0.1)
    assert abs(edge(GAUSSIAN, depth, eta, start).step - found) > 1.0


def test_the_late_gap_is_a_sum_of_squares_over_a_sum() -> None:
    """sigma = eta c/r over r ~ k^(1/(a+2)): sum sigma^2/2 over sum sigma by integrals, at the last step."""
    for a in (1.0, 0.5):
        p = 1.0 / (a + 2.0)
        expected = 0.5 * (1.0 / (1.0 - 2.0 * p)) / (1.0 / (1.0 - p))
        assert late_gap(a, 1.0) == pytest.approx(expected, rel=1e-12)


def test_small_swings_obey_their_equation() -> None:
    law = swing_law(GAUSSIAN, 3.0 / GAUSSIAN.pull)
    m = 2.25
    # the phase is the integral of 2 sqrt(G) dk, G = (m^2-1)/(8 m k)
    assert law.phase_rate == pytest.approx(4.0 * np.sqrt((m * m - 1.0) / (8.0 * m)))
    assert law.growth == pytest.approx((m - 1.0 / m) / 8.0)


# --- runs at the edge ---


def test_swings_are_cut_where_sigma_rises_through_two() -> None:
    swings = held(GAUSSIAN, 2.2, 0.3, 40_000)
    assert swings.sharpness[0] <= 2.0 < swings.sharpness[1]
    assert swings.sharpness[-1] <= 2.0
    inner = swings.rises[1:-1]
    assert (swings.sharpness[inner] <= 2.0).all()
    assert (swings.sharpness[inner + 1] > 2.0).all()
    assert swings.mean(np.ones(swings.step.size)) == pytest.approx(1.0)
    assert swings.mean(swings.ratio) == pytest.approx(2.0 / 2.2, rel=1e-4)


def test_a_run_that_does_not_swing_is_an_error_and_no_number() -> None:
    run = fs.gradient_descent(GAUSSIAN, fs.Start(1.0, 0.3), 1.0 / GAUSSIAN.pull, even_in_root(1, 1000, 200), 2, "exact")
    with pytest.raises(RuntimeError, match="sigma rises through 2 only 0 times"):
        Swings.of(run)


def test_a_run_starts_near_the_edge_with_the_swing_asked_for() -> None:
    scale, first = 4.6, 2e4
    risk = GAUSSIAN
    swings, law = near_the_edge(risk, scale, first, 10.0, 4000), two_layer_edge(risk, scale / risk.pull)
    m = (scale / 2.0) ** 2
    strength = (m * m - 1.0) / (8.0 * m * swings.step[0])
    level = np.log(swings.sharpness / 2.0)
    first_swing = slice(int(swings.rises[0]), int(swings.rises[1]))
    # the energy grows from 10 on
    assert 10.0 < 2.0 * level[first_swing].max() ** 2 / strength < 25.0
    assert swings.norm[0] == pytest.approx(float(law.norm(swings.step[0])), rel=0.02)


def test_peaks_between_records_are_found() -> None:
    coarse, fine = (peaks_of(GAUSSIAN, 3.0, 40.0), near_the_edge(GAUSSIAN, 3.0, 2e4, 40.0, 24_000))
    highest = [np.abs(fine.angle[i:j]).max() for i, j in zip(fine.rises[:-1], fine.rises[1:], strict=True)]
    assert (coarse.angle >= highest).all()
    np.testing.assert_allclose(coarse.angle, highest, rtol=2e-3)


# --- other laws, depths and seeds ---


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("balanced-sharpness", {"laws": SINGULAR, "depths": [1, 30]}),
        ("one-layer-converges-at-any-step-size", {"laws": LOGARITHMIC, "seed": 3}),
        ("one-layer-late-gap", {"laws": SINGULAR, "seed": 2}),
        ("two-layer-exponential-below-threshold", {"laws": fs.StudentT(3, 1.3), "seed": 5}),
        ("two-layer-held-at-the-edge", {"laws": SINGULAR, "seed": 1}),
        ("two-layer-angle-above-threshold", {"laws": SINGULAR, "seed": 1}),
        ("two-layer-norm-above-threshold", {"laws": SINGULAR, "seed": 1}),
        ("two-layer-swings", {"laws": SINGULAR, "seed": 4}),
        ("two-layer-burst-peaks", {"laws": fs.Laplace(3), "seed": 2}),
        ("two-layer-growing-bursts", {"laws": SINGULAR, "seed": 3}),
        ("progressive-sharpening", {"laws": LOGARITHMIC, "depths": [3, 100]}),
        ("delayed-first-burst", {"laws": SINGULAR, "depths": [3], "seed": 1}),
        ("first-burst-step", {"laws": LOGARITHMIC, "depths": [7]}),
        ("first-burst-collapse", {"laws": fs.StudentT(3, 2.5), "depths": [5], "seed": 3}),
        ("bursts-recur", {"laws": LOGARITHMIC, "depths": [4], "seed": 2}),
        ("label-noise-minimiser-and-its-stability", {"laws": SINGULAR, "depths": [7], "seed": 6}),
        ("label-noise-multipliers", {"laws": fs.Sphere(5, 1e-3), "depths": [30]}),
        ("descent-label-noise-direction-rate", {"laws": LOGARITHMIC, "depths": [2], "seed": 2}),
    ],
)
def test_the_claim_comes_out_right_at_other_laws_depths_and_seeds(name: str, setting: dict[str, object]) -> None:
    found = verdict(name, **setting)
    assert found.finding.verdict == CLAIMS[name].expected, found.finding


@pytest.mark.parametrize(
    ("name", "setting", "reason"),
    [
        ("one-layer-converges-at-any-step-size", {"depths": [2]}, "speaks of N = 1, and not of N = 2"),
        ("one-layer-late-gap", {"laws": LOGARITHMIC}, "speaks of growth with a power tail"),
        ("two-layer-held-at-the-edge", {"depths": [1, 3]}, "speaks of N = 2, and not of N = 1, 3"),
        ("two-layer-swings", {"laws": LOGARITHMIC}, "falls off with a logarithm"),
        ("two-layer-growing-bursts", {"laws": LOGARITHMIC}, "falls off with a logarithm"),
        ("delayed-first-burst", {"laws": LOGARITHMIC}, "falls off with a logarithm"),
        ("first-burst-step", {"depths": 2}, "speaks of N >= 3, and not of N = 2"),
        ("bursts-recur", {"depths": 1}, "speaks of N >= 3, and not of N = 1"),
    ],
)
def test_what_a_statement_does_not_speak_of_is_outside_with_the_reason(name: str, setting: dict[str, object], reason: str) -> None:
    found = verdict(name, **setting)
    assert found.finding.verdict == "outside"
    assert reason in found.finding.measured


def test_the_measured_constants_are_told() -> None:
    said = verdict("two-layer-growing-bursts", laws=fs.Gaussian(2)).finding.measured
    assert "(4.965)" in said
    assert "4.97" in said
    assert "N = 3: sigma 2.512 to 1.415" in verdict("first-burst-collapse", laws=fs.Gaussian(2), depths=[3]).finding.measured


def test_the_picture_of_sharpening_passes_two_where_it_is_due() -> None:
    picture = verdict("progressive-sharpening", laws=fs.Gaussian(2), depths=[4]).finding.picture
    assert picture is not None
    curve = next(c for c in picture.curves if c.role == "measured")
    assert np.interp(1.0, curve.x, curve.y) == pytest.approx(2.0, rel=0.01)


def test_the_unit_step_size_is_the_threshold_of_two_layers_halved() -> None:
    assert unit_step_size(GAUSSIAN, 2) == pytest.approx(1.0 / GAUSSIAN.pull)
