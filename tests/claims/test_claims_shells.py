"""The quadrature that claims are held against: moments, angles, kinks and laws it cannot take; it shares no table with flowsim."""

from math import gamma, pi, sqrt

import numpy as np
import pytest
from scipy import integrate, stats

import flowsim as fs
from flowsim.claims.problem.growth import aligned, growth
from flowsim.claims.problem.shells import Shells, half_plane, shells_of
from flowsim.claims.settings import OutOfScope

MEAN_OF_ABS_T = {df: 2.0 * sqrt(df) * gamma((df + 1) / 2) / (sqrt(pi) * (df - 1) * gamma(df / 2)) for df in (3.0, 1.1)}

# E|x_1|, by textbook formulas
MEANS = {
    fs.Gaussian(5, 2.0): 2.0 * sqrt(2.0 / pi),
    fs.Sphere(2): 2.0 / pi,
    fs.Sphere(3, 4.0): 2.0,
    fs.Ball(4, 2.0): 2.0 * gamma(3.0) / (sqrt(pi) * gamma(3.5)),
    fs.StudentT(2, 3.0): MEAN_OF_ABS_T[3.0],
    fs.StudentT(3, 1.1, 0.5): 0.5 * MEAN_OF_ABS_T[1.1],
    fs.Laplace(7, 0.1): 0.1,
    fs.Radial(3, stats.gamma(0.5)): 0.25,
    fs.Radial(2, stats.expon()): 2.0 / pi,
    fs.Radial(3, stats.uniform(0.5, 1.0)): 0.5,
    fs.Radial(3, stats.pareto(1.5)): 1.5,
}
LAWS = pytest.mark.parametrize("law", MEANS, ids=lambda law: law.label())


@LAWS
def test_masses_and_means_are_those_of_the_law(law: fs.Law) -> None:
    shells = shells_of(law)
    assert shells.mass.sum() == pytest.approx(1.0, abs=1e-13)
    assert 2.0 * shells.pull == pytest.approx(MEANS[law], rel=1e-12)
    # the projection on a plane has c0 = pi c
    assert shells.mean_ring == pytest.approx(pi * shells.pull, rel=1e-12)
    assert shells.rings.mass.sum() == pytest.approx(1.0, abs=1e-12)


LIGHT = [law for law in MEANS if law.second_moment < 1e3 and not isinstance(law, fs.StudentT)]


@pytest.mark.parametrize("law", LIGHT, ids=lambda law: law.label())
def test_second_moments_are_those_of_the_law(law: fs.Law) -> None:
    shells = shells_of(law)
    u, weight = shells.coordinate(3.0)
    assert (weight * u**2).sum() == pytest.approx(law.second_moment, rel=1e-11)
    assert (shells.rings.mass * shells.rings.radius**2).sum() == pytest.approx(2.0 * law.second_moment, rel=1e-11)


@LAWS
@pytest.mark.parametrize(("norm", "angle"), [(0.3, 0.0), (2.0, 1.1), (50.0, 2.9), (1e4, pi)])
def test_the_half_plane_has_mass_one_the_error_rate_and_the_mean_margin(law: fs.Law, norm: float, angle: float) -> None:
    rings = shells_of(law).rings
    plane = half_plane(rings, norm, angle)
    assert plane.mean(np.ones_like(plane.margin)) == pytest.approx(1.0, abs=1e-12)
    assert plane.mean(plane.margin < 0.0) == pytest.approx(angle / pi, abs=1e-12)
    # E y<w, x> = r cos(theta) E|x_1|
    assert plane.mean(plane.margin) == pytest.approx(norm * np.cos(angle) * MEANS[law], rel=1e-11, abs=1e-12 * norm)
    assert plane.mean(plane.along) == pytest.approx(MEANS[law], rel=1e-11)
    largest = plane.along.max()
    seen = plane.along * np.cos(angle) + plane.across * np.sin(angle)
    np.testing.assert_allclose(plane.margin, norm * seen, atol=1e-11 * norm * largest)
    np.testing.assert_allclose(plane.beside, plane.across * np.cos(angle) - plane.along * np.sin(angle), atol=1e-12 * largest)


def test_a_kink_at_a_panels_end_does_not_show() -> None:
    norm, angle = 3.0, 0.7
    plane = half_plane(shells_of(fs.Sphere(2)), norm, angle, (1.0,))
    found = plane.mean(np.maximum(1.0 - plane.margin, 0.0) ** 2)
    kinks = [angle - np.arccos(1.0 / norm), angle + np.arccos(1.0 / norm)]
    inside = [phi for phi in kinks if abs(phi) < pi / 2]
    value = lambda phi: max(1.0 - norm * np.cos(phi - angle), 0.0) ** 2  # noqa: E731
    expected = integrate.quad(value, -pi / 2, pi / 2, points=inside, epsabs=1e-13)[0] / pi
    assert found == pytest.approx(expected, rel=1e-12)
    coarse = half_plane(shells_of(fs.Sphere(2)), norm, angle, (2.5,))
    assert abs(coarse.mean(np.maximum(1.0 - coarse.margin, 0.0) ** 2) / expected - 1.0) > 1e-8


@pytest.mark.parametrize("r", [0.1, 3.0, 200.0])
def test_growth_and_aligned_risk_by_scipy(r: float) -> None:
    # |x_1| uniform on (0, 1)
    h = integrate.quad(lambda u: u / (1.0 + np.exp(r * u)), 0.0, 1.0, points=[min(1.0, 5.0 / r)], epsabs=1e-14)[0]
    a = integrate.quad(lambda u: np.log1p(np.exp(-r * u)), 0.0, 1.0, points=[min(1.0, 5.0 / r)], epsabs=1e-14)[0]
    assert growth(shells_of(fs.Sphere(3)), r) == pytest.approx(h, rel=1e-11)
    assert aligned(shells_of(fs.Sphere(3)), r) == pytest.approx(a, rel=1e-11)


def test_interpolated_rings_mean_what_the_rings_do() -> None:
    """The ball of R^4 has fewer rings than its shells have; |x_1| has the law it has on the sphere of R^6, taken ring by ring."""
    ball, sphere = shells_of(fs.Ball(4)), shells_of(fs.Sphere(6))
    assert ball.rings.radius.size < 20 * ball.radius.size
    for norm, angle in ((0.5, 0.4), (20.0, 2.0), (2000.0, 1.0)):
        one, other = (half_plane(shells.rings, norm, angle) for shells in (ball, sphere))
        assert one.mean(np.logaddexp(0.0, -one.margin)) == pytest.approx(other.mean(np.logaddexp(0.0, -other.margin)), rel=1e-12)


def test_a_large_dimension_concentrates() -> None:
    shells = Shells(np.array([1.0]), np.ones(1), 1000)
    u, weight = shells.coordinate(10.0)
    assert (weight * u**2).sum() == pytest.approx(1e-3, rel=1e-10)
    assert (shells.rings.mass * shells.rings.radius**4).sum() == pytest.approx(8.0 / (1000 * 1002), rel=1e-10)


class _Unknown(fs.Gaussian):
    pass


class _Other(fs.Law):
    name, dim, tail, second_moment = "other", 2, None, 1.0  # type: ignore[assignment]
    _weights = _norms = None  # type: ignore[assignment]

    def label(self) -> str:
        return "Other"


def test_a_law_whose_density_is_not_known_is_out_of_scope() -> None:
    with pytest.raises(OutOfScope, match="the density of Other is not known"):
        shells_of(_Other())  # type: ignore[abstract]
    # a kind of a known law is known
    assert shells_of(_Unknown(2)).pull == shells_of(fs.Gaussian(2)).pull
