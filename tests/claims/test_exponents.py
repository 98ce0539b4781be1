"""measure_rate: its errors cover the theory, it is told nothing of it, and it refuses what it cannot tell."""

import ast
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

import flowsim as fs
from flowsim.claims import MeasuredRate, measure_rate
from flowsim.claims import corrections as corrections_room
from flowsim.claims import exponents as exponents_room
from flowsim.claims.corrections import Gaps, onset_norm, tail_gaps
from flowsim.claims.exponents import with_error

LAWS = {
    "circle": fs.Sphere(2),
    "gaussian": fs.Gaussian(3),
    "ball": fs.Ball(4, 2.0),
    "student": fs.StudentT(2, 3.0),
    "laplace": fs.Laplace(2),
    "gamma 4": fs.Radial(3, stats.gamma(4.0)),
    "gamma 2.3": fs.Radial(3, stats.gamma(2.3)),
    "gamma 2.9": fs.Radial(2, stats.gamma(2.9)),
    "gamma 0.25": fs.Radial(2, stats.gamma(0.25)),
    "gamma 0.5": fs.Radial(3, stats.gamma(0.5)),
    "beta 0.5": fs.Radial(2, stats.beta(0.5, 1.0)),
    "weibull 0.5": fs.Radial(2, stats.weibull_min(0.5)),
}
DEPTHS = (1, 2, 3, 5, 20)
NORMS, ANGLES = [1.0, 0.05, 30.0, 0.3], [2.498, 2.8, 2.0, 0.5]
QUANTITIES = ("direction", "norm", "risk")


def flows(names: Any, depths: Any, rtol: float = 1e-10, last: float = 1e12, records: int = 200) -> fs.Trajectory:
    """Shape (laws, depths, starts)."""
    grid = np.empty((len(names), 1, 1), dtype=object)
    grid[:, 0, 0] = [fs.PopulationRisk(LAWS[name]) for name in names]
    times = fs.log_times(1e-2, last, records)
    return fs.gradient_flow(grid, fs.Start(NORMS, ANGLES), times, np.array(depths)[:, None], rtol=rtol)


def truth(run: fs.Trajectory, quantity: str) -> tuple[float, float]:
    found = fs.theory.rates(run.problem, int(run.depth))
    sign = -1.0 if quantity == "risk" else 1.0
    return sign * getattr(found, f"{quantity}_exponent"), getattr(found, f"{quantity}_constant")


def misses(batch: fs.Trajectory, windows: Any = (None,)) -> tuple[np.ndarray, np.ndarray]:
    """|measured - theory|/error of exponent and constant, (rates, 2), and the exponents' errors; refusals are left out."""
    off, errors = [], []
    for index in np.ndindex(batch.shape):
        for quantity in QUANTITIES:
            exponent, constant = truth(batch[index], quantity)
            for window in windows:
                try:
                    rate = measure_rate(batch[index], quantity, window)
                except ValueError:
                    continue
                off.append([abs(rate.exponent - exponent) / rate.exponent_error, abs(rate.constant - constant) / rate.constant_error])
                errors.append(rate.exponent_error)
    return np.array(off), np.array(errors)


@pytest.fixture(scope="module")
def spread() -> fs.Trajectory:
    return flows(LAWS, DEPTHS)


@pytest.fixture(scope="module")
def one() -> fs.Trajectory:
    """One layer, Gaussian."""
    return fs.gradient_flow(fs.PopulationRisk(LAWS["gaussian"]), fs.Start(1.0, 1.5), fs.log_times(1e-2, 1e12, 200), 1)


# --- the errors ---


def test_the_error_covers_the_theory_over_laws_depths_starts_and_quantities(spread: fs.Trajectory) -> None:
    off, errors = misses(spread)
    assert len(off) > 0.85 * 3 * spread.status.size
    assert (off < 1.0).all(), off.max(axis=0)
    # and is of use: neither wide for all that it covers, nor by luck
    assert np.median(errors) < 1e-9
    assert np.median(off) > 1e-3


