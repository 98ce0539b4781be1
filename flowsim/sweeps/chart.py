"""What a regime map is: the classes of its cells, what they rest on, and a file format."""

import json
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from flowsim.dynamics.trajectory import COVERAGE
from flowsim.files import read_netcdf, write_whole
from flowsim.problem import PopulationRisk, Start
from flowsim.problem.risk import risk_from_config

if TYPE_CHECKING:
    import xarray

CLASSES = {
    "flow": "follows the flow",
    "other": "converges otherwise",
    "catapult": "catapult",
    "delayed": "sharpness past 2, burst ahead",
    "edge": "edge of stability",
    "saddle": "saddle",
    "overflow": "overflow",
    "undecided": "undecided",
    "stopped": "not reached",
}
"""Names of the classes, and what a legend calls them. "stopped": interrupted before the cell was decided."""

AXES = {"angle": "starting angle theta", "norm": "starting norm r(0)", "depth": "depth N"}
"""What can be varied beside the step size."""

FORMAT = "flowsim regime map 1"

MEASURED = {
    "first_burst": COVERAGE["first_burst"],
    "peak_sharpness": "largest recorded sharpness sigma",
    "last_sharpness": "sharpness sigma at the last record reached",
    "norm_gap": "log r - log r_f at the last step, f the flow",
    "direction_gap": "(s - s_f)/max(|s_f|, 1) at the last step, f the flow",
}


