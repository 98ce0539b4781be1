"""Annotations of flowsim are checked while the tests run; laws and risks that several rooms share.

The hook has to be in place before flowsim is first imported, hence before anything else here. An int may stand for a float, as in PEP 484.
"""

from jaxtyping import install_import_hook

install_import_hook("flowsim", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")

from collections.abc import Callable  # noqa: E402
from functools import cache  # noqa: E402

import pytest  # noqa: E402
from scipy import stats  # noqa: E402

import flowsim as fs  # noqa: E402

_MAKERS: dict[str, Callable[[], fs.Law]] = {
    "gaussian": lambda: fs.Gaussian(dim=2),
    "gaussian10": lambda: fs.Gaussian(dim=10, scale=0.5),
    "circle": lambda: fs.Sphere(dim=2),
    "sphere3": lambda: fs.Sphere(dim=3),
    "ball": lambda: fs.Ball(dim=3, radius=2.0),
    "student": lambda: fs.StudentT(dim=3, df=5.0),
    "heavy": lambda: fs.StudentT(dim=3, df=1.5),
    "laplace": lambda: fs.Laplace(dim=2),
    "gamma": lambda: fs.Radial(2, stats.gamma(3.0)),
    "gamma10": lambda: fs.Radial(10, stats.gamma(3.0)),
    "singular": lambda: fs.Radial(3, stats.gamma(0.5)),
    "uniform": lambda: fs.Radial(3, stats.uniform(0.5, 1.0)),
}


@cache
def _law(name: str) -> fs.Law:
    return _MAKERS[name]()


@pytest.fixture(scope="session")
def law_of() -> Callable[[str], fs.Law]:
    """A law by name, built once: a profile takes 0.2 s."""
    return _law


@pytest.fixture(scope="session")
def risk_of() -> Callable[..., fs.PopulationRisk]:
    """A population risk by the name of its law."""
    return lambda name, label_noise=0.0: fs.PopulationRisk(_law(name), label_noise)


@pytest.fixture(scope="session")
def gaussian() -> fs.PopulationRisk:
    return fs.PopulationRisk(_law("gaussian"))


@pytest.fixture(scope="session")
def sphere3() -> fs.PopulationRisk:
    return fs.PopulationRisk(_law("sphere3"))


SLOWEST = (
    "tests/claims/test_verdicts.py",
    "tests/test_readme.py",
    "tests/test_docs.py",
    "tests/test_tooling.py",
    "tests/sweeps/test_survival.py",
    "tests/test_notebooks.py",
)
"""Files of few tests that take long: were they last, one process would wait for the other."""


def pytest_configure(config: pytest.Config) -> None:
    """Files go to processes in the order below, and not by how many tests they have."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The slowest files first, all others as they are."""
    place = {name: i for i, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: place.get(item.nodeid.split("::")[0], len(SLOWEST)))
