"""Norm, angle and s = log tan(theta/2)."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flowsim as fs
from flowsim.problem.plane import angle_of, log_sin, log_tan_half, one_minus_cos

ANGLES = [1e-300, 1e-100, 1e-16, 1e-8, 0.1, 1.0, 1.4999, 1.5, 1.5001, np.pi / 2, 2.0, 2.5, 3.1, 3.14159, np.pi - 1e-8, np.pi - 1e-15]


@pytest.mark.parametrize("angle", [*ANGLES, float(np.nextafter(np.pi, 0.0))])
def test_s_is_right_to_the_last_digits_also_next_to_0_and_pi(angle):
    with mp.workdps(50):
        truth = mp.log(mp.tan(mp.mpf(float(angle)) / 2))
        # absolute, in ulps of s or of 1: near pi/2, where s passes 0, tan is rounded at 1
        assert abs(float(log_tan_half(np.array(angle)) - truth)) <= 4e-16 * max(1.0, abs(float(truth)))


def test_the_two_rays_are_exact():
    assert log_tan_half(np.array(0.0)) == -np.inf
    assert log_tan_half(np.array(np.pi)) == np.inf
    assert np.isfinite(log_tan_half(np.array([np.nextafter(np.pi, 0.0), 1e-320]))).all()
    assert fs.Start(1.0, np.pi).log_tan_half_angle == np.inf


@given(st.floats(-800.0, 800.0))
@settings(max_examples=200, derandomize=True, deadline=None)
def test_functions_of_s_match_fifty_digits(s):
    with mp.workdps(400):
        x = mp.mpf(s)
        theta = 2 * mp.atan(mp.exp(x))
        gap, sine = 1 - mp.cos(theta), mp.log(mp.sin(theta))
        # relative, a few roundings of exp at an argument of size |2 s|
        room = 4e-16 * (2 + 2 * abs(s))
        if float(gap) > 1e-300:
            assert abs(float(one_minus_cos(np.array(s)) / gap - 1)) <= room
        assert abs(float(log_sin(np.array(s)) - sine)) <= 4e-16 * max(1.0, abs(s))
        if s > -700:
            assert abs(float(angle_of(np.array(s)) / theta - 1)) <= room


@given(st.floats(1e-12, 3.14))
@settings(max_examples=200, derandomize=True, deadline=None)
def test_angle_and_s_are_inverse(angle):
    # the rounding of s, |s| ulps, is a relative error of the angle
    assert float(angle_of(log_tan_half(np.array(angle)))) == pytest.approx(angle, rel=1e-14)


def test_a_start_from_vectors_has_their_norm_and_angle():
    v = np.array([0.3, -1.2, 2.0])
    w = np.array([[1.0, 2.0, -0.5], [-3.0, 0.1, 0.2]])
    start = fs.Start.from_vectors(w, 5.0 * v)
    cos = w @ v / np.linalg.norm(w, axis=1) / np.linalg.norm(v)
    assert start.shape == (2,)
    np.testing.assert_allclose(start.norm, np.linalg.norm(w, axis=1), rtol=1e-15)
    np.testing.assert_allclose(np.cos(start.angle), cos, rtol=1e-14)


def test_a_start_from_vectors_keeps_a_small_angle():
    # arccos would return 0 or 1.5e-8 here
    start = fs.Start.from_vectors([1e-12, 1.0], [0.0, 1.0])
    assert float(start.angle) == pytest.approx(1e-12, rel=1e-12)
    assert np.pi - float(fs.Start.from_vectors([1e-6, -1.0], [0.0, 1.0]).angle) == pytest.approx(1e-6, rel=1e-9)


def test_a_start_from_opposite_vectors_is_exactly_on_its_ray():
    assert fs.Start.from_vectors([0.0, -2.0], [0.0, 1.0]).log_tan_half_angle == np.inf
    assert fs.Start.from_vectors([0.0, 2.0], [0.0, 1.0]).log_tan_half_angle == -np.inf


def test_norm_and_angle_broadcast():
    start = fs.Start([1.0, 2.0, 3.0], [[0.5], [1.0]])
    assert start.shape == (2, 3)
    assert start.angle.shape == (2, 3)
    assert fs.Start(1, 2).shape == ()


def test_equal_starts_compare_equal():
    assert fs.Start(1.0, 2.0) == fs.Start(1.0, 2.0)
    assert fs.Start(1.0, 2.0) != fs.Start(1.0, 2.5)
    assert bool(fs.Start([1.0, 2.0], 1.0) == fs.Start([1.0, 2.0], 1.0))


@pytest.mark.parametrize(
    ("norm", "angle", "message"),
    [
        (-1.0, 1.0, r"`norm` must be positive and finite, but is -1"),
        (0.0, 1.0, r"`norm` must be positive and finite, but is 0"),
        (np.nan, 1.0, r"`norm` must be positive and finite, but is nan"),
        (np.inf, 1.0, r"`norm` must be positive and finite, but is inf"),
        ([1.0, -2.0], 1.0, r"`norm` must be positive and finite, but is -2"),
        (1e101, 1.0, r"`norm` must be in \[1e-100, 1e\+100\], but is 1e\+101"),
        (1e-101, 1.0, r"`norm` must be in \[1e-100, 1e\+100\], but is 1e-101"),
        (1.0, -0.1, r"`angle` must be in \[0, 3.14159\], but is -0.1"),
        (1.0, 3.2, r"`angle` must be in \[0, 3.14159\], but is 3.2"),
        (1.0, np.nan, r"`angle` must be in \[0, 3.14159\], but is nan"),
        (1.0, "east", r"`angle` must be a number or an array of numbers, but is 'east'"),
        (None, 1.0, r"`norm` must be"),
        ([], 1.0, r"`norm` must hold at least one number, but is empty"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], r"`norm` and `angle` must broadcast, but have shapes \(2,\) and \(3,\)"),
    ],
)
def test_a_start_refuses_what_is_no_start(norm, angle, message):
    with pytest.raises(ValueError, match=message):
        fs.Start(norm, angle)


@pytest.mark.parametrize(
    ("w", "v", "message"),
    [
        ([1.0, 2.0], [0.0, 0.0], r"`v` must be a nonzero vector"),
        ([1.0, 2.0], [[0.0, 1.0]], r"`v` must be a nonzero vector"),
        ([1.0, 2.0], [np.nan, 1.0], r"`v` must be finite, but is nan"),
        ([1.0, 2.0, 3.0], [0.0, 1.0], r"`w` must have shape \(\.\.\., 2\) like `v`, but has shape \(3,\)"),
        (1.0, [1.0], r"`w` must have shape"),
        ([0.0, 0.0], [0.0, 1.0], r"`norm` must be positive"),
    ],
)
def test_vectors_that_make_no_start_are_refused(w, v, message):
    with pytest.raises(ValueError, match=message):
        fs.Start.from_vectors(w, v)


def test_log_times_are_evenly_spaced_and_end_where_asked():
    times = fs.log_times(1e-2, 1e12, 200)
    assert times[0] == 1e-2
    assert times[-1] == 1e12
    assert times.shape == (200,)
    np.testing.assert_allclose(np.diff(np.log(times)), np.log(1e14) / 199, rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0.0, 1.0, 5), r"`first` must be positive and finite, but is 0"),
        ((2.0, 1.0, 5), r"`last` must be above 2 and finite, but is 1"),
        ((1.0, np.inf, 5), r"`last` must be above 1 and finite, but is inf"),
        ((1.0, 2.0, 1), r"`count` must be a whole number, 2 or more, but is 1"),
    ],
)
def test_log_times_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        fs.log_times(*arguments)
