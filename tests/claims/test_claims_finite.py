"""The measurements of the claims about directions, margins and linear networks, each held against another way to the same numbers.

Runs are made by hand, where it is known what is to be found in them.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import optimize, special

import flowsim as fs
from flowsim.claims import OutOfScope, Setting, judge
from flowsim.claims.finite import claims, linear, margins, paths, runs
from flowsim.finite import HomogeneousRun, TrainingSet, mixture
from flowsim.samples import max_margin

CLAIMS = {claim.name: claim for claim in claims()}
LATE = runs.LAST * 2.0 ** (-np.arange(80)[::-1] / 8.0)
"""log t, from 10.6 on: its last doublings are records."""
Made = Callable[..., HomogeneousRun]


def gap_of(sine: np.ndarray) -> np.ndarray:
    """1 - cos."""
    return sine**2 / (1.0 + np.sqrt(1.0 - sine**2))


def shown(monkeypatch: pytest.MonkeyPatch, room: Any, made_of: Callable[[str, int], HomogeneousRun], seeds: int = 3) -> None:
    """Hand a room's measurements the runs made by hand, by kind and seed."""
    monkeypatch.setattr(
        room, "every_flow", lambda kinds, setting: [(f"{kind}, seed {k}", made_of(kind, k)) for kind in kinds for k in range(seeds)]
    )


def verdict(name: str, **setting: Any) -> tuple[str, str]:
    """The verdict, and the case that decides."""
    finding = judge(CLAIMS[name], Setting(**setting)).finding
    return finding.verdict, finding.worst


# --- of what they speak ---

DEPTHS = {
    "homogeneous-directions-converge": (2, "speaks of networks that are not linear"),
    **dict.fromkeys(
        (
            "deep-linear-directions-by-the-norm",
            "smoothed-margin-never-falls",
            "homogeneous-norm-and-loss",
            "homogeneous-limits-are-kkt-points",
        ),
        (7, "speaks of N = 1 to 6, and not of N = 7"),
    ),
    "deep-linear-layers-of-rank-one": (1, "speaks of N = 2 to 6, and not of N = 1"),
    **dict.fromkeys(
        ("linear-to-the-max-margin", "no-margin-no-direction", "above-the-threshold-margins-may-fall"),
        (2, "speaks of N = 1, and not of N = 2"),
    ),
    "without-a-degree-margins-may-fall": (2, "is measured on a ReLU network with a linear predictor beside it"),
    **dict.fromkeys(
        (
            "leaky-neurons-stay-active",
            "leaky-descent-to-the-programme",
            "leaky-boundary-is-a-plane",
            "outside-its-conditions-descent-goes-elsewhere",
            "benign-overfitting-transition",
        ),
        (2, "speaks of networks of two layers, whose outer one is fixed"),
    ),
}
"""Depths that a claim does not speak of, and what it says."""


def test_laws_and_other_depths_are_not_what_they_speak_of() -> None:
    assert set(DEPTHS) == set(CLAIMS)
    for name, (depth, reason) in DEPTHS.items():
        for setting, said in ((Setting(laws=fs.Gaussian(2)), "speaks of finite data sets"), (Setting(depths=depth), reason)):
            finding = judge(CLAIMS[name], setting).finding
            assert (finding.verdict, finding.measured[: len(said)]) == ("outside", said), name


