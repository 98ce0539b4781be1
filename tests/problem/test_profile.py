"""h, A, (c - h)/r, -h' and c of every law against high-precision values, closed forms and each other."""

import json
from functools import cache
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest
from scipy import stats

import flowsim as fs
from flowsim.problem import table
from flowsim.problem.marginal import weights_of_density
from flowsim.problem.profile import build_profile

ENTRIES = json.loads((Path(__file__).parents[1] / "references" / "profile.json").read_text())["laws"]
FIELDS = {"h": "growth", "A": "aligned", "drag_ratio": "drag_ratio", "curvature": "curvature"}
BELOW = 1e-290  # a value that small may be subnormal or 0


def title(entry):
    radius = entry.get("radius")
    inside = ",".join(f"{k}={v:g}" for k, v in entry["kwargs"].items())
    return f"{entry['law']}({inside}{',' + radius['name'] + str(radius['args']) if radius else ''})"


@cache
def built(index):
    entry = ENTRIES[index]
    radius = entry.get("radius")
    extra = {"radius": getattr(stats, radius["name"])(*radius["args"])} if radius else {}
    return getattr(fs, entry["law"])(**entry["kwargs"], **extra).profile


def errors(profile, entry, inside):
    """Relative errors of the four functions at the entry's r, inside [1e-12, 1e12] or outside: {field: (r, error)}."""
    r = np.array([float(row["r"]) for row in entry["rows"]])
    here = (r >= 1e-12) & (r <= 1e12)
    out = {}
    for field, method in FIELDS.items():
        value = getattr(profile, method)(r)
        error = np.empty(r.size)
        for i, row in enumerate(entry["rows"]):
            truth = mp.mpf(row[field])
            error[i] = abs(float((mp.mpf(float(value[i])) - truth) / truth)) if truth > BELOW else (0.0 if value[i] < 2 * BELOW else np.inf)
        error[here != inside] = 0.0
        worst = int(error.argmax())
        out[field] = (r[worst], error[worst])
    return out


@pytest.mark.parametrize("index", range(len(ENTRIES)), ids=[title(e) for e in ENTRIES])
class TestAgainstHighPrecision:
    def test_all_functions_are_right_to_thirteen_digits_in_tables_of_one_shape(self, index):
        # the accuracy the docstrings promise; rounding of nine Horner steps and of an 18-point sum is near 2e-14
        profile = built(index)
        found = errors(profile, ENTRIES[index], inside=True)
        assert max(e for _, e in found.values()) <= 1e-13, found
        # the pull, a sum of a few hundred terms
        assert abs(float(mp.mpf(profile.pull) / mp.mpf(ENTRIES[index]["c"]) - 1)) < 1e-14
        for rows in (profile.force, profile.aligned_table, profile.curvature_table):
            assert rows.shape == (table.ROWS, table.DEGREE + 1)
            assert rows.dtype == np.float64
            assert np.isfinite(rows).all()

    def test_the_limits_hold_from_1e_minus_300_to_1e300(self, index):
        # beyond the octaves that are summed a function goes on as a power law: exact but where a logarithm stands in its limit
        logarithmic = title(ENTRIES[index]) in ("StudentT(dim=2,df=2,scale=1)", "Radial(dim=2,expon[])", "Radial(dim=2,halfnorm[])")
        found = errors(built(index), ENTRIES[index], inside=False)
        assert max(e for _, e in found.values()) <= (1e-3 if logarithmic else 1e-9), found


def test_a_perturbed_density_fails_the_check():
    # a scale wrong by 1e-12 moves h by as much at large r: the check must see a tenth of what it allows times ten
    entry = next(e for e in ENTRIES if e["law"] == "Gaussian" and e["kwargs"]["scale"] == 1.0)

    def profile(scale):
        return build_profile(weights_of_density(lambda u: -0.5 * (u / scale) ** 2).normalised())

    assert max(e for _, e in errors(profile(1.0), entry, True).values()) < 1e-13
    for scale in (1.0 + 1e-12, 1.0 - 1e-12):
        found = errors(profile(scale), entry, True)
        assert found["h"][1] > 5e-13, found
        assert found["drag_ratio"][1] > 5e-13, found


def _laplace(r):
    """h, D for x_1 ~ Laplace(1): h = [psi1((k+1)/2) - psi1((k+2)/2)]/(4 r^2), k = 1/r."""
    k = 1 / r
    h = (mp.psi(1, (k + 1) / 2) - mp.psi(1, (k + 2) / 2)) / (4 * r * r)
    return h, (mp.mpf(1) / 2 - h) / r


