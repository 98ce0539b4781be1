"""The turning point of the norm: against a Cartesian integration, and where there is none."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

import flowsim as fs
from flowsim.dynamics import turning_point


def test_the_turn_is_where_a_cartesian_integration_has_its_least_norm(gaussian: fs.PopulationRisk) -> None:
    v, w = np.array([0.0, 1.0]), np.array([np.sin(2.0), np.cos(2.0)])
    falling = lambda t, x: float(x @ gaussian.gradient(x, v))  # noqa: E731
    falling.terminal = True  # type: ignore[attr-defined]
    run = solve_ivp(lambda t, x: -gaussian.gradient(x, v), (0.0, 10.0), w, "DOP853", events=falling, rtol=1e-12, atol=1e-14)
    turn = turning_point(gaussian, fs.Start(1.0, 2.0), 1)
    assert turn.time == pytest.approx(run.t_events[0][0], rel=1e-8)
    assert turn.norm == pytest.approx(np.linalg.norm(run.y_events[0][0]), rel=1e-9)


def test_a_norm_that_grows_from_the_start_has_turned_at_the_start(gaussian: fs.PopulationRisk) -> None:
    start = fs.Start(0.3, 0.5)
    assert turning_point(gaussian, start, 3) == (0.0, 0.3, float(start.log_tan_half_angle))


@pytest.mark.parametrize("depth", [2, 3])
def test_opposite_to_the_teacher_deep_networks_never_turn(gaussian: fs.PopulationRisk, depth: int) -> None:
    """Also where the norm has fallen below the smallest double."""
    with pytest.raises(RuntimeError, match=r"the norm falls at all times to t = .*: no turning point was found"):
        turning_point(gaussian, fs.Start(1.0, np.pi), depth)


def test_a_batch_of_starts_is_refused(gaussian: fs.PopulationRisk) -> None:
    with pytest.raises(ValueError, match="`start` must be a single start, but is a batch of shape"):
        turning_point(gaussian, fs.Start([1.0, 2.0], 2.0), 1)