def test_the_error_covers_the_theory_in_windows_of_any_place_and_length(spread: fs.Trajectory) -> None:
    windows = [(1e3, 1e5), (1e5, 1e7), (1e6, 1e12), (1e7, 3e8), (1e9, 1e11)]
    off, _ = misses(spread[::2, ::2, :2], windows)
    assert len(off) > 150
    assert (off < 1.0).all(), off.max(axis=0)


@pytest.mark.parametrize("rtol", [1e-12, 1e-6, 1e-3])
def test_the_error_follows_the_tolerance_of_the_run(rtol: float) -> None:
    off, errors = misses(flows(["gaussian", "laplace", "gamma 0.5"], (1, 2, 5), rtol=rtol))
    assert len(off) == 3 * 36
    assert (off < 1.0).all(), off.max(axis=0)
    assert 0.005 * rtol < np.median(errors) < max(0.3 * rtol, 1e-9)


def test_another_engine_is_covered_too() -> None:
    times = fs.log_times(1e-2, 1e10, 100)
    for method in ("DOP853", "Radau"):
        run = fs.gradient_flow(fs.PopulationRisk(LAWS["student"]), fs.Start([0.3], [2.0]), times, 3, fs.SciPy(method), rtol=1e-7)
        off, _ = misses(run)
        assert (off < 1.0).all(), (method, off)


def test_the_window_used_gives_the_same_rate_again(one: fs.Trajectory) -> None:
    for quantity in QUANTITIES:
        rate = measure_rate(one, quantity)
        assert measure_rate(one, quantity, rate.window) == rate


def test_a_longer_window_tells_more(one: fs.Trajectory) -> None:
    errors = [measure_rate(one, "norm", (1e5, last)).exponent_error for last in (1e7, 1e9, 1e12)]
    assert errors[0] > 3.0 * errors[1] > 9.0 * errors[2]


def test_of_the_power_next_door_it_is_far(one: fs.Trajectory) -> None:
    rate = measure_rate(one)
    assert abs(rate.exponent - 2.0 / 3.0 * (1.0 + 1e-8)) > 10.0 * rate.exponent_error
    assert abs(rate.constant / truth(one, "direction")[1] - 1.0 - 1e-7) * rate.constant > 10.0 * rate.constant_error


# --- nothing of the theory enters ---


@pytest.mark.parametrize("room", [corrections_room, exponents_room])
def test_the_measurement_does_not_know_the_theory(room: Any) -> None:
    tree = ast.parse(Path(room.__file__).read_text(encoding="utf-8"))
    named = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not [name for name in named if name and name.startswith("flowsim.theory")]


class Invented(fs.Trajectory):
    """log r = log C + p log t + 2 r^-2 - 3/t + 5 r^-2/t, with any p and C, of which no flow knows."""

    POWER, CONSTANT = 0.4321, 1.234

    def _parts(self) -> tuple[np.ndarray, np.ndarray]:
        r = np.exp(self.log_norm)
        beside = 2.0 * r**-2 - 3.0 / self.time + 5.0 * r**-2 / self.time
        pull = 2.0 * r**-2 + 5.0 * r**-2 / self.time
        # p = P + sum of the terms' derivatives, those of r^-2 being -2 p r^-2
        slope = (self.POWER + 3.0 / self.time - 5.0 * r**-2 / self.time) / (1.0 + 2.0 * pull)
        return beside, slope

    def local_exponent(self, quantity: str = "direction") -> np.ndarray:  # type: ignore[override]
        assert quantity == "norm"
        return self._parts()[1]

    @classmethod
    def like(cls, run: fs.Trajectory) -> "Invented":
        entries = {field.name: getattr(run, field.name) for field in dataclasses.fields(run)}
        level = np.log(cls.CONSTANT) + cls.POWER * np.log(run.time)
        log_norm = level
        for _ in range(200):
            log_norm = level + cls(**(entries | {"log_norm": log_norm}))._parts()[0] * (run.time > 30.0)
        return cls(**(entries | {"log_norm": log_norm}))


