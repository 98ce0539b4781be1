"""What a run of matrices returns: the predictor's path, what was observed of the layers, the last matrices, and a file format."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

from flowsim.dynamics.trajectory import STATUS as PLANE_STATUS
from flowsim.dynamics.trajectory import UNITS, message_of
from flowsim.files import read_netcdf, write_whole
from flowsim.layers.network import Layers
from flowsim.problem import PopulationRisk
from flowsim.problem.plane import angle_of, one_minus_cos
from flowsim.problem.risk import risk_from_config

if TYPE_CHECKING:
    import xarray

Array = Float[np.ndarray, "..."]
Kind = Literal["flow", "descent", "sample-flow", "sample-descent", "sgd"]

STATUS = {
    **{name: PLANE_STATUS[name] for name in ("ok", "step_cap", "solver_failed", "overflow", "stopped")},
    "saddle": "the run falls into the saddle at w = 0; log_norm tells how far",
    "floor": "the direction fell below the rounding of the layers; log_tan_half_angle is nan from there on, the norm is good",
}
"""What became of a run, by the name of its status."""

FAILED = ("step_cap", "solver_failed", "overflow", "stopped")
FORMAT = "flowsim layers 1"

OBSERVABLES = {
    "layer_norm": "Frobenius norm of each layer",
    "spectral_norm": "largest singular value of each layer",
    "imbalance": "Frobenius norm of W_j W_j^T - W_(j+1)^T W_(j+1)",
    "imbalance_drift": "Frobenius norm of what that has changed by since the start",
    "alignment": "|<v_(j+1), u_j>|, the top left singular vector of a layer with the top right one of the next",
    "sharpness": "largest eigenvalue of the Hessian in the matrices' entries",
    "empirical_risk": "mean loss over the data set",
    "empirical_error_rate": "share of the data set with a wrong sign",
    "smallest_margin": "least y <w, x>/|w| over the data set",
}
"""What can be recorded beside the predictor: name, and what it is."""

PER_LAYER = ("layer_norm", "spectral_norm")
PER_PAIR = ("imbalance", "imbalance_drift", "alignment")
EMPIRICAL = ("empirical_risk", "empirical_error_rate", "smallest_margin")
"""Those with a number a layer, a pair of layers, and those that need samples."""


@dataclass(frozen=True, eq=False)
class LayerRun:
    r"""The path of one network of matrices, or of a batch of networks of leading shape ``shape``, at T recorded times.

    kind: "flow" or "descent" on the population's risk; "sample-flow", "sample-descent" or "sgd" on samples.
    time: (T,), t, or eta k.  step: (T,), k, or None for a flow.
    log_norm: log |w|, (..., T).  log_tan_half_angle: s = log tan(theta/2), (..., T); nan where a run did not get.
    status: (...) names out of `flowsim.layers.STATUS`.
    problem: the PopulationRisk on the law of the data.  v: (d,), the teacher, of unit length.
    start, last: the networks at the start, and where each run got.
    observed: arrays by name out of `flowsim.layers.OBSERVABLES`: (..., T), (..., T, N) a layer, or (..., T, N-1) a pair of layers.
    config: what it takes to run it again; everything JSON.
    state: where an unfinished run stands, arrays by name, from which it goes on bit for bit; empty once it is finished.

    >>> import flowsim as fs
    >>> risk = fs.PopulationRisk(fs.Gaussian(dim=3))
    >>> run = fs.layer_descent(risk, fs.layers.gaussian(dim=3, depth=2, width=4, seeds=[0, 1]), step_size=0.1, steps=[0, 10, 100])
    >>> run.shape, run.depth, run.ok, run.message
    ((2,), 2, True, '2 of 2 runs: reached the last time asked for')
    >>> run.norm.shape, run.observed["layer_norm"].shape
    ((2, 3), (2, 3, 2))
    >>> bool((run.risk[:, -1] < run.risk[:, 0]).all()), bool((run.stable_rank.round(9) >= 1.0).all())
    (True, True)
    >>> bool((run.angle[:, -1] < run.angle[:, 0]).all()), bool((run.error_rate < 1.0).all()), bool((run.one_minus_cos < 2.0).all())
    (True, True, True)
    """

    kind: Kind
    time: Array
    step: Int[np.ndarray, "time"] | None
    log_norm: Array
    log_tan_half_angle: Array
    status: Shaped[np.ndarray, "..."]
    problem: PopulationRisk
    v: Float[np.ndarray, "dim"]
    start: Layers
    last: Layers
    observed: Mapping[str, Array] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    state: Mapping[str, Shaped[np.ndarray, "..."]] = field(default_factory=dict)

    @property
    def shape(self) -> tuple[int, ...]:
        """The batch's shape; () for a single run."""
        return self.log_norm.shape[:-1]

    @property
    def depth(self) -> int:
        """N."""
        return self.start.depth

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
        """The population's L(w) at each recorded time."""
        norm, gap = self.norm, self.one_minus_cos
        good = np.isfinite(norm) & ~np.isnan(gap)
        values = self.problem.value_at(np.where(good, norm, 1.0), np.where(good, gap, 0.0))
        return np.where(good, values, np.nan)

    @property
    def error_rate(self) -> Array:
        """theta/pi, with label noise eps + (1 - 2 eps) theta/pi."""
        noise = self.problem.label_noise
        return noise + (1.0 - 2.0 * noise) * self.angle / np.pi

    @property
    def stable_rank(self) -> Array:
        """|W_j|_F^2/|W_j|_2^2, (..., T, N); 1 where a layer has rank one. ValueError where the two norms were not observed."""
        for name in PER_LAYER:
            if name not in self.observed:
                raise ValueError(f"the stable rank needs the observable {name!r}, which this run did not record")
        return (self.observed["layer_norm"] / self.observed["spectral_norm"]) ** 2

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
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> fs.layer_descent(risk, fs.layers.identity(dim=2, depth=2, width=2), step_size=0.1, steps=[0, 1]).require_ok()
        """
        if not self.ok:
            raise RuntimeError(f"this run did not get to its last time: {self.message}")

    def __getitem__(self, index: Any) -> "LayerRun":
        """The runs at ``index`` of the batch."""
        if not self.shape:
            raise ValueError("a single run has no batch to index")
        take = lambda x: np.asarray(x[index])  # noqa: E731
        return LayerRun(
            self.kind,
            self.time,
            self.step,
            take(self.log_norm),
            take(self.log_tan_half_angle),
            take(self.status),
            self.problem,
            self.v,
            self.start[index],
            self.last[index],
            {name: take(values) for name, values in self.observed.items()},
            self.config,
        )

    def __str__(self) -> str:
        """What ran, how far, where it ended."""
        runs = f"{self.status.size} runs, shape {self.shape}" if self.shape else "one run"
        widths = " x ".join(map(str, (self.start.dim, *self.start.widths, 1)))
        reached = np.isfinite(self.log_norm.reshape(-1, self.time.size)).any(axis=0)
        last = int(np.flatnonzero(reached)[-1]) if reached.any() else 0
        steps = "" if self.step is None else f", k = {int(self.step[0])} .. {int(self.step[-1]):.6g}"

        def ends(values: Array) -> str:
            return " -> ".join(_range(values.reshape(-1, self.time.size)[:, k]) for k in (0, last))

        return "\n".join(
            [
                f"{self.kind} of layers {widths}: {runs}, {self.time.size} records",
                f"law     {self.problem.label()}",
                f"span    t = {self.time[0]:.4g} .. {self.time[-1]:.6g}{steps}",
                f"norm    {ends(self.norm)}",
                f"s       {ends(self.log_tan_half_angle)}   (s = log tan(theta/2))",
                f"status  {self.message}",
            ]
        )

    def to_xarray(self) -> "xarray.Dataset":
        """A Dataset with named dimensions, coordinates, units and everything needed to run again.

        >>> import flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> run = fs.layer_descent(risk, fs.layers.identity(dim=2, depth=2, width=2), step_size=0.1, steps=[0, 1])
        >>> run.to_xarray().sizes["record"]
        2
        """
        import xarray

        batch = tuple(f"batch_{i}" for i in range(len(self.shape)))
        names = list(STATUS)
        code = np.vectorize(names.index, otypes=[np.int64])(self.status)
        data: dict[str, Any] = {
            **{
                name: ((*batch, "record"), getattr(self, name), dict(zip(("units", "long_name"), UNITS[name], strict=True)))
                for name in ("log_norm", "log_tan_half_angle")
            },
            "status": (
                batch,
                code,
                {"units": "1", "long_name": "status", "flag_values": list(range(len(names))), "flag_meanings": " ".join(names)},
            ),
            "teacher": ("input", self.v, {"units": "1", "long_name": "teacher v, of unit length"}),
        }
        for name, values in self.observed.items():
            extra = ("layer",) if name in PER_LAYER else ("pair",) if name in PER_PAIR else ()
            data[name] = ((*batch, "record", *extra), values, {"units": "1", "long_name": OBSERVABLES[name]})
        for when, network in (("start", self.start), ("last", self.last)):
            for j, matrix in enumerate(network.matrices, start=1):
                rows, columns = (f"unit_{j}" if j < self.depth else "output", f"unit_{j - 1}" if j > 1 else "input")
                data[f"{when}_{j}"] = ((*batch, rows, columns), matrix, {"units": "1", "long_name": f"W_{j} at the {when} of the run"})
        for name, values in self.state.items():
            data[f"state_{name}"] = (tuple(f"state_{name}_{i}" for i in range(values.ndim)), values, {"long_name": "to go on from"})
        coords: dict[str, Any] = {"time": ("record", self.time, {"units": "1", "long_name": "time; eta k for a descent"})}
        if self.step is not None:
            coords["step"] = ("record", self.step, {"units": "1", "long_name": "number of steps k"})
        attrs = {
            "format": FORMAT,
            "kind": self.kind,
            "depth": self.depth,
            "risk": json.dumps(self.problem.config()),
            "config": json.dumps(dict(self.config)),
        }
        return xarray.Dataset(data, coords=coords, attrs=attrs)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a netCDF file, whole or not at all; returns its path. OSError naming the path where it cannot be written.

        path: of the file; one that stands there is replaced.

        >>> import tempfile, flowsim as fs
        >>> risk = fs.PopulationRisk(fs.Gaussian(dim=2))
        >>> run = fs.layer_descent(risk, fs.layers.identity(dim=2, depth=2, width=2), step_size=0.1, steps=[0, 1])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = fs.layers.load_layers(run.save(f"{folder}/run.nc"))
        >>> bool((again.log_norm == run.log_norm).all()), again.problem == run.problem
        (True, True)
        """
        return write_whole(path, lambda part: self.to_xarray().to_netcdf(part, engine="h5netcdf"))


