"""Files that are written whole or not at all, and read only if they are ours."""

import json
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def write_whole(path: str | PathLike[str], write: Callable[[Path], Any]) -> Path:
    """Call ``write`` on a path beside ``path`` and move what it wrote there; returns ``path``.

    OSError naming ``path`` where it cannot be written; nothing is left behind then, and what stood there before still stands.
    """
    target = Path(path)
    part = target.with_name(target.name + ".part")
    try:
        write(part)
        part.replace(target)
    except OSError as error:
        if part.parent.is_dir():
            part.unlink(missing_ok=True)
        raise OSError(f"cannot write {str(target)!r}: {error.strerror or error}") from error
    return target


def read_netcdf(path: str | PathLike[str], what: str, formats: dict[str, Callable[[Any], T]]) -> T:
    """What a netCDF file holds: ``formats`` makes it from the xarray Dataset, by the name in its attribute "format".

    what: what such files are called in messages. FileNotFoundError, or ValueError where the file is not one of these or is cut short.
    """
    import xarray

    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"no such file: {str(source)!r}")
    try:
        with xarray.open_dataset(source, engine="h5netcdf") as opened:
            data = opened.load()
    except Exception as error:
        raise ValueError(f"{str(source)!r} is not {what}, or is cut short ({type(error).__name__}: {error})") from error
    make = formats.get(data.attrs.get("format", ""))
    if make is None:
        names = " or ".join(repr(name) for name in formats)
        raise ValueError(f"{str(source)!r} is a netCDF file but not {what} (no {names} in its attributes)")
    try:
        return make(data)
    except (KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"{str(source)!r} is {what} with parts missing ({type(error).__name__}: {error})") from error
