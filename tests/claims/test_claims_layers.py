"""What the claims about layers measure with, against what is known beforehand."""

import numpy as np
import pytest

import flowsim as fs
from flowsim.claims.layers import imbalance
from flowsim.claims.layers.late_exponents import correction_powers, late_exponent
from flowsim.layers import Layers

TIME = np.geomspace(1e5, 1e8, 19)


def test_an_exponent_is_found_behind_its_corrections_and_a_wrong_one_is_not() -> None:
    norm = TIME**0.5
    size = 0.4 - 1.75 * np.log(TIME) + 30.0 / norm - 2000.0 / norm**2
    found = late_exponent(TIME, norm, size, [1.0, 2.0, 3.0, 4.0])
    assert abs(found.value - 1.75) < found.error < 1e-4
    # without the corrections the same records say something else, by more than that error
    plain = -np.polyfit(np.log(TIME), size, 1)[0]
    assert abs(plain - 1.75) > found.error


def test_the_error_of_an_exponent_knows_of_scatter() -> None:
    noise = 1e-3 * np.random.default_rng(0).standard_normal(TIME.size)
    found = late_exponent(TIME, TIME**0.5, -1.75 * np.log(TIME) + noise, [1.0, 2.0, 3.0])
    assert abs(found.value - 1.75) < found.error
    assert found.error > 1e-4
    assert late_exponent(TIME, TIME**0.5, np.full(TIME.size, np.nan), [1.0]).error == np.inf


@pytest.mark.parametrize(("depth", "powers"), [(2, [1.0, 2.0, 3.0, 4.0, 5.0]), (3, [1 / 3, 2 / 3, 1.0, 4 / 3, 5 / 3])])
def test_corrections_come_in_powers_of_the_layers(depth: int, powers: list[float]) -> None:
    assert correction_powers(fs.PopulationRisk(fs.Gaussian(dim=3)), depth) == pytest.approx(powers, rel=1e-8)


def test_what_moved_is_measured_against_the_layers() -> None:
    """W_1 grows by 1e-3 in one entry: W_1 W_1^T by 2e-3 + 1e-6, of a square of (1 + 1e-3)^2 + 1."""
    start, last = Layers([np.eye(2), np.ones((1, 2))]), Layers([np.diag([1.001, 1.0]), np.ones((1, 2))])
    assert float(imbalance.moved(fs.theory.imbalances, start, last)) == pytest.approx((2e-3 + 1e-6) / (1.001**2 + 1.0), rel=1e-12)
    assert float(imbalance.moved(fs.theory.imbalances, start, start)) == 0.0
