"""Far descents against every step taken, against theory at 1e18 steps, and against themselves: batches, records, files, interruptions."""

from functools import cache

import numpy as np
import pytest

import flowsim as fs
from flowsim.dynamics import exact, horizon, rerun
from flowsim.theory import direction_rate, rates

LAWS = {"gaussian": fs.Gaussian(2), "sphere3": fs.Sphere(3), "student": fs.StudentT(2, 3.0), "ball": fs.Ball(3, 2.0)}
FORWARD, BACK, AHEAD = (1.0, 1.5), (0.4, 2.4), (2.5, 0.3)
"""Starts, (norm, angle)."""


@cache
def risk(law, noise=0.0):
    return fs.PopulationRisk(LAWS[law], noise)


def descend(case, record, noise=0.0, **rules):
    law, depth, pull, start = case
    return fs.gradient_descent(risk(law, noise), fs.Start(*start), pull / risk(law).pull, record, depth, **rules)


def spaced(last, count=30):
    """Records as pairs of an even and an odd step, about evenly spaced in log k, and the last step."""
    k = np.round(np.geomspace(1, last, count)).astype(np.int64)
    return np.unique(np.minimum(np.concatenate([[0], k, k + 1]), last))


def gaps(run, other):
    """Relative distance in the norm, and in s over max(|s|, 1); (..., T)."""
    s = other.log_tan_half_angle
    with np.errstate(invalid="ignore"):
        far = np.where(run.log_tan_half_angle == s, 0.0, np.abs(run.log_tan_half_angle - s))
        return np.abs(np.expm1(run.log_norm - other.log_norm)), far / np.where(np.isinf(s), 1.0, np.maximum(np.abs(s), 1.0))


def assert_within_estimates(run, other):
    norm, s = gaps(run, other)
    there = ~np.isnan(other.log_norm) & ~np.isnan(run.log_norm)
    assert (norm <= run.coverage.norm_error)[there].all(), (norm / run.coverage.norm_error).max()
    assert (s <= run.coverage.direction_error)[there].all(), (s / run.coverage.direction_error).max()
    known = there & np.isfinite(run.coverage.norm_error)
    np.testing.assert_array_equal(run.side[known], other.side[known])


CALM = [
    # law, depth, eta c, start
    ("gaussian", 1, 0.05, FORWARD),
    ("student", 1, 1.97, AHEAD),
    ("sphere3", 1, 6.0, BACK),
    ("sphere3", 2, 0.2, AHEAD),
    ("gaussian", 2, 1.3, BACK),
    ("student", 2, 1.7, AHEAD),
    ("sphere3", 2, 1.94, FORWARD),
    ("gaussian", 2, 2.01, BACK),
    ("sphere3", 2, 2.07, AHEAD),
    ("student", 3, 0.02, BACK),
    ("gaussian", 3, 0.1, FORWARD),
    ("sphere3", 3, 0.1, FORWARD),
    ("sphere3", 4, 0.02, FORWARD),
    ("gaussian", 5, 0.005, BACK),
    ("sphere3", 5, 0.01, AHEAD),
]
"""No burst within 1e6 steps, and no step that blows rounding up: every digit is to be had."""
SENSITIVE = [
    # catapults, sigma far above 1 in the first steps: those multiply a rounding by up to 1e9, in exact steps no less than here
    ("gaussian", 2, 6.0, BACK),
    ("sphere3", 2, 4.45, FORWARD),
    # with a < 0 in the end, at even depth
    ("sphere3", 2, 3.861, (2.2608, 1.8247)),
    ("sphere3", 4, 2.7298, (1.8539, 1.3125)),
]
BURSTING = [
    ("sphere3", 2, 2.01, BACK),
    ("sphere3", 2, 2.5, FORWARD),
    ("student", 3, 0.25, BACK),
    ("sphere3", 3, 0.25, BACK),
    ("gaussian", 3, 0.9, FORWARD),
    ("student", 4, 0.43, BACK),
    ("gaussian", 5, 0.8, AHEAD),
    ("sphere3", 5, 0.8, AHEAD),
]
OVERFLOWING = [("gaussian", 4, 2.07, AHEAD), ("sphere3", 5, 5.0, FORWARD)]


def named(case):
    return f"{case[0]}-N={case[1]}-{case[2]:g}"