@dataclass(frozen=True, eq=False)
class RegimeMap:
    """What descent does, over step sizes and one more axis. Made by `regime_map`, which defines the classes.

    axis: "angle", "norm" or "depth".  values: (M,), along it.  step_sizes: (E,).
    code: (M, E), into the names of `CLASSES`, in their order.
    first_burst, peak_sharpness, last_sharpness, norm_gap, direction_gap: (M, E), what the classes rest on; nan where not reached.
    risk, start, depth, steps: of every cell, but for what ``axis`` varies.  config: thresholds and versions.

    >>> import flowsim as fs
    >>> regimes = fs.regime_map(fs.PopulationRisk(fs.Gaussian(dim=2)), step_sizes=[0.1, 20.0], depths=[1, 2], steps=1000)
    >>> print(regimes)
    regime map: 2 step sizes x 2 depths, 1000 steps a cell
    law     Gaussian(dim=2, scale=1); r(0) = 1, theta(0) = 1.5
    axes    eta = 0.1 .. 20, depth = 1 .. 2
    shares  follows the flow 50 %, catapult 50 %
    >>> regimes.names.tolist(), regimes.shares["flow"], regimes.complete
    ([['flow', 'catapult'], ['flow', 'catapult']], 0.5, True)
    """

    axis: str
    values: Float[np.ndarray, "M"]
    step_sizes: Float[np.ndarray, "E"]
    code: Int[np.ndarray, "M E"]
    first_burst: Int[np.ndarray, "M E"]
    peak_sharpness: Float[np.ndarray, "M E"]
    last_sharpness: Float[np.ndarray, "M E"]
    norm_gap: Float[np.ndarray, "M E"]
    direction_gap: Float[np.ndarray, "M E"]
    risk: PopulationRisk
    start: Start
    depth: int
    steps: int
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def names(self) -> np.ndarray:
        """The class of each cell by name, (M, E)."""
        return np.array(list(CLASSES))[self.code]

    @property
    def shares(self) -> dict[str, float]:
        """The share of each class that is present."""
        counts = np.bincount(self.code.ravel(), minlength=len(CLASSES))
        return {name: int(count) / self.code.size for name, count in zip(CLASSES, counts, strict=True) if count}

    @property
    def complete(self) -> bool:
        """Whether it was not interrupted."""
        return "stopped" not in self.shares

    def __str__(self) -> str:
        """Four lines: what was mapped, and the share of each class."""
        rows, columns = self.code.shape
        fixed = {
            "norm": f"r(0) = {float(self.start.norm):.6g}",
            "angle": f"theta(0) = {float(self.start.angle):.6g}",
            "depth": f"N = {self.depth}",
        }
        along = f"{self.axis} = {self.values[0]:.6g} .. {self.values[-1]:.6g}"
        shares = ", ".join(f"{CLASSES[name]} {100 * share:.3g} %" for name, share in self.shares.items())
        return "\n".join(
            [
                f"regime map: {columns} step sizes x {rows} {self.axis}s, {self.steps} steps a cell",
                f"law     {self.risk.label()}; {', '.join(text for axis, text in fixed.items() if axis != self.axis)}",
                f"axes    eta = {self.step_sizes[0]:.6g} .. {self.step_sizes[-1]:.6g}, {along}",
                f"shares  {shares}",
            ]
        )

    def to_xarray(self) -> "xarray.Dataset":
        """An xarray Dataset with long names; attrs hold the configuration as JSON.

        >>> import flowsim as fs
        >>> regimes = fs.regime_map(fs.PopulationRisk(fs.Gaussian(dim=2)), step_sizes=[0.1, 20.0], depths=[1, 2], steps=100)
        >>> dict(regimes.to_xarray().sizes)
        {'depth': 2, 'step_size': 2}
        """
        import xarray

        dims = (self.axis, "step_size")
        flags = {"flag_values": np.arange(len(CLASSES), dtype=np.int8), "flag_meanings": " ".join(CLASSES)}
        data: dict[str, Any] = {"regime": (dims, self.code.astype(np.int8), {"long_name": "what the descent does", **flags})}
        for name, long_name in MEASURED.items():
            data[name] = (dims, getattr(self, name), {"units": "1", "long_name": long_name})
        unit = "rad" if self.axis == "angle" else "1"
        coords = {
            "step_size": ("step_size", self.step_sizes, {"units": "1", "long_name": "step size eta"}),
            self.axis: (self.axis, self.values, {"units": unit, "long_name": AXES[self.axis]}),
        }
        fixed = {
            "axis": self.axis,
            "norm": float(self.start.norm),
            "angle": float(self.start.angle),
            "depth": self.depth,
            "steps": self.steps,
        }
        attrs = {
            "format": FORMAT,
            "risk": json.dumps(self.risk.config()),
            "map": json.dumps(fixed),
            "config": json.dumps(self.config),
        }
        return xarray.Dataset(data, coords=coords, attrs=attrs)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a netCDF file, whole or not at all; returns its path. OSError naming the path where it cannot be written.

        path: of the file; one that stands there is replaced.

        >>> import tempfile, flowsim as fs
        >>> regimes = fs.regime_map(fs.PopulationRisk(fs.Gaussian(dim=2)), step_sizes=[0.1, 20.0], depths=[1, 2], steps=100)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     regimes.save(f"{folder}/map.nc").name
        'map.nc'
        """
        return write_whole(path, lambda part: self.to_xarray().to_netcdf(part, engine="h5netcdf"))


def load_map(path: str | PathLike[str]) -> RegimeMap:
    """Read a map that `RegimeMap.save` wrote.

    path: of the netCDF file. FileNotFoundError where there is none, ValueError where it is not one of ours or is cut short.

    >>> import tempfile, flowsim as fs, flowsim.sweeps
    >>> regimes = fs.regime_map(fs.PopulationRisk(fs.Gaussian(dim=2)), step_sizes=[0.1, 20.0], depths=[1, 2], steps=100)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = flowsim.sweeps.load_map(regimes.save(f"{folder}/map.nc"))
    >>> bool((again.code == regimes.code).all())
    True
    """
    return read_netcdf(path, "a regime map", {FORMAT: map_of})


def map_of(data: "xarray.Dataset") -> RegimeMap:
    """The map a Dataset made by `RegimeMap.to_xarray` describes."""
    fixed = json.loads(data.attrs["map"])
    return RegimeMap(
        fixed["axis"],
        np.asarray(data[fixed["axis"]].values, dtype=float),
        np.asarray(data["step_size"].values),
        np.asarray(data["regime"].values, dtype=np.int64),
        risk=risk_from_config(json.loads(data.attrs["risk"])),
        start=Start(fixed["norm"], fixed["angle"]),
        depth=fixed["depth"],
        steps=fixed["steps"],
        config=json.loads(data.attrs["config"]),
        **{name: np.asarray(data[name].values) for name in MEASURED},
    )