def _sphere3_aligned(r):
    return (mp.pi**2 / 12 + mp.polylog(2, -mp.exp(-r))) / r


def _sphere3(r):
    """h, D for |x_1| uniform on (0, 1): A = (pi^2/12 + Li2(-e^-r))/r, h = (A - log(1 + e^-r))/r."""
    h = (_sphere3_aligned(r) - mp.log1p(mp.exp(-r))) / r
    return h, (mp.mpf(1) / 4 - h) / r


@pytest.mark.parametrize(("law", "formula"), [(fs.Laplace(3), _laplace), (fs.Sphere(3), _sphere3)], ids=["Laplace", "Sphere(3)"])
def test_closed_forms_by_trigamma_and_dilogarithm(law, formula):
    generator = np.random.default_rng(1)
    radii = np.exp(generator.uniform(np.log(1e-10), np.log(1e10), 60))
    with mp.workdps(60):
        for r in radii:
            h, drag = formula(mp.mpf(float(r)))
            # the promise of the docstrings
            assert abs(law.profile.growth(np.array(r)) / h - 1) < 1e-13, r
            assert abs(law.profile.drag_ratio(np.array(r)) / drag - 1) < 1e-13, r


def test_the_risk_of_the_sphere_in_three_dimensions_is_a_dilogarithm():
    profile = fs.Sphere(3).profile
    with mp.workdps(40):
        for r in np.geomspace(1e-9, 1e9, 37):
            assert abs(profile.aligned(np.array(r)) / _sphere3_aligned(mp.mpf(float(r))) - 1) < 1e-13, r


SAME = {
    "Ball(2) = Sphere(4)": (lambda: fs.Ball(2), lambda: fs.Sphere(4)),
    "Ball(7) = Sphere(9)": (lambda: fs.Ball(7, radius=3.0), lambda: fs.Sphere(9, radius=3.0)),
    "chi(2) = Gaussian": (lambda: fs.Radial(2, stats.chi(2)), lambda: fs.Gaussian(2)),
    "chi(10) = Gaussian": (lambda: fs.Radial(10, stats.chi(10)), lambda: fs.Gaussian(10)),
    "scaled chi(3) = Gaussian": (lambda: fs.Radial(3, stats.chi(3, scale=0.01)), lambda: fs.Gaussian(3, scale=0.01)),
    "Burr XII = StudentT": (lambda: fs.Radial(2, stats.burr12(2.0, 2.5, scale=5.0**0.5)), lambda: fs.StudentT(2, df=5.0)),
    "heavy Burr XII = StudentT": (lambda: fs.Radial(2, stats.burr12(2.0, 0.75, scale=1.5**0.5)), lambda: fs.StudentT(2, df=1.5)),
    "gamma(2) = Laplace in R^3": (lambda: fs.Radial(3, stats.gamma(2.0)), lambda: fs.Laplace(3)),
    "beta(3, 1) = Ball(3)": (lambda: fs.Radial(3, stats.beta(3.0, 1.0)), lambda: fs.Ball(3)),
    "dimension of a Gaussian": (lambda: fs.Gaussian(50), lambda: fs.Gaussian(2)),
}


@pytest.mark.parametrize("name", SAME)
def test_two_descriptions_of_one_marginal_have_one_profile(name):
    first, second = (make().profile for make in SAME[name])
    r = np.exp(np.random.default_rng(2).uniform(np.log(1e-30), np.log(1e30), 2000))
    assert first.pull == pytest.approx(second.pull, rel=1e-13)
    for method in FIELDS.values():
        gap = np.abs(getattr(first, method)(r) / getattr(second, method)(r) - 1.0)
        # both are allowed 1e-13
        assert gap.max() < 2e-13, (method, r[gap.argmax()], gap.max())


# eighth-order central difference
_OFFSETS = np.array([1, 2, 3, 4])
_COEFFICIENTS = np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280])
STEP = 0.02


def slope_in_log(f, r):
    """df/dlog r; truncation STEP^8/630 f^(9), about 3e-13 for functions analytic in |Im log r| < pi/2."""
    out = np.zeros_like(r)
    for j, a in zip(_OFFSETS, _COEFFICIENTS, strict=True):
        out += a / STEP * (f(r * np.exp(j * STEP)) - f(r * np.exp(-j * STEP)))
    return out


