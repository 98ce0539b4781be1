"""Small runs to draw."""

import numpy as np
import pytest

import flowsim as fs
from flowsim.present import late_flows, paper_runs


@pytest.fixture(scope="session")
def gaussian():
    return fs.PopulationRisk(fs.Gaussian(dim=2))


@pytest.fixture(scope="session")
def flows():
    """Depths 1, 2, 3 and 5 to t = 1e12."""
    return late_flows(count=60)


@pytest.fixture(scope="session")
def paper():
    """The paper's two networks."""
    return paper_runs()


@pytest.fixture(scope="session")
def pair(gaussian):
    """A descent and the flow at its times, from an angle beyond pi/2."""
    descent = fs.gradient_descent(gaussian, fs.Start(1.0, 2.5), 0.1, 2000, depth=3)
    return fs.gradient_flow(gaussian, fs.Start(1.0, 2.5), descent.time, depth=3), descent


def solid(ax):
    """What was measured: lines that are solid."""
    return [line for line in ax.get_lines() if line.get_linestyle() == "-" and len(line.get_xdata()) > 2]


def dashed(ax):
    """What was predicted."""
    return [line for line in ax.get_lines() if line.get_linestyle() == "--"]


@pytest.fixture
def lines():
    return solid, dashed


@pytest.fixture(autouse=True)
def _settings_stay_the_users():
    """No test may leave matplotlib's settings other than it found them, and warnings are errors everywhere."""
    import matplotlib

    matplotlib.use("agg")
    before = dict(matplotlib.rcParams)
    yield
    assert dict(matplotlib.rcParams) == before
    assert np.geterr()["invalid"] == "warn"