def test_depths_asked_for_leave_other_networks_out(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    shown(monkeypatch, margins, lambda kind, k: made(LATE), seeds=1)
    finding = judge(CLAIMS["smoothed-margin-never-falls"], Setting(depths=[2, 5])).finding
    assert set(finding.numbers) == {"linear, N = 2, seed 0", "linear, N = 5, seed 0"}
    assert len(judge(CLAIMS["smoothed-margin-never-falls"], Setting(thorough=True)).finding.numbers) == 3 + len(runs.BENT_THOROUGH)


def test_kinds_are_networks_of_the_order_that_their_names_say() -> None:
    assert [runs.network_of(runs.linear(n)).order for n in (1, 2, 5)] == [1, 2, 5]
    assert [runs.network_of(kind).order for kind in runs.BENT_THOROUGH] == [2, 2, 3, 3, 2]


# --- runs ---


@pytest.mark.parametrize("power", [-2.0, -1.0 / 3.0, 0.5])
def test_the_exponent_of_a_power_law_is_read_off_its_last_four_doublings(made: Made, power: float) -> None:
    values = np.where(LATE < runs.LAST / 16.0, 7.0, 3.0 * LATE**power)
    assert runs.exponent(made(LATE), values) == pytest.approx(power, abs=1e-12)
    assert runs.exponent(made(LATE), values, 2.0 * np.log(LATE)) == pytest.approx(power / 2.0, abs=1e-12)


def test_a_spread_is_told() -> None:
    assert runs.spread([3.0, 1.0, 10.0]) == "3 (1 to 10)"


def test_data_sets_are_the_first_that_slsqp_finds_a_clear_margin_of() -> None:
    """Six draws of a seed, of which one has too little of it."""
    generator, expected = Setting(seed=1).generator(runs.STREAM), []
    for _ in range(6):
        data = mixture(runs.SIZE, runs.DIM, runs.SIGNAL, seed=int(generator.integers(2**31)))
        best = optimize.minimize(
            lambda w: w @ w,
            data.points.mean(axis=0),
            jac=lambda w: 2.0 * w,
            method="SLSQP",
            constraints={"type": "ineq", "fun": lambda w, p=data.points: p @ w - 1.0, "jac": lambda w, p=data.points: p},
        )
        assert best.success
        if np.linalg.norm(data.points, axis=1).max() * np.sqrt(best.fun) < runs.WIDEST:
            expected.append(data.points)
    assert len(expected) == 5
    for found in (runs.data_sets(5, 1), runs.data_sets.__wrapped__(5, 1)):
        np.testing.assert_array_equal([data.points for data in found], expected)


def test_data_sets_without_a_clear_margin_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "DRAWS", 5)
    monkeypatch.setattr(runs, "WIDEST", 1.0)
    with pytest.raises(OutOfScope, match="needs 2 data sets with a clear margin, and 5 drawn had 0"):
        runs.data_sets.__wrapped__(2, 0)


# --- paths ---


def test_gains_are_those_of_the_last_doublings(made: Made) -> None:
    log_time = np.concatenate([[-3.0, 0.0], LATE])
    path = np.where(log_time > 0.0, 2.0 - 3.0 * np.maximum(log_time, 1.0) ** -0.5, 0.0)
    marks = 3.0 * np.array([625.0, 1250.0, 2500.0, 5000.0, 1e4]) ** -0.5
    np.testing.assert_allclose(paths.gains(made(log_time, path_length=path)), marks[:-1] - marks[1:], rtol=1e-10)


@pytest.mark.parametrize(
    ("angle", "path", "found"),
    [(0.0, 0.0, "consistent"), (0.06, 0.0, "contradicted"), (0.0, -0.06, "contradicted"), (0.04, -0.04, "consistent")],
)
def test_another_power_of_the_norm_is_seen(made: Made, monkeypatch: pytest.MonkeyPatch, angle: float, path: float, found: str) -> None:
    def run(kind: str, k: int) -> HomogeneousRun:
        n = float(kind[-1])
        return made(LATE, order=n, alignment_gap=gap_of(0.3 * LATE ** (angle - 1.0 / n)), path_length=-(LATE ** (path - 1.0 / n)))

    shown(monkeypatch, paths, run)
    name, worst = verdict("deep-linear-directions-by-the-norm")
    assert name == found
    if found == "contradicted":
        assert worst.endswith("path" if path else "angle to the gradient")


