"""What a run returns: the predictor's path in coordinates that do not saturate, with status, provenance and a file format."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

from flowsim import arguments
from flowsim.files import read_netcdf, write_whole
from flowsim.problem.plane import Start, angle_of, one_minus_cos
from flowsim.problem.risk import PopulationRisk, risk_from_config

if TYPE_CHECKING:
    import xarray

Array = Float[np.ndarray, "..."]

STATUS = {
    "ok": "reached the last time asked for",
    "step_cap": "all steps allowed were used before the last time; raise max_steps, loosen rtol or take another solver "
    "(of a descent: raise max_exact_steps)",
    "solver_failed": "the solver gave up before the last time; later times are nan",
    "series_ended": "the modified equation's series in the step size says nothing from here on; later times are nan",
    "overflow": "the iterates left the double range; a smaller step size avoids it",
    "saddle": "the run falls into the saddle at w = 0; log_norm tells how far, in a descent down to -690",
    "burst": "the direction error grew back at the edge of stability; from coverage.first_burst on, "
    "the estimated errors tell the digits that are left",
    "stopped": "interrupted; what was reached is kept, the rest is nan",
}
FORMAT = "flowsim trajectory 1"
FAILED = ("step_cap", "solver_failed", "series_ended", "overflow", "stopped")

UNITS = {
    "log_norm": ("1", "log |w|, w the end-to-end predictor"),
    "norm": ("1", "|w|"),
    "log_tan_half_angle": ("1", "log tan(theta/2), theta the angle between w and v"),
    "angle": ("rad", "angle theta between w and v"),
    "risk": ("1", "population risk"),
    "error_rate": ("1", "probability of a wrong sign"),
}
"""Unit and long name of what every run records."""


@dataclass(frozen=True, eq=False)
class Coverage:
    """How a descent was followed: which steps were taken one by one, which the modified field covered, and how far to trust the records.

    exact_steps, covered_steps: (...), their numbers.
    first_burst: (...), the step at which the direction error, growing at the edge of stability, first turns the norm down; -1 for none.
    norm_error: (..., T), estimated relative error of |w|.  direction_error: (..., T), of s, relative to max(|s|, 1).

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> coverage = fs.gradient_descent(risk, fs.Start(), step_size=0.5, steps=10**9).coverage
    >>> int(coverage.exact_steps + coverage.covered_steps), int(coverage.first_burst), bool(coverage.norm_error[-1] < 1e-10)
    (1000000000, -1, True)
    """

    exact_steps: Int[np.ndarray, "..."]
    covered_steps: Int[np.ndarray, "..."]
    first_burst: Int[np.ndarray, "..."]
    norm_error: Array
    direction_error: Array

    def __getitem__(self, index: Any) -> "Coverage":
        return Coverage(*(np.asarray(getattr(self, name)[index]) for name in COVERAGE))


COVERAGE = {
    "exact_steps": "steps taken one by one",
    "covered_steps": "steps covered by the modified field",
    "first_burst": "first step at which the growing direction error turns the norm down; -1 for none",
    "norm_error": "estimated relative error of |w|",
    "direction_error": "estimated error of log tan(theta/2), relative to the larger of its size and 1",
}
"""Long names of what `Coverage` holds."""


@dataclass(frozen=True, eq=False)
class Trajectory:
    """The path of one run, or of a batch of runs of leading shape ``shape``, at T recorded times.

    kind: "flow" or "descent".
    time: (T,) for a flow; (..., T), time = eta k, for a descent.  step: (T,), k, or None for a flow.
    log_norm: log |w|, (..., T).  log_tan_half_angle: s = log tan(theta/2), (..., T); both are nan where a run did not get.
    side: (..., T), the sign of w's part across v relative to the start (descent only; flows never change it).
    status: (...) names out of `STATUS`.  depth: (...).  risks: (...) PopulationRisk objects.  start: a Start of shape (...).
    step_size: (...), eta of a descent; None for a flow, or where a schedule stands in config.
    config: the rest of what it takes to run it again; everything JSON.
    log_layer: (..., T), log |a|, a the singular value of layers 2..N of a descent (its layers drift apart); None for a flow.
    coverage: how a descent's steps were taken; None for a flow.

    Made by `gradient_flow`, `gradient_descent`, `modified_flow` and `load`; ``run[index]`` takes single runs out of a batch.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
    >>> batch = fs.gradient_flow(risk, fs.Start(norm=[1.0, 10.0], angle=1.5), [1e3, 1e12], depth=3)
    >>> batch.shape, batch.ok, batch.message
    ((2,), True, '2 of 2 runs: reached the last time asked for')
    >>> run = batch[0]
    >>> run.problem == risk, run.norm.round(3).tolist(), run.angle.tolist(), f"{run.log_tan_half_angle[-1]:.6e}"
    (True, [128.185, 32330851.224], [0.0, 0.0], '-1.059094e+14')
    >>> [f"{x[-1]:.6e}" for x in (run.risk, run.error_rate, run.one_minus_cos)]
    ['2.029745e-08', '0.000000e+00', '0.000000e+00']
    >>> descent = fs.gradient_descent(risk, fs.Start(norm=1.0, angle=1.5), step_size=0.5, steps=[0, 10**5], depth=2)
    >>> descent.sharpness.round(6).tolist()
    [0.10331, 0.199417]
    """

    kind: Literal["flow", "descent"]
    time: Array
    step: Int[np.ndarray, "time"] | None
    log_norm: Array
    log_tan_half_angle: Array
    side: Array | None
    status: Shaped[np.ndarray, "..."]
    depth: Shaped[np.ndarray, "..."]
    risks: np.ndarray
    start: Start
    step_size: Array | None = None
    config: dict[str, Any] = field(default_factory=dict)
    log_layer: Array | None = None
    coverage: Coverage | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The batch's shape; () for a single run."""
        return self.log_norm.shape[:-1]

    @property
    def problem(self) -> PopulationRisk:
        """The risk of a single run."""
        if self.shape:
            raise ValueError(f"a batch of shape {self.shape} has no single risk; index it first")
        return self.risks[()]  # type: ignore[return-value]

    @property
    def norm(self) -> Array:
        """|w|; inf or 0 where it leaves the double range (log_norm does not)."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(self.log_norm)

    @property
    def angle(self) -> Array:
        """theta in radians; 0 where it is below 5e-324 (log_tan_half_angle still tells it)."""
        return angle_of(self.log_tan_half_angle)

    @property
    def one_minus_cos(self) -> Array:
        """1 - cos(theta), without cancellation."""
        return one_minus_cos(self.log_tan_half_angle)

    @property
    def risk(self) -> Array:
        """L(w) at each recorded time."""
        out = np.full(self.log_norm.shape, np.nan)
        norm, gap = self.norm, self.one_minus_cos
        for risk, index in self._by_risk():
            good = np.isfinite(norm[index]) & ~np.isnan(gap[index])
            values = risk.value_at(np.where(good, norm[index], 1.0), np.where(good, gap[index], 0.0))
            out[index] = np.where(good, values, np.nan)
        return out

    @property
    def error_rate(self) -> Array:
        """theta/pi, with label noise eps + (1 - 2 eps) theta/pi."""
        out = np.full(self.log_norm.shape, np.nan)
        for risk, index in self._by_risk():
            out[index] = risk.label_noise + (1.0 - 2.0 * risk.label_noise) * self.angle[index] / np.pi
        return out

    @property
    def sharpness(self) -> Array:
        """sigma = eta |a^(N-1)| (c - h(r))/|z|, (..., T): the next step multiplies the part of w across v by 1 - sigma.

        With a schedule, eta is the next step's, and nan after the last. ValueError for a flow, which has no step size.
        """
        if self.log_layer is None:
            raise ValueError("a flow has no step size, and so no sharpness; ask a descent")
        eta = np.append(self.config["schedule"], np.nan)[self.step] if self.step_size is None else self.step_size[..., None]
        out = np.full(self.log_norm.shape, np.nan)
        depth = np.asarray(self.depth, dtype=float)[..., None]
        with np.errstate(over="ignore", invalid="ignore"):
            gain = np.exp(2.0 * (depth - 1.0) * self.log_layer)
            for risk, index in self._by_risk():
                norm = self.norm[index]
                good = np.isfinite(norm)
                out[index] = np.where(good, risk.drag_ratio(np.where(good, norm, 1.0)), np.nan)
            return eta * gain * out

    def _by_risk(self) -> Iterator[tuple[PopulationRisk, Any]]:
        for risk in dict.fromkeys(self.risks.ravel()):
            yield risk, (np.equal(self.risks, risk) if self.shape else ...)

    @property
    def ok(self) -> bool:
        """Whether every run of the batch reached the last time."""
        return not np.isin(self.status, FAILED).any()

    @property
    def message(self) -> str:
        """One sentence for each status in the batch, with what to do about it."""
        return message_of(self.status, STATUS)

    def require_ok(self) -> None:
        """RuntimeError with the message unless every run reached the last time.

        >>> import flowsim as fs
        >>> run = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), [1e6], max_steps=10)
        >>> run.require_ok()  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        RuntimeError: this run has no rate: all steps allowed were used before the last time; raise max_steps, ...
        """
        if not self.ok:
            raise RuntimeError(f"this run has no rate: {self.message}")

    def local_exponent(self, quantity: Literal["direction", "norm", "risk"] = "direction") -> Array:
        """d log X / d log t of X = -s, r or L, shape (..., T).

        quantity: "direction" for -s, "norm" for r, "risk" for L.

        A flow's is exact, t X'/X with X' from the field; a descent's is the central difference of the records.
        RuntimeError on a failed run, ValueError for another quantity.

        >>> import flowsim as fs
        >>> run = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), [1.0, 1e6, 1e12], depth=3)
        >>> run.local_exponent("norm").round(4).tolist()
        [-0.0145, 0.6, 0.6]
        """
        arguments.one_of("quantity", quantity, ("direction", "norm", "risk"))
        self.require_ok()
        if self.kind == "descent":
            return self._differenced({"direction": -self.log_tan_half_angle, "norm": self.norm, "risk": self.risk}[quantity])
        from flowsim.dynamics.network import velocity

        out = np.full(self.log_norm.shape, np.nan)
        for risk, index in self._by_risk():
            log_norm, s = self.log_norm[index], self.log_tan_half_angle[index]
            depth = self.depth[index][..., None].astype(float)
            v = velocity(risk, log_norm, s, depth)
            with np.errstate(divide="ignore", invalid="ignore"):
                if quantity == "direction":
                    out[index] = self.time * v.log_tan_half_angle / s
                elif quantity == "norm":
                    out[index] = self.time * v.log_norm
                else:
                    gap, norm = one_minus_cos(s), np.exp(log_norm)
                    noise = 2.0 * risk.label_noise
                    along = -risk.growth(norm) + risk.pull * (gap + noise * (1.0 - gap))
                    across = risk.signal * norm * gap * (2.0 - gap) * v.log_tan_half_angle
                    out[index] = self.time * (along * v.norm + across) / risk.value_at(norm, gap)
        return out

    def _differenced(self, values: Array) -> Array:
        """Central differences of log values in log t; nan at t = 0."""
        later = np.flatnonzero(self.time.reshape(-1, self.time.shape[-1])[0] > 0.0)
        if later.size < 2:
            raise ValueError(f"a descent's local exponent needs two records after t = 0, but this run has {later.size}")
        out = np.full(values.shape, np.nan)
        with np.errstate(divide="ignore", invalid="ignore"):
            x, y = np.broadcast_to(np.log(self.time), values.shape)[..., later], np.log(values[..., later])
            inner = (y[..., 2:] - y[..., :-2]) / (x[..., 2:] - x[..., :-2])
            ends = [(y[..., k + 1] - y[..., k]) / (x[..., k + 1] - x[..., k]) for k in (0, later.size - 2)]
        out[..., later] = np.concatenate([ends[0][..., None], inner, ends[1][..., None]], axis=-1)
        return out

    def __getitem__(self, index: Any) -> "Trajectory":
        """The runs at ``index`` of the batch."""
        if not self.shape:
            raise ValueError("a single run has no batch to index")
        take = lambda x: np.asarray(x[index])  # noqa: E731
        risks = np.empty(take(self.depth).shape, dtype=object)
        risks[...] = self.risks[index]
        return Trajectory(
            self.kind,
            take(self.time) if self.time.ndim > 1 else self.time,
            self.step,
            take(self.log_norm),
            take(self.log_tan_half_angle),
            None if self.side is None else take(self.side),
            take(self.status),
            take(self.depth),
            risks,
            Start(take(self.start.norm), take(self.start.angle)),
            None if self.step_size is None else take(self.step_size),
            self.config,
            None if self.log_layer is None else take(self.log_layer),
            None if self.coverage is None else self.coverage[index],
        )

    def __str__(self) -> str:
        """Six lines: what ran, how far, where it ended; a seventh where steps were covered or a burst was met."""
        runs = f"{self.status.size} runs, shape {self.shape}" if self.shape else "one run"
        laws = list(dict.fromkeys(r.label() for r in self.risks.ravel()))
        depths = sorted({int(d) for d in self.depth.ravel()})
        reached = max(int(np.count_nonzero(~np.isnan(self.log_norm.reshape(-1, self.log_norm.shape[-1])[0]))), 1) - 1
        last = np.stack([self.log_norm, self.log_tan_half_angle])[..., reached].reshape(2, -1)
        span = f"t = {float(np.nanmin(self.time)):.4g} .. {float(np.nanmax(self.time)):.6g}"
        steps = "" if self.step is None else f", k = {int(self.step[0])} .. {int(self.step[-1]):.6g}"
        ends = "" if last.shape[1] == 1 else " (first run)"
        return "\n".join(
            [
                f"{self.kind} of depth {', '.join(map(str, depths))}: {runs}, {self.log_norm.shape[-1]} records",
                f"law     {'; '.join(laws[:3])}{' ...' if len(laws) > 3 else ''}",
                f"span    {span}{steps}",
                f"norm    {float(self.norm[..., 0].flat[0]):.6g} -> {float(np.exp(last[0, 0])):.6g}{ends}",
                f"s       {float(self.log_tan_half_angle[..., 0].flat[0]):.6g} -> {last[1, 0]:.9g}   (s = log tan(theta/2)){ends}",
                *self._how(reached),
                f"status  {self.message}",
            ]
        )

    def _how(self, reached: int) -> list[str]:
        """How a descent's steps were taken, and how good the first run's last record is."""
        if self.coverage is None or not self.coverage.covered_steps.any():
            return []
        exact, covered = int(self.coverage.exact_steps.sum()), int(self.coverage.covered_steps.sum())
        norm, s = (float(x[..., reached].flat[0]) for x in (self.coverage.norm_error, self.coverage.direction_error))
        digits = "no digits are left after the bursts" if np.isinf(norm) else f"estimated error {norm:.1e} in the norm, {s:.1e} in s"
        first = f", first burst at step {int(self.coverage.first_burst)}" if not self.shape and self.coverage.first_burst >= 0 else ""
        return [f"steps   {exact} taken one by one, {covered:.6g} covered{first}{'' if np.isnan(norm) else f'; {digits}'}"]

    def to_xarray(self) -> "xarray.Dataset":
        """An xarray Dataset with units and long names; attrs hold the configuration as JSON.

        >>> import flowsim as fs
        >>> data = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), [1.0, 10.0]).to_xarray()
        >>> dict(data.sizes), data["log_tan_half_angle"].attrs["long_name"]
        ({'record': 2}, 'log tan(theta/2), theta the angle between w and v')
        """
        import xarray

        batch = tuple(f"batch_{i}" for i in range(len(self.shape)))
        data: dict[str, Any] = {}
        for name, (unit, long_name) in UNITS.items():
            data[name] = ((*batch, "record"), getattr(self, name), {"units": unit, "long_name": long_name})
        if self.side is not None:
            data["side"] = ((*batch, "record"), self.side, {"units": "1", "long_name": "sign of the part of w across v"})
        names = list(STATUS)
        codes = np.array([names.index(str(s)) for s in self.status.ravel()], dtype=np.int8).reshape(self.shape)
        meanings = {"flag_values": np.arange(len(names), dtype=np.int8), "flag_meanings": " ".join(names)}
        data["status"] = (batch, codes, {"long_name": "how the run ended", **meanings})
        data["depth"] = (batch, self.depth.astype(np.int64), {"units": "1", "long_name": "number of layers N"})
        data["start_norm"] = (batch, self.start.norm, {"units": "1", "long_name": "|w| at the start"})
        data["start_angle"] = (batch, self.start.angle, {"units": "rad", "long_name": "theta at the start"})
        if self.step_size is not None:
            data["step_size"] = (batch, self.step_size, {"units": "1", "long_name": "step size eta"})
        if self.log_layer is not None:
            data["log_layer"] = ((*batch, "record"), self.log_layer, {"units": "1", "long_name": "log |a|, a the size of layers 2 to N"})
        if self.coverage is not None:
            for name, long_name in COVERAGE.items():
                values = getattr(self.coverage, name)
                data[name] = (batch if values.shape == self.shape else (*batch, "record"), values, {"units": "1", "long_name": long_name})
        time_dims = (*batch, "record") if self.time.ndim > 1 else ("record",)
        coords: dict[str, Any] = {"time": (time_dims, self.time, {"units": "1", "long_name": "time; eta k for a descent"})}
        if self.step is not None:
            coords["step"] = ("record", self.step, {"units": "1", "long_name": "number of steps k"})
        laws = json.dumps([r.config() for r in self.risks.ravel()] if self.shape else self.problem.config())
        attrs = {"format": FORMAT, "kind": self.kind, "risk": laws, "config": json.dumps(self.config)}
        return xarray.Dataset(data, coords=coords, attrs=attrs)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a netCDF file, whole or not at all; returns its path. OSError naming the path where it cannot be written.

        path: of the file; one that stands there is replaced.

        >>> import tempfile, flowsim as fs
        >>> flow = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), [1.0, 10.0])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     flow.save(f"{folder}/run.nc").name
        'run.nc'
        """
        return write_whole(path, lambda part: self.to_xarray().to_netcdf(part, engine="h5netcdf"))


