"""What a run of a homogeneous network returns: its direction, margins and loss against log t, what they say, and a file format."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float, Int

from flowsim import arguments
from flowsim.files import read_netcdf, write_whole
from flowsim.finite.layer_gaps import layer_alignment_gap, rank_gap
from flowsim.finite.losses import margin_of_total
from flowsim.finite.path_tail import Tail, path_tail

if TYPE_CHECKING:
    import xarray

Array = Float[np.ndarray, "..."]
Kind = Literal["homogeneous-flow", "homogeneous-descent"]

STATUS = {
    "ok": "reached the last record asked for",
    "step_cap": "the solver's steps ran out; a larger max_steps, another solver or, at a kink, a larger rounding helps",
    "solver_failed": "the solver could not go on: its equations had no solution it could find",
    "overflow": "a weight or the loss left the double range, as descent does with too large a step size",
    "stopped": "interrupted; what was reached is kept, the rest is nan",
}
"""What became of a run, by the name of its status."""

FORMAT = "flowsim homogeneous run 1"

QUANTITIES = {
    "log_norm": ("1", "log |W|"),
    "direction": ("1", "u = W/|W|, all weights in one vector"),
    "path_length": ("rad", "length of the path of u since the start"),
    "log_loss": ("1", "log L, L the mean loss over the training set"),
    "alignment_gap": ("1", "1 - cos(W, -grad L)"),
    "margins": ("1", "y_i f(W; x_i)/|W|^p"),
    "weights": ("1", "pi_i = -l'(q_i)/sum_k l(q_k)"),
    "test_error": ("1", "share of the test set with a wrong sign"),
    "predictor": ("1", "W_L ... W_1 over its norm"),
}
_OWN_DIM = {"direction": "weight", "margins": "sample", "weights": "sample", "predictor": "input"}


@dataclass(frozen=True, eq=False)
class HomogeneousRun:
    r"""The path of one network on one training set, at T records.

    kind: "homogeneous-flow" or "homogeneous-descent".  log_time: (T,), log t.  step: (T,), k, of a descent; -1 where its flow goes on.
    log_norm: log |W|, (T,).  direction: u = W/|W|, (T, P).  path_length: of u, (T,).  log_loss: log L, (T,).
    alignment_gap: 1 - cos(W, -grad L), (T,).  margins: y_i f(W; x_i)/|W|^p, (T, n).
    weights: pi_i = -l'(q_i)/sum_k l(q_k), (T, n).  test_error: (T,), nan without a test set.
    predictor: W_L ... W_1 over its norm, (T, d), of a linear network, or None.  All are nan where the run did not get.
    status: a name out of `flowsim.finite.STATUS`.  order: p.  loss: "exponential" or "logistic".
    shapes: of the layers in u, of a network that is made of matrices, else empty.  config: what was run; everything JSON.

    >>> import numpy as np, flowsim as fs
    >>> data = fs.finite.mixture(n=10, dim=3, signal=2.0, seed=0)
    >>> network = fs.finite.deep_linear(dim=3, depth=2, width=4)
    >>> run = fs.finite.homogeneous_flow(network, data, network.start(seed=0), [0.0, 10.0, 1000.0])
    >>> run.ok, run.message, run.log_loss.round(2).tolist()[-1] < -990.0
    (True, 'reached the last record asked for', True)
    >>> run.normalised_margin[-1] > 0.0, bool(abs(run.smoothed_margin[-1] / run.normalised_margin[-1] - 1.0) < 0.01)
    (np.True_, True)
    >>> bool(run.stationarity[-1] < run.stationarity[0]), bool(0.0 <= run.slackness[-1] < 0.01), run.separated.tolist()[-1]
    (True, True, True)
    >>> [layer.shape for layer in run.layers(-1)], bool(run.log_log_time[-1] == np.log(1000.0))
    ([(4, 3), (1, 4)], True)
    """

    kind: Kind
    log_time: Array
    step: Int[np.ndarray, "time"] | None
    log_norm: Array
    direction: Array
    path_length: Array
    log_loss: Array
    alignment_gap: Array
    margins: Array
    weights: Array
    test_error: Array
    predictor: Array | None
    status: str
    order: float
    loss: str
    shapes: tuple[tuple[int, ...], ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the run reached its last record."""
        return self.status == "ok"

    @property
    def message(self) -> str:
        """What became of it, and what to do about it."""
        return STATUS[self.status]

    def require_ok(self) -> None:
        """RuntimeError with the message unless the run reached its last record.

        >>> import flowsim as fs
        >>> data, network = fs.finite.mixture(n=10, dim=3, signal=2.0), fs.finite.deep_linear(dim=3, depth=2, width=4)
        >>> fs.finite.homogeneous_flow(network, data, network.start(), [0.0, 1.0]).require_ok()
        """
        if not self.ok:
            raise RuntimeError(f"this run did not get to its last record: {self.message}")

    @property
    def log_log_time(self) -> Array:
        """log log t; nan up to t = 1."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(self.log_time > 0.0, np.log(self.log_time), np.nan)

    @property
    def normalised_margin(self) -> Array:
        """min_i y_i f(W; x_i)/|W|^p, (T,)."""
        return self.margins.min(axis=-1)

    @property
    def smoothed_margin(self) -> Array:
        """l^(-1)(n L)/|W|^p, (T,): what Lyu and Li show never to fall once it is positive."""
        total = self.log_loss + np.log(self.margins.shape[-1])
        return margin_of_total(total, self.loss) * np.exp(-self.order * self.log_norm)

    @property
    def separated(self) -> np.ndarray:
        """Whether n L < l(0), (T,): from there on every sample is on its right side, and the theorems speak."""
        threshold = 0.0 if self.loss == "exponential" else np.log(np.log(2.0))
        return self.log_loss + np.log(self.margins.shape[-1]) < threshold

    @property
    def stationarity(self) -> Array:
        """sin of the angle between W and -grad L, (T,): least |u - c sum_i pi_i grad q_i(u)| over c >= 0, with the run's own pi.

        With `slackness` the residual of the conditions of Karush, Kuhn and Tucker of: least |W|^2 with y_i f(W; x_i) >= 1 (Lyu, Li 2019).
        """
        gap = self.alignment_gap
        return np.where(gap < 1.0, np.sqrt(gap * (2.0 - gap)), 1.0)

    @property
    def slackness(self) -> Array:
        """sum_i pi_i (q_i - min q)/(min q sum_i pi_i), (T,): how far samples that push are from the margin; nan until it is positive."""
        least = self.margins.min(axis=-1, keepdims=True)
        with np.errstate(invalid="ignore", divide="ignore"):
            excess = (self.weights * (self.margins - least)).sum(axis=-1) / (self.weights.sum(axis=-1) * least[..., 0])
        return np.where(least[..., 0] > 0.0, excess, np.nan)

    def layers(self, record: Any) -> list[Array]:
        """The matrices of u = W/|W| at a record; ValueError where the network is not made of matrices.

        record: index, 0 to T - 1, or from the end.

        >>> import flowsim as fs
        >>> data, network = fs.finite.mixture(n=10, dim=3, signal=2.0), fs.finite.deep_linear(dim=3, depth=2, width=4)
        >>> fs.finite.homogeneous_flow(network, data, network.start(), [0.0, 1.0]).layers(0)[0].shape
        (4, 3)
        """
        if not self.shapes:
            raise ValueError(f"`layers` are the matrices of a layered network, but this is {self.config['network']['network']!r}")
        sizes = np.cumsum([int(np.prod(shape)) for shape in self.shapes])[:-1]
        return [part.reshape(shape) for part, shape in zip(np.split(self.direction[record], sizes), self.shapes, strict=True)]

    def rank_gap(self) -> Array:
        """sigma_2/sigma_1 of each layer, (T, L): 0 where it has rank one.

        >>> import flowsim as fs
        >>> data, network = fs.finite.mixture(n=10, dim=3, signal=2.0), fs.finite.deep_linear(dim=3, depth=2, width=4)
        >>> fs.finite.homogeneous_flow(network, data, network.start(), [0.0, 1e3]).rank_gap().shape
        (2, 2)
        """
        return np.array([rank_gap(self.layers(record)) for record in range(self.log_time.size)])

    def layer_alignment_gap(self) -> Array:
        """1 - |<u_j, v_(j+1)>|, (T, L - 1), top left singular vector of a layer and top right one of the next: 0 where they are aligned.

        >>> import flowsim as fs
        >>> data, network = fs.finite.mixture(n=10, dim=3, signal=2.0), fs.finite.deep_linear(dim=3, depth=2, width=4)
        >>> fs.finite.homogeneous_flow(network, data, network.start(), [0.0, 1e3]).layer_alignment_gap().shape
        (2, 1)
        """
        return np.array([layer_alignment_gap(self.layers(record)) for record in range(self.log_time.size)])

    def distance_to(self, direction: Any) -> Array:
        """1 - cos of the angle between a linear network's predictor and a vector, (T,), without cancellation.

        direction: (d,), not 0. ValueError where the network is not linear.

        >>> import flowsim as fs
        >>> data, network = fs.finite.mixture(n=10, dim=3, signal=2.0), fs.finite.deep_linear(dim=3, depth=2, width=4)
        >>> run = fs.finite.homogeneous_flow(network, data, network.start(), [0.0, 1e3])
        >>> bool(run.distance_to(fs.samples.max_margin(data).direction)[-1] < 1e-2)
        True
        """
        if self.predictor is None:
            raise ValueError("`distance_to` needs a linear network, whose predictor is one vector")
        target = arguments.reals("direction", direction)
        size = float(np.linalg.norm(target))
        if target.shape != self.predictor.shape[1:] or not size > 0.0:
            raise ValueError(f"`direction` must be a vector of {self.predictor.shape[1]} numbers, not 0, but is {direction!r}")
        return 0.5 * np.sum((self.predictor - target / size) ** 2, axis=-1)

    def angle_to(self, direction: Any) -> Array:
        """The angle of `distance_to`, (T,), in radians, as exact near 0 as it is near pi.

        direction: (d,), not 0. ValueError where the network is not linear.

        >>> import numpy as np, flowsim as fs
        >>> data, network = fs.finite.mixture(n=10, dim=3, signal=2.0), fs.finite.deep_linear(dim=3, depth=2, width=4)
        >>> run = fs.finite.homogeneous_flow(network, data, network.start(), [0.0, 1e3])
        >>> u = fs.samples.max_margin(data).direction
        >>> bool(np.allclose(1.0 - np.cos(run.angle_to(u)), run.distance_to(u)))
        True
        """
        return 2.0 * np.arcsin(np.sqrt(np.minimum(0.5 * self.distance_to(direction), 1.0)))

    def path_tail(self) -> Tail:
        """What is left of the path of u after the last record, if from one doubling of log t to the next it falls by a constant factor.

        With z the path's length at log t, (log t)/2 and (log t)/4, and d = z_1 - z_2, d' = z_2 - z_3: d^2/(d' - d). The error is the
        difference from the estimate made a factor sqrt(2) in log t earlier. inf where the path does not slow down.
        ValueError where log t does not reach 8, or the run did not get there.

        >>> import numpy as np, flowsim as fs
        >>> data, network = fs.finite.mixture(n=10, dim=3, signal=2.0), fs.finite.deep_linear(dim=3, depth=2, width=4)
        >>> tail = fs.finite.homogeneous_flow(network, data, network.start(), fs.finite.log_log_times(1e3)).path_tail()
        >>> 0.0 < tail.left < 0.2, tail.error < tail.left
        (True, True)
        """
        return path_tail(self.log_time, self.path_length, self.status)

    def __str__(self) -> str:
        """What ran, on what, how far, where it ended."""
        reached = np.flatnonzero(np.isfinite(self.log_norm))
        ends = [0, int(reached[-1]) if reached.size else 0]
        network, data = self.config["network"], self.config["data"]
        steps = "" if self.step is None else f", k = {int(self.step[0])} .. {int(self.step.max())}"
        show = lambda values, form: " -> ".join(format(float(values[i]), form) for i in ends)  # noqa: E731
        return "\n".join(
            [
                f"{self.kind} of {network['network']}, order {self.order:g}, {self.direction.shape[1]} weights: {len(reached)} records",
                f"data    {data['name']}, n = {self.margins.shape[1]}; {self.loss} loss",
                f"span    log t = {show(self.log_time, '.5g')}{steps}",
                f"loss    log L = {show(self.log_loss, '.6g')}; log |W| = {show(self.log_norm, '.5g')}",
                f"margin  {show(self.normalised_margin, '.6g')}; 1 - cos(W, -grad L) = {show(self.alignment_gap, '.3g')}",
                f"status  {self.message}",
            ]
        )

    def to_xarray(self) -> "xarray.Dataset":
        """A Dataset with units and long names; attrs hold the configuration as JSON.

        >>> import flowsim as fs
        >>> data, network = fs.finite.mixture(n=10, dim=3, signal=2.0), fs.finite.deep_linear(dim=3, depth=2, width=4)
        >>> dict(fs.finite.homogeneous_flow(network, data, network.start(), [0.0, 1e3]).to_xarray().sizes)
        {'record': 2, 'weight': 16, 'sample': 10, 'input': 3}
        """
        import xarray

        data: dict[str, Any] = {}
        for name, (units, long_name) in QUANTITIES.items():
            values = getattr(self, name)
            if values is not None:
                dims = ("record", _OWN_DIM[name]) if name in _OWN_DIM else ("record",)
                data[name] = (dims, values, {"units": units, "long_name": long_name})
        coords: dict[str, Any] = {"log_time": ("record", self.log_time, {"units": "1", "long_name": "log t; log of eta k for a descent"})}
        if self.step is not None:
            coords["step"] = ("record", self.step, {"units": "1", "long_name": "number of steps k"})
        attrs = {
            "format": FORMAT,
            "kind": self.kind,
            "status": self.status,
            "order": float(self.order),
            "loss": self.loss,
            "shapes": json.dumps([list(shape) for shape in self.shapes]),
            "config": json.dumps(dict(self.config)),
        }
        return xarray.Dataset(data, coords=coords, attrs=attrs)

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a netCDF file, whole or not at all; returns its path. OSError naming the path where it cannot be written.

        path: of the file; one that stands there is replaced.

        >>> import tempfile, flowsim as fs
        >>> data, network = fs.finite.mixture(n=10, dim=3, signal=2.0), fs.finite.deep_linear(dim=3, depth=2, width=4)
        >>> run = fs.finite.homogeneous_flow(network, data, network.start(), [0.0, 1e3])
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     again = fs.finite.load_homogeneous(run.save(f"{folder}/run.nc"))
        >>> bool((again.direction == run.direction).all())
        True
        """
        return write_whole(path, lambda part: self.to_xarray().to_netcdf(part, engine="h5netcdf"))


def load_homogeneous(path: str | PathLike[str]) -> HomogeneousRun:
    """Read a run that `HomogeneousRun.save` wrote.

    path: of the netCDF file. FileNotFoundError where there is none, ValueError where it is not one of ours or is cut short.

    >>> import flowsim as fs
    >>> fs.finite.load_homogeneous("nowhere.nc")
    Traceback (most recent call last):
    FileNotFoundError: no such file: 'nowhere.nc'
    """
    return read_netcdf(path, "a run of a homogeneous network", {FORMAT: homogeneous_run_of})


def homogeneous_run_of(data: "xarray.Dataset") -> HomogeneousRun:
    """The run a Dataset made by `HomogeneousRun.to_xarray` describes."""
    attrs = data.attrs
    arrays = {name: np.asarray(data[name].values) if name in data else None for name in QUANTITIES}
    return HomogeneousRun(
        attrs["kind"],
        np.asarray(data["log_time"].values),
        np.asarray(data["step"].values) if "step" in data.coords else None,
        **{name: values for name, values in arrays.items() if values is not None or name == "predictor"},  # pyright: ignore[reportArgumentType]
        status=str(attrs["status"]),
        order=float(attrs["order"]),
        loss=str(attrs["loss"]),
        shapes=tuple(tuple(shape) for shape in json.loads(attrs["shapes"])),
        config=json.loads(attrs["config"]),
    )
