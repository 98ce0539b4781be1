"""Small images, and the networks that are trained on them. One shape throughout, so that little is compiled."""

from typing import Any

import numpy as np
import pytest

from flowsim.relu import Images, train

SETTING: dict[str, Any] = {
    "step_sizes": [0.2, 0.05],
    "weight_scales": [1.0, 2.0],
    "data_scales": [1.0, 3.0],
    "seeds": 2,
    "depth": 3,
    "width": 8,
    "batch": 16,
    "steps": [0, 1, 2, 3, 10, 40, 41, 60],
}
MEASURED = ("test_error", "train_loss", "log_product_norm", "largest_output")


@pytest.fixture(scope="session")
def images():
    draw = np.random.default_rng(0)
    x, y = draw.uniform(size=(60, 6)), np.tile([0, 1, 2], 20)
    x[np.arange(60), y] += 1.0
    return Images(x[:42], y[:42], x[42:], y[42:], "small", 3)


@pytest.fixture(scope="session")
def setting():
    return SETTING


@pytest.fixture(scope="session")
def unbroken(images):
    return train(images, **SETTING)


@pytest.fixture(scope="session")
def same():
    """same(run, other): whether all that was measured agrees to the last bit."""

    def check(run, other):
        for name in (*MEASURED, "step", "step_sizes", "weight_scales", "data_scales", "seeds", "status"):
            np.testing.assert_array_equal(getattr(run, name), getattr(other, name))
        assert run.config == other.config
        assert (run.state is None) == (other.state is None)

    return check