def message_of(status: np.ndarray, meanings: Mapping[str, str]) -> str:
    """One sentence for each name in ``status``, (...), with how many runs of a batch have it."""
    names, counts = np.unique(status, return_counts=True)
    many = status.size > 1
    return "; ".join(f"{f'{n} of {status.size} runs: ' if many else ''}{meanings[str(s)]}" for s, n in zip(names, counts, strict=True))


def load(path: str | PathLike[str]) -> Trajectory:
    """Read a run that `Trajectory.save` wrote.

    path: of the netCDF file. FileNotFoundError where there is none, ValueError where it is not one of ours or is cut short.

    >>> import tempfile, flowsim as fs
    >>> flow = fs.gradient_flow(fs.PopulationRisk(fs.Gaussian(dim=2)), fs.Start(), [1.0, 10.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = fs.load(flow.save(f"{folder}/run.nc"))
    >>> bool((again.log_norm == flow.log_norm).all()), again.problem == flow.problem
    (True, True)
    """
    return read_netcdf(path, "a flowsim run", {FORMAT: trajectory_of})


def trajectory_of(data: "xarray.Dataset") -> Trajectory:
    """The run a Dataset made by `Trajectory.to_xarray` describes."""
    config = json.loads(data.attrs["risk"])
    depth = np.asarray(data["depth"].values)
    risks = np.empty(depth.shape, dtype=object)
    if isinstance(config, list):
        made = {text: risk_from_config(json.loads(text)) for text in dict.fromkeys(json.dumps(c) for c in config)}
        risks[...] = np.array([made[json.dumps(c)] for c in config], dtype=object).reshape(depth.shape)
    else:
        risks[()] = risk_from_config(config)
    names = np.array(list(STATUS))
    return Trajectory(
        data.attrs["kind"],
        np.asarray(data["time"].values),
        np.asarray(data["step"].values) if "step" in data.coords else None,
        np.asarray(data["log_norm"].values),
        np.asarray(data["log_tan_half_angle"].values),
        np.asarray(data["side"].values) if "side" in data else None,
        np.asarray(names[np.asarray(data["status"].values, dtype=int)]),
        depth,
        risks,
        Start(np.asarray(data["start_norm"].values), np.asarray(data["start_angle"].values)),
        np.asarray(data["step_size"].values) if "step_size" in data else None,
        json.loads(data.attrs["config"]),
        np.asarray(data["log_layer"].values) if "log_layer" in data else None,
        Coverage(*(np.asarray(data[name].values) for name in COVERAGE)) if "norm_error" in data else None,
    )


@lru_cache(maxsize=1)
def versions() -> dict[str, str]:
    """The versions of what a number depends on, for a run's configuration."""
    from importlib.metadata import version

    return {name: version(name) for name in ("flowsim", "jax", "diffrax", "scipy", "numpy")}