@pytest.mark.parametrize(
    ("slow", "gap", "found"), [((), 1e-4, "holds"), ((1,), 1e-4, "holds"), ((0, 2), 1e-4, "violated"), ((), 0.03, "violated")]
)
def test_paths_that_do_not_slow_down_in_most_seeds_and_gradients_aside_are_seen(
    made: Made, monkeypatch: pytest.MonkeyPatch, slow: tuple[int, ...], gap: float, found: str
) -> None:
    def run(kind: str, k: int) -> HomogeneousRun:
        # a path that has no end
        path = LATE**0.1 if kind == "ReLU" and k in slow else -(LATE**-0.5)
        return made(LATE, path_length=path, alignment_gap=np.full(80, gap if kind == "leaky ReLU" else 0.0), order=2.0)

    shown(monkeypatch, paths, run)
    name, worst = verdict("homogeneous-directions-converge")
    assert name == found
    if found == "violated":
        assert worst.startswith("ReLU" if slow else "leaky ReLU")
        assert worst.endswith("path" if slow else "alignment")


# --- margins ---


def one_sample(made: Made, p: float, gamma: float) -> HomogeneousRun:
    """f = gamma |W|^p, one sample: dq/dt = |grad q|^2 exp(-q) = p^2 gamma^(2/p) q^(2-2/p) exp(-q), from q = 1 at t = 0."""
    power, nodes = 2.0 - 2.0 / p, np.polynomial.legendre.leggauss(80)

    def log_time(q: Any) -> Any:
        """log t = q - log(p^2 gamma^(2/p)) + log of the integral of exp(-v) (q - v)^-power, v = 0 to q - 1."""
        half = 0.5 * np.minimum(np.asarray(q) - 1.0, 60.0)[..., None]
        v = half * (1.0 + nodes[0])
        return (
            q
            - 2.0 * np.log(p)
            - 2.0 / p * np.log(gamma)
            + np.log((half * nodes[1] * np.exp(-v) * (np.asarray(q)[..., None] - v) ** -power).sum(-1))
        )

    end = float(optimize.brentq(lambda q: float(log_time(q)) - runs.LAST, 9e3, 1.1e4, xtol=1e-9))
    q = np.geomspace(1.1, end, 100)
    return made(log_time(q), log_norm=np.log(q / gamma) / p, log_loss=-q, margins=np.full((100, 1), gamma), order=p)


def test_one_sample_and_one_layer_have_a_closed_form(made: Made) -> None:
    """exp(q) = e + gamma^2 t."""
    run = one_sample(made, 1.0, 0.7)
    log_time = -run.log_loss - 2.0 * np.log(0.7) + np.log1p(-np.exp(1.0 + run.log_loss))
    np.testing.assert_allclose(run.log_time, log_time, rtol=1e-10, atol=1e-10)


