"""Flow of the matrices: against SciPy on the plain matrices, against the plane to t = 1e12, one engine against the other."""

import numpy as np
import pytest

import flowsim as fs
from flowsim.claims.flow.paths import matrix_path

V = np.array([1.0, 2.0, -2.0]) / 3.0
TIMES = np.array([0.0, 0.5, 3.0, 20.0])


@pytest.mark.parametrize(("depth", "width"), [(1, 1), (2, 4), (3, (4, 2))])
def test_the_matrices_are_those_of_a_plain_integration(depth: int, width: int, gaussian3: fs.PopulationRisk) -> None:
    start = fs.layers.gaussian(dim=3, depth=depth, width=width, scale=1.5, seeds=3)
    run = fs.layer_flow(gaussian3, start, TIMES, v=V)
    expected = matrix_path(gaussian3, list(start.matrices), V, TIMES[1:])[-1]
    for found, given in zip(run.last.matrices, expected, strict=True):
        assert found == pytest.approx(given, rel=1e-7, abs=1e-8)
    assert run.status == "ok"
    assert run.time.tolist() == TIMES.tolist()


@pytest.mark.parametrize("depth", [1, 4])
def test_balanced_rank_one_networks_are_the_plane_to_any_time(depth: int, gaussian3: fs.PopulationRisk) -> None:
    w, times = np.array([0.6, -0.8, 0.3]), np.geomspace(1e-2, 1e12, 8)
    run = fs.layer_flow(gaussian3, fs.layers.balanced(w, depth=depth, width=11), times, v=V)
    plane = fs.gradient_flow(gaussian3, fs.Start.from_vectors(w, V), times, depth)
    assert run.log_norm == pytest.approx(plane.log_norm, rel=1e-9, abs=1e-9)
    assert run.log_tan_half_angle == pytest.approx(plane.log_tan_half_angle, rel=1e-9, abs=1e-9)


def test_explicit_implicit_and_scipy_agree_where_the_flow_is_stiff(gaussian3: fs.PopulationRisk) -> None:
    """At t = 400 the part across v has relaxed some 160 times, which fixes the steps of the explicit one."""
    start, times = fs.layers.gaussian(dim=3, depth=2, width=3, seeds=1), np.array([100.0, 400.0])
    first, *others = (
        fs.layer_flow(gaussian3, start, times, solver=solver, rtol=1e-8) for solver in ("dopri8", "kvaerno5", fs.SciPy("Radau"))
    )
    for run in others:
        assert run.log_norm == pytest.approx(first.log_norm, abs=1e-7)
        assert run.log_tan_half_angle == pytest.approx(first.log_tan_half_angle, abs=3e-6)


def test_the_default_takes_the_implicit_solver_where_the_flow_is_stiff(gaussian3: fs.PopulationRisk) -> None:
    start, times = fs.layers.gaussian(dim=3, depth=2, width=3, seeds=1), [1e2, 1e8]
    run = fs.layer_flow(gaussian3, start, times)
    assert run.ok
    assert float(run.angle[-1]) == pytest.approx(
        fs.theory.generic_direction(gaussian3, run.last.matrices, [1.0, 0.0, 0.0]).angle(run.norm[-1]), rel=2e-3, abs=0.0
    )
    assert run.angle[-1] < 1e-14


def test_a_direction_below_the_rounding_of_the_layers_is_a_status_and_no_number(gaussian3: fs.PopulationRisk) -> None:
    """Two hidden units that never meet, turned so that no zero of theirs is exact: the direction falls exponentially to its rounding."""
    plain = np.array([[0.8, 0.5, 0.0], [0.0, 0.0, 1.0]])
    turn, around = (np.linalg.qr(np.random.default_rng(k).standard_normal((n, n)))[0] for k, n in ((1, 2), (2, 3)))
    start = fs.Layers([turn @ plain @ around.T, np.array([[0.7, 0.0]]) @ turn.T])
    run = fs.layer_flow(gaussian3, start, [1.0, 30.0, 300.0], v=around[:, 0])
    assert run.status == "floor"
    assert np.isfinite(run.log_tan_half_angle[:2]).all()
    assert np.isnan(run.log_tan_half_angle[2])
    assert np.isfinite(run.log_norm).all()
    # the same without the turns has nothing to round, but for the one direction that falls
    still = fs.layer_flow(gaussian3, fs.Layers([plain, [[0.7, 0.0]]]), [1.0, 30.0], v=[1.0, 0.0, 0.0])
    assert run.log_tan_half_angle[:2] == pytest.approx(still.log_tan_half_angle, abs=1e-6)


def test_the_rays_stay_rays(gaussian3: fs.PopulationRisk) -> None:
    run = fs.layer_flow(gaussian3, fs.layers.balanced(2.0 * V, depth=2, width=3), [1.0, 1e3], v=V)
    assert run.log_tan_half_angle.tolist() == [-np.inf, -np.inf]
    fallen = fs.layer_flow(gaussian3, fs.layers.balanced([-2.0, 0.0, 0.0], depth=3, width=3), [1.0, 1e3])
    assert fallen.log_tan_half_angle.tolist() == [np.inf, np.inf]
    assert fallen.log_norm[1] < fallen.log_norm[0] < 0.0


def test_bad_input_names_the_argument(gaussian3: fs.PopulationRisk) -> None:
    start = fs.layers.identity(dim=3, depth=2, width=2)
    for message, call in {
        "`times` must increase strictly": lambda: fs.layer_flow(gaussian3, start, [1.0, 1.0]),
        "`solver` must be one of": lambda: fs.layer_flow(gaussian3, start, [1.0], solver="dopri7"),
        "`rtol` must be in": lambda: fs.layer_flow(gaussian3, start, [1.0], rtol=0.1),
        "`max_steps` must be a whole number": lambda: fs.layer_flow(gaussian3, start, [1.0], max_steps=0),
    }.items():
        with pytest.raises(ValueError, match=message):
            call()


def test_a_run_out_of_steps_says_so_and_keeps_what_it_reached(gaussian3: fs.PopulationRisk) -> None:
    start = fs.layers.gaussian(dim=3, depth=2, width=4, seeds=0)
    run = fs.layer_flow(gaussian3, start, [1e-3, 1e3], v=V, max_steps=8, solver="dopri8")
    assert run.status == "step_cap"
    assert np.isfinite(run.log_norm[0])
    assert np.isnan(run.log_norm[1])


def test_a_network_that_failed_costs_the_others_nothing_and_keeps_its_status(gaussian3: fs.PopulationRisk) -> None:
    """The second runs out of steps on the way to its second record."""
    start = fs.layers.gaussian(dim=3, depth=2, width=4, seeds=[0, 1])
    wild = fs.Layers([np.stack([matrix[0], 100.0 * matrix[1]]) for matrix in start.matrices])
    run = fs.layer_flow(gaussian3, wild, [0.5, 5.0, 20.0], v=V, max_steps=40, solver="dopri8")
    assert run.status.tolist() == ["ok", "step_cap"]
    alone = fs.layer_flow(gaussian3, wild[0], [0.5, 5.0, 20.0], v=V, max_steps=40, solver="dopri8")
    assert run.log_norm[0] == pytest.approx(alone.log_norm, abs=1e-7)
    assert np.isnan(run.log_norm[1]).tolist() == [False, True, True]