@pytest.mark.parametrize("case", CALM + SENSITIVE + BURSTING + OVERFLOWING, ids=named)
def test_a_far_run_is_every_step_taken_within_its_estimate(case):
    record = spaced(10**6)
    run, steps = descend(case, record), descend(case, record, method="exact")
    assert run.status == steps.status
    assert run.status == ("overflow" if case in OVERFLOWING else "burst" if case in BURSTING else "ok")
    np.testing.assert_array_equal(np.isnan(run.log_norm), np.isnan(steps.log_norm))
    np.testing.assert_array_equal(np.isnan(run.coverage.norm_error), np.isnan(steps.log_norm))
    assert_within_estimates(run, steps)
    # both begin with the same single steps, whose rounding no comparison of the two can tell: a step size one rounding away does
    moved = fs.gradient_descent(run.problem, run.start, np.nextafter(run.step_size, 9.0), record, case[1], "exact")
    same = np.isnan(moved.log_norm) == np.isnan(run.log_norm)
    for gap, estimate in zip(gaps(run, moved), (run.coverage.norm_error, run.coverage.direction_error), strict=True):
        assert (gap <= estimate)[same & ~np.isnan(run.log_norm)].all()
    np.testing.assert_allclose(run.log_layer, steps.log_layer, rtol=0, atol=np.nan_to_num(run.coverage.norm_error, nan=0.0).max() + 1e-10)
    assert run.coverage.first_burst == steps.coverage.first_burst
    if case not in OVERFLOWING:
        assert run.coverage.exact_steps + run.coverage.covered_steps == 10**6
    if case in CALM:
        assert max(gap.max() for gap in gaps(run, steps)) < 1e-10
        assert max(run.coverage.norm_error.max(), run.coverage.direction_error.max()) < 1e-10
        assert run.coverage.covered_steps > 9e5 or case[2] == 2.07, "few steps are covered"


@pytest.mark.parametrize("case", [CALM[0], CALM[4], CALM[9]], ids=named)
def test_ten_million_steps_agree(case):
    record = spaced(10**7, 12)
    run, steps = descend(case, record), descend(case, record, method="exact")
    assert_within_estimates(run, steps)
    assert max(gap.max() for gap in gaps(run, steps)) < 1e-10


def test_the_side_changes_with_every_step_while_sigma_is_above_one():
    record = np.array([10**5, 10**5 + 1, 10**5 + 2, 10**6 - 1, 10**6])
    for depth, pull in ((2, 1.4), (3, 0.1)):
        case = ("sphere3", depth, pull, FORWARD)
        run, steps = descend(case, record), descend(case, record, method="exact")
        np.testing.assert_array_equal(run.side, steps.side)
        late = slice(0, None) if depth == 2 else slice(3, None)
        assert (run.sharpness[late] > 1.0).all()
        assert (run.side[late][1:] != run.side[late][:-1])[[0, -1]].all()
    # sigma passes 1 between: the number of changes before is what has to be right
    assert descend(case, [1000]).sharpness[0] < 1.0


@cache
def many():
    """Forty cases of all depths and three laws, as the arguments of one batch and their singles."""
    rng = np.random.default_rng(11)
    cases = []
    for i in range(40):
        law, depth = list(LAWS)[i % 3], 1 + i % 5
        pull = rng.uniform(0.1, 1.9) if depth < 3 else np.exp(rng.uniform(-4.5, -2.5 if depth == 3 else -4.0))
        cases.append((law, depth, pull, (float(np.exp(rng.uniform(-1, 1))), float(rng.uniform(0.2, 2.6)))))
    # two that burst, one that overflows, two rays
    return [*cases, ("gaussian", 3, 0.9, FORWARD), ("sphere3", 2, 2.5, FORWARD), OVERFLOWING[0], ("gaussian", 1, 0.3, (1.0, np.pi)),
            ("sphere3", 2, 0.3, (1.0, np.pi))]  # fmt: skip


def together(cases, record, **rules):
    law, depth, pull, start = zip(*cases, strict=True)
    risks = [risk(name) for name in law]
    step_size = np.array(pull) / [r.pull for r in risks]
    return fs.gradient_descent(risks, fs.Start(*np.array(start).T), step_size, record, np.array(depth), **rules)


SHORT = spaced(10**5, 6)


@cache
def batch():
    return together(many(), SHORT)


