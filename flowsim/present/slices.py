"""What a figure of a sweep needs of one of its arrays, taken from it a block of the grid at a time: no array is ever loaded whole."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from flowsim import arguments
from flowsim.sweeps.store import FORMAT
from flowsim.sweeps.sweep import RECORD_DIM
from flowsim.sweeps.table import meanings

if TYPE_CHECKING:
    import xarray

LARGEST = 1 << 25
"""Bytes of a block, at most, records included, unless one cell of the grid alone has more."""
LEVELS = np.array([0.16, 0.5, 0.84])
"""A median, and the band in which two thirds of the values lie."""
WIDE = 30.0
"""The factor that listed values span beyond which their axis is logarithmic, unless they are evenly spaced."""
PENDING, FAILED = -1, -2
"""Codes of a cell in which no run is done, and of one in which all that are done have no value."""


@dataclass(frozen=True, eq=False)
class SweptAxis:
    """An axis of a sweep as a figure has it, in increasing order.

    name, dim: the axis, and the dimension it lies along, which other axes may share.  long_name: of the store.
    values: (n,), as the store has them.  places: (n,), where they are drawn: numbers, or the place of a name among ``names``.
    names: of values that are no numbers.  order: (n,), what sorts the places.  log: whether the axis is logarithmic.
    """

    name: str
    dim: str
    long_name: str
    values: np.ndarray
    places: np.ndarray
    names: tuple[str, ...]
    order: np.ndarray
    log: bool

    @property
    def shared(self) -> bool:
        """Whether it lies along a dimension that is not its own."""
        return self.name != self.dim

    @property
    def whole(self) -> bool:
        return self.values.dtype.kind in "iu"

    @property
    def sorted(self) -> np.ndarray:
        return self.places[self.order]

    def nearest(self, value: Any) -> int:
        """Where the nearest value stands, in log where the axis is logarithmic; of names, the one itself. ValueError naming `at`."""
        what = f"at[{self.name}]"
        if self.names:
            return int(np.flatnonzero(self.places == self.names.index(arguments.one_of(what, _name(value), self.names)))[0])
        wanted = arguments.real(what, value, low=0.0 if self.log else -np.inf, strict=self.log)
        gap = np.log(self.places / wanted) if self.log else self.places - wanted
        return int(np.argmin(np.abs(gap)))

    def said(self, index: int) -> str:
        """A value as a title has it."""
        value = self.names[int(self.places[index])] if self.names else f"{self.places[index]:.4g}"
        return f"{self.name} = {value}"


class Slice(NamedTuple):
    """An array of a sweep over one or two of its axes.

    array: the values.  status: how the runs ended, None where the array is that itself, or there is none. Both lazy.
    drawn: the dimensions y and x, or x alone.  others: those that are left to be reduced.
    values: of all arguments that have one value in it.  told: what was picked, for a title.
    """

    array: "xarray.DataArray"
    status: "xarray.DataArray | None"
    drawn: list[str]
    others: list[str]
    values: dict[str, Any]
    told: list[str]

    @property
    def coded(self) -> dict[int, str]:
        """Names of the codes that a run can have; {} of numbers."""
        return {code: name for code, name in meanings(self.array).items() if code > PENDING}

    @property
    def shape(self) -> tuple[int, int]:
        """Cells along y, 1 where there is none, and along x."""
        *rows, columns = (self.array.sizes[dim] for dim in self.drawn)
        return (rows or [1])[0], columns


def config_of(data: Any) -> dict[str, Any]:
    """What a sweep is, from its dataset; ValueError where ``data`` is not one."""
    attrs = getattr(data, "attrs", {})
    if not (hasattr(data, "data_vars") and attrs.get("format") == FORMAT and "config" in attrs):
        raise ValueError(f"`data` must be the dataset of a sweep, as flowsim.sweeps.open_sweep returns it, but is {type(data).__name__}")
    return json.loads(attrs["config"])


def axis_of(data: "xarray.Dataset", what: str, name: Any) -> SweptAxis:
    """The axis of this name; ValueError naming ``what`` and offering the nearest."""
    config = config_of(data)
    coordinate = data[arguments.one_of(what, name, config["axes"])]
    values, said = np.asarray(coordinate.values), config["axes"][name]
    names: tuple[str, ...] = ()
    if values.dtype.kind not in "iuf":
        called = [_name(value) for value in values.tolist()]
        names = tuple(dict.fromkeys(called))
        places = np.array([names.index(one) for one in called], dtype=float)
    else:
        places = values.astype(float)
    spacing = coordinate.attrs.get("spacing")
    log = (
        not names
        and bool(places.max() > places.min() > 0.0)
        and (spacing == "log" or bool(said.get("log")) or (spacing == "listed" and _wide(places)))
    )
    dim = str(coordinate.dims[0])
    long_name = str(coordinate.attrs.get("long_name", name))
    return SweptAxis(name, dim, long_name, values, places, names, np.argsort(places, kind="stable"), log)


def slice_of(data: "xarray.Dataset", value: str | None, axes: list[SweptAxis], at: Any) -> Slice:
    """The array of this name over ``axes``, y before x, with what is picked along other dimensions."""
    if not isinstance(at, Mapping):
        raise ValueError(f"`at` must hold values by the names of axes, but is {at!r}")
    config = config_of(data)
    known = {str(name): array for name, array in data.data_vars.items()}
    name = _default(config, known) if value is None else arguments.one_of("value", value, known)
    array, status = known[name], None if name == "status" else known.get("status")
    sizes = {dim: size for dim, size in array.sizes.items() if dim != RECORD_DIM}
    swept = {key: axis_of(data, "at", key) for key in config["axes"]}
    own = [dim for dim in sizes if dim not in {axis.dim for axis in swept.values()}]
    if own:
        raise ValueError(f"`value` must be one number a run, but {name!r} has one for each {own[0]}")
    picks = _picks(swept, axes, at)
    picked = {swept[key].dim: index for key, index in picks.items()}
    told = [swept[key].said(index) for key, index in picks.items()]
    for axis in swept.values():
        if axis.values.size == 1 and axis.dim not in picked and axis.dim not in {one.dim for one in axes}:
            picked[axis.dim] = 0
            told.append(axis.said(0))
    values = {**config["fixed"], **{key: axis.values[picked[axis.dim]] for key, axis in swept.items() if axis.dim in picked}}
    dims = [axis.dim for axis in axes]
    others = [str(dim) for dim in sizes if dim not in picked and dim not in dims]
    return Slice(array.isel(picked), None if status is None else status.isel(picked), dims, others, values, told)


def quantiles_of(one: Slice) -> tuple[np.ndarray, np.ndarray, int]:
    """Of numbers: `LEVELS` of the finite ones, (3, y, x), nan without any; where no run is done, (y, x); and how many runs are not.

    Whole numbers below zero stand for none.
    """
    out, pending, count = np.full((LEVELS.size, *one.shape), np.nan), np.zeros(one.shape, dtype=bool), 0
    for place, values, status in _blocks(one):
        there = np.isfinite(values) & ((values >= 0) if values.dtype.kind in "iu" else True)
        out[(slice(None), *place)] = quantiles(np.where(there, values, np.nan))
        if status is not None:
            pending[place] = (status == PENDING).all(axis=-1)
            count += int((status == PENDING).sum())
    return out, pending, count


def shares_of(one: Slice) -> tuple[np.ndarray, int]:
    """Of codes: how many runs of each cell have which, (codes, y, x), in the order of `Slice.coded` with `PENDING` and `FAILED` after them.

    And how many runs are not done.
    """
    out = np.zeros((len(one.coded) + 2, *one.shape), dtype=np.int64)
    for place, values, status in _blocks(one):
        blank = values == PENDING
        waits = blank if status is None else blank & (status == PENDING)
        for i, layer in enumerate([*(values == code for code in one.coded), waits, blank & ~waits]):
            out[(i, *place)] = layer.sum(axis=-1)
    return out, int(out[-2].sum())


def quantiles(values: np.ndarray) -> np.ndarray:
    """`LEVELS` along the last axis, nan left out, with straight lines between neighbours: (..., n) -> (3, ...); nan where there is none.

    values: are put in order in place.
    """
    values.sort(axis=-1)
    last = np.maximum(np.isfinite(values).sum(axis=-1) - 1, 0)
    where = LEVELS.reshape(-1, *([1] * last.ndim)) * last
    low = np.floor(where).astype(int)
    below, above = (np.take_along_axis(values[None], place[..., None], axis=-1)[..., 0] for place in (low, np.minimum(low + 1, last)))
    return below + (where - low) * (above - below)


Block = tuple[tuple[slice, slice], np.ndarray, np.ndarray | None]


def _blocks(one: Slice) -> Iterator[Block]:
    """Parts of the grid with their values and statuses, (y, x, others): whole chunks of the store, as many as `LARGEST` lets through.

    A chunk that does not fit, with all that is reduced beside it, is read once for each of its parts.
    """
    array, (rows, columns) = one.array, one.shape
    # a chunk is read whole, its records too
    most = max(LARGEST * rows * columns // array.nbytes, 1)
    chunks = array.chunksizes
    down, across = (chunks.get(dim, (size,)) for dim, size in zip(["", *one.drawn][-2:], one.shape, strict=True))
    columns = list(_cuts(across, max(most // min(max(down), most), 1)))
    last = array.isel({RECORD_DIM: -1}) if RECORD_DIM in array.dims else array
    for row in _cuts(down, max(most // max(part.stop - part.start for part in columns), 1)):
        for column in columns:
            place = (row, column)
            yield place, _read(last, one, place), None if one.status is None else _read(one.status, one, place)


def _read(array: "xarray.DataArray", one: Slice, place: tuple[slice, slice]) -> np.ndarray:
    """A part of the grid, (y, x, others)."""
    box = dict(zip(one.drawn, place[-len(one.drawn) :], strict=True))
    # turned only after it is cut: dask then asks the store for no more than that
    values = array.isel(box).transpose(*one.drawn, *one.others).values
    return values.reshape(*(part.stop - part.start for part in place), -1)


def _cuts(chunks: tuple[int, ...], most: int) -> Iterator[slice]:
    """Neighbouring chunks put together, or parts of one, of at most so many."""
    start = stop = 0
    for chunk in chunks:
        if stop > start and stop - start + chunk > most:
            yield slice(start, stop)
            start = stop
        stop += chunk
        while stop - start > most:
            yield slice(start, start + most)
            start += most
    if stop > start:
        yield slice(start, stop)


def _picks(swept: Mapping[str, SweptAxis], axes: list[SweptAxis], at: Mapping[str, Any]) -> dict[str, int]:
    """Where along which axis; ValueError for a dimension that is drawn, or picked from twice."""
    taken = {axis.dim: f"`at` must not pick along {axis.name!r}, which is drawn" for axis in axes}
    out = {}
    for name, value in at.items():
        axis = swept[arguments.one_of("at", name, swept)]
        if axis.dim in taken:
            raise ValueError(f"{taken[axis.dim]}, but names {name!r}")
        taken[axis.dim] = f"`at` must name one axis along {axis.dim!r}"
        out[name] = axis.nearest(value)
    return out


def _default(config: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """What is drawn where nothing else was asked for."""
    wanted = ["regime", *config["numbers"], *(f"final_{name}" for name in config["final"]), "status"]
    return next(name for name in wanted if name in known)


def _name(value: Any) -> str:
    return str(value).lower() if isinstance(value, (bool, np.bool_)) else str(value)


def _wide(places: np.ndarray) -> bool:
    steps = np.diff(np.sort(places))
    return bool(places.max() > WIDE * places.min()) and not np.allclose(steps, steps[0])