def test_rates_are_those_of_one_sample(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any order, exactly solved; and of the same with a norm, a loss or an angle off by little."""
    exact = {n: one_sample(made, float(n), 0.7 / n) for n in (1, 2, 3)}
    shown(monkeypatch, margins, lambda kind, k: exact[int(kind[-1])], seeds=1)
    finding = judge(CLAIMS["homogeneous-norm-and-loss"], Setting(depths=[1, 2, 3])).finding
    assert finding.verdict == "holds"
    # with one layer the loss is off by exp(1 - log t) only
    assert finding.numbers["linear, N = 1, seed 0, loss"] < 1e-10
    for n in (1, 2, 3):
        run = exact[n]
        for wrong, what in (
            (replace(run, log_norm=run.log_norm + 0.015 / n), "norm"),
            (replace(run, log_loss=run.log_loss + 0.025), "loss"),
            (replace(run, alignment_gap=run.alignment_gap + 0.02), "loss"),
        ):
            shown(monkeypatch, margins, lambda kind, k, wrong=wrong: wrong, seeds=1)
            assert verdict("homogeneous-norm-and-loss", depths=n) == ("violated", f"linear, N = {n}, seed 0, {what}")
        # a gradient aside, and what it costs
        aside = replace(run, alignment_gap=run.alignment_gap + 0.1, log_loss=run.log_loss + 2.0 * np.log(0.9))
        shown(monkeypatch, margins, lambda kind, k, aside=aside: aside, seeds=1)
        assert verdict("homogeneous-norm-and-loss", depths=n)[0] == "holds"


@pytest.mark.parametrize(("fall", "found"), [(0.0, "holds"), (1e-10, "holds"), (1e-8, "violated")])
def test_a_margin_that_falls_a_little_once_is_seen(made: Made, monkeypatch: pytest.MonkeyPatch, fall: float, found: str) -> None:
    run = one_sample(made, 2.0, 0.3)
    # it rises first
    norm = run.log_norm + np.where(np.arange(100) < 40, 0.05, 0.0)
    norm[60] += fall / 2.0
    shown(monkeypatch, margins, lambda kind, k: replace(run, log_norm=norm), seeds=1)
    assert verdict("smoothed-margin-never-falls")[0] == found


def test_margins_of_data_that_are_not_separated_are_not_spoken_of(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    shown(monkeypatch, margins, lambda kind, k: made(LATE, log_loss=np.where(np.arange(80) < 19, -1.0, 0.5)))
    finding = judge(CLAIMS["smoothed-margin-never-falls"]).finding
    assert (finding.verdict, finding.measured) == ("outside", "speaks of data that are separated")


def slackened(made: Made, excess: Any, sine: np.ndarray, weights: Any = None) -> HomogeneousRun:
    """p = 1, |W| = log t, q_i = log t + excess, weighted as they are by the loss unless told otherwise."""
    pushed = np.exp(-np.asarray(excess)) if weights is None else np.asarray(weights)
    return made(
        LATE,
        log_norm=np.log(LATE),
        margins=1.0 + np.asarray(excess) / LATE[:, None],
        weights=np.tile(pushed / pushed.sum(), (80, 1)),
        alignment_gap=gap_of(sine),
    )


def test_the_bound_of_the_slackness_is_nearly_attained_and_never_passed(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    """With q_i - q = 1 of the n - 1 others it is attained but for what these weigh; the most there is is W((n - 1)/e), Lambert's W."""
    falling, size = 2.0 / LATE, 16
    bound = margins.slackness_bound(size)

    def share(excess: Any) -> float:
        shown(monkeypatch, margins, lambda kind, k: slackened(made, excess, falling), seeds=1)
        finding = judge(CLAIMS["homogeneous-limits-are-kkt-points"], Setting(depths=1)).finding
        assert finding.verdict == "holds"
        return finding.numbers["linear, N = 1, seed 0, slackness"]

    assert share([0.0] + (size - 1) * [1.0]) * (1.0 + bound) == pytest.approx(1.0, rel=1e-9)
    most = float(special.lambertw(bound).real)
    assert share([0.0] + (size - 1) * [1.0 + most]) * bound == pytest.approx(most, rel=1e-9)
    generator = np.random.default_rng(0)
    for scale in (0.5, 2.0, 5.0):
        assert share(np.append(0.0, generator.exponential(scale, size - 1))) * bound < most


def test_samples_that_push_from_afar_and_angles_that_stay_are_seen(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    excess = np.append(0.0, np.full(15, 8.0))
    for run, what in (
        (slackened(made, excess, 2.0 / LATE, np.ones(16)), "slackness"),
        (slackened(made, excess, 0.3 * LATE**0.02), "stationarity"),
    ):
        shown(monkeypatch, margins, lambda kind, k, run=run: run, seeds=1)
        assert verdict("homogeneous-limits-are-kkt-points", depths=1) == ("violated", f"linear, N = 1, seed 0, {what}")


# --- linear networks ---


def unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def test_the_parts_of_a_predictor_are_its_components(made: Made) -> None:
    """Support vectors (1, 1, 0) and (1, -1, 0), the separator (1, 0, 0); in the plane they span everything."""
    points = np.array([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [5.0, 0.0, 3.0]])
    predictor = unit(np.array([[1.0, 0.3, -0.4], [5.0, 0.0, 1e-9], [-1.0, 2.0, 2.0]]))
    held, across = linear.parts(made(LATE, predictor=predictor), TrainingSet(points, np.ones(3)))
    np.testing.assert_allclose(held, np.abs(predictor[:, 1]), atol=1e-15)
    np.testing.assert_allclose(across, np.abs(predictor[:, 2]), rtol=1e-6, atol=1e-15)
    flat = unit(predictor[:, :2])
    held, across = linear.parts(made(LATE, predictor=flat), TrainingSet(points[:, :2], np.ones(3)))
    np.testing.assert_allclose(held, np.abs(flat[:, 1]), atol=1e-15)
    np.testing.assert_array_equal(across, 0.0)


@pytest.mark.parametrize(("off", "found"), [(0.0, "holds"), (0.015, "holds"), (0.03, "violated"), (-0.03, "violated")])
def test_one_predictor_with_another_exponent_is_seen(made: Made, monkeypatch: pytest.MonkeyPatch, off: float, found: str) -> None:
    sets = runs.data_sets(3, 0)

    # W is w_svm log t but for a part along it that stays, which is none of its concern
    norm = np.maximum(LATE - 100.0, 10.0)

    def run(kind: str, k: int) -> HomogeneousRun:
        u = max_margin(sets[k]).direction
        aside = unit(np.linalg.svd(u[None])[2][1:2])
        chord = np.sqrt(2.0 * norm ** (-2.0 + (off if k == 1 else 0.0)))[:, None]
        return made(LATE, log_norm=np.log(norm), predictor=(1.0 - 0.5 * chord**2) * u + chord * np.sqrt(1.0 - 0.25 * chord**2) * aside)

    shown(monkeypatch, linear, run)
    name, worst = verdict("linear-to-the-max-margin")
    assert name == found
    assert not off or worst == "mixture, seed 1"


def layered(made: Made, data: TrainingSet, depth: int, wrong: str) -> HomogeneousRun:
    """Layers and a predictor by hand, with the exponents that are predicted, and one that is 1.1 times that."""
    n, found, at = float(depth), max_margin(data), lambda what, power: LATE ** (power * (1.1 if what == wrong else 1.0))
    first, ends = np.zeros((80, 8, 5)), np.zeros((80, 8))
    first[:, 0, 0], first[:, 1, 1] = 1.0, 0.5 * at("rank", -1.0 / n)
    gap = at("alignment", -4.0 / n)
    ends[:, 0], ends[:, 1] = 1.0 - gap, np.sqrt(gap * (2.0 - gap))
    middle = [np.tile(np.eye(8)[:1] * np.ones((8, 1)) / np.sqrt(8.0), (80, 1, 1))] if depth == 3 else []
    if depth == 3:
        middle[0] = np.einsum("i,tj->tij", np.eye(8)[0], ends)
        ends = np.tile(np.eye(8)[0], (80, 1))
    flat = np.concatenate([first.reshape(80, -1), *(m.reshape(80, -1) for m in middle), ends], axis=1)
    shapes = ((8, 5), *([(8, 8)] if depth == 3 else []), (1, 8))
    basis = np.linalg.qr(np.column_stack([found.direction, data.points[found.support[1:]].T]), mode="complete")[0]
    spanned = found.support.size
    predictor = np.tile(found.direction, (80, 1)) + 0.1 * at("predictor, in the span", -1.0)[:, None] * basis[:, 1]
    if spanned < 5:
        predictor = predictor + 0.1 * at("predictor, across it", -1.0 / n)[:, None] * basis[:, spanned]
    return made(LATE, direction=unit(flat), shapes=shapes, predictor=predictor, order=n)


@pytest.mark.parametrize("depth", [2, 3])
def test_layers_with_another_exponent_are_seen(made: Made, monkeypatch: pytest.MonkeyPatch, depth: int) -> None:
    sets = runs.data_sets(3, 0)
    assert {max_margin(data).support.size for data in sets} >= {5, 4}, "one that spans all directions, one that does not"
    for wrong in ("", "rank", "alignment", "predictor, in the span", "predictor, across it"):
        shown(monkeypatch, linear, lambda kind, k, wrong=wrong: layered(made, sets[k], depth, wrong))
        finding = judge(CLAIMS["deep-linear-layers-of-rank-one"], Setting(depths=depth)).finding
        assert finding.verdict == ("violated" if wrong else "holds")
        if wrong:
            assert finding.worst == f"linear, N = {depth}, {wrong}"
        else:
            assert max(finding.numbers.values()) < 1e-6
