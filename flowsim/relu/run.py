"""What training returns: test error, loss and norms of many networks against step and time, with status, provenance and a file format."""

import json
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int, Shaped

from flowsim.files import read_netcdf, write_whole

if TYPE_CHECKING:
    import xarray

STATUS = {
    "ok": "reached the last step",
    "dead": "every output is 0 on every training image, so that no gradient is left",
    "diverged": "a weight or the loss left the double range, and from there on all is nan; a smaller step size or scale avoids it",
    "stopped": "interrupted; what was reached is kept, the rest is nan, and `resume` goes on from there",
}
FORMAT = "flowsim relu run 1"

MEASURED = {
    "test_error": "share of test images given a wrong class",
    "train_loss": "mean cross-entropy over all training images",
    "log_product_norm": "log of the Frobenius norm of W_L ... W_1",
    "largest_output": "largest |f| over all training images and classes",
}
DIMS = ("step_size", "scaling", "seed")

Grid = Float[np.ndarray, "E A S T"]


@dataclass(frozen=True, eq=False)
class State:
    """Where an unfinished training stands. step: k, of every network.  weights: W_1, ..., W_L, each (E, A, S, out, in).

    >>> import numpy as np
    >>> State(7, (np.zeros((1, 1, 1, 2, 3)),)).step
    7
    """

    step: int
    weights: tuple[Float[np.ndarray, "E A S _ _"], ...]