def test_any_exponent_and_constant_are_found(one: fs.Trajectory) -> None:
    made = Invented.like(one)
    rate = measure_rate(made, "norm")
    assert abs(rate.exponent - Invented.POWER) < rate.exponent_error < 1e-10
    assert abs(rate.constant - Invented.CONSTANT) < rate.constant_error < 1e-9


def test_corrections_of_another_kind_are_seen_and_widen_the_error(one: fs.Trajectory, monkeypatch: pytest.MonkeyPatch) -> None:
    """With r^-2 left out of the terms, the records do not fit, and the error says so."""
    right = measure_rate(one, "norm")
    monkeypatch.setattr(corrections_room, "tail_gaps", lambda law: Gaps((3.0,), ()))
    window = (3.0 * right.window[0], 1e12)
    wrong = measure_rate(one, "norm", window)
    assert right.misfit < 0.1
    assert wrong.misfit > 1.0
    assert wrong.exponent_error > 30.0 * right.exponent_error
    # without a window given, one is looked for where it does not matter
    later = measure_rate(one, "norm")
    assert later.window[0] > 10.0 * right.window[0]
    assert abs(later.exponent - 1.0 / 3.0) < later.exponent_error


def test_a_start_far_out_is_late_only_once_its_norm_has_doubled() -> None:
    """One layer from |w| = 1e4: the norm stays there for t_0 = r^3/(3 K), long after w is aligned and far inside the tail."""
    risk = fs.PopulationRisk(LAWS["gaussian"])
    run = fs.gradient_flow(risk, fs.Start(1e4, 0.5), fs.log_times(1e-2, 1e15, 200), 1)
    times = run.time[run.norm > 2e4]
    refused(r"but begins at 1e\+08, where the run is not late yet: before the asymptotics set in", run, "norm", (1e8, 1e10))
    rate = measure_rate(run, "norm")
    assert rate.window[0] > 3.0 * times[0]
    assert abs(rate.exponent - 1.0 / 3.0) < rate.exponent_error < 1e-3


# --- what the law says of its corrections ---


@pytest.mark.parametrize(
    ("law", "powers", "logarithms"),
    [
        (fs.Gaussian(2), (2.0,), ()),
        (fs.StudentT(3, 1.5), (2.0,), ()),
        (fs.Laplace(5, 0.3), (1.0,), (2.0, 4.0)),
        (fs.Radial(3, stats.gamma(2.0)), (1.0,), (2.0, 4.0)),
        (fs.Radial(2, stats.rayleigh()), (1.0,), ()),
        (fs.Radial(2, stats.gamma(3.0)), (2.0, 3.0), (2.0, 4.0)),
        (fs.Radial(3, stats.gamma(0.5)), (0.5,), ()),
        (fs.Radial(2, stats.beta(0.25, 1.0)), (0.75, 2.75), ()),
        (fs.Radial(2, stats.weibull_min(0.5)), (0.5,), (0.5, 2.5)),
        (fs.Radial(2, stats.uniform(0.5, 1.0)), (2.0,), ()),
    ],
    ids=lambda x: x.label() if isinstance(x, fs.Law) else "",
)
def test_the_powers_of_the_tail(law: fs.Law, powers: tuple[float, ...], logarithms: tuple[float, ...]) -> None:
    gaps = tail_gaps(law)
    assert gaps.powers == pytest.approx(powers)
    assert sorted({q for q, d in gaps.pairs if abs(d) < 1e-9}) == pytest.approx(logarithms)


