"""What `flowsim finite` learns from, and by which network."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from flowsim.commands.options import LAW_GROUP, START_GROUP, refuse

if TYPE_CHECKING:
    from flowsim.finite import Network, TrainingSet

TEST = 10_000
"""Samples of a mixture to test on."""

NETWORKS = {
    "linear": ("depth", "width"),
    "relu": ("depth", "width", "fixed_output"),
    "leaky-relu": ("depth", "width", "slope", "fixed_output"),
    "squared-relu": ("depth", "width", "fixed_output"),
    "convolution": ("channels", "kernel", "slope"),
}
"""What each can be told."""


@Parameter(name="*", group=LAW_GROUP)
@dataclass(frozen=True, kw_only=True)
class DataOptions:
    """What is learnt from. An option that does not belong to the data is an error."""

    data: str | None = None
    """mixture, digits or breast-cancer (of scikit-learn), or a local .npz with x and y [default: mixture]."""
    dim: int | None = None
    """Dimension of a mixture [default: 10]."""
    signal: float | None = None
    """|mu| of a mixture, x = y mu + z [default: 2]."""
    noise: str | None = None
    """Law of z: gaussian, student or polynomial [default: gaussian]."""
    df: float | None = None
    """Degrees of freedom of student and polynomial, above 2; has to be given for these."""
    label_noise: float | None = None
    """Probability with which labels of a mixture are flipped, in [0, 0.5) [default: 0]."""
    classes: Annotated[list[int] | None, Parameter(consume_multiple=(2, 2), negative="")] = None
    """Two labels, of digits or a file [default: 3 8; a file has two]."""

    def load(self, samples: int | None, seed: int) -> "TrainingSet":
        """The training set; ValueError naming what is wrong."""
        from flowsim import finite as room
        from flowsim.finite.real import load_data

        chosen = self.data or "mixture"
        mine = {name: getattr(self, name) for name in ("dim", "signal", "noise", "df", "label_noise")}
        if chosen != "mixture":
            refuse(f"the data {chosen!r}", ("classes",), samples=samples, **mine)
            return load_data(chosen, self.classes, seed=seed)
        refuse("the data 'mixture'", ("samples", *mine), classes=self.classes)
        given = {name: value for name, value in mine.items() if value is not None}
        return room.mixture(**{"n": 100 if samples is None else samples, "dim": 10, "signal": 2.0, **given}, seed=seed, test=TEST)


@Parameter(name="*", group=START_GROUP)
@dataclass(frozen=True, kw_only=True)
class NetworkOptions:
    """Which network, and where it starts. An option that does not belong to the network is an error."""

    network: str | None = None
    """linear, relu, leaky-relu, squared-relu or convolution [default: linear]."""
    width: int | None = None
    """Of every hidden layer [default: 10]."""
    slope: float | None = None
    """Of leaky-relu [default: 0.1] and convolution [default: 0] where z < 0, from 0 to 1."""
    channels: int | None = None
    """Of the convolution [default: 4]."""
    kernel: int | None = None
    """Length of its kernels [default: 3]."""
    fixed_output: Annotated[bool | None, Parameter(negative="")] = None
    """Hold the last layer at +-1/sqrt(width), half of each."""
    start_scale: float | None = None
    """Of the weights at the start, N(0, scale^2/n_in) [default: 1]."""

    def make(self, dim: int, depth: int | None) -> "Network":
        """The network; ValueError naming the option that is wrong, and what it may be."""
        from flowsim import arguments
        from flowsim import finite as room

        chosen = arguments.one_of("network", self.network or "linear", NETWORKS)
        own = NETWORKS[chosen]
        every = {"depth": depth, **{name: getattr(self, name) for name in ("width", "slope", "channels", "kernel", "fixed_output")}}
        refuse(f"the network {chosen!r}", own, **{name: value for name, value in every.items() if name not in own})
        given = {name: value for name, value in every.items() if value is not None}
        maker = room.NETWORKS[chosen]
        if chosen == "convolution":
            return maker(dim, **given)
        layers = int(arguments.whole("depth", given.pop("depth", 1 if chosen == "linear" else 2), low=1 if chosen == "linear" else 2))
        if chosen == "linear":
            if layers == 1:
                refuse("the network 'linear' with one layer", ("depth",), width=self.width)
            return maker(dim, layers, **given)
        return maker(dim, [given.pop("width", 10)] * (layers - 1), **given)
