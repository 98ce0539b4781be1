"""The claims about late times at other laws, depths and seeds: verdicts, reasons for leaving them out, numbers and pictures."""

from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import stats

import flowsim as fs
from flowsim.claims import Setting, judge
from flowsim.claims.claim import Claim, Control
from flowsim.claims.late import noise, rates
from flowsim.claims.late.next_orders import bent, extrapolate, log_slope
from flowsim.claims.late.next_orders import claims as next_claims
from flowsim.claims.late.power_laws import Off, held_rates, powers

CLAIMS: dict[str, Claim] = {claim.name: claim for claim in (*rates.claims(), *next_claims(), *noise.claims())}
SINGULAR = fs.Radial(3, stats.gamma(0.5))
LOGARITHM = fs.Radial(2, stats.expon())
NOT_YET = fs.Radial(2, stats.gamma(0.9))
KINKED = fs.Laplace(4, 0.25)


def verdict(name: str, **setting: Any) -> str:
    return judge(CLAIMS[name], Setting(**setting)).finding.verdict


# --- other laws, depths, seeds ---


@pytest.mark.parametrize("name", CLAIMS)
@pytest.mark.parametrize("law", [SINGULAR, LOGARITHM, KINKED], ids=["singular", "logarithm", "kinked"])
def test_a_law_is_judged_or_left_out_with_a_reason(name: str, law: fs.Law) -> None:
    found = judge(CLAIMS[name], Setting(laws=law))
    assert found.as_expected, found.finding
    assert found.finding.measured


@pytest.mark.parametrize(
    ("name", "law", "reason"),
    [
        ("norm-rate", LOGARITHM, "falls off with a logarithm: no power of t"),
        ("direction-local-exponent", LOGARITHM, "falls off with a logarithm: no power of t"),
        ("direction-rate-depth-1", NOT_YET, "`run` must reach the late flow"),
        ("direction-local-exponent", NOT_YET, "late enough by t = 1e12"),
        ("singular-law-norm-rate", KINKED, "the density of |x| is singular at 0"),
        ("norm-next-order", KINKED, "smooth at 0 and bends there"),
        ("time-free-law", SINGULAR, "smooth at 0 and bends there"),
        ("norm-next-order-with-a-slope", fs.Gaussian(2), "has a slope at 0"),
        ("no-power-with-a-logarithm", fs.Gaussian(2), "positive at 0"),
    ],
)
def test_the_reason_is_true(name: str, law: fs.Law, reason: str) -> None:
    found = judge(CLAIMS[name], Setting(laws=law))
    assert found.finding.verdict == "outside"
    assert reason in found.finding.measured


def test_of_several_laws_those_are_measured_that_the_statement_speaks_of() -> None:
    finding = judge(CLAIMS["norm-rate"], Setting(laws=[fs.Gaussian(2), LOGARITHM], depths=2)).finding
    assert finding.verdict == "holds"
    assert len(finding.numbers["rates"]) == 8
    assert len(finding.numbers["refused"]) == 8


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_units_do_not_matter(scale: float) -> None:
    for name in ("norm-next-order", "time-free-law", "direction-rate-depth-3", "label-noise-norm-approach"):
        assert verdict(name, laws=fs.Gaussian(2, scale), depths=[1, 3]) == "holds", name


@pytest.mark.parametrize(
    ("name", "law", "depth"),
    [
        ("direction-rate-deep", KINKED, 7),
        ("norm-rate", KINKED, 30),
        ("singular-law-direction-rate", SINGULAR, 8),
        ("no-power-with-a-logarithm", LOGARITHM, 6),
        ("time-free-law", fs.Gaussian(2), 9),
    ],
)
def test_other_depths(name: str, law: fs.Law, depth: int) -> None:
    assert verdict(name, laws=law, depths=depth) == CLAIMS[name].expected


def test_depths_of_which_a_claim_does_not_speak() -> None:
    assert verdict("direction-rate-depth-4", depths=[3, 5]) == "outside"
    assert verdict("norm-next-order", depths=3) == "outside"
    assert verdict("direction-rate-deep", depths=5) == "outside"


@pytest.mark.parametrize("seed", [1, 2])
def test_other_random_starts(seed: int) -> None:
    for name in ("direction-rate-depth-3", "direction-local-exponent", "singular-law-loss-rate", "label-noise-direction-rate"):
        assert verdict(name, laws=SINGULAR, seed=seed, depths=3) == "holds", name


def test_thorough_measures_parts_of_each_window_too() -> None:
    short, long = (judge(CLAIMS["direction-rate-depth-1"], Setting(laws=fs.Gaussian(2), thorough=x)).finding for x in (False, True))
    assert long.verdict == "holds"
    assert len(long.numbers["rates"]) == 3 * len(short.numbers["rates"])


# --- how small an error shows ---


@pytest.mark.parametrize("quantity", ["direction", "norm", "risk"])
@pytest.mark.parametrize("entry", ["exponent", "constant"])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_an_exponent_or_constant_off_by_1e_8_shows(quantity: str, entry: str, sign: float) -> None:
    name = {"direction": "direction-rate-deep", "norm": "norm-rate", "risk": "loss-rate"}[quantity]
    wrong = Off(fs.theory.rates, **{f"{quantity}_{entry}": sign * 1e-8})
    finding = CLAIMS[name].measure(Setting(laws=fs.Gaussian(2), depths=10), wrong)
    assert finding.verdict == "violated"


