"""Gradient descent in Cartesian doubles: right while the part across v is there, and wrong about the edge of stability afterwards."""

from decimal import Decimal, localcontext

import numpy as np
import pytest

import flowsim as fs
from flowsim.present import cartesian_descent, doubles_figure, doubles_runs

ULP = 2.0**-53


@pytest.fixture(scope="module")
def runs():
    return doubles_runs()


def bursts(risk, s, norm, sharpness):
    """Steps at which sigma > 2 and the direction error turns the norm down, c (1 - cos) > h, after it was aligned: c (1 - cos) < h/2."""
    with np.errstate(over="ignore"):
        misaligned = risk.pull * 2.0 / (1.0 + np.exp(-2.0 * s))
    growth = risk.growth(norm)
    aligned = np.maximum.accumulate(misaligned < 0.5 * growth)
    return np.flatnonzero(aligned & (sharpness > 2.0) & (misaligned > growth))


def in_digits(risk, digits, steps, eta=0.3, norm=1.0, angle=1.5):
    """s and |w| of the same loop at depth 4 and v = (3, 4)/5 with so many decimal digits of z; h and a stay doubles."""
    v = (Decimal("0.6"), Decimal("0.8"))
    cos, sin = Decimal(float(np.cos(angle))), Decimal(float(np.sin(angle)))
    s, norms, a = np.empty(steps + 1), np.empty(steps + 1), norm**0.25
    with localcontext() as context:
        context.prec, context.Emin = digits, -(10**6)
        z = [Decimal(a) * (cos * v[0] - sin * v[1]), Decimal(a) * (cos * v[1] + sin * v[0])]
        for k in range(steps + 1):
            across, parallel = abs(z[1] * v[0] - z[0] * v[1]), float(z[0] * v[0] + z[1] * v[1])
            power = across.adjusted()
            lead = float(across.scaleb(-power))
            length = float(np.hypot(float(z[0]), float(z[1])))
            s[k] = np.log(lead) + power * np.log(10.0) - np.log(length + parallel) if lead else -np.inf
            norms[k] = a**3 * length
            ratio = float(risk.profile.drag_ratio(norms[k]))
            shrink, push = 1 - Decimal(eta * a**6 * ratio), Decimal(eta * a**3 * risk.pull)
            z = [shrink * z[0] + push * v[0], shrink * z[1] + push * v[1]]
            a = a - eta * a**2 * (ratio * a**3 * length**2 - risk.pull * parallel)
    return s, norms


def test_doubles_agree_with_flowsim_as_far_as_their_digits_reach(runs):
    descent, doubles = runs
    s = descent.log_tan_half_angle
    gap = np.abs(doubles.log_tan_half_angle - s)
    axis, general = s > -700.0, s > -15.0
    first_axis, first_general = int(np.argmin(axis)), int(np.argmin(general))
    assert first_axis > 400
    assert first_general > 30
    assert gap[0, :first_axis].max() < 1e-10
    # off an axis, half a unit in the last place of z is an error of that size over theta/2
    assert (gap[1, :first_general] < ULP * np.exp(-s[:first_general]) + 1e-14).all()
    assert gap[1, : int(np.argmin(s > -14.0))].max() < 1e-10
    for norm in doubles.norm:
        np.testing.assert_allclose(norm[:4000], descent.norm[:4000], rtol=1e-12)


