"""Real data of two classes: those bundled with scikit-learn, or a local .npz. Nothing is downloaded."""

import zipfile
import zlib
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from flowsim import arguments
from flowsim.finite.training_set import TrainingSet

NAMES = ("digits", "breast-cancer")
DIGITS = (3, 8)
TEST_SHARE = 0.25


def load_data(name_or_path: str | PathLike[str], classes: Any = None, test: float | None = None, seed: int = 0) -> TrainingSet:
    """Two classes of real data, as points x_i and labels y_i = 1 or -1, with some of them set aside to test on.

    name_or_path: "digits": scikit-learn's, 64 pixels of two classes, divided by 16.
        "breast-cancer": scikit-learn's, 30 features, less their mean and over their deviation on the samples to learn from; 1 is benign.
        Or a local .npz with arrays x, (n, d), and y, (n,), and test_x and test_y where it has its own; x is taken as it is. A file is
        known by what is in it, whatever its name; nothing in it is run (no pickles).
    classes: the two labels, those of y = -1 and of y = 1; for the digits [default: (3, 8)] and files, where others are left out. A file
        must have two labels without it, of which the smaller is -1.
    test: the share to test on, in [0, 1), 0 for none [default: 0.25]; must be left out where a file has test_x and test_y.
    seed: whole, zero or more; of the permutation that splits them.

    Returns a `TrainingSet`. FileNotFoundError where there is no such file; ValueError where one is not what it must be, a file lacks an
    array or has one that cannot be used, and where scikit-learn is not installed and its data are asked for.

    >>> from flowsim.finite.real import load_data
    >>> data = load_data("digits", classes=(4, 9), seed=1)
    >>> data.name, data.size, data.test_x.shape, float(data.x.max())
    ('digits 4 and 9', 271, (90, 64), 1.0)
    """
    origin = int(arguments.whole("seed", seed, low=0))
    share = arguments.real("test", TEST_SHARE if test is None else test, low=0.0)
    if share >= 1.0:
        raise ValueError(f"`test` must be in [0, 1), but is {share:.6g}")
    if name_or_path == "digits":
        x, labels = _bundled("digits")
        low, high = _two("classes", DIGITS if classes is None else arguments.whole("classes", classes, low=0, high=9))
        x, y = _chosen(x / 16.0, labels, low, high)
        return _split(x, y, f"digits {low} and {high}", share, origin)
    if name_or_path == "breast-cancer":
        if classes is not None:
            raise ValueError(f"`classes` must be left out for breast-cancer, which has two, but is {classes!r}")
        x, labels = _bundled("breast_cancer")
        return _standardised(_split(x, np.where(labels > 0, 1.0, -1.0), "breast-cancer", share, origin))
    source = Path(name_or_path)
    if not source.is_file():
        if isinstance(name_or_path, str) and not source.suffix and source.name == name_or_path:
            arguments.one_of("name_or_path", name_or_path, [*NAMES, "the path of an .npz file"])
        raise FileNotFoundError(f"no such file: {str(source)!r}")
    arrays = _from_npz(source)
    try:
        low, high = _two("classes", np.unique(arrays["y"]) if classes is None else np.asarray(classes))
        x, y = _chosen(arrays["x"], arrays["y"], low, high)
        if "test_x" not in arrays:
            return _split(x, y, str(source), share, origin)
        if test is not None:
            raise ValueError(f"`test` must be left out where the file has `test_x` and `test_y`, but is {test!r}")
        if classes is None and (other := np.setdiff1d(arrays["test_y"], [low, high])).size:
            raise ValueError(f"`test_y` must have the labels of `y`, {low} and {high}, but has {other[0]}")
        return TrainingSet(x, y, str(source), *_chosen(arrays["test_x"], arrays["test_y"], low, high))
    except ValueError as error:
        raise ValueError(f"{str(source)!r} cannot be learnt from: {error}") from error


def _bundled(name: str) -> tuple[np.ndarray, np.ndarray]:
    try:
        from sklearn import datasets
    except ImportError as error:
        remedy = "install the extra `images` (pip install 'flowsim[images]'), or name an .npz file"
        raise ValueError(f"`name_or_path` must be a file where scikit-learn, which has the data, is not installed: {remedy}") from error
    x, labels = getattr(datasets, f"load_{name}")(return_X_y=True)
    return np.asarray(x, dtype=np.float64), np.asarray(labels)


