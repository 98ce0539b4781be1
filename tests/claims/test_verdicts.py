"""Every claim comes out as a correct program's would, and each measurement can fail: a wrong theory or a wrong run turns its verdict."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import flowsim as fs
from flowsim.claims import Claim, Finding, check, judge, registry
from flowsim.claims import bounds as bounds_room
from flowsim.claims import descent as descent_room
from flowsim.claims import flow as flow_room
from flowsim.claims import rates as rates_room
from flowsim.claims import regimes as regimes_room
from flowsim.claims import step_sizes as steps_room
from flowsim.problem import PopulationRisk
from flowsim.theory import Lemma4, Rates, Theorem1, Theorem5, Theorem5Upper, TwoLayerEdge

CLAIMS = {claim.name: claim for claim in registry()}


@pytest.mark.parametrize("name", CLAIMS)
def test_the_claim_has_the_verdict_of_a_correct_program(name: str) -> None:
    verdict = judge(CLAIMS[name])
    assert verdict.as_expected, verdict.finding
    assert verdict.finding.measured
    assert verdict.finding.tolerance


def _scaled(function: Callable[..., Any], factor: float) -> Callable[..., Any]:
    return lambda *args, **kwargs: function(*args, **kwargs) * factor


def _deeper(*args: Any, **kwargs: Any) -> Any:
    """A flow of one layer too many."""
    arguments = list(args)
    arguments[3] = np.asarray(arguments[3]) + 1
    return fs.gradient_flow(*arguments, **kwargs)


def _turned(self: PopulationRisk, w: Any, v: Any) -> Any:
    """A gradient with a wrong part that turns w."""
    return _GRADIENT(self, w, v) + 1e-4 * np.eye(self.law.dim)[0]


def _unlike(made: Any, **wrong: float) -> Any:
    """A function whose result, a dataclass, has these entries wrong."""
    return lambda *args, **kwargs: dataclasses.replace(made(*args, **kwargs), **wrong)


def _longer_steps(*args: Any, **kwargs: Any) -> Any:
    """A descent whose steps are a tenth of a percent too long."""
    arguments = list(args)
    arguments[2] = np.asarray(arguments[2]) * 1.001
    return fs.gradient_descent(*arguments, **kwargs)


def _slow_steps(*args: Any, **kwargs: Any) -> Any:
    """A descent whose step sizes die out like 1/n: the direction then converges like a power of n at best."""
    arguments = list(args)
    sizes = arguments[2].sizes
    arguments[2] = fs.Schedule(sizes / np.arange(1.0, sizes.size + 1.0))
    return fs.gradient_descent(*arguments, **kwargs)


_GRADIENT = PopulationRisk.gradient
_SMOOTHNESS = PopulationRisk.smoothness.fget  # type: ignore[attr-defined]

# claim: (object, attribute, wrong value)
CONTROLS: dict[str, tuple[Any, str, Any]] = {
    "risk-on-samples": (PopulationRisk, "value", _scaled(PopulationRisk.value, 1.05)),
    "risk-by-quadrature": (PopulationRisk, "value", _scaled(PopulationRisk.value, 1 + 1e-10)),
    "gradient-on-samples": (PopulationRisk, "gradient", _scaled(PopulationRisk.gradient, 1.05)),
    "hessian-on-samples": (PopulationRisk, "hessian", _scaled(PopulationRisk.hessian, 1.1)),
    "convex-and-smooth": (PopulationRisk, "smoothness", property(lambda self: 0.99 * _SMOOTHNESS(self))),
    "gradient-bounds": (PopulationRisk, "drag", _scaled(PopulationRisk.drag, 1.6)),
    "growth-bound": (PopulationRisk, "growth", _scaled(PopulationRisk.growth, 1.25)),
    "equation-7-end-to-end-flow": (flow_room, "gradient_flow", _deeper),
    "lemma-2-two-phases": (flow_room, "_rising", lambda run: np.arange(run.time.size) % 50 < 25),
    "lemma-3-direction-speed": (PopulationRisk, "gradient", _turned),
    "lemma-4-norm-bounds": (Lemma4, "upper", _scaled(Lemma4.upper, 0.999)),
    "two-layer-exact-law": (flow_room, "two_layer_direction", _scaled(flow_room.two_layer_direction, 1 + 1e-8)),
    "orbits-at-every-depth": (flow_room, "gradient_flow", _deeper),
    "ray-at-pi": (flow_room, "gradient_flow", _deeper),
    "theorem-1-lower-bound": (Theorem1, "second_factor", property(lambda self: 1.8 * 4 * self.risk.pull / np.sqrt(0.6))),
    "theorem-1-as-printed-read-under-the-root": (
        Theorem1,
        "second_factor",
        property(lambda self: 4 * self.risk.pull / np.sqrt(0.6)),
    ),
    "theorem-5-first-phase-as-derived": (Theorem5, "first_power", property(lambda self: 4.0 / (np.pi * (self.depth - 2)))),
    "theorem-5-first-phase-as-printed": (Theorem5, "first_power", property(lambda self: 2.0 / (np.pi * (self.depth - 2)))),
    "theorem-5-second-phase-as-derived": (Theorem5, "second_slope", property(lambda self: 3.0 * self.risk.pull * self.turning.norm)),
    "theorem-5-second-phase-as-printed": (
        Theorem5,
        "second_slope",
        property(lambda self: 2.0 * self.risk.pull * self.turning.norm ** (1.0 - 2.0 / self.depth)),
    ),
    "theorem-5-upper-bound": (Theorem5Upper, "_exponent", _scaled(Theorem5Upper._exponent, 0.5)),
    "figure-1-bounds": (Theorem1, "first_slope", property(lambda self: 4.0 * self.risk.pull / self.start.norm)),
    "direction-local-exponent": (fs.Trajectory, "local_exponent", _scaled(fs.Trajectory.local_exponent, 1.01)),
    "loss-rate": (Rates, "risk_exponent", property(lambda self: self.norm_exponent * 1.01)),
    "norm-rate": (Rates, "norm_constant", property(lambda self: 1.01 * (self._spread * self.tail.constant) ** self.norm_exponent)),
    "norm-next-order": (Rates, "_correction", property(lambda self: self.tail.next_coefficient / self.tail.constant)),
    "time-free-law": (Rates, "_correction", property(lambda self: self.tail.next_coefficient / self.tail.constant)),
    "descent-gap-first-order": (descent_room, "gap_order", _unlike(descent_room.gap_order, slope_norm=1.1)),
    "descent-gap-constant": (descent_room, "gap_order", _unlike(descent_room.gap_order, ratio_direction=0.98)),
    "modified-flow-gap-second-order": (descent_room, "gap_order", _unlike(descent_room.gap_order, slope_direction_corrected=1.8)),
    "theorem-2-any-step-sizes": (steps_room, "descent_cosine_bound", lambda *a: fs.theory.descent_cosine_bound(*a) + 1e-3),
    "theorem-3-any-step-sizes": (
        steps_room,
        "descent_cosine_bound_kept",
        lambda risk, start, sizes, delta: fs.theory.descent_cosine_bound_kept(risk, start, sizes * 30.0, delta),
    ),
    "theorem-4-bounded-step-sizes": (steps_room, "gradient_descent", _slow_steps),
    "one-layer-converges-at-any-step-size": (Rates, "log_tan_half_angle", _scaled(Rates.log_tan_half_angle, 1.001)),
    "two-layer-exponential-below-threshold": (regimes_room, "gradient_descent", _longer_steps),
    "two-layer-angle-above-threshold": (TwoLayerEdge, "angle_rms", _scaled(TwoLayerEdge.angle_rms, 1.05)),
    "two-layer-norm-above-threshold": (TwoLayerEdge, "norm", _scaled(TwoLayerEdge.norm, 1.05)),
    "two-layer-burst-peaks": (TwoLayerEdge, "burst_exponent", property(lambda self: -0.5)),
    "delayed-first-burst": (regimes_room, "first_burst", _unlike(regimes_room.first_burst, sigma=2.0)),
    "label-noise-minimiser-and-its-stability": (regimes_room, "critical_step_size", _scaled(fs.theory.critical_step_size, 1.1)),
    **{
        f"direction-rate-depth-{depth}": (
            Rates,
            "direction_exponent",
            property(lambda self: 1.01 * 2.0 * self.depth / (self.depth + 2.0)),
        )
        for depth in (1, 2, 3, 5)
    },
}


@pytest.fixture
def perturbed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Claim:
    name = request.param
    monkeypatch.setattr(*CONTROLS[name])
    return CLAIMS[name]


@pytest.mark.parametrize("perturbed", CONTROLS, indirect=True)
def test_a_wrong_theory_or_a_wrong_run_turns_the_verdict(perturbed: Claim) -> None:
    verdict = judge(perturbed)
    assert not verdict.as_expected, verdict.finding


def test_the_figure_1_descent_claim_sees_a_step_size_that_is_not_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    def stubborn(risk: Any, start: Any, eta: float, steps: Any, depth: Any) -> Any:
        return fs.gradient_descent(risk, start, {1e-3: 1.3e-3}.get(eta, eta), steps, depth)

    monkeypatch.setattr(descent_room, "gradient_descent", stubborn)
    assert not judge(CLAIMS["figure-1-descent"]).as_expected


def test_every_claim_has_a_control() -> None:
    assert set(CONTROLS) | {"figure-1-descent"} == set(CLAIMS)


def test_names_are_unique_and_every_statement_has_a_source_and_a_setting() -> None:
    assert len(CLAIMS) == len(registry())
    for claim in registry():
        assert claim.source
        assert claim.setting
        assert claim.statement


def test_exactly_the_misprints_are_expected_to_be_violated() -> None:
    assert {c.name for c in registry() if c.expected == "violated"} == {c.name for c in registry() if "as-printed" in c.name}


@pytest.mark.parametrize("name", [name for name in CLAIMS if "as-printed" in name])
def test_a_misprint_names_a_start_that_shows_it(name: str) -> None:
    finding = judge(CLAIMS[name]).finding
    assert "N = " in finding.worst
    assert "theta(0) = " in finding.worst
    assert finding.numbers["broken"] > 0


@pytest.mark.parametrize(
    ("norm", "phase"), [(1.0, bounds_room._first), (5.0, bounds_room._second)], ids=["alpha at w(0) = (0.6, -0.8)", "A2 at r(0) = 5"]
)
def test_each_printed_constant_of_theorem_5_fails_at_the_start_that_is_told_of_it(norm: float, phase: Any) -> None:
    case, run = next(
        pair for pair in bounds_room.cases((4,)) if pair[0].risk.label().startswith("Sphere(dim=2") and pair[0].start.norm == norm
    )
    printed, derived = (bounds_room._theorem_5(variant)(case) for variant in ("as_printed", "as_derived"))
    mask = phase(case, run)
    assert bounds_room.margin(printed, run, mask)[0] < -1e-3
    assert bounds_room.margin(derived, run, mask)[0] > 0.0


def test_check_measures_the_names_asked_for_and_calls_back() -> None:
    seen: list[str] = []
    report = check(["growth-bound", "gradient-bounds"], on_verdict=lambda v: seen.append(v.claim.name))
    assert seen == ["gradient-bounds", "growth-bound"]
    assert report.passed
    entry = report.to_dict()["claims"][0]
    assert {"name", "verdict", "predicted", "measured", "source", "expected", "tolerance"} <= set(entry)


def test_check_offers_the_nearest_name() -> None:
    with pytest.raises(ValueError, match="did you mean 'growth-bound'"):
        check(["growth-bond"])


def test_ctrl_c_keeps_the_verdicts_reached() -> None:
    def stop(verdict: Any) -> None:
        raise KeyboardInterrupt

    report = check(["growth-bound", "gradient-bounds"], on_verdict=stop)
    assert report.interrupted
    assert not report.passed
    assert len(report.verdicts) == 1


def test_a_formal_statement_is_consistent_or_contradicted_and_never_holds() -> None:
    formal = {claim.name for claim in registry() if claim.expected == "consistent"}
    assert formal == {claim.name for claim in registry() if "formal" in claim.source}
    assert len(formal) == 4


def test_the_longer_measurement_is_taken_when_asked_for() -> None:
    short, long = (lambda: Finding("holds", "", "short", "1"), lambda: Finding("violated", "", "long", "1"))
    claim = Claim("x", "x", "x", "x", short, thorough=long)
    assert judge(claim).finding.measured == "short"
    assert judge(claim, thorough=True).finding.measured == "long"
    assert judge(dataclasses.replace(claim, thorough=None), thorough=True).finding.measured == "short"


def test_a_measurement_that_raises_is_undecided_and_not_as_expected() -> None:
    def broken() -> Finding:
        raise RuntimeError("this run has no rate")

    verdict = judge(Claim("x", "x", "x", "x", broken))
    assert verdict.finding.verdict == "undecided"
    assert "no rate" in verdict.finding.measured
    assert not verdict.as_expected


def test_theory_hands_on_the_registry() -> None:
    assert fs.theory.claims() == registry()


def test_rates_room_measures_exponents_against_the_size_of_the_next_order() -> None:
    case, _ = rates_room.cases((1,))[0]
    theory = fs.theory.rates(case.risk, 1)
    assert rates_room.correction(theory, case, 1e12) < rates_room.correction(theory, case, 1e6) < 1.0