def test_a_batch_of_laws_and_depths_is_its_single_runs():
    for i, case in enumerate(many()):
        one, single = batch()[i], descend(case, SHORT)
        assert one.status == single.status, case
        assert one.coverage.first_burst == single.coverage.first_burst, case
        assert_within_estimates(one, single)
        assert_within_estimates(single, one)
        if np.isfinite(single.log_norm[-1]):
            assert one.coverage.exact_steps + one.coverage.covered_steps == SHORT[-1] == single.step[-1]
    assert {"ok", "burst", "overflow", "saddle"} == set(batch().status)


def test_the_order_of_a_batch_does_not_matter():
    order = np.random.default_rng(1).permutation(len(many()))
    shuffled = together([many()[i] for i in order], SHORT)
    np.testing.assert_array_equal(shuffled.log_norm, batch().log_norm[order])
    np.testing.assert_array_equal(shuffled.log_tan_half_angle, batch().log_tan_half_angle[order])
    np.testing.assert_array_equal(shuffled.coverage.direction_error, batch().coverage.direction_error[order])


def test_chunks_followed_side_by_side_are_one_batch(monkeypatch):
    # chunks of 64, the widths compiled already
    monkeypatch.setattr(exact, "WIDTHS", (64, 64, 64))
    cases = many()[:20] * 4
    run = together(cases, SHORT)
    for i in range(80):
        np.testing.assert_array_equal(run.status[i], batch().status[i % 20])
        assert_within_estimates(run[i], batch()[i % 20])


@pytest.mark.parametrize("case", [CALM[1], CALM[5], CALM[11], SENSITIVE[2]], ids=named)
def test_a_record_between_the_solvers_steps_is_the_end_of_a_run_that_stops_there(case):
    record = spaced(10**9, 12)
    through = descend(case, record)
    for i in range(8, record.size, 5):
        alone = descend(case, [record[i]])
        assert abs(np.expm1(alone.log_norm[0] - through.log_norm[i])) <= through.coverage.norm_error[i]
        s = through.log_tan_half_angle[i]
        assert abs(alone.log_tan_half_angle[0] - s) <= through.coverage.direction_error[i] * max(abs(s), 1.0)
        assert alone.side[0] == through.side[i]
        assert alone.coverage.exact_steps + alone.coverage.covered_steps == record[i]
    # many records change nothing but what is recorded, to a rounding: a record's neighbours decide how many differences it gets
    often = descend(case, np.unique(np.concatenate([spaced(10**9, 300), record])))
    assert abs(often.log_norm[-1] - through.log_norm[-1]) < 1e-14
    assert often.coverage.exact_steps == through.coverage.exact_steps


def searched_burst(case, steps):
    """The definition in plain numbers: once c (1 - cos) < h/1000, the first step with sigma > 2 and c (1 - cos) > h; -1 for none."""
    law, depth, pull, (norm, angle) = case
    at, c = risk(law), float(risk(law).pull)
    eta, size = pull / c, norm ** (1 / depth)
    a, q, z = (size if depth > 1 else 1.0), size * np.cos(angle), size * np.sin(angle)
    aligned = False
    for k in range(steps):
        u, length = a ** (depth - 1), np.hypot(q, z)
        if abs(u) * length > 1e9:
            break
        h = float(at.growth(abs(u) * length))
        cos = np.sign(u) * q / length
        gap = c * (1.0 - cos if cos < 0.5 else (z / length) ** 2 / (1.0 + cos))
        sigma = eta * abs(u) * (c - h) / length
        if aligned and sigma > 2.0 and gap > h:
            return k
        aligned = aligned or gap < h / 1000
        layer = eta * np.sign(u) * a ** (depth - 2) * length * (h - gap) if depth > 1 else 0.0
        q, z, a = q + eta * u * (gap + h * cos), z * (1.0 - sigma), a + layer
    return -1


