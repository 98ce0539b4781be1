"""A moment of a run, as the bounds take it, and the checks they share."""

from math import exp
from typing import Any, NamedTuple

from flowsim import arguments
from flowsim.problem import PopulationRisk, Start


class State(NamedTuple):
    """Where a run is: a moment of it, as the bounds take it.

    time: t.  norm: r > 0, of the predictor.  log_tan_half_angle: s = log tan(theta/2), finite.

    >>> import flowsim as fs
    >>> state = fs.theory.State.of(fs.Start(norm=2.0, angle=1.5))
    >>> state.norm, round(state.one_minus_cos, 6)
    (2.0, 0.929263)
    """

    time: float
    norm: float
    log_tan_half_angle: float

    @classmethod
    def of(cls, start: Start, time: float = 0.0) -> "State":
        """A single start as the state at ``time``.

        start: a flowsim.Start; ValueError for a batch of them.  time: t.

        >>> import flowsim as fs
        >>> tuple(fs.theory.State.of(fs.Start(norm=2.0, angle=1.5), time=3.0))[:2]
        (3.0, 2.0)
        """
        if start.shape:
            raise ValueError(f"`start` must be a single one, but has shape {start.shape}")
        return cls(time, float(start.norm), float(start.log_tan_half_angle))

    @property
    def one_minus_cos(self) -> float:
        """1 - cos theta = 2/(1 + exp(-2 s))."""
        s = self.log_tan_half_angle
        return 2.0 / (1.0 + exp(-2.0 * s)) if s > 0.0 else 2.0 * exp(2.0 * s) / (1.0 + exp(2.0 * s))


def checked_state(name: str, value: Any) -> State:
    """``value``, a State or any triple of numbers (time, norm, s), as a State."""
    try:
        time, norm, s = value
    except (TypeError, ValueError):
        raise ValueError(f"`{name}` must be three numbers (time, norm, log tan(theta/2)), but is {value!r}") from None
    return State(
        arguments.real(f"{name}.time", time),
        arguments.real(f"{name}.norm", norm, low=0.0, strict=True),
        arguments.real(f"{name}.log_tan_half_angle", s),
    )


def population_risk(risk: Any) -> PopulationRisk:
    """``risk``, if it is one."""
    if not isinstance(risk, PopulationRisk):
        raise ValueError(f"`risk` must be a flowsim.PopulationRisk, but is {risk!r}")
    return risk


def noise_free_risk(risk: Any) -> PopulationRisk:
    """``risk``, if it is one without label noise: the paper has none."""
    if population_risk(risk).label_noise > 0.0:
        raise ValueError(f"`risk` must be free of label noise for the paper's bounds, but has {risk.label_noise:.6g}")
    return risk


def single_depth(depth: Any, low: int = 1, high: int | None = None) -> int:
    """``depth``, if it is one whole number from low to high."""
    layers = arguments.whole("depth", depth, low=low, high=high)
    if layers.ndim:
        raise ValueError(f"`depth` must be a single whole number, but has shape {layers.shape}")
    return int(layers)


def norm_grows(risk: PopulationRisk, state: State, slack: float = 0.0) -> bool:
    """h(r) >= c (1 - cos theta) - slack c: the norm does not fall in this state."""
    return float(risk.growth(state.norm)) >= risk.pull * (state.one_minus_cos - slack)


TURNING_SLACK = 1e-6
"""By how much of c the norm may still fall at a turning point that was found numerically."""


def checked_phases(risk: PopulationRisk, start: Any, turning: Any) -> tuple[State, State]:
    """Start and turning point of a bound. ``turning`` None: the norm grows from the start on, and it is refused where it does not."""
    begin = checked_state("start", start)
    if turning is None:
        if not norm_grows(risk, begin, TURNING_SLACK):
            raise ValueError(
                "`turning` must be given, because the norm falls at `start`: the state (T, r(T), s(T)) in which it stops falling"
            )
        return begin, begin
    turn = checked_state("turning", turning)
    if turn.time < begin.time:
        raise ValueError(f"`turning` must not come before `start` at time {begin.time:.6g}, but is at time {turn.time:.6g}")
    if not norm_grows(risk, turn, TURNING_SLACK):
        raise ValueError(f"`turning` must be a state in which the norm has stopped falling, but at {tuple(turn)} it falls")
    return begin, turn
