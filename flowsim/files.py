"""Files that are written whole or not at all."""

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any


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