@pytest.mark.parametrize("name", ["gaussian", "laplace", "gamma 2.3", "gamma 0.25", "gamma 0.5", "beta 0.5"])
def test_the_growth_has_these_powers(name: str) -> None:
    """The bend of log h, r h'/h + 1 + a, on them alone: what is left falls below the first power left out."""
    risk = fs.PopulationRisk(LAWS[name])
    gaps = tail_gaps(LAWS[name])
    scale = onset_norm(risk)
    r = scale * np.geomspace(30.0, 3000.0, 40)
    bend = -r * risk.curvature(r) / risk.growth(r) + 1.0 + risk.tail.exponent

    def left(powers: list[float]) -> float:
        basis = np.array([(r / scale) ** -q for q in powers])
        # relative to the first power, so that the far end counts
        weight = (r / scale) ** powers[0]
        found = np.linalg.lstsq((basis * weight).T, bend * weight, rcond=None)[0]
        return float(np.abs((bend - found @ basis) * weight).max() / np.abs(bend * weight).max())

    reached = [q for q in gaps.sums if q < gaps.powers[0] + 3.2][:6]
    assert left(reached) < 1e-4
    # powers a fifth off leave ten times as much
    assert left([1.2 * q for q in reached]) > 10.0 * left(reached)


@pytest.mark.parametrize("scale", [1e-3, 50.0])
def test_the_onset_scales_with_the_law(scale: float) -> None:
    one, other = (onset_norm(fs.PopulationRisk(fs.Gaussian(2, size))) for size in (1.0, scale))
    assert other * scale == pytest.approx(one, rel=1e-9)


# --- rays, label noise, files ---


def test_on_the_ray_of_v_norm_and_risk_have_their_rates() -> None:
    risk = fs.PopulationRisk(LAWS["student"])
    for start, depth in ((fs.Start(1.0, 0.0), 3), (fs.Start(1.0, float(np.pi)), 1)):
        run = fs.gradient_flow(risk, start, fs.log_times(1e-2, 1e12, 200), depth)
        for quantity in ("norm", "risk"):
            rate, (exponent, constant) = measure_rate(run, quantity), truth(run, quantity)
            assert abs(rate.exponent - exponent) < rate.exponent_error < 1e-9
            assert abs(rate.constant - constant) < rate.constant_error
        with pytest.raises(ValueError, match=r"`quantity` must be 'norm' or 'risk' for a run on the ray of v, .* but is 'direction'"):
            measure_rate(run)


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_with_label_noise_the_direction_is_linear_in_time(depth: int) -> None:
    risk = fs.PopulationRisk(LAWS["circle"], 0.15)
    run = fs.gradient_flow(risk, fs.Start(3.0, 2.0), fs.log_times(1e-2, 1e9, 150), depth)
    rate = measure_rate(run)
    assert abs(rate.exponent - 1.0) < rate.exponent_error < 1e-9
    assert abs(rate.constant - fs.theory.noisy_rates(risk, depth).direction_rate) < rate.constant_error < 1e-7
    for quantity in ("norm", "risk"):
        with pytest.raises(ValueError, match=f"`quantity` must be 'direction' for a run with label noise, .* but is '{quantity}'"):
            measure_rate(run, quantity)


def test_a_run_from_a_file_has_the_same_rate(one: fs.Trajectory, tmp_path: Path) -> None:
    assert measure_rate(fs.load(one.save(tmp_path / "run.nc"))) == measure_rate(one)


def test_a_rate_says_what_it_is(one: fs.Trajectory) -> None:
    rate = measure_rate(one, "norm")
    assert isinstance(rate, MeasuredRate)
    assert str(rate).startswith("r ~ ")
    assert "t^0.3333333333" in str(rate)
    assert rate.terms[:2] == ("r^-2", "1/t")
    assert "products" in rate.method
    assert rate.records <= 64
    assert str(measure_rate(one, "risk")).startswith("L ~ ")


@pytest.mark.parametrize(
    ("value", "error", "said"),
    [
        (2.0 / 3.0, 3e-5, "0.66667(3)"),
        (1.2345e15, 3e12, "1.234(3)e+15"),
        (3e-9, 1e-12, "3.000(1)e-09"),
        (123.456, 0.21, "123.5(3)"),
        (-0.333333, 9.6e-4, "-0.333(1)"),
        (5.0, 20.0, "5(20)"),
        (0.0, 1e-3, "0.000(1)"),
        (1.5, 0.0, "1.5"),
    ],
)
def test_an_error_stands_in_brackets(value: float, error: float, said: str) -> None:
    assert with_error(value, error) == said


