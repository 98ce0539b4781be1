"""What a sweep found, read from its dataset a block at a time, so that no array is ever loaded whole."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray


def meanings(values: "xarray.DataArray") -> dict[int, str]:
    """Of an array of codes: the names they stand for; {} for any other.

    values: an array of a sweep's dataset.
    """
    flags = values.attrs.get("flag_meanings")
    codes = np.atleast_1d(values.attrs.get("flag_values", [])).tolist()
    return dict(zip(codes, flags.split(), strict=True)) if flags else {}


def names_of(values: "xarray.DataArray") -> np.ndarray:
    """An array of codes, status or regime, by name; a regime that was not found, for whatever reason the status tells, is "none".

    values: of a sweep's dataset. ValueError where it holds no codes.

    >>> import numpy as np, xarray, flowsim as fs
    >>> fs.sweeps.names_of(xarray.DataArray(np.array([1, 0], "i1"), attrs={"flag_values": [0, 1], "flag_meanings": "flow edge"})).tolist()
    ['edge', 'flow']
    """
    known = {-1: "none", **meanings(values)}
    if len(known) == 1:
        raise ValueError(f"`values` must be an array of codes, such as status or regime, but is {values.name!r}")
    codes = np.asarray(values.values)
    return np.array([known[code] for code in range(-1, max(known) + 1)])[codes + 1]


def counts(values: "xarray.DataArray") -> dict[str, int]:
    """How many runs have each name, of an array of codes; read a chunk at a time.

    values: of a sweep's dataset.

    >>> import numpy as np, xarray, flowsim as fs
    >>> fs.sweeps.counts(xarray.DataArray(np.array([1, 0, 1], "i1"), attrs={"flag_values": [0, 1], "flag_meanings": "flow edge"}))
    {'flow': 1, 'edge': 2}
    """
    known = {-1: "none", **meanings(values)}
    total = np.zeros(max(known) + 2, dtype=np.int64)
    data: Any = values.data
    blocks = data.blocks.ravel() if hasattr(data, "blocks") else [data]
    for block in blocks:
        total += np.bincount(np.asarray(block).ravel().astype(np.int64) + 1, minlength=total.size)
    return {name: int(total[code + 1]) for code, name in known.items() if total[code + 1]}