@dataclass(frozen=True, eq=False)
class ReluRun:
    """Networks of E step sizes, A scalings and S seeds, all recorded at the same T steps. Made by `train`, `resume` and `load_relu`.

    step: (T,), k.  step_sizes: (E,), eta.  weight_scales, data_scales: (A,), what the first weights and the images were multiplied by.
    seeds: (S,).  Networks of one seed share their first weights, up to the scale, and their batches.
    test_error: (E, A, S, T).  train_loss: (E, A, S, T), over all training images.
    log_product_norm: (E, A, S, T), log |W_L ... W_1|_F.  largest_output: (E, A, S, T), of |f| over the training images; 0 once dead.
        All of them are nan where a network did not get, and from where it diverged.
    status: (E, A, S), names out of `STATUS`.  config: the rest of what it takes to train them again; everything JSON.
    state: where to go on, or None once the last step is reached.

    >>> import numpy as np
    >>> from flowsim.relu import Images, train
    >>> x, y = np.eye(4), np.array([0, 1, 0, 1])
    >>> run = train(Images(x, y, x, y, "corners", 2), [1.0, 0.1], data_scales=[1.0, 10.0], seeds=1, depth=2, width=8, batch=4, steps=10)
    >>> print(run)
    ReLU networks of depth 2, width 8 on corners: 4 runs, 11 records
    over    eta = 0.1 .. 1, weights x 1, data x 1 .. 10, 1 seed
    span    k = 0 .. 10, batches of 4
    error   0.25 -> 0 (medians over what was reached)
    norm    0.608 -> 1.85 (medians, of W_2 ... W_1)
    status  4 of 4 runs: reached the last step
    >>> run.time.shape, run.ok, run.message, run.reached, run.depth, run.dead_from.max()
    ((2, 11), True, '4 of 4 runs: reached the last step', 10, 2, np.int64(-1))
    """

    step: Int[np.ndarray, "T"]
    step_sizes: Float[np.ndarray, "E"]
    weight_scales: Float[np.ndarray, "A"]
    data_scales: Float[np.ndarray, "A"]
    seeds: Int[np.ndarray, "S"]
    test_error: Grid
    train_loss: Grid
    log_product_norm: Grid
    largest_output: Grid
    status: Shaped[np.ndarray, "E A S"]
    config: dict[str, Any] = field(default_factory=dict)
    state: State | None = None

    @property
    def time(self) -> Float[np.ndarray, "E T"]:
        """eta k, (E, T)."""
        return self.step_sizes[:, None] * self.step

    @property
    def depth(self) -> int:
        """L, the number of layers."""
        return int(self.config["depth"])

    @property
    def reached(self) -> int:
        """The step that all networks have reached."""
        return int(self.step[-1]) if self.state is None else self.state.step

    @property
    def dead_from(self) -> Int[np.ndarray, "E A S"]:
        """The first recorded step at which every output was 0; -1 where none was."""
        dead = self.largest_output == 0.0
        return np.where(dead.any(axis=-1), self.step[np.argmax(dead, axis=-1)], -1)

    @property
    def ok(self) -> bool:
        """Whether every network reached the last step with a gradient left."""
        return bool((self.status == "ok").all())

    @property
    def message(self) -> str:
        """A sentence for each status there is, with how many networks have it."""
        count = self.status.size
        parts = [(int(np.count_nonzero(self.status == name)), text) for name, text in STATUS.items()]
        return "; ".join(f"{number} of {count} runs: {text}" for number, text in parts if number)

    def __str__(self) -> str:
        """Six lines: what was trained, over what, how far, where it began and ended."""
        config, seeds = self.config, len(self.seeds)
        last = int(np.searchsorted(self.step, self.reached, side="right")) - 1
        error = [_median(self.test_error[..., i]) for i in (0, last)]
        # a median of logarithms, for the norms themselves may leave the double range
        norm = [_power_of_ten(_median(self.log_product_norm[..., i]) / np.log(10.0)) for i in (0, last)]
        eta, weights, data = (_span(values) for values in (self.step_sizes, self.weight_scales, self.data_scales))
        return "\n".join(
            [
                f"ReLU networks of depth {self.depth}, width {config['width']} on {config['images']['name']}: "
                f"{self.status.size} run{'s' * (self.status.size > 1)}, {self.step.size} records",
                f"over    eta = {eta}, weights x {weights}, data x {data}, {seeds} seed{'s' * (seeds > 1)}",
                f"span    k = {self.step[0]} .. {self.reached}, batches of {config['batch']}",
                f"error   {error[0]:.3g} -> {error[1]:.3g} (medians over what was reached)",
                f"norm    {norm[0]} -> {norm[1]} (medians, of W_{self.depth} ... W_1)",
                f"status  {self.message}",
            ]
        )

    def to_xarray(self) -> "xarray.Dataset":
        """An xarray Dataset with units and long names; attrs hold the configuration as JSON.

        >>> import numpy as np
        >>> from flowsim.relu import Images, train
        >>> images = Images(np.eye(4), np.array([0, 1, 0, 1]), np.eye(4), np.array([0, 1, 0, 1]), "corners", 2)
        >>> run = train(images, [1.0, 0.1], data_scales=[1.0, 10.0], seeds=1, depth=2, width=8, batch=4, steps=10)
        >>> dict(run.to_xarray().sizes)
        {'step_size': 2, 'scaling': 2, 'seed': 1, 'record': 11}
        """
        import xarray

        data: dict[str, Any] = {
            name: ((*DIMS, "record"), getattr(self, name), {"units": "1", "long_name": long_name}) for name, long_name in MEASURED.items()
        }
        names = list(STATUS)
        codes = np.array([names.index(str(s)) for s in self.status.ravel()], dtype=np.int8).reshape(self.status.shape)
        meanings = {"flag_values": np.arange(len(names), dtype=np.int8), "flag_meanings": " ".join(names)}
        data["status"] = (DIMS, codes, {"long_name": "how the training ended", **meanings})
        for layer, matrix in enumerate(self.state.weights if self.state else (), start=1):
            dims = (*DIMS, f"out_{layer}", f"in_{layer}")
            data[f"weights_{layer}"] = (dims, matrix, {"units": "1", "long_name": f"W_{layer} where the training stands"})
        coords = {
            "step": ("record", self.step, {"units": "1", "long_name": "number of steps k"}),
            "time": (("step_size", "record"), self.time, {"units": "1", "long_name": "time eta k"}),
            "step_size": ("step_size", self.step_sizes, {"units": "1", "long_name": "step size eta"}),
            "weight_scale": ("scaling", self.weight_scales, {"units": "1", "long_name": "factor of the first weights"}),
            "data_scale": ("scaling", self.data_scales, {"units": "1", "long_name": "factor of the images"}),
            "seed": ("seed", self.seeds, {"long_name": "seed of the first weights and of the batches"}),
        }
        attrs: dict[str, Any] = {"format": FORMAT, "config": json.dumps(self.config), "reached": self.reached}
        return xarray.Dataset(data, coords=coords, attrs=attrs)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a netCDF file, whole or not at all; returns its path. OSError naming the path where it cannot be written.

        path: of the file; one that stands there is replaced.

        >>> import tempfile, numpy as np
        >>> from flowsim.relu import Images, train
        >>> images = Images(np.eye(4), np.array([0, 1, 0, 1]), np.eye(4), np.array([0, 1, 0, 1]), "corners", 2)
        >>> run = train(images, [1.0, 0.1], data_scales=[1.0, 10.0], seeds=1, depth=2, width=8, batch=4, steps=10)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run.save(f"{folder}/relu.nc").name
        'relu.nc'
        """
        return write_whole(path, lambda part: self.to_xarray().to_netcdf(part, engine="h5netcdf"))


def load_relu(path: str | PathLike[str]) -> ReluRun:
    """Read a run that `ReluRun.save` wrote, or a checkpoint of one.

    path: of the netCDF file. FileNotFoundError where there is none, ValueError where it is not one of ours or is cut short.

    >>> import tempfile, numpy as np
    >>> from flowsim.relu import Images, train
    >>> images = Images(np.eye(4), np.array([0, 1, 0, 1]), np.eye(4), np.array([0, 1, 0, 1]), "corners", 2)
    >>> run = train(images, [1.0, 0.1], data_scales=[1.0, 10.0], seeds=1, depth=2, width=8, batch=4, steps=10)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     again = load_relu(run.save(f"{folder}/relu.nc"))
    >>> bool((again.train_loss == run.train_loss).all())
    True
    """
    return read_netcdf(path, "a run of ReLU networks", {FORMAT: run_of})


def run_of(data: "xarray.Dataset") -> ReluRun:
    """The run a Dataset made by `ReluRun.to_xarray` describes."""
    config = json.loads(data.attrs["config"])
    arrays = {
        name: np.asarray(data[name].values) for name in (*MEASURED, "status", "step", "step_size", "weight_scale", "data_scale", "seed")
    }
    # one stopped between its last step and its last record has reached the last step too
    finished = "weights_1" not in data
    layers = () if finished else [np.asarray(data[f"weights_{layer}"].values) for layer in range(1, config["depth"] + 1)]
    return ReluRun(
        arrays["step"],
        arrays["step_size"],
        arrays["weight_scale"],
        arrays["data_scale"],
        arrays["seed"],
        **{name: arrays[name] for name in MEASURED},
        status=np.array(list(STATUS))[arrays["status"].astype(int)],
        config=config,
        state=None if finished else State(int(data.attrs["reached"]), tuple(layers)),
    )


def _median(values: np.ndarray) -> float:
    """Of what is not nan."""
    kept = values[~np.isnan(values)]
    return float(np.median(kept)) if kept.size else np.nan


def _power_of_ten(exponent: float) -> str:
    if not np.isfinite(exponent) or abs(exponent) < 5.0:
        return f"{10.0**exponent:.3g}"
    whole = int(np.floor(exponent))
    return f"{10.0 ** (exponent - whole):.3g}e{whole:+d}"


def _span(values: np.ndarray) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.4g}" if low == high else f"{low:.4g} .. {high:.4g}"