# --- refusals ---


def refused(match: str, *arguments: Any, error: type[Exception] = ValueError) -> None:
    with pytest.raises(error, match=match):
        measure_rate(*arguments)


def test_windows_that_tell_nothing_are_refused(one: fs.Trajectory) -> None:
    early = (
        r"`window` must begin at t = \S+ or later, where the correction is below 0.1, but begins at 1000, where it is predicted at 0.\d+"
    )
    refused(f"{early}: before the asymptotics set in", one, "direction", (1e3, 1e9))
    refused("but begins at 0.1, where the run is not late yet", one, "direction", (0.1, 1e9))
    refused("`window` must hold at least 8 records over a factor 10 of t, but holds 4 from t = ", one, "direction", (1e6, 2e6))
    refused(r"`window` must lie within the run, t = 0.01 to 1e\+12, but is 1e\+06 to 1e\+13", one, "direction", (1e6, 1e13))
    refused("`window` must be two times, the first before the last, but is 3.0", one, "direction", 3.0)
    refused("`window` must be two times, the first before the last, but is", one, "direction", (1e9, 1e6))
    refused("`window` must be a number or an array of numbers, but is 'late'", one, "direction", "late")


def test_windows_below_the_tolerance_are_refused() -> None:
    risk, times = fs.PopulationRisk(LAWS["gaussian"]), fs.log_times(1e-2, 1e12, 200)
    coarse = fs.gradient_flow(risk, fs.Start(1.0, 1.5), times, 2, rtol=1e-5)
    refused(
        r"`window` must begin before t = \S+, where the correction is above the solver's tolerance, 1e-05, but begins at 1e\+09, "
        r"where it is predicted at \S+: its exponents differ by the solver's error alone",
        coarse,
        "direction",
        (1e9, 1e12),
    )
    # of the finer run the same window tells something
    fine = fs.gradient_flow(risk, fs.Start(1.0, 1.5), times, 2, rtol=1e-10)
    assert measure_rate(fine, "direction", (1e9, 1e12)).exponent_error < 1e-9


def test_runs_without_a_rate_are_refused(one: fs.Trajectory) -> None:
    refused("`run` must be a flow, as gradient_flow returns it, but is None", None)
    refused("`quantity` must be one of direction, norm, risk, but is 'nrom'; did you mean 'norm'", one, "nrom")
    descent = dataclasses.replace(one, kind="descent", config={"function": "gradient_descent"})
    refused("`run` must be a flow of gradient_flow, whose slopes are exact, but is a gradient_descent", descent)
    modified = dataclasses.replace(one, step_size=np.array(0.1), config={"function": "modified_flow"})
    refused("`run` must be a flow of gradient_flow, whose slopes are exact, but is a modified_flow", modified)
    refused("this run has no rate", dataclasses.replace(one, status=np.array("step_cap")), error=RuntimeError)


def test_a_batch_is_refused(spread: fs.Trajectory) -> None:
    refused(r"`run` must be a single run, but is a batch of shape \(4,\); index it first", spread[0, 0])


def test_flows_that_are_no_power_or_not_yet_are_refused() -> None:
    risk, start, last = fs.PopulationRisk(LAWS["gaussian"]), fs.Start(1.0, 1.5), [1.0, 1e3, 1e6]
    saddle, early, later = (fs.log_times(1e-2, t, 200) for t in last)
    refused("`run` must grow, but falls into the saddle", fs.gradient_flow(risk, fs.Start(1.0, float(np.pi)), saddle, 3), "norm")
    refused("`run` must reach the late flow, .* but has not by its last time, 1", fs.gradient_flow(risk, start, saddle))
    refused(
        "`window` must begin where the correction is below 0.1, but at the run's last time, 1000, it is predicted at",
        fs.gradient_flow(risk, start, early),
    )
    logarithmic = fs.PopulationRisk(fs.Radial(2, stats.expon()))
    refused(
        "`run` must have a power law, but the growth of Radial.*falls off with a logarithm", fs.gradient_flow(logarithmic, start, later)
    )
