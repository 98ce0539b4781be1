"""A descent beside its flow."""

import numpy as np
import pytest

import flowsim as fs
from flowsim.dynamics import gap_order, gap_prediction
from flowsim.dynamics.compare import gap_order_of


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["gaussian", "circle"])
def test_the_gap_is_of_first_order_in_the_step_size(risk_of, name, depth):
    order = gap_order(risk_of(name), fs.Start(1.0, 1.5), 10.0, depth)
    assert order.step_size.size >= 5
    report = f"slopes {order.slope_norm} {order.slope_direction}, gaps {order.norm} {order.log_tan_half_angle}"
    # the flow is right to 1e-10, the smallest gap is a thousand times that
    assert np.abs(order.norm).min() > 1e-7, report
    assert np.abs(order.log_tan_half_angle).min() > 1e-7, report
    assert order.slope_norm == pytest.approx(1.0, abs=0.05), report
    assert order.slope_direction == pytest.approx(1.0, abs=0.05), report
    report = f"{order}"
    assert np.abs(order.norm_corrected).min() > 1e-11, report
    assert np.abs(order.log_tan_half_angle_corrected).min() > 1e-11, report
    assert order.slope_norm_corrected == pytest.approx(2.0, abs=0.1), report
    assert order.slope_direction_corrected == pytest.approx(2.0, abs=0.1), report
    # at eta = 10/2^14 what the leading order leaves is of order eta
    assert order.ratio_norm == pytest.approx(1.0, abs=2e-3), report
    assert order.ratio_direction == pytest.approx(1.0, abs=2e-3), report


def test_the_leading_gap_is_the_modified_equation(gaussian):
    # Euler's gap is -(eta/2) times the solution of e' = J e + J f; for N = 1 on the ray: q' = h(q), e(t) = -(eta/2) h(q) log(h(q)/h(q0))
    eta, last = 1e-3, 10.0
    flow = fs.gradient_flow(gaussian, fs.Start(0.5, 0.0), [last], 1)
    run = fs.gradient_descent(gaussian, fs.Start(0.5, 0.0), eta, [10_000], 1)
    q, h, h0 = float(flow.norm[0]), float(gaussian.growth(flow.norm)[0]), float(gaussian.growth(0.5))
    predicted = -0.5 * eta * h * np.log(h / h0)
    # the next order is eta times smaller
    assert float(run.norm[0]) - q == pytest.approx(predicted, rel=1e-2)


def test_a_step_size_that_does_not_divide_the_time_is_refused(gaussian):
    with pytest.raises(ValueError, match=r"`step_sizes` must divide the time 1, but one is 0.3"):
        gap_order(gaussian, fs.Start(), 1.0, step_sizes=[0.3, 0.1])


def test_a_single_step_size_has_no_order(gaussian):
    with pytest.raises(ValueError, match="`step_sizes` must hold two step sizes or more, but holds 1"):
        gap_order(gaussian, fs.Start(), 1.0, step_sizes=[0.5])


def test_the_order_is_found_from_saved_descents_that_share_a_time(gaussian, tmp_path):
    """A batch whose runs end at different times: each has a record at t = 4, and only eta = 1/8 one at t = 8."""
    batch = fs.gradient_descent(gaussian, fs.Start(), [1 / 32, 1 / 16, 1 / 8], [16, 32, 64, 128], depth=2)
    order = gap_order_of(fs.load(batch.save(tmp_path / "batch.nc")))
    known = gap_order(gaussian, fs.Start(), 4.0, 2, [1 / 8, 1 / 16, 1 / 32])
    assert order.time == known.time == 4.0
    np.testing.assert_array_equal(order.step_size, [1 / 8, 1 / 16, 1 / 32])
    for name in ("norm", "log_tan_half_angle", "norm_corrected", "log_tan_half_angle_corrected"):
        np.testing.assert_allclose(getattr(order, name), getattr(known, name), rtol=1e-9, err_msg=name)
    assert order.slope_norm == pytest.approx(known.slope_norm, rel=1e-9)
    apart = gap_order_of([batch[0], batch[1:]])
    np.testing.assert_array_equal(apart.norm, order.norm)


def test_gaps_that_may_be_rounding_are_left_out_of_the_slope(gaussian):
    """From eta = 4/2^22 on the gap to the modified flow, about eta^2/500, is below 1e-14; a fit through it would not have slope 2."""
    sizes = 4.0 / 2.0 ** np.array([8, 9, 10, 22, 23])
    order = gap_order(gaussian, fs.Start(), 4.0, 2, sizes)
    assert (np.abs(order.norm_corrected[-2:]) < order.norm_floor[-2:]).all()
    assert (np.abs(order.norm_corrected[:3]) > order.norm_floor[:3]).all()
    assert order.slope_norm_corrected == pytest.approx(2.0, abs=0.02)
    kept = np.polyfit(np.log(sizes[:3]), np.log(np.abs(order.norm_corrected[:3])), 1)[0]
    assert order.slope_norm_corrected == pytest.approx(kept, rel=1e-12)