@pytest.mark.parametrize(
    ("case", "step"),
    [
        (("sphere3", 2, 2.5, FORWARD), 992),
        (("gaussian", 3, 0.9, FORWARD), 39),
        # these hang on the 1/1000: 1/300 or 1/3000 gives another step
        (("sphere3", 3, 0.9294425377045863, (0.5285660275859226, 1.6491332414298525)), 78),
        (("sphere3", 3, 2.2548736909649736, (0.9165499079599394, 2.3545619530236213)), 5),
        (("sphere3", 4, 1.0247163143710156, (0.8878158243588934, 0.9255280791436791)), 6),
        (("sphere3", 3, 2.8105422412670604, (0.9434798895165902, 1.865021221285352)), -1),
        (("sphere3", 3, 0.05, FORWARD), -1),
        (("gaussian", 1, 8.0, FORWARD), -1),
    ],
    ids=lambda x: named(x) if isinstance(x, tuple) else str(x),
)
def test_the_first_burst_is_where_a_plain_search_finds_it(case, step):
    steps = 1000 if step > 100 else 150
    assert searched_burst(case, steps) == step
    # far runs that go on, and single steps, find the same
    assert descend(case, [10 * steps]).coverage.first_burst == step
    assert descend(case, [steps], method="exact").coverage.first_burst == step


def test_a_burst_ends_the_run_where_it_is_told_to():
    case, record = BURSTING[3], spaced(10**6)
    stopped, whole = descend(case, record, stop_at_burst=True), descend(case, record)
    burst = int(whole.coverage.first_burst)
    assert burst == 25055
    assert stopped.status == "burst"
    assert stopped.coverage.first_burst == burst
    before = record <= burst
    np.testing.assert_array_equal(stopped.log_norm[before], whole.log_norm[before])
    np.testing.assert_array_equal(stopped.coverage.norm_error[before], whole.coverage.norm_error[before])
    assert np.isnan(stopped.log_norm[record > 2 * burst]).all()
    assert stopped.coverage.exact_steps + stopped.coverage.covered_steps < 2 * burst
    # a run without one goes on to its end
    assert descend(CALM[3], record, stop_at_burst=True).status == "ok"
    batch = together([case, CALM[3]], SHORT, stop_at_burst=True)
    np.testing.assert_array_equal(batch.status, ["burst", "ok"])
    assert np.isnan(batch.log_norm[0, -1])
    assert not np.isnan(batch.log_norm[1]).any()


@pytest.mark.parametrize("case", [CALM[1], CALM[10], BURSTING[3]], ids=named)
def test_a_run_without_its_shadow_is_the_same_run(case):
    record = spaced(10**5)
    plain, run = descend(case, record, estimate_error=False), descend(case, record)
    assert np.isnan(plain.coverage.norm_error).all()
    assert np.isnan(plain.coverage.direction_error).all()
    assert_within_estimates(run, plain)
    assert run.status == plain.status
    assert run.coverage.first_burst == plain.coverage.first_burst
    assert plain.coverage.exact_steps == run.coverage.exact_steps
    assert "; estimated error" not in str(plain)
    assert "; estimated error" in str(run)


@pytest.mark.parametrize("cap", [0, 1, 100, 257, 3000])
def test_a_run_that_may_take_no_more_steps_keeps_what_it_has(cap):
    case, record = ("gaussian", 5, 0.8, AHEAD), spaced(10**6)
    capped, steps = descend(case, record, max_exact_steps=cap), descend(case, record, method="exact")
    assert capped.status == "step_cap"
    assert not capped.ok
    assert "max_exact_steps" in capped.message
    assert capped.coverage.exact_steps == cap
    reached = record <= cap
    np.testing.assert_allclose(capped.log_norm[reached], steps.log_norm[reached], rtol=0, atol=1e-13)
    assert np.isnan(capped.log_norm[~reached]).all()
    assert np.isnan(capped.coverage.norm_error[~reached]).all()
    assert not np.isnan(capped.coverage.norm_error[reached]).any()


def test_in_a_batch_only_the_runs_that_spend_their_steps_are_capped():
    run = together([("gaussian", 5, 0.8, AHEAD), CALM[3]], SHORT, max_exact_steps=20_000)
    np.testing.assert_array_equal(run.status, ["step_cap", "ok"])
    assert run.coverage.exact_steps[0] == 20_000
    np.testing.assert_array_equal(np.isnan(run.log_norm[0]), SHORT > 20_000)


