"""Where a sweep's results stand: one Zarr store, a region a chunk, and a journal of the chunks whose data is on disk.

A chunk is a region of every array that is one chunk of that array, so that no two writers ever touch one file. It counts as finished from
where it stands in the journal, which is after its files have been flushed to the disk; what was cut short before that is overwritten.
"""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import numpy as np

from flowsim.dynamics.trajectory import versions
from flowsim.sweeps.journal import Journal, flush
from flowsim.sweeps.sweep import RECORD_DIM, Sweep

if TYPE_CHECKING:
    import xarray

FORMAT = "flowsim sweep 1"
JOURNAL = "journal"


class Store:
    """A store that exists, open to be written to.

    path: of its folder.  sweep: what it is of.  journal: of its chunks.
    identity: a name of its own, by which another machine knows that it sees the same.
    versions: of the packages that began it.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        import zarr

        self.path = Path(path)
        attrs = _attributes(self.path)
        self.identity = str(attrs["identity"])
        with _whole(self.path):
            self.sweep = Sweep.from_config(json.loads(attrs["config"]))
            self.versions = json.loads(attrs["versions"])
            group = zarr.open_group(self.path, mode="r+")
            self._arrays: dict[str, Any] = {name: group[name] for name in self.sweep.variables}
        self.journal = Journal(self.path / JOURNAL)

    @classmethod
    def create(cls, path: str | PathLike[str], sweep: Sweep) -> "Store":
        """A store with no chunk finished, whole or not at all. ValueError where something stands there, OSError where it cannot be made."""
        target = Path(path)
        if target.exists():
            raise ValueError(f"{str(target)!r} exists already: resume it, or name another store")
        part = target.with_name(target.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        try:
            _make(part, sweep)
            part.replace(target)
        except BaseException as error:
            shutil.rmtree(part, ignore_errors=True)
            if not isinstance(error, OSError):
                raise
            raise OSError(f"cannot make the store {str(target)!r}: {error.strerror or error}") from error
        return cls(target)

    def write(self, number: int, values: Mapping[str, np.ndarray], reasons: Mapping[str, int] | None = None) -> None:
        """The arrays of a chunk, and then its mark in the journal. OSError naming the store where they cannot be written.

        reasons: of runs that could not be run, with how many of them.
        """
        box = self.sweep.grid.box(number)
        place = self.sweep.grid.place(number)
        try:
            for name, array in self._arrays.items():
                array[box] = values[name]
            for name, variable in self.sweep.variables.items():
                beyond = ("0",) * (len(variable.dims) - len(place))
                file = self.path.joinpath(name, "c", *map(str, place), *beyond)
                # a chunk that holds nothing but the fill has no file
                flush(file)
                flush(file.parent)
            self.journal.mark(number, reasons)
        except OSError as error:
            raise OSError(f"cannot write chunk {number} to {str(self.path)!r}: {error.strerror or error}") from error

    def require(self, sweep: Sweep, other_versions: bool = False) -> None:
        """ValueError with the differences unless this is the store of ``sweep``, begun by these versions."""
        mine, asked = _flat(self.sweep.config()), _flat(sweep.config())
        other = [name for name in {**mine, **asked} if (name in mine) != (name in asked) or mine[name] != asked[name]]
        differ = [f"{name} is {_said(mine.get(name))}, not {_said(asked.get(name))}" for name in other]
        if differ:
            raise ValueError(f"{str(self.path)!r} is the store of another sweep: there {'; '.join(differ)}")
        now = versions()
        differ = [f"{name} {self.versions.get(name)} (here {now.get(name)})" for name in now if self.versions.get(name) != now[name]]
        if differ and not other_versions:
            raise ValueError(
                f"{str(self.path)!r} was begun by other versions: {', '.join(differ)}; further chunks may differ in the last digits"
            )


def open_sweep(path: str | PathLike[str]) -> "xarray.Dataset":
    """The results of a sweep, finished or not, as an xarray Dataset of dask arrays: nothing is read before it is asked for.

    path: of the store. Runs that are not done have the status "pending", and nan. FileNotFoundError where nothing stands there, ValueError
    where it is not a sweep's store.

    >>> import tempfile, flowsim as fs
    >>> sweep = fs.Sweep("flow", axes={"norm": [0.5, 2.0]}, fixed={"time_last": 10.0})
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = fs.sweeps.run_sweep(sweep, f"{folder}/norms.zarr")
    ...     fs.sweeps.open_sweep(f"{folder}/norms.zarr").final_log_norm.values.round(4).tolist()
    [0.6379, 0.7235]
    """
    import xarray

    source = Path(path)
    attrs = _attributes(source)
    with _whole(source):
        data = xarray.open_zarr(source, consolidated=False, chunks={})
        return data[list(Sweep.from_config(json.loads(attrs["config"])).variables)]


def is_store(path: str | PathLike[str]) -> bool:
    """Whether a sweep's store stands there.

    path: of a folder, or of anything else.

    >>> import flowsim as fs
    >>> fs.sweeps.is_store("no/such/folder")
    False
    """
    try:
        return bool(_attributes(Path(path)))
    except (FileNotFoundError, ValueError):
        return False


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """ValueError where parts of a store are found missing."""
    try:
        yield
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is a sweep's store with parts missing ({type(error).__name__}: {error})") from error


def _attributes(path: Path) -> dict[str, Any]:
    if not path.exists():
        raise FileNotFoundError(f"no such store: {str(path)!r}")
    try:
        attrs = json.loads((path / "zarr.json").read_text(encoding="utf-8"))["attributes"]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{str(path)!r} is not a sweep's store, or is cut short ({type(error).__name__}: {error})") from error
    if attrs.get("format") != FORMAT or not {"identity", "config", "versions"} <= set(attrs):
        raise ValueError(f"{str(path)!r} is a Zarr store but not a sweep's (no {FORMAT!r} in its attributes)")
    return attrs


def _make(path: Path, sweep: Sweep) -> None:
    import xarray
    import zarr

    attrs = {
        "format": FORMAT,
        "title": str(sweep).splitlines()[0],
        "identity": uuid4().hex,
        "config": json.dumps(sweep.config()),
        "versions": json.dumps(versions()),
    }
    coords: dict[str, Any] = {}
    for name, axis in sweep.axes.items():
        argument = sweep.kind.argument(name)
        about = {"units": argument.units} if argument.kind in ("number", "whole") else {}
        coords[name] = (sweep.dim_of(name), axis.values, {**about, "long_name": argument.long_name, "spacing": axis.spacing})
    for name, values in sweep.records.items():
        coords[name] = (RECORD_DIM, values, {"units": "1", "long_name": {"time": "time t", "step": "number of steps k"}[name]})
    xarray.Dataset(coords=coords, attrs=attrs).to_zarr(path, mode="w", zarr_format=3, consolidated=False)
    group = zarr.open_group(path, mode="r+")
    for name, variable in sweep.variables.items():
        group.create_array(
            name,
            shape=variable.shape,
            chunks=variable.chunks,
            dtype=variable.dtype,
            fill_value=variable.fill,
            attributes=dict(variable.attrs),
            dimension_names=variable.dims,
        )
    group.create_group(JOURNAL, attributes={"long_name": "the chunks whose data is on disk"})


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Tables one level deep, as "fixed.depth"."""
    out: dict[str, Any] = {}
    for name, value in config.items():
        out |= {f"{name}.{key}": one for key, one in value.items()} if isinstance(value, Mapping) else {name: value}
    return out


def _said(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:60]} ... ({len(text)} letters)"
