"""Images and their labels, split for training and testing: scikit-learn's digits, or a file in the layout of mnist.npz or of CIFAR-10."""

import hashlib
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np

from flowsim import arguments

TEST_SHARE = 0.2
ARRAYS = ("x_train", "y_train", "x_test", "y_test")

# of CIFAR-10's binary version: a byte of label, then 3 x 32 x 32 bytes of pixels (https://www.cs.toronto.edu/~kriz/cifar.html)
_PIXELS = 3072
_TRAIN = tuple(f"data_batch_{i}.bin" for i in range(1, 6))
_TEST = ("test_batch.bin",)


@dataclass(frozen=True, eq=False)
class Images:
    """(x_i, y_i), i = 1..n to learn from, and others to test on.

    x_train: (n, d), d pixels an image.  y_train: (n,), labels from 0.  x_test: (m, d).  y_test: (m,).
    name: "digits", or the file they are from.  classes: of labels, 2 or more.

    Made by `load_images`. ValueError where the arrays do not fit each other, a pixel is not finite or a label is not below ``classes``.

    >>> import numpy as np
    >>> x, y = np.eye(4), np.array([0, 1, 0, 1])
    >>> images = Images(x, y, x[:2], y[:2], name="corners", classes=2)
    >>> print(images)
    corners: 4 images to learn from, 2 to test on, 4 pixels, 2 classes
    >>> images.pixels, images.digest == Images(x, y, x[:2], y[:2], "other name", 2).digest
    (4, True)
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    name: str
    classes: int

    def __post_init__(self) -> None:
        arguments.whole("classes", self.classes, low=2)
        for part in ("train", "test"):
            x = arguments.reals(f"x_{part}", getattr(self, f"x_{part}"))
            y = arguments.whole(f"y_{part}", getattr(self, f"y_{part}"), low=0, high=self.classes - 1)
            if x.ndim != 2 or y.shape != x.shape[:1]:
                raise ValueError(f"`x_{part}` must have shape (n, d) and `y_{part}` (n,), but they have {x.shape} and {y.shape}")
            object.__setattr__(self, f"x_{part}", x)
            object.__setattr__(self, f"y_{part}", y)
        if self.x_test.shape[1] != self.pixels:
            raise ValueError(f"`x_test` must have {self.pixels} pixels an image, as `x_train` has, but has {self.x_test.shape[1]}")

    @property
    def pixels(self) -> int:
        """d, how many numbers an image has."""
        return int(self.x_train.shape[1])

    @property
    def digest(self) -> str:
        """SHA-256 of the arrays: what tells a run whether it is resumed on the images it began with."""
        total = hashlib.sha256()
        for name in ARRAYS:
            array = np.ascontiguousarray(getattr(self, name))
            total.update(f"{name} {array.shape}".encode())
            total.update(array.reshape(-1).view(np.uint8).data)
        return total.hexdigest()

    def __str__(self) -> str:
        counts = f"{len(self.y_train)} images to learn from, {len(self.y_test)} to test on"
        return f"{self.name}: {counts}, {self.pixels} pixels, {self.classes} classes"


def load_images(path: str | PathLike[str] | None = None, seed: int | None = None, test_share: float | None = None) -> Images:
    """Images with pixels scaled to [0, 1], and nothing else done to them.

    path: of a local file; nothing is downloaded. The digits bundled with scikit-learn (1797 of 64 pixels, 10 classes) by default.
        .npz: arrays x_train, y_train, x_test, y_test, as in mnist.npz; pixels of 8 bits are divided by 255, floats are taken as they are.
        cifar-10-binary.tar.gz: CIFAR-10, binary version, read without unpacking it.
        A file is known by what is in it, whatever its name; nothing in it is run (no pickles).
    seed: of the split of the digits into training and test images, in which each class has its share [default: 0]; for the digits only.
    test_share: of the digits, in (0, 1) [default: 0.2]; for the digits only.

    FileNotFoundError where there is no such file; ValueError where it is neither of these, is cut short, or lacks an array, and where
    no path is given but scikit-learn is not installed.

    >>> print(load_images())
    digits: 1437 images to learn from, 360 to test on, 64 pixels, 10 classes
    """
    if path is None:
        return _digits(0 if seed is None else seed, TEST_SHARE if test_share is None else test_share)
    for name, given in (("seed", seed), ("test_share", test_share)):
        if given is not None:
            raise ValueError(f"`{name}` belongs to the digits, and must be left out where `path` names a file, which has its own split")
    source = Path(path)
    if not source.is_file():
        raise FileNotFoundError(f"no such file: {str(source)!r}")
    try:
        if zipfile.is_zipfile(source):
            arrays = _from_npz(source)
            return Images(*arrays, name=str(source), classes=_classes(arrays))
        if tarfile.is_tarfile(source):
            return Images(*_from_cifar(source), name=str(source), classes=10)
        raise ValueError("it is neither an .npz archive nor a .tar.gz")
    except (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ValueError(f"{str(source)!r} is not a file of images, or is cut short: {error}") from error


def _digits(seed: int, test_share: float) -> Images:
    try:
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split
    except ImportError as error:
        remedy = "install the extra `images` (pip install 'flowsim[images]'), or name a file of images"
        raise ValueError(f"`path` must be given where scikit-learn, which has the digits, is not installed: {remedy}") from error
    share = arguments.real("test_share", test_share, low=0.0, high=1.0, strict=True)
    x, y = (np.asarray(part) for part in load_digits(return_X_y=True))
    fewest = 10 / len(y)
    if not fewest <= share <= 1.0 - fewest:
        raise ValueError(
            f"`test_share` must leave an image of each class on both sides, in [{fewest:.2g}, {1 - fewest:.4g}], but is {share}"
        )
    origin = int(arguments.whole("seed", seed, low=0, high=2**32 - 1))
    train, test = (np.asarray(part) for part in train_test_split(np.arange(len(y)), test_size=share, random_state=origin, stratify=y))
    return Images(x[train] / 16.0, y[train], x[test] / 16.0, y[test], name="digits", classes=10)


def _classes(arrays: tuple[np.ndarray, ...]) -> int:
    """One more than the largest label, of those there are."""
    return 1 + max((int(labels.max()) for labels in arrays[1::2] if labels.size and labels.dtype.kind in "iu"), default=1)


def _from_npz(source: Path) -> tuple[np.ndarray, ...]:
    with np.load(source, allow_pickle=False) as archive:
        missing = [name for name in ARRAYS if name not in archive.files]
        if missing:
            raise ValueError(f"it has no {', '.join(missing)}, but {', '.join(archive.files) or 'nothing'}")
        x_train, y_train, x_test, y_test = (archive[name] for name in ARRAYS)
    return _flat("x_train", x_train), _column(y_train), _flat("x_test", x_test), _column(y_test)


def _flat(name: str, images: np.ndarray) -> np.ndarray:
    """One row an image; 8 bits to [0, 1]."""
    if images.ndim < 2 or (images.dtype != np.uint8 and images.dtype.kind != "f"):
        raise ValueError(f"`{name}` must be an array of images, of 8 bits or floats, but is {images.dtype} of shape {images.shape}")
    if not images.size:
        raise ValueError(f"`{name}` must hold an image or more, but has shape {images.shape}")
    flat = images.reshape(len(images), -1).astype(np.float64)
    return flat / 255.0 if images.dtype == np.uint8 else flat


def _column(labels: np.ndarray) -> np.ndarray:
    """(n, 1), as some have it, to (n,)."""
    return labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels


def _from_cifar(source: Path) -> tuple[np.ndarray, ...]:
    found: dict[str, np.ndarray] = {}
    with tarfile.open(source, "r:*") as archive:
        for member in archive:
            name = Path(member.name).name
            if name in _TRAIN + _TEST and (stream := archive.extractfile(member)) is not None:
                found[name] = _records(name, stream.read())
    missing = [name for name in _TRAIN + _TEST if name not in found]
    if missing:
        raise ValueError(f"it has no {', '.join(missing)}")
    train, test = (np.concatenate([found[name] for name in names]) for names in (_TRAIN, _TEST))
    return train[:, 1:] / 255.0, train[:, 0], test[:, 1:] / 255.0, test[:, 0]


def _records(name: str, content: bytes) -> np.ndarray:
    if not content or len(content) % (1 + _PIXELS):
        raise ValueError(f"{name} has {len(content)} bytes, not a multiple of {1 + _PIXELS}")
    return np.frombuffer(content, dtype=np.uint8).reshape(-1, 1 + _PIXELS)