def _range(values: Array) -> str:
    """The number, or the least and the largest of several."""
    good = values[np.isfinite(values)]
    if good.size == 0:
        return "nan"
    low, high = float(good.min()), float(good.max())
    return f"{low:.6g}" if values.size == 1 else f"{low:.4g}..{high:.4g}"


def load_layers(path: str | PathLike[str]) -> LayerRun:
    """Read a run that `LayerRun.save` wrote.

    path: of the netCDF file. FileNotFoundError where there is none, ValueError where it is not one of ours or is cut short.

    >>> import flowsim as fs
    >>> fs.layers.load_layers("nowhere.nc")
    Traceback (most recent call last):
    FileNotFoundError: no such file: 'nowhere.nc'
    """
    return read_netcdf(path, "a flowsim run of layers", {FORMAT: layer_run_of})


def layer_run_of(data: "xarray.Dataset") -> LayerRun:
    """The run a Dataset made by `LayerRun.to_xarray` describes."""
    depth, names = int(data.attrs["depth"]), np.array(list(STATUS))
    start, last = (Layers([data[f"{when}_{j}"].values for j in range(1, depth + 1)]) for when in ("start", "last"))
    return LayerRun(
        data.attrs["kind"],
        np.asarray(data["time"].values),
        np.asarray(data["step"].values) if "step" in data.coords else None,
        np.asarray(data["log_norm"].values),
        np.asarray(data["log_tan_half_angle"].values),
        np.asarray(names[np.asarray(data["status"].values, dtype=int)]),
        risk_from_config(json.loads(data.attrs["risk"])),
        np.asarray(data["teacher"].values),
        start,
        last,
        {name: np.asarray(data[name].values) for name in OBSERVABLES if name in data},
        json.loads(data.attrs["config"]),
        {str(name).removeprefix("state_"): np.asarray(data[name].values) for name in data.data_vars if str(name).startswith("state_")},
    )