@pytest.mark.parametrize("name", ["gaussian", "circle", "ball", "student", "heavy", "laplace", "gamma", "singular", "uniform"])
def test_the_risk_falls_at_the_rate_h_and_h_at_the_rate_of_the_curvature(law_of, name):
    profile = law_of(name).profile
    r = np.exp(np.random.default_rng(3).uniform(np.log(1e-8), np.log(1e8), 500))
    # values right to 2e-14 differ by a step of 0.02: 2e-12 of the value
    pull = r * profile.growth(r)
    gap = np.abs(slope_in_log(profile.aligned, r) + pull) / (profile.aligned(r) + pull)
    assert gap.max() < 5e-12, (r[gap.argmax()], gap.max())
    bend = r * profile.curvature(r)
    gap = np.abs(slope_in_log(profile.growth, r) + bend) / (profile.growth(r) + bend)
    assert gap.max() < 5e-12, (r[gap.argmax()], gap.max())
    # and the other side of the split: (r D)' = -h'
    drag = r * profile.drag_ratio(r)
    gap = np.abs(slope_in_log(lambda x: x * profile.drag_ratio(x), r) - bend) / (drag + bend)
    assert gap.max() < 5e-12, (r[gap.argmax()], gap.max())


def test_the_slope_check_sees_a_panel_nudged_by_1e_minus_10(law_of):
    profile = law_of("gaussian").profile
    r = np.exp(np.random.default_rng(3).uniform(np.log(1e-8), np.log(1e8), 500))
    pull = r * profile.growth(r)

    def nudged(x):
        return profile.aligned(x) * np.where((x > 1.0) & (x < 1.3), 1 + 1e-10, 1.0)

    gap = np.abs(slope_in_log(nudged, r) + pull) / (profile.aligned(r) + pull)
    assert gap.max() > 1e-10


@pytest.mark.parametrize("name", ["gaussian", "circle", "heavy", "singular", "gamma10"])
def test_the_functions_keep_their_order_and_bounds_over_all_doubles(law_of, name):
    profile = law_of(name).profile
    r = np.concatenate([[0.0, 5e-324, 1e-310], np.geomspace(2.3e-308, 1.7e308, 20_001)])
    h, aligned, drag = profile.growth(r), profile.aligned(r), profile.drag_ratio(r)
    assert h[0] == pytest.approx(profile.pull, rel=1e-14)
    assert aligned[0] == pytest.approx(np.log(2.0), rel=1e-14)
    for values in (h, aligned, drag, profile.curvature(r)):
        assert (values >= 0).all()
        assert np.isfinite(values).all()
        # decreasing, up to the error where a sum of octaves hands over to its limit at r near 1e-280
        assert (np.diff(values[3:]) <= 1e-9 * values[3:-1] + 1e-300).all()
    # x/(1+e^x) is at most 0.27846 (Lemma 1)
    assert (h[3:] * r[3:] <= 0.2785).all()


def test_panels_join_without_a_seam(law_of):
    profile = law_of("student").profile
    edges = np.ldexp(1.0 + np.arange(16) / 16, np.arange(-40, 40)[:, None]).ravel()
    for method in FIELDS.values():
        f = getattr(profile, method)
        gap = np.abs(f(np.nextafter(edges, 0.0)) / f(edges) - 1.0)
        # both sides are right to 2e-14
        assert gap.max() < 5e-14, (method, edges[gap.argmax()])


def test_a_law_of_two_far_scales_is_as_exact_as_one_of_a_single_scale():
    # log-uniform on (1e-30, 1e30) in R^3: h = (A_S(r/1e30) - A_S(r 1e30))/(r log 1e60), A_S of the unit sphere
    law = fs.Radial(3, stats.loguniform(1e-30, 1e30))
    with mp.workdps(160):  # A_S(z) at z = 1e-61 is the difference of numbers 1/z
        low, high = mp.mpf(1e-30), mp.mpf(1e30)
        found = {}
        for r in (1e-31, 3e-30, 1e-10, 1.0, 1e10, 3.3e29, 1e30, 1.7e31):
            x = mp.mpf(r)
            truth = (_sphere3_aligned(x * low) - _sphere3_aligned(x * high)) / (x * mp.log(high / low))
            found[r] = abs(float(law.profile.growth(np.array(r)) / truth - 1))
    assert max(found.values()) < 1e-13, found
