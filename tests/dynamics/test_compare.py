"""A descent beside its flow."""

import numpy as np
import pytest

import flowsim as fs
from flowsim.dynamics import gap_order


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
    assert str(gap).count("\n") == 2
    # a flow recorded at the steps is taken as it is
    short = fs.gradient_descent(gaussian, start, 0.01, [100, 200, 400, 800], 2)
    assert fs.compare(there, short).flow is there


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
    with pytest.raises(ValueError, match=r"`descent` must be the Trajectory of a descent, but is 'flow'"):
        fs.compare(flow, flow)
    with pytest.raises(ValueError, match=r"`flow` must be a single run, but is a batch of shape \(2,\); index it first"):
        fs.compare(fs.gradient_flow(gaussian, start, [1.0], [1, 2]), run)
    with pytest.raises(ValueError, match=r"`descent` must reach a time inside the flow's, 1 \.\. 10"):
        fs.compare(flow, fs.gradient_descent(gaussian, start, 0.1, [1000], 2))