def test_digits_that_are_gone_are_gone_for_good():
    record = spaced(10**6)
    for case in (("sphere3", 3, 0.9, FORWARD), ("student", 4, 0.43, BACK), ("gaussian", 5, 0.8, AHEAD)):
        run = descend(case, record)
        gone = np.isinf(run.coverage.norm_error)
        assert gone[-1]
        assert not gone[:10].any()
        assert (np.diff(gone.astype(int)) >= 0).all()
        np.testing.assert_array_equal(gone, np.isinf(run.coverage.direction_error))
        known = run.coverage.norm_error[~gone]
        assert (known <= horizon.NO_DIGITS).all()
        assert (np.diff(known) >= 0).all(), "an estimate falls"
        assert np.isfinite(run.log_norm).all()
        # it stands in the line that says which steps were covered; after a burst rounding decides whether any can be
        assert ("no digits are left" in str(run)) == bool(run.coverage.covered_steps.any())


@pytest.mark.parametrize("estimate", [True, False])
def test_a_run_that_lost_its_digits_still_goes_far(estimate):
    # its shadow, once apart, used to hold it back to single steps
    run = fs.gradient_descent(risk("sphere3"), fs.Start(1.0, 1.0), 2.0, [10**8], 3, estimate_error=estimate)
    assert run.status == "burst"
    assert run.coverage.exact_steps < 10**6
    assert run.coverage.exact_steps + run.coverage.covered_steps == 10**8


def test_a_shadow_that_dies_takes_nothing_with_it(monkeypatch):
    case, record = ("gaussian", 4, 0.02, FORWARD), spaced(10**6, 12)
    alone = descend(case, record, estimate_error=False)
    # a hundred times the step size: the shadow is out of the doubles within a few steps
    monkeypatch.setattr(horizon, "_NUDGE", 99.0)
    run = descend(case, record)
    assert run.status == alone.status == "ok"
    assert run.coverage.exact_steps == alone.coverage.exact_steps
    np.testing.assert_allclose(run.log_norm, alone.log_norm, rtol=0, atol=1e-11)
    assert np.isinf(run.coverage.norm_error[1:]).all()
    assert np.isinf(run.coverage.direction_error[1:]).all()


def test_chaos_on_a_ray_is_told_and_is_no_burst():
    # steps that overshoot the minimiser of noisy labels by far: a nudge of the norm is forgotten there, one of the step size is not
    start = fs.Start(0.0007297030641677797, 0.0)
    run = fs.gradient_descent(risk("ball", 0.1), start, 107.79650881779526, [0, 1, 100, 10_000], 1)
    np.testing.assert_array_equal(np.isinf(run.coverage.norm_error), [False, False, True, True])
    assert run.status == "ok"
    assert run.coverage.first_burst == -1


@pytest.mark.parametrize("angle", [0.0, np.pi])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_rays_are_followed_like_single_steps_and_never_burst(depth, angle):
    for law, pull in (("sphere3", 0.3), ("gaussian", 4.0))[: 2 if depth == 1 else 1]:
        case, record = (law, depth, pull, (1.0, angle)), spaced(10**6, 12)
        run, steps = descend(case, record), descend(case, record, method="exact")
        assert run.status == steps.status == ("saddle" if depth == 2 and angle else "ok")
        assert_within_estimates(run, steps)
        np.testing.assert_array_equal(run.log_tan_half_angle, steps.log_tan_half_angle)
        assert run.coverage.first_burst == -1
        assert run.coverage.covered_steps > 0 or run.status == "saddle"
        there = ~np.isnan(run.log_norm)
        if depth > 1:
            # a = |z| to the last bits of the records
            np.testing.assert_allclose(run.log_layer[there] * depth, run.log_norm[there], rtol=0, atol=1e-12)


def test_one_layer_at_1e18_steps_is_on_the_late_law():
    run = descend(("gaussian", 1, 0.2, FORWARD), [10**18])
    law, eta = rates(run.problem, 1), float(run.step_size)
    t = eta * 1e18
    # r = R - beta/R, the rest is below 1e-17; s by sum log(1 - sigma) = - sum (sigma + sigma^2/2), sigma = eta c/r
    assert run.norm[0] == pytest.approx(float(law.norm(t, 2)), rel=1e-12)
    correction = 1.0 + eta * run.problem.pull / run.norm[0]
    assert run.log_tan_half_angle[0] == pytest.approx(float(law.log_tan_half_angle(t, 2)) * correction, rel=1e-11)
    assert run.coverage.norm_error[0] < 1e-10
    assert run.coverage.exact_steps < 10**4
    assert run.coverage.exact_steps + run.coverage.covered_steps == 10**18