def test_descents_without_an_order_are_refused(gaussian):
    start = fs.Start()
    run = fs.gradient_descent(gaussian, start, 0.5, [2])
    other = fs.gradient_descent(gaussian, start, 0.25, [4])
    for odd in (
        fs.gradient_descent(gaussian, start, 0.25, [4], depth=2),
        fs.gradient_descent(gaussian, fs.Start(2.0), 0.25, [4]),
        fs.gradient_descent(fs.PopulationRisk(fs.Gaussian(dim=2), 0.1), start, 0.25, [4]),
    ):
        with pytest.raises(ValueError, match="`descents` must have the same risk, depth and start"):
            gap_order_of([run, odd])
    with pytest.raises(ValueError, match="`descents` must have constant step sizes, but one follows a schedule"):
        gap_order_of([run, fs.gradient_descent(gaussian, start, fs.Schedule([0.5, 0.5]), [2])])
    with pytest.raises(ValueError, match=r"have none in common; they end at 1, 0\.75"):
        gap_order_of([run, fs.gradient_descent(gaussian, start, 0.25, [3])])
    with pytest.raises(ValueError, match="`descents` must be Trajectories of descents, but one is 3"):
        gap_order_of([run, 3])
    with pytest.raises(RuntimeError, match="no rate"):
        gap_order_of([run, fs.gradient_descent(gaussian, fs.Start(1.0, 3.0), 100.0, 1000, depth=3)])
    assert gap_order_of([run, other, other]).step_size.tolist() == [0.5, 0.25]


def test_the_comparison_is_made_at_the_steps_of_the_descent(gaussian):
    start = fs.Start(1.0, 1.5)
    flow = fs.gradient_flow(gaussian, start, fs.log_times(1e-2, 10.0, 8), 2)
    run = fs.gradient_descent(gaussian, start, 0.01, [100, 200, 400, 800, 1600], 2)
    gap = fs.compare(flow, run)
    np.testing.assert_array_equal(gap.time, [1.0, 2.0, 4.0, 8.0])
    there = fs.gradient_flow(gaussian, start, gap.time, 2)
    np.testing.assert_allclose(gap.norm, run.norm[:4] / there.norm - 1, atol=1e-11)
    np.testing.assert_allclose(gap.log_tan_half_angle, (run.log_tan_half_angle[:4] - there.log_tan_half_angle), atol=1e-10)
    np.testing.assert_allclose(gap.risk, run.risk[:4] / there.risk - 1, atol=1e-10)
    twice = fs.modified_flow(gaussian, start, gap.time, 0.01, 2)
    np.testing.assert_array_equal(gap.modified.log_norm, twice.log_norm)
    np.testing.assert_allclose(gap.norm_corrected, run.norm[:4] / twice.norm - 1, atol=1e-14)
    np.testing.assert_array_equal(gap.log_tan_half_angle_corrected, run.log_tan_half_angle[:4] - twice.log_tan_half_angle)
    np.testing.assert_allclose(gap.risk_corrected, run.risk[:4] / twice.risk - 1, atol=1e-14)
    ahead = gap_prediction(gaussian, start, gap.time, 0.01, 2)
    np.testing.assert_array_equal(gap.norm_predicted, ahead.log_norm)
    np.testing.assert_array_equal(gap.log_tan_half_angle_predicted, ahead.log_tan_half_angle)
    assert gap.crossing is None
    np.testing.assert_allclose(gap.norm, gap.norm_predicted, rtol=0.05)
    assert (np.abs(gap.log_tan_half_angle_corrected) < 0.05 * np.abs(gap.log_tan_half_angle)).all()
    lines = str(gap).splitlines()
    assert [line.split()[0] for line in lines] == ["descent", "largest", "last", "corrected:", "predicted:", "sharpness:"]
    assert lines[3] == (
        f"corrected:   norm {gap.norm_corrected[-1]:.3g}, s {gap.log_tan_half_angle_corrected[-1]:.3g}, "
        f"risk {gap.risk_corrected[-1]:.3g} (gap to the flow of g - (eta/2) g'g)"
    )
    assert lines[5] == f"sharpness:   sigma stays below 2, at most {run.sharpness.max():.3g}"
    # a flow recorded at the steps is taken as it is
    short = fs.gradient_descent(gaussian, start, 0.01, [100, 200, 400, 800], 2)
    assert fs.compare(there, short).flow is there


def test_past_the_edge_of_stability_the_modified_flow_has_ended(gaussian):
    start = fs.Start(1.0, 1.5)
    run = fs.gradient_descent(gaussian, start, 0.1, [1000, 4000, 5000, 20_000, 25_000], 5)
    flow = fs.gradient_flow(gaussian, start, run.time, 5)
    gap = fs.compare(flow, run)
    assert run.sharpness[3] < 2.0 < run.sharpness[4]
    assert gap.crossing == (25_000, 2500.0)
    for values in (gap.norm_corrected, gap.log_tan_half_angle_corrected, gap.risk_corrected, gap.norm_predicted):
        np.testing.assert_array_equal(np.isfinite(values), [True, True, False, False, False])
    assert np.isfinite(gap.norm).all()
    text = str(gap)
    assert "(gap to the flow of g - (eta/2) g'g; it ends at t = 400)" in text
    assert "(gap to the flow, leading order in eta, at t = 400)" in text
    assert text.endswith("sharpness:   sigma reaches 2 by step 25000, t = 2500")


