"""The claims about Remarks 1 and 2: each order alone can fail, and drawn exponents and sequences come out at any seed."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flowsim.claims.claim import judge
from flowsim.claims.settings import Setting
from flowsim.claims.theorems import step_sums as room
from flowsim.theory import PowerSteps, StepSumCeilings, StepSumOrder, step_sum_ceilings, step_sum_order

CLAIMS = {claim.name: claim for claim in room.claims()}


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_come_out_as_expected_at_any_seed_and_controls_do_not(name: str) -> None:
    claim = CLAIMS[name]
    for seed in (1, 2):
        assert judge(claim, Setting(seed=seed)).finding.verdict == "holds", seed
    assert judge(claim, Setting(seed=2), control=True).finding.verdict == "violated"


@pytest.mark.parametrize(("drift", "p"), [(drift, p) for drift in (0.0, 1.0) for p in room.POWERS[drift]])
def test_each_exponent_alone_shows_a_constant_or_a_power_that_is_wrong(drift: float, p: float) -> None:
    name, steps, offset, c = next(found for found in room._powers(Setting(), drift) if found[1].power == p)
    sizes = steps.sizes(2**20)

    def all_hold(change: Callable[[StepSumOrder], StepSumOrder]) -> bool:
        found = room.ratios(name, steps, sizes, offset, c, lambda *arguments: change(step_sum_order(*arguments)))
        return all(abs(ratio.value - 1.0) <= ratio.allowed for ratio in found)

    assert all_hold(lambda order: order)
    assert not all_hold(lambda order: replace(order, factor=1.01 * order.factor))
    assert not all_hold(lambda order: replace(order, factor=0.99 * order.factor))
    assert not all_hold(lambda order: replace(order, power=order.power + 0.01))


@pytest.mark.parametrize("which", StepSumCeilings._fields)
def test_each_ceiling_alone_is_nearly_reached(which: str) -> None:
    def lower(sizes: Any, offset: float, drift: float) -> StepSumCeilings:
        right = step_sum_ceilings(sizes, offset, drift)
        return right._replace(**{which: 0.98 * getattr(right, which)})

    assert judge(replace(CLAIMS["remarks-no-faster-schedule"], theory=lower)).finding.verdict == "violated"


@pytest.mark.parametrize(("end", "factor"), [("floor", 1.02), ("ceiling", 0.98)])
def test_each_end_of_the_range_alone_is_nearly_reached(end: str, factor: float) -> None:
    claim = CLAIMS["remarks-bounded-steps"]

    def narrower(*arguments: Any) -> Any:
        right = claim.theory(*arguments)
        return right._replace(**{end: factor * getattr(right, end)})

    assert judge(replace(claim, theory=narrower)).finding.verdict == "violated"


def test_sequences_that_settle_have_the_averages_they_are_said_to_have() -> None:
    count = 400_000
    for name, (sizes, mean, mean_square) in room.settled_sequences(Setting(seed=7), count).items():
        error = 5.0 * np.array([np.std(sizes), np.std(sizes**2)]) / np.sqrt(count)
        assert abs(np.mean(sizes) - mean) < error[0], name
        assert abs(np.mean(sizes**2) - mean_square) < error[1], name


def test_sums_are_measured_only_where_the_next_order_is_small() -> None:
    steps = PowerSteps(1.0, 0.05)
    found = list(room.ratios("slow", steps, steps.sizes(2**14), 1.0, 0.6, step_sum_order))
    assert found == []
    steps = PowerSteps(1.0, 1.0)
    found = list(room.ratios("fast", steps, steps.sizes(2**14), 1.0, 0.6, step_sum_order))
    assert [r.m for r in found] == [2**k for k in range(13, 7, -1)]
    assert all(abs(r.value - 1.0) < r.allowed for r in found)


@pytest.mark.parametrize("name", CLAIMS)
def test_deeper_networks_are_outside(name: str) -> None:
    finding = judge(CLAIMS[name], Setting(depths=2)).finding
    assert finding.verdict == "outside"
    assert "speaks of N = 1, and not of N = 2" in finding.measured


@pytest.mark.parametrize("name", [name for name in CLAIMS if name != "remarks-settled-steps"])
def test_pictures_have_what_was_measured_and_what_was_expected(name: str) -> None:
    picture = judge(CLAIMS[name]).finding.picture
    assert picture is not None
    roles = [curve.role for curve in picture.curves]
    assert "measured" in roles
    assert "limit" in roles or "predicted" in roles
    assert len(roles) <= 6
