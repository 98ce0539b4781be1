"""Runs of homogeneous networks by hand, to show them to measurements."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from flowsim.finite import HomogeneousRun


@pytest.fixture(scope="session")
def made() -> Callable[..., HomogeneousRun]:
    """A run at these log t, of one weight and of one sample, which holds the margin, 1, and is aligned, but for what is told otherwise."""

    def run(log_time: np.ndarray, **held: Any) -> HomogeneousRun:
        zeros, ones = np.zeros(log_time.size), np.ones((log_time.size, 1))
        own: dict[str, Any] = {
            **dict.fromkeys(("log_norm", "path_length", "alignment_gap"), zeros),
            **dict.fromkeys(("direction", "margins", "weights"), ones),
            **dict.fromkeys(("step", "predictor")),
            "log_loss": -log_time,
            "test_error": np.nan * zeros,
        }
        fixed = {"kind": "homogeneous-flow", "status": "ok", "order": 1.0, "loss": "exponential"}
        return HomogeneousRun(**(own | fixed | {"log_time": log_time} | held))

    return run