def test_without_a_step_size_or_with_one_too_large_there_is_no_modified_flow(gaussian):
    start = fs.Start(1.0, 1.5)
    run = fs.gradient_descent(gaussian, start, fs.Schedule([0.1, 0.2, 0.1]), 3, 2)
    gap = fs.compare(fs.gradient_flow(gaussian, start, run.time, 2), run)
    assert gap.modified is gap.norm_corrected is gap.norm_predicted is gap.log_tan_half_angle_predicted is None
    assert "corrected:   no modified flow and no prediction under a schedule of step sizes\nsharpness:" in str(gap)
    run = fs.gradient_descent(gaussian, start, 4.0, 10, 2)
    gap = fs.compare(fs.gradient_flow(gaussian, start, run.time, 2), run)
    assert np.isnan(gap.norm_corrected).all()
    assert gap.norm_predicted is None
    assert "corrected:   not at all: eta is so large that" in str(gap)


@pytest.mark.parametrize("angle", [0.0, np.pi])
@pytest.mark.parametrize("depth", [1, 3])
def test_on_a_ray_there_is_no_gap_in_the_direction(gaussian, angle, depth):
    run = fs.gradient_descent(gaussian, fs.Start(1.0, angle), 0.05, [200], depth)
    gap = fs.compare(fs.gradient_flow(gaussian, fs.Start(1.0, angle), run.time, depth), run)
    for values in (gap.log_tan_half_angle, gap.log_tan_half_angle_corrected, gap.log_tan_half_angle_predicted):
        np.testing.assert_array_equal(values, 0.0)
    assert gap.norm_predicted == pytest.approx(gap.norm, rel=0.1)
    assert np.abs(gap.norm_corrected) < 0.1 * np.abs(gap.norm)
    order = gap_order(gaussian, fs.Start(1.0, angle), 10.0, depth)
    assert order.slope_norm_corrected == pytest.approx(2.0, abs=0.1)
    assert np.isnan([order.slope_direction, order.slope_direction_corrected, order.ratio_direction]).all()


def test_runs_out_of_a_batch_are_compared_alone(gaussian):
    start = fs.Start([1.0, 2.0], [1.0, 2.0])
    flow = fs.gradient_flow(gaussian, start, [0.0, 1.0, 10.0], 2)
    run = fs.gradient_descent(gaussian, start, 0.1, 100, 2)
    gap = fs.compare(flow[1], run[1])
    assert gap.norm.ndim == 1
    alone = fs.gradient_descent(gaussian, fs.Start(2.0, 2.0), 0.1, 100, 2)
    other = fs.compare(fs.gradient_flow(gaussian, fs.Start(2.0, 2.0), [0.0, 1.0, 10.0], 2), alone)
    np.testing.assert_allclose(gap.norm, other.norm, atol=1e-10)


def test_runs_that_do_not_belong_together_are_refused(gaussian, risk_of):
    start = fs.Start(1.0, 1.5)
    flow = fs.gradient_flow(gaussian, start, [1.0, 10.0], 2)
    run = fs.gradient_descent(gaussian, start, 0.1, 100, 2)
    same = r"`flow` and `descent` must have the same risk, depth and start"
    with pytest.raises(ValueError, match=same):
        fs.compare(flow, fs.gradient_descent(gaussian, start, 0.1, 100, 3))
    with pytest.raises(ValueError, match=same):
        fs.compare(flow, fs.gradient_descent(gaussian, fs.Start(1.0, 1.4), 0.1, 100, 2))
    with pytest.raises(ValueError, match=same):
        fs.compare(flow, fs.gradient_descent(risk_of("circle"), start, 0.1, 100, 2))
    with pytest.raises(ValueError, match=same):
        fs.compare(flow, fs.gradient_descent(risk_of("gaussian", 0.1), start, 0.1, 100, 2))
    with pytest.raises(ValueError, match=r"`flow` must be the Trajectory of a flow, but is 'descent'"):
        fs.compare(run, run)
    with pytest.raises(ValueError, match=r"`flow` must be the Trajectory of a gradient_flow, but is that of a modified_flow"):
        fs.compare(fs.modified_flow(gaussian, start, run.time, 0.1, 2), run)
    with pytest.raises(ValueError, match=r"`descent` must be the Trajectory of a descent, but is 'flow'"):
        fs.compare(flow, flow)
    with pytest.raises(ValueError, match=r"`flow` must be a single run, but is a batch of shape \(2,\); index it first"):
        fs.compare(fs.gradient_flow(gaussian, start, [1.0], [1, 2]), run)
    with pytest.raises(ValueError, match=r"`descent` must reach a time inside the flow's, 1 \.\. 10"):
        fs.compare(flow, fs.gradient_descent(gaussian, start, 0.1, [1000], 2))
