"""What every run of this room begins with, checked, and what it has reached, whatever ends it."""

from typing import Any

import numpy as np

from flowsim import arguments
from flowsim.dynamics.trajectory import versions
from flowsim.finite.activations import check_rounding
from flowsim.finite.convolution import Convolution
from flowsim.finite.field import State, flatten
from flowsim.finite.homogeneity import check_homogeneous
from flowsim.finite.layered import Layered
from flowsim.finite.losses import LOSSES
from flowsim.finite.network import Network
from flowsim.finite.reading import reader
from flowsim.finite.run import HomogeneousRun, Kind
from flowsim.finite.training_set import training_set_of


class Setup:
    """A network, its start, data and loss. ValueError where one is not what it must be."""

    def __init__(self, network: Any, data: Any, start: Any, loss: Any, rounding: Any, check: Any) -> None:
        if not isinstance(network, Network):
            raise ValueError(f"`network` must be a network such as flowsim.finite.relu_network(dim=2), but is {network!r}")
        self.network, self.data = network, training_set_of(data)
        self.loss, self.rounding = arguments.one_of("loss", loss, LOSSES), check_rounding(rounding)
        self.flat, self.unravel = flatten(start)
        self.shapes: tuple[tuple[int, ...], ...] = ()
        if isinstance(network, (Layered, Convolution)):
            if network.dim != self.data.dim:
                raise ValueError(f"`network` must take x of dimension {self.data.dim}, as the data have, but takes {network.dim}")
            if self.unravel.shapes != network.shapes:
                raise ValueError(f"`start` must hold arrays of the shapes {network.shapes}, but holds {self.unravel.shapes}")
            self.shapes = network.shapes
        if check:
            check_homogeneous(network, start, self.data.x, self.rounding)

    def state(self) -> State:
        """Of the start."""
        size = float(np.linalg.norm(self.flat))
        return State(np.asarray(np.log(size)), self.flat / size, np.zeros(()))


class Records:
    """T records, filled from the first on; nan where a run did not get."""

    def __init__(self, setup: Setup, count: int) -> None:
        self._setup, self._reached = setup, 0
        self._read = reader(setup.network, setup.unravel, setup.data, setup.loss, setup.rounding)
        self._held = {name: np.full((count, *values.shape), np.nan) for name, values in self._read(setup.state()).items()}

    def keep(self, state: State) -> None:
        """The next record."""
        for name, values in self._read(state).items():
            self._held[name][self._reached] = values
        self._reached += 1

    def run(self, kind: Kind, log_time: np.ndarray, step: Any, status: str, config: dict[str, Any]) -> HomogeneousRun:
        """With what was reached; config: what there is to tell beside network, data, loss and versions."""
        setup, held = self._setup, self._held
        order = float(setup.network.order)
        return HomogeneousRun(
            kind,
            log_time,
            step,
            held["log_norm"],
            held["direction"],
            held["path_length"],
            held["log_loss"],
            held["alignment_gap"],
            held["outputs"] * np.exp(-order * held["log_norm"])[:, None],
            held["weights"],
            held["test_error"],
            held.get("predictor"),
            status,
            order,
            setup.loss,
            setup.shapes,
            {
                "network": setup.network.config(),
                "data": setup.data.config(),
                "loss": setup.loss,
                "rounding": setup.rounding,
                **config,
                "versions": versions(),
            },
        )
