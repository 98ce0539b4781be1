"""A sweep as it is declared: what is run, over which axes, what is recorded, and in which chunks."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from flowsim import arguments
from flowsim.sweeps.axes import Axis, as_axis
from flowsim.sweeps.chunks import ChunkGrid, chunk_shape
from flowsim.sweeps.kinds import KINDS, Argument, Kind, Quantity
from flowsim.sweeps.kinds.exponents import EXPONENTS, late_records
from flowsim.sweeps.kinds.kind import CODE

MEMORY_MIB = 512
"""What a chunk may take by default."""
MOST_ELEMENTS = 8192
FEWEST_ELEMENTS = 4096
PARTS = 32
"""In how many chunks a sweep is cut at least, if they are not too small for that."""
RECORD_DIM = "record"


class Variable(NamedTuple):
    """An array of the store: its dimensions, shape and chunks, what it holds, and what an element that was not run has."""

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    dtype: np.dtype
    fill: Any
    attrs: Mapping[str, Any]


@dataclass(frozen=True)
class Sweep:
    """Many runs: the product of axes, each the values of one argument, with all others fixed.

    run: "flow", "descent", "map" (the class of each descent, as in `regime_map`), "layer-flow", "layer-descent", or "mixture" (a network
        that fits samples of a mixture).
    axes: by argument: an `Axis` (`listed`, `linear`, `log`, `random`) or a list of values.
    fixed: by argument: its value; others have their defaults. Law and start are arguments: law, dim, scale, radius, df, label_noise, norm,
        angle; so are the times: time_first, time_last, records or a list `times`; and steps, a number or a list.
    series: what is recorded at every record.  final: what is at the last.  numbers: what is one number a run, such as an exponent.
        Default: the classes of a map, the test error on a mixture; else final log_norm and log_tan_half_angle.
    chunk: runs in a chunk, at most; default: what memory_mib lets through, 8192 at most, and fewer where a sweep would have few chunks.
    memory_mib: MiB that a chunk may take.

    ValueError naming the argument that is wrong.

    >>> import flowsim as fs
    >>> sweep = fs.Sweep("flow", axes={"norm": fs.sweeps.log(0.1, 10, 5), "depth": [1, 2, 3]}, fixed={"time_last": 1e6})
    >>> sweep.sizes, sweep.elements, list(sweep.variables)
    ({'norm': 5, 'depth': 3}, 15, ['status', 'final_log_norm', 'final_log_tan_half_angle'])
    >>> sweep.kind.name, sweep.grid.shape, sweep.grid.count, sweep.records
    ('flow', (5, 3), 1, {})
    """

    run: str
    axes: Mapping[str, Any]
    fixed: Mapping[str, Any] = field(default_factory=dict)
    series: Sequence[str] = ()
    final: Sequence[str] = ()
    numbers: Sequence[str] = ()
    chunk: int | None = None
    memory_mib: float = MEMORY_MIB

    def __post_init__(self) -> None:
        kind = self.kind
        if not isinstance(self.axes, Mapping) or not self.axes:
            raise ValueError(f"`axes` must hold at least one axis by the name of its argument, but is {self.axes!r}")
        put = lambda name, value: object.__setattr__(self, name, value)  # noqa: E731
        put("axes", {name: _checked_axis(kind.argument(name), as_axis(name, given)) for name, given in self.axes.items()})
        put("fixed", self._checked_fixed())
        chosen = {"series": self.series, "final": self.final, "numbers": self.numbers}
        if not any(map(len, chosen.values())):
            chosen |= {"final": ("log_norm", "log_tan_half_angle")} if kind.series else {"numbers": tuple(kind.numbers)[:1]}
        for name, known in (("series", kind.series), ("final", kind.series), ("numbers", kind.numbers)):
            put(name, _names(name, chosen[name], known, kind))
        put("memory_mib", arguments.real("memory_mib", self.memory_mib, low=0.0, strict=True))
        if self.chunk is not None:
            put("chunk", int(arguments.whole("chunk", self.chunk, low=1)))
        self._check_together()

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> "Sweep":
        """The sweep that a TOML file declares: ``run``, and the tables axes, fixed, record and chunks.

        path: of the file. FileNotFoundError where there is none, ValueError naming the line or the key that is wrong.

        >>> import tempfile, pathlib, flowsim as fs
        >>> text = 'run = "map"\\n[axes]\\nstep_size = {log = [0.1, 10.0], count = 3}\\ndepth = [1, 2]\\n[record]\\nnumbers = ["regime"]'
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "sweep.toml")
        ...     _ = path.write_text(text)
        ...     fs.Sweep.from_toml(path).sizes
        {'step_size': 3, 'depth': 2}
        """
        source = Path(path)
        if not source.is_file():
            raise FileNotFoundError(f"no such file: {str(source)!r}")
        try:
            given = tomllib.loads(source.read_text(encoding="utf-8"))
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{str(source)!r} is not TOML: {error}") from error
        try:
            return cls(**_options_of(given))
        except ValueError as error:
            raise ValueError(f"{str(source)!r}: {error}") from error

    @property
    def kind(self) -> Kind:
        """The kind of run."""
        return KINDS[arguments.one_of("run", self.run, KINDS)]

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The number of values along each dimension, in the order of the axes: that of an axis itself, or the one it shares."""
        return {self.dim_of(name): axis.values.size for name, axis in self.axes.items()}

    def dim_of(self, axis: str) -> str:
        """The dimension an axis lies along: its own, or the one that it shares.

        axis: its name.

        >>> import flowsim as fs
        >>> fs.Sweep("flow", axes={"norm": fs.sweeps.listed([1, 2], along="norms"), "depth": [1]}).dim_of("norm")
        'norms'
        """
        return self.axes[axis].along or axis

    @property
    def elements(self) -> int:
        """The number of runs."""
        return prod(self.sizes.values())

    @cached_property
    def records(self) -> dict[str, np.ndarray]:
        """The coordinates of the records, (T,), where series are recorded."""
        return dict(self.kind.records(self.fixed)) if self.series else {}

    @cached_property
    def grid(self) -> ChunkGrid:
        """How the runs are cut into chunks."""
        ranks: dict[str, int] = {}
        for name in self.axes:
            dim = self.dim_of(name)
            ranks[dim] = max(ranks.get(dim, 0), self.kind.argument(name).rank)
        return ChunkGrid(tuple(self.sizes.values()), chunk_shape(self.sizes, ranks, self.chunk or self._affordable()))

    @cached_property
    def variables(self) -> dict[str, Variable]:
        """The arrays that the store holds, by name: status, series, final_* and numbers."""
        flags = {"flag_values": list(CODE.values()), "flag_meanings": " ".join(CODE)}
        base, chunks = tuple(self.sizes.values()), self.grid.shape
        out = {"status": Variable(tuple(self.sizes), base, chunks, np.dtype("i1"), -1, {"long_name": "how the run ended", **flags})}
        for name in self.series:
            out[name] = self._variable(self.kind.series[name], True)
        for name in self.final:
            quantity = self.kind.series[name]
            out[f"final_{name}"] = self._variable(quantity._replace(long_name=f"{quantity.long_name}, at the last record"), False)
        for name in self.numbers:
            out[name] = self._variable(self.kind.numbers[name], False)
        return out

    def _variable(self, quantity: Quantity, series: bool) -> Variable:
        dims, shape, chunks = tuple(self.sizes), tuple(self.sizes.values()), self.grid.shape
        count = len(next(iter(self.records.values()))) if series else 0
        own = {quantity.own_dim: self.own_size(quantity.own_dim)} if quantity.own_dim else {}
        more = {**({RECORD_DIM: count} if series else {}), **own}
        attrs: dict[str, Any] = {"long_name": quantity.long_name}
        if isinstance(quantity.kind, tuple):
            attrs |= {"flag_values": list(range(len(quantity.kind))), "flag_meanings": " ".join(quantity.kind)}
        else:
            attrs["units"] = quantity.units
        end = tuple(more.values())
        return Variable((*dims, *more), (*shape, *end), (*chunks, *end), quantity.dtype, quantity.fill, attrs)

    def own_size(self, dim: str) -> int:
        """Of a dimension that only some quantities have.

        dim: "layer", or "pair" of adjacent ones.

        >>> import flowsim as fs
        >>> fs.Sweep("layer-flow", axes={"seed": [0, 1]}, fixed={"depth": 3}).own_size("pair")
        2
        """
        return int(self.fixed["depth"]) - (dim == "pair")

    def columns(self, number: int) -> dict[str, np.ndarray]:
        """The values of the swept arguments in a chunk, one a run, (n,).

        number: of the chunk, 0 to grid.count - 1.

        >>> import flowsim as fs
        >>> columns = fs.Sweep("flow", axes={"norm": [1.0, 2.0], "depth": [1, 3]}).columns(0)
        >>> columns["norm"].tolist(), columns["depth"].tolist()
        ([1.0, 1.0, 2.0, 2.0], [1, 3, 1, 3])
        """
        box = self.grid.box(number)
        dims = list(self.sizes)
        sides = tuple(part.stop - part.start for part in box)
        out = {}
        for name, axis in self.axes.items():
            place = dims.index(self.dim_of(name))
            shape = [1] * len(dims)
            shape[place] = sides[place]
            out[name] = np.broadcast_to(axis.values[box[place]].reshape(shape), sides).ravel()
        return out

    def config(self) -> dict[str, Any]:
        """What the sweep is, everything JSON: two sweeps of one configuration give the same store.

        >>> import flowsim as fs
        >>> fs.Sweep("flow", axes={"norm": fs.sweeps.log(0.1, 10, 5)}).config()["axes"]
        {'norm': {'log': [0.1, 10.0], 'count': 5}}
        """
        return {
            "run": self.run,
            "axes": {name: dict(axis.said) for name, axis in self.axes.items()},
            "fixed": {name: np.asarray(value).tolist() for name, value in self.fixed.items()},
            "series": list(self.series),
            "final": list(self.final),
            "numbers": list(self.numbers),
            "chunk": list(self.grid.shape),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "Sweep":
        """The sweep that `config` told of, cut as it was then.

        config: everything JSON. ValueError where it declares none.

        >>> import flowsim as fs
        >>> sweep = fs.Sweep("flow", axes={"norm": fs.sweeps.log(0.1, 10, 5)}, chunk=2)
        >>> fs.Sweep.from_config(sweep.config()).grid == sweep.grid
        True
        """
        given = {name: config[name] for name in ("run", "axes", "fixed", "series", "final", "numbers")}
        made = cls(**given)
        # as it was cut then, whatever would be chosen now
        made.__dict__["grid"] = ChunkGrid(tuple(made.sizes.values()), tuple(config["chunk"]))
        return made

    def __str__(self) -> str:
        """Four lines: what is run, over what, in which chunks, and how large the store is at most."""
        sizes = " x ".join(f"{size} {name}" for name, size in self.sizes.items())
        taken = sum(prod(variable.shape) * variable.dtype.itemsize for variable in self.variables.values())
        shape = " x ".join(map(str, self.grid.shape))
        return "\n".join(
            [
                f"sweep of {self.run}: {self.elements} runs, {sizes}",
                f"fixed   {', '.join(f'{name} = {_short(value)}' for name, value in self.fixed.items() if value is not None)}",
                f"records {', '.join(self.variables)}",
                f"store   {self.grid.count} chunks of {shape} runs at most; {_bytes(taken)} before compression",
            ]
        )

    def _checked_fixed(self) -> dict[str, Any]:
        kind, fixed = self.kind, dict(self.fixed)
        out: dict[str, Any] = {argument.name: argument.default for argument in kind.arguments if argument.name not in self.axes}
        for name, value in fixed.items():
            if name in self.axes:
                raise ValueError(f"`{name}` must be fixed or an axis, but is both")
            if name in kind.lists and np.ndim(value):
                out[name] = np.asarray(value)
                continue
            if name in kind.lists and name not in out:
                raise ValueError(f"`{name}` must be a list, but is {value!r}")
            argument = kind.argument(name)
            if value is None and argument.default is None:
                continue
            out[name] = argument.check(value).tolist()
            if isinstance(out[name], list):
                raise ValueError(f"`{name}` must be one value, but is {value!r}: several make an axis")
        listed = [name for name in kind.lists if name in out and np.ndim(out[name])]
        for name in ("time_first", "time_last", "records") if listed else ():
            if name in fixed or name in self.axes:
                raise ValueError(f"`{name}` must be left out where `{listed[0]}` lists the records")
            out.pop(name, None)
        return out

    def _check_together(self) -> None:
        kind = self.kind
        sizes: dict[str, tuple[str, int]] = {}
        for name, axis in self.axes.items():
            dim = self.dim_of(name)
            if axis.along in {argument.name for argument in kind.arguments}:
                raise ValueError(f"`along` of the axis {name!r} must be a name of its own, but {axis.along!r} is an argument")
            other, size = sizes.setdefault(dim, (name, axis.values.size))
            if size != axis.values.size:
                raise ValueError(f"axes along {dim!r} must be of one length, but {other!r} has {size} values, {name!r} {axis.values.size}")
        for name in ("records", "layer", "pair", "time", "step", RECORD_DIM):
            if name in sizes:
                raise ValueError(f"{name!r} cannot be a dimension of a sweep")
        moving = [name for name in ("time_first", "time_last", "steps") if name in self.axes]
        if moving and self.series:
            raise ValueError(f"`series` must be left out where `{moving[0]}` is an axis, for their records would differ: take `final`")
        if "depth" in self.axes:
            for name in (*self.series, *self.final):
                if kind.series[name].own_dim:
                    raise ValueError(f"`{name}` has a number for each layer, and cannot be recorded where `depth` is an axis")
        first = {name: axis.values[0] for name, axis in self.axes.items()}
        for name, axis in self.axes.items():
            ends = axis.values.tolist() if axis.values.dtype == object else [axis.values.min(), axis.values.max()]
            for value in ends:
                values = {**self.fixed, **{key: _plain(one) for key, one in {**first, name: value}.items()}}
                kind.prepare(values)
                records = kind.records(values)
                if any(number in EXPONENTS for number in self.numbers):
                    late_records(next(iter(records.values())).astype(float))

    def _affordable(self) -> int:
        """Runs in a chunk, by the memory they take while they are under way, at the largest values of the axes."""
        largest = {name: _plain(max(axis.values.tolist())) for name, axis in self.axes.items()}
        values = {**self.fixed, **largest}
        count = max((len(one) for one in self.kind.records(values).values()), default=0)
        each, beside = self.kind.arrays(values)
        most = int(self.memory_mib * 2**20 / (8 * ((each + len(self.series) + len(self.final)) * count + beside)))
        enough = max(-(-self.elements // PARTS), FEWEST_ELEMENTS)
        return max(1, min(most, enough, MOST_ELEMENTS))


def _options_of(given: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `Sweep` from the tables of a file."""
    for name in given:
        arguments.one_of("a key of a sweep", name, ("run", "axes", "fixed", "record", "chunks"))
    if "run" not in given:
        raise ValueError(f"`run` is missing: one of {', '.join(KINDS)}")
    for name in ("axes", "fixed", "record", "chunks"):
        if not isinstance(given.get(name, {}), dict):
            raise ValueError(f"`{name}` must be a table, but is {given[name]!r}")
    record, chunks = given.get("record", {}), given.get("chunks", {})
    for name in record:
        arguments.one_of("a key of [record]", name, ("series", "final", "numbers"))
    for name in chunks:
        arguments.one_of("a key of [chunks]", name, ("elements", "memory_mib"))
    options: dict[str, Any] = {"run": given["run"], "axes": given.get("axes", {}), "fixed": given.get("fixed", {}), **record}
    return options | {("chunk" if name == "elements" else name): value for name, value in chunks.items()}


def _checked_axis(argument: Argument, axis: Axis) -> Axis:
    """With the argument's own type; values between which whole numbers were asked for are rounded to them, each once."""
    values = axis.values
    if argument.kind == "whole" and axis.spacing != "listed":
        values = np.rint(values)
        if axis.along is None:
            values = np.unique(values)
    if argument.kind in ("name", "flag") or values.dtype.kind in "iuf":
        return Axis(argument.check(values), axis.spacing, axis.along, axis.said)
    raise ValueError(f"`{argument.name}` must be numbers, but is {values.tolist()!r}")


def _names(what: str, given: Any, known: Mapping[str, Any], kind: Kind) -> tuple[str, ...]:
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise ValueError(f"`{what}` must be a list of names, but is {given!r}")
    if given and not known:
        raise ValueError(f"`{what}` must be left out of a {kind.name}, which has none")
    for name in given:
        arguments.one_of(what, name, known)
    return tuple(dict.fromkeys(given))


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _short(value: Any) -> str:
    return f"{len(value)} values" if np.ndim(value) else f"{value:.6g}" if isinstance(value, float) else str(value)


def _bytes(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000.0:
            return f"{count:.3g} {unit}"
        count /= 1000.0
    return f"{count:.3g} TB"