@pytest.mark.parametrize("pull", [0.2, 1.5])
def test_two_layers_at_1e18_steps_have_their_rate(pull):
    run = descend(("gaussian", 2, pull, FORWARD), [0, 10**17, 10**18])
    rate = float(direction_rate(run.problem, 2, run.step_size))
    assert np.diff(run.log_tan_half_angle)[-1] / 9e17 == pytest.approx(rate, rel=1e-8)
    assert run.norm[-1] == pytest.approx(float(rates(run.problem, 2).norm(run.time[-1], 2)), rel=1e-11)


def test_descent_in_tiny_steps_is_the_flow():
    run = fs.gradient_descent(risk("gaussian"), fs.Start(1.0, 1.5), 1e-12, [10**12, 10**18], 1)
    flow = fs.gradient_flow(risk("gaussian"), fs.Start(1.0, 1.5), [1.0, 1e6], 1)
    for name in ("log_norm", "log_tan_half_angle"):
        np.testing.assert_allclose(getattr(run, name), getattr(flow, name), rtol=1e-10, atol=1e-10)
    assert run.log_tan_half_angle[-1] == pytest.approx(-4783.136, abs=1e-3)


def test_odd_and_even_steps_differ_beyond_the_whole_numbers_of_the_doubles():
    # from 2^53 on, k + 1 is no double of its own
    record = np.array([10**17, 10**17 + 1, 10**17 + 2, 3 * 10**17 + 1])
    over, under = descend(("gaussian", 2, 1.5, FORWARD), record), descend(("gaussian", 2, 0.5, FORWARD), record)
    # the first steps do not cross, so that only their number matters: as at k = 1001
    early = descend(("gaussian", 2, 1.5, FORWARD), [1000, 1001], method="exact").side
    np.testing.assert_array_equal(over.side, [early[0], early[1], early[0], early[1]])
    assert early[0] == -early[1]
    np.testing.assert_array_equal(under.side, 1.0)
    np.testing.assert_array_equal(over.step, record)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_noisy_labels_bring_the_run_to_rest_at_their_minimiser(depth):
    run = descend(("gaussian", depth, 0.4, FORWARD), [10**4, 10**6, 10**12], noise=0.1)
    steps = descend(("gaussian", depth, 0.4, FORWARD), [10**4, 10**6], noise=0.1, method="exact")
    off = np.abs(run.norm / float(run.problem.minimiser_norm) - 1.0)
    assert (off <= run.coverage.norm_error).all(), off
    assert (run.coverage.norm_error < 1e-10).all()
    assert run.log_tan_half_angle[-1] / 1e12 == pytest.approx(np.log(abs(1.0 - run.sharpness[-1])), rel=1e-9)
    if depth == 1:
        assert run.log_tan_half_angle[-1] / 1e12 == pytest.approx(float(direction_rate(run.problem, 1, run.step_size)), rel=1e-9)
    assert_within_estimates(descend(("gaussian", depth, 0.4, FORWARD), [10**4, 10**6], noise=0.1), steps)


@pytest.mark.parametrize("kind", ["single", "batch", "stopped at a burst", "without estimates"])
def test_a_far_run_and_its_coverage_survive_a_file_and_run_again_to_the_same_bits(kind, tmp_path):
    cases = {"single": CALM[10], "stopped at a burst": BURSTING[3], "without estimates": CALM[4]}
    rules = {"stopped at a burst": {"stop_at_burst": True}, "without estimates": {"estimate_error": False, "max_exact_steps": 10**6}}
    run = batch() if kind == "batch" else descend(cases[kind], spaced(10**5), **rules.get(kind, {}))
    loaded = fs.load(run.save(tmp_path / "run.nc"))
    for other in (loaded, rerun(loaded)):
        for name in ("log_norm", "log_tan_half_angle", "side", "log_layer", "sharpness", "step", "time"):
            np.testing.assert_array_equal(getattr(other, name), getattr(run, name), err_msg=name)
        for name in ("exact_steps", "covered_steps", "first_burst", "norm_error", "direction_error"):
            one, two = getattr(other.coverage, name), getattr(run.coverage, name)
            assert one.dtype == two.dtype, name
            np.testing.assert_array_equal(one, two, err_msg=name)
        np.testing.assert_array_equal(other.status.astype(str), run.status.astype(str))
        assert other.config == run.config
        assert str(other) == str(run)