def _two(name: str, labels: Any) -> tuple[Any, Any]:
    """Two different labels."""
    found = np.asarray(labels).ravel().tolist()
    if len(found) != 2 or found[0] == found[1]:
        shown = f"{', '.join(map(str, found[:5]))}{', ...' if len(found) > 5 else ''}"
        raise ValueError(f"`{name}` must be two different labels, but there {'is' if len(found) == 1 else 'are'} {shown or 'none'}")
    return found[0], found[1]


def _chosen(x: np.ndarray, labels: np.ndarray, low: Any, high: Any) -> tuple[np.ndarray, np.ndarray]:
    """The rows of two labels, and -1 for the first, 1 for the second."""
    for label in (low, high):
        if not (labels == label).any():
            raise ValueError(f"`classes` must be labels that are there, but {label!r} is not")
    rows = (labels == low) | (labels == high)
    return x[rows], np.where(labels[rows] == high, 1.0, -1.0)


def _split(x: np.ndarray, y: np.ndarray, name: str, share: float, seed: int) -> TrainingSet:
    count = round(share * len(y))
    if count == len(y) or (share > 0.0 and count == 0):
        raise ValueError(f"`test` must leave a sample on both sides of {len(y)}, but is {share:.6g}")
    order = np.random.default_rng(seed).permutation(len(y))
    test, learn = order[:count], order[count:]
    return TrainingSet(x[learn], y[learn], name, *((x[test], y[test]) if count else (None, None)))


def _standardised(data: TrainingSet) -> TrainingSet:
    """By the samples to learn from alone, so that nothing of the others is known. A feature that is the same on all of them becomes 0."""
    mean, deviation = data.x.mean(axis=0), data.x.std(axis=0)
    scale = np.where(deviation > 0.0, deviation, 1.0)
    tested = None if data.test_x is None else (data.test_x - mean) / scale
    return TrainingSet((data.x - mean) / scale, data.y, data.name, tested, data.test_y)


def _from_npz(source: Path) -> dict[str, np.ndarray]:
    """x, y, and test_x and test_y where they are there, of shapes that fit each other."""
    if not zipfile.is_zipfile(source):
        raise ValueError(f"{str(source)!r} is not an .npz archive")
    found: dict[str, np.ndarray] = {}
    name = "archive"
    try:
        with np.load(source, allow_pickle=False) as archive:
            tested = [part for part in ("test_x", "test_y") if part in archive.files]
            names = ["x", "y", *(["test_x", "test_y"] if tested else [])]
            missing = [part for part in names if part not in archive.files]
            if missing:
                raise ValueError(f"it has no {', '.join(missing)}, but {', '.join(archive.files) or 'nothing'}")
            for name in names:
                found[name] = _labels(name, archive[name]) if name.endswith("y") else _features(name, archive[name])
    except (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"{str(source)!r} cannot be read: `{name}`: {error}") from error
    for part in ("", "test_"):
        if f"{part}x" in found and len(found[f"{part}x"]) != len(found[f"{part}y"]):
            shapes = f"{found[f'{part}x'].shape} and {found[f'{part}y'].shape}"
            raise ValueError(f"{str(source)!r} has `{part}x` and `{part}y` of shapes {shapes}, but must have a label a row")
    return found


def _features(name: str, x: Any) -> np.ndarray:
    _array(x)
    if x.dtype.kind not in "iuf" or x.ndim != 2:
        raise ValueError(f"it must be numbers of shape (samples, dim), but is {x.dtype} of shape {x.shape}")
    return arguments.reals(name, x)


def _labels(name: str, y: Any) -> np.ndarray:
    _array(y)
    if y.dtype.kind not in "iufbU" or y.ndim != 1 or not y.size:
        raise ValueError(f"it must be labels of shape (samples,), but is {y.dtype} of shape {y.shape}")
    return arguments.reals(name, y) if y.dtype.kind == "f" else y


def _array(found: Any) -> None:
    """What is not in NumPy's format comes out of the archive as bytes."""
    if not isinstance(found, np.ndarray):
        raise ValueError("it must be an array in NumPy's format, but is not")