@pytest.mark.parametrize("name", [name for name in CLAIMS if isinstance(CLAIMS[name].theory, type(fs.theory.rates))])
def test_the_claim_takes_its_prediction_from_its_theory_alone(name: str) -> None:
    """With the theory's own answer bent by what is far too much for any law, the verdict turns at every law it speaks of."""
    claim = CLAIMS[name]
    control: Control = claim.control
    law = SINGULAR if "singular" in name else fs.Laplace(2) if "slope" in name else LOGARITHM if "logarithm" in name else fs.Gaussian(2)
    finding = claim.measure(Setting(laws=law), control.theory)
    assert finding.verdict in ("violated", "contradicted")


def test_a_flow_that_refuses_is_named_and_the_others_count() -> None:
    cases = Setting(laws=[fs.Gaussian(2), NOT_YET], depths=1).cases((1,))
    held, refused = held_rates(cases, "norm", powers(fs.theory.rates, "norm"))
    assert len(held) == 8
    assert len(refused) == 8
    assert all("gamma(0.9)" in line and "late flow" in line for line in refused)


def test_a_theory_that_is_off_is_off_in_what_is_named_alone() -> None:
    risk = fs.PopulationRisk(fs.Gaussian(2))
    right, wrong = fs.theory.rates(risk, 3), Off(fs.theory.rates, norm_constant=0.1)(risk, 3)
    assert wrong.norm_constant == pytest.approx(1.1 * right.norm_constant)
    assert wrong.norm_exponent == right.norm_exponent
    assert bent(1.5)(risk, 1).tail.next_coefficient == pytest.approx(1.5 * right.tail.next_coefficient)


# --- helpers ---


def test_a_geometric_sequence_is_extrapolated_exactly() -> None:
    found = extrapolate(1.0 + 0.3 * 0.4 ** np.arange(4), 1e-15)
    assert found.value == pytest.approx(1.0, abs=1e-14)
    assert found.error < 1e-13


def test_the_error_of_an_extrapolation_covers_a_second_power() -> None:
    for second in (0.1, -0.1, 0.5):
        x = 1.0 + 0.1 * 0.5 ** np.arange(4) + second * 0.1 * 0.25 ** np.arange(4)
        found = extrapolate(x, 1e-12)
        assert 0.0 < abs(found.value - 1.0) < found.error < 0.02


def test_noise_is_not_extrapolated() -> None:
    draw = np.random.default_rng(3)
    for _ in range(200):
        found = extrapolate(1.0 + 1e-9 * draw.uniform(-1.0, 1.0, 4), 1e-9)
        assert abs(found.value - 1.0) < found.error < 1e-7


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_the_slope_with_a_logarithm_by_the_exponential_integral(depth: int) -> None:
    """r' = N r^(2-2/N) K l/r^2, l = log r + k: t = exp(-m k) Ei(m l)/(N K) exactly, so m p = m l exp(-m l) Ei(m l)."""
    m = (depth + 2.0) / depth

    def inverse(level: float) -> float:
        return float(1 / (m * level * mpmath.exp(-m * level) * mpmath.ei(m * level) - 1))

    slope = (inverse(301.0) - inverse(300.0)) / log_slope(fs.PopulationRisk(LOGARITHM), depth)
    assert slope == pytest.approx(1.0, abs=3.0 / (300.0 * m) ** 2)


# --- numbers and pictures ---


def test_the_numbers_hold_each_rate_with_its_error_and_theory() -> None:
    finding = judge(CLAIMS["direction-rate-depth-3"], Setting(laws=fs.Gaussian(2))).finding
    assert len(finding.numbers["rates"]) == 8
    for exponent, error, expected, constant, constant_error, constant_expected in finding.numbers["rates"].values():
        assert expected == 1.2
        assert abs(exponent - expected) < error < 1e-6
        assert abs(constant - constant_expected) < constant_error


@pytest.mark.parametrize("name", CLAIMS)
def test_a_picture_shows_what_was_measured(name: str) -> None:
    law = SINGULAR if "singular" in name else KINKED if "slope" in name else LOGARITHM if "logarithm" in name else fs.Gaussian(2)
    picture = judge(CLAIMS[name], Setting(laws=law)).finding.picture
    assert picture is not None
    measured = [curve for curve in picture.curves if curve.role == "measured"]
    assert 1 <= len(measured) <= 6
    for curve in measured:
        assert np.isfinite(curve.y).all()
        assert curve.y.size > 1
    if name.startswith("direction-rate"):
        levels = {float(y) for curve in picture.curves if curve.role == "predicted" for y in curve.y}
        assert min(abs(measured[0].y[-1] - level) for level in levels) < 1e-6
    if name in ("norm-rate", "singular-law-norm-rate"):
        # what is left falls
        assert measured[0].y[-1] < 1e-2 * measured[0].y.max()
