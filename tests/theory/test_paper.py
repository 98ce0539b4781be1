"""The paper's experiment: its law, start and numbers."""

import numpy as np
import pytest

import flowsim as fs
from flowsim.theory.paper import FIGURE_1


def test_figure_1_is_the_circle_from_its_start() -> None:
    assert FIGURE_1.risk.law == fs.Sphere(2)
    assert float(FIGURE_1.start.norm) == pytest.approx(1.0, abs=1e-15)
    assert np.cos(FIGURE_1.start.angle) == pytest.approx(-0.8, abs=1e-15)
    assert FIGURE_1.depths == (1, 4)


def test_the_second_bound_starts_at_step_5000_and_18000() -> None:
    assert [FIGURE_1.restart_time(depth) for depth in FIGURE_1.depths] == pytest.approx([5.0, 18.0], rel=1e-15)
