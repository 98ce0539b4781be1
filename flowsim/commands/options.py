"""Options that commands share: the law of x, the start, and numbers as people type them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from inspect import signature
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

if TYPE_CHECKING:
    from flowsim.problem import Law, PopulationRisk, Start

LAW_GROUP = Group("Law of the data", sort_key=1)
START_GROUP = Group("Start", sort_key=2)
RUN_GROUP = Group("Run", sort_key=3)
OUTPUT_GROUP = Group("Output", sort_key=4)


def whole_numbers(_: Any, tokens: Sequence[Any]) -> list[int]:
    """Whole numbers, 1e6 among them."""
    out = []
    for token in tokens:
        try:
            # through float only where need be: it holds whole numbers to 2^53
            number = int(token.value) if token.value.lstrip("+-").isdecimal() else float(token.value)
            if number != int(number):
                raise ValueError
        except (ValueError, OverflowError):
            raise ValueError(f"must be a whole number, but is {token.value!r}") from None
        out.append(int(number))
    return out


Several = Parameter(consume_multiple=(1, None), negative="", group=RUN_GROUP)
Whole = Parameter(converter=whole_numbers, consume_multiple=(1, None), negative="", group=RUN_GROUP)


@Parameter(name="*", group=LAW_GROUP)
@dataclass(frozen=True, kw_only=True)
class LawOptions:
    """Which population risk. An option that does not belong to the law is an error."""

    law: str = "gaussian"
    """gaussian, sphere, ball, student-t, laplace or radial."""
    dim: int | None = None
    """Dimension of x, 2 or more [default: 2]; any law."""
    scale: float | None = None
    """Of gaussian, laplace (x_1 ~ Laplace(scale)) and student-t [default: 1]."""
    radius: float | None = None
    """Of sphere and ball [default: 1]."""
    df: float | None = None
    """Degrees of freedom of student-t, above 1 [default: 5]."""
    radial_law: str | None = None
    """For radial: a positive continuous law of scipy.stats for |x|, such as gamma."""
    radial_args: Annotated[tuple[float, ...] | None, Parameter(consume_multiple=(1, None), negative="")] = None
    """For radial: the shape parameters of that law, such as 3.0."""
    label_noise: float = 0.0
    """Probability with which labels are flipped, in [0, 0.5)."""

    def risk(self) -> "PopulationRisk":
        """The population risk; ValueError naming the option that is wrong, and what it may be."""
        from flowsim import arguments, problem

        chosen = problem.LAWS[arguments.one_of("law", self.law, problem.LAWS)]
        own = ["dim", "radial_law", "radial_args"] if chosen is problem.Radial else list(signature(chosen).parameters)
        options = [field.name for field in fields(self) if field.name not in ("law", "label_noise")]
        given = {name: getattr(self, name) for name in options if getattr(self, name) is not None}
        refuse(f"the law {self.law!r}", own, **{name: value for name, value in given.items() if name not in own})
        return problem.PopulationRisk(self._radial(given) if chosen is problem.Radial else chosen(**given), self.label_noise)

    def _radial(self, given: dict[str, Any]) -> "Law":
        import difflib

        from scipy import stats

        from flowsim.problem import Radial

        name = given.pop("radial_law", None)
        if name is None:
            raise ValueError("the law 'radial' needs --radial-law, a continuous law of scipy.stats such as gamma")
        family = getattr(stats, name, None)
        if not isinstance(family, stats.rv_continuous):
            every = [other for other in dir(stats) if isinstance(getattr(stats, other), stats.rv_continuous)]
            near = difflib.get_close_matches(name, every, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"--radial-law must be a continuous law of scipy.stats, such as gamma, but is {name!r}{hint}")
        shapes = given.pop("radial_args", ())
        if not family.numargs <= len(shapes) <= family.numargs + 2:
            wanted = f"numbers for {family.shapes}" if family.shapes else "no shape parameter"
            raise ValueError(f"--radial-args of {name} must be {wanted}, then loc and scale if need be, but got {len(shapes)} numbers")
        return Radial(given.get("dim", 2), family(*shapes))


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def refuse(what: str, own: Sequence[str] = (), **given: Any) -> None:
    """ValueError for the first option that was given, which does not belong to ``what``; ``own`` do."""
    for name, value in given.items():
        if value is not None:
            known = f", whose options are {', '.join(map(_option, own))}" if own else ""
            raise ValueError(f"{_option(name)} does not belong to {what}{known}")


@Parameter(name="*", group=START_GROUP)
@dataclass(frozen=True, kw_only=True)
class StartOptions:
    """Where the run starts: norm and angle, or the vectors themselves."""

    norm: float | None = None
    """|w(0)| of the end-to-end predictor [default: 1]."""
    angle: float | None = None
    """Angle between w(0) and the teacher v in radians, 0 to pi [default: 1.5]."""
    w: Annotated[tuple[float, ...] | None, Parameter(consume_multiple=(1, None), negative="")] = None
    """The end-to-end predictor w(0), in the place of --norm and --angle; needs --v."""
    v: Annotated[tuple[float, ...] | None, Parameter(consume_multiple=(1, None), negative="")] = None
    """The teacher v, of any length."""

    def start(self, dim: int) -> "Start":
        """The start in ``dim`` dimensions; ValueError naming the option that is wrong."""
        from flowsim.problem import Start

        if self.w is None and self.v is None:
            return Start(1.0 if self.norm is None else self.norm, 1.5 if self.angle is None else self.angle)
        if self.w is None or self.v is None:
            raise ValueError("--w and --v must be given together")
        if self.norm is not None or self.angle is not None:
            raise ValueError("--norm and --angle must be left out where --w and --v say where the run starts")
        if len(self.v) != dim:
            raise ValueError(f"--v must have {dim} components, as many as x, but has {len(self.v)}")
        return Start.from_vectors(self.w, self.v)


def one_or_several(values: Sequence[Any]) -> Any:
    """A lone number stands for itself, several for a batch."""
    return values[0] if len(values) == 1 else list(values)


def times_of(times: Sequence[float] | None, first: float | None, last: float | None, count: int | None, until: float, records: int) -> Any:
    """The times to record: those listed, or evenly spaced in log t, by default ``records`` of them from 0.01 to ``until``."""
    from flowsim.problem import log_times

    if times is None:
        return log_times(1e-2 if first is None else first, until if last is None else last, records if count is None else count)
    if first is None and last is None and count is None:
        return times
    raise ValueError("--time-first, --time-last and --count must be left out where --times lists the times")