class _Interrupted:
    """A function that is interrupted on its n-th call."""

    def __init__(self, function, calls):
        self.function, self.calls = function, calls

    def __call__(self, *given):
        self.calls -= 1
        if self.calls < 0:
            raise KeyboardInterrupt
        return self.function(*given)


@pytest.mark.parametrize("calls", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("place", [(horizon, "_cover"), (exact, "advance_one")], ids=["covering", "stepping"])
def test_an_interrupted_run_keeps_what_it_reached(monkeypatch, place, calls):
    case, record = BURSTING[3], spaced(10**6)
    whole = descend(case, record)
    monkeypatch.setattr(*place, _Interrupted(getattr(*place), calls))
    part = descend(case, record)
    reached = int(part.coverage.exact_steps + part.coverage.covered_steps)
    assert part.status == "stopped"
    assert reached < record[-1]
    assert reached > 0 or (place[1] == "advance_one" and calls < 2)
    np.testing.assert_array_equal(np.isnan(part.log_norm), record > reached)
    kept = record <= reached
    for name in ("log_norm", "log_tan_half_angle", "side"):
        np.testing.assert_array_equal(getattr(part, name)[kept], getattr(whole, name)[kept])
    np.testing.assert_array_equal(part.coverage.norm_error[kept], whole.coverage.norm_error[kept])


@pytest.mark.parametrize("chunks", [1, 2])
@pytest.mark.parametrize("place", [(horizon, "_cover"), (exact, "advance_each")], ids=["covering", "stepping"])
def test_an_interrupted_batch_keeps_what_each_run_reached(monkeypatch, place, chunks):
    cases, first = many(), batch()
    if chunks == 2:
        monkeypatch.setattr(exact, "WIDTHS", (64, 64, 64))
        cases = cases * 2
    monkeypatch.setattr(*place, _Interrupted(getattr(*place), 5))
    part = together(cases, SHORT)
    assert "stopped" in part.status
    assert not part.ok
    for i in range(len(cases)):
        one, whole = part[i], first[i % len(many())]
        kept = ~np.isnan(one.log_norm)
        assert kept[0]
        assert (np.diff(kept.astype(int)) <= 0).all()
        if one.status == "stopped" and whole.status != "overflow":
            np.testing.assert_array_equal(kept, int(one.coverage.exact_steps + one.coverage.covered_steps) >= SHORT)
            np.testing.assert_allclose(one.log_norm[kept], whole.log_norm[kept], rtol=0, atol=1e-10)
            np.testing.assert_array_equal(one.side[kept], whole.side[kept])


def test_a_schedule_takes_every_step():
    run = fs.gradient_descent(risk("gaussian"), fs.Start(1.0, 1.5), fs.Schedule(np.full(5000, 0.5)), 5000, 2)
    assert run.coverage.covered_steps == 0
    assert run.coverage.exact_steps == 5000
    assert np.isnan(run.coverage.norm_error).all()
    far = fs.gradient_descent(risk("gaussian"), fs.Start(1.0, 1.5), 0.5, run.step, 2)
    assert max(gap.max() for gap in gaps(far, run)) < 1e-10


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"method": "exact", "max_exact_steps": 10}, r"`max_exact_steps` belongs to the method 'auto'"),
        ({"method": "exact", "stop_at_burst": True}, r"`stop_at_burst` belongs to the method 'auto'"),
        ({"step_size": fs.Schedule([0.1, 0.1, 0.1]), "max_exact_steps": 10}, r"`max_exact_steps` belongs to .* a constant step size"),
        ({"step_size": fs.Schedule([0.1, 0.1, 0.1]), "stop_at_burst": True}, r"`stop_at_burst` belongs to .* a constant step size"),
        ({"max_exact_steps": -1}, r"`max_exact_steps` must be a whole number, 0 or more, but is -1"),
        ({"max_exact_steps": True}, r"`max_exact_steps` must be a whole number, 0 or more, but is True"),
        ({"steps": 2**63}, r"`steps` must be a whole number, 0 or more, and below 2\^63"),
    ],
    ids=lambda x: "-".join(x) if isinstance(x, dict) else "",
)
def test_bad_input_is_refused_by_name(given, message):
    with pytest.raises(ValueError, match=message):
        fs.gradient_descent(risk("gaussian"), fs.Start(), **{"step_size": 0.1, "steps": 3, **given})