def test_another_step_size_law_or_depth_would_show(runs):
    descent, _ = runs
    start, laws = fs.Start(1.0, 1.5), [descent.problem, fs.PopulationRisk(fs.Gaussian(dim=2, scale=1.0 + 1e-8))]
    for risk, eta, depth in ((laws[0], 0.3 * (1 + 1e-8), 4), (laws[1], 0.3, 4), (laws[0], 0.3, 3)):
        wrong = cartesian_descent(risk, start, eta, 40, depth, [0.0, 1.0])
        assert np.abs(wrong.log_tan_half_angle - descent.log_tan_half_angle[:41]).max() > 1e-9


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_any_depth_side_and_label_noise(depth, noise):
    risk, start = fs.PopulationRisk(fs.Laplace(dim=2), label_noise=noise), fs.Start(0.7, 2.5)
    descent = fs.gradient_descent(risk, start, 0.05, np.arange(101), depth=depth, method="exact")
    doubles = cartesian_descent(risk, start, 0.05, 100, depth, [[0.0, 2.0], [0.6, 0.8], [-1.0, 0.3]])
    assert doubles.first_layer.shape == (3, 101, 2)
    for run in range(3):
        for name in ("log_tan_half_angle", "norm", "sharpness"):
            np.testing.assert_allclose(getattr(doubles, name)[run], getattr(descent, name), rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(np.log(doubles.layer[run]), descent.log_layer, rtol=1e-11, atol=1e-12)


def test_along_an_axis_the_part_across_v_freezes_at_the_smallest_double_and_never_bursts(runs):
    descent, doubles = runs
    assert descent.log_tan_half_angle.min() < -3000
    across = np.abs(doubles.first_layer[0, :, 0])
    assert (across[500:] == 5e-324).all()
    assert across[400] > 1e-300
    assert doubles.sharpness[0, -1] > 3.5
    assert (np.diff(doubles.norm[0, 100:]) > 0).all()
    assert not bursts(descent.problem, doubles.log_tan_half_angle[0], doubles.norm[0], doubles.sharpness[0]).size


def test_off_an_axis_rounding_feeds_bursts_long_before_the_first_one(runs):
    descent, doubles = runs
    s, true = doubles.log_tan_half_angle[1], int(descent.coverage.first_burst)
    passed = int(np.flatnonzero(descent.sharpness > 2.0)[0])
    floor = s[200:passed]
    assert true == bursts(descent.problem, descent.log_tan_half_angle, descent.norm, descent.sharpness)[0]
    assert (passed, true) == (4029, 12411)
    assert -39 < floor[np.isfinite(floor)].min() < floor[np.isfinite(floor)].max() < -34
    steps = bursts(descent.problem, s, doubles.norm[1], doubles.sharpness[1])
    # which step exactly, rounding decides
    assert 4500 < steps[0] < 4800
    # sigma then stays near 2, where the run itself goes to 2.9 and falls to 0.9
    assert np.abs(doubles.sharpness[1, steps[0] :] - 2.0).max() < 0.12
    assert descent.sharpness[: true + 1].max() > 2.9
    assert descent.sharpness[true : true + 100].min() < 0.9


def test_with_digits_enough_the_same_loop_bursts_where_flowsim_does(runs):
    """exp(-3356) is 10^-1457.6: 1500 digits of z hold it off an axis, 400 do not."""
    descent, _ = runs
    true = int(descent.coverage.first_burst)
    s, norm = in_digits(descent.problem, 1500, true + 200)
    np.testing.assert_allclose(s, descent.log_tan_half_angle[: s.size], rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(norm, descent.norm[: s.size], rtol=1e-8)
    assert norm[-1] < 0.5 * norm[true]
    _, short = in_digits(descent.problem, 400, 9000)
    assert (np.diff(descent.norm[100:9000]) > 0).all()
    assert 7800 < 100 + int(np.argmax(np.diff(short[100:]) < 0)) < 8000


def test_the_figure_shows_the_runs_and_loses_no_burst(runs):
    descent, doubles = runs
    figure = doubles_figure(descent, doubles)
    figure.draw_without_rendering()
    ours = (-descent.log_tan_half_angle, descent.sharpness, descent.norm)
    theirs = (-doubles.log_tan_half_angle, doubles.sharpness, doubles.norm)
    for ax, first, others in zip(figure.axes, ours, theirs, strict=True):
        lines = [line for line in ax.get_lines() if line.get_linestyle() == "-"]
        assert len(lines) == 3
        for line, values in zip(lines, (first, *others), strict=True):
            np.testing.assert_array_equal(line.get_ydata(), values[line.get_xdata()])
            later = values[10:][np.isfinite(values[10:])]
            assert (line.get_ydata().min(), line.get_ydata().max()) == (later.min(), later.max())
            assert line.get_xdata().size < 3500
    dashed = [line.get_ydata()[0] for line in figure.axes[1].get_lines() if line.get_linestyle() == "--"]
    assert dashed == [2.0]
    passed = float(np.flatnonzero(descent.sharpness > 2.0)[0])
    for ax in figure.axes:
        assert [passed, passed] in [list(line.get_xdata()) for line in ax.get_lines() if line.get_linestyle() == ":"]
    assert [ax.get_ylabel() for ax in figure.axes] == [r"direction  $-s$", r"sharpness  $\sigma$", r"norm  $|w|$"]
    assert figure.axes[-1].get_xlabel() == r"step  $k$"
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["flowsim", "doubles, $v=(0,1)$", "doubles, $v=(3,4)/5$"]


def test_bad_input_is_refused_by_name():
    risk, start = fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start()
    for v in ([1.0, 2.0, 3.0], [0.0, 0.0], 1.0):
        with pytest.raises(ValueError, match="`v` must hold nonzero vectors"):
            cartesian_descent(risk, start, 0.1, 5, 2, v)
    with pytest.raises(ValueError, match=r"`start\.norm` must be a number"):
        cartesian_descent(risk, fs.Start([1.0, 2.0], 1.0), 0.1, 5, 2, [0.0, 1.0])
    with pytest.raises(ValueError, match="`step_size` must be positive"):
        cartesian_descent(risk, start, -0.1, 5, 2, [0.0, 1.0])
