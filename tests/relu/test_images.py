"""Images from small files in both layouts, the split of the digits, and files that are not what they should be."""

import io
import pickle
import sys
import tarfile
from zipfile import ZipFile

import numpy as np
import pytest

from flowsim.relu import Images, load_images


@pytest.fixture
def arrays():
    draw = np.random.default_rng(1)
    return {
        "x_train": draw.integers(0, 256, (5, 4, 3), dtype=np.uint8),
        "y_train": np.array([0, 1, 2, 1, 0], dtype=np.uint8),
        "x_test": draw.integers(0, 256, (2, 4, 3), dtype=np.uint8),
        "y_test": np.array([2, 0], dtype=np.uint8),
    }


@pytest.fixture
def npz(tmp_path, arrays):
    """npz(x_test=...): a file in the layout of mnist.npz, with other arrays in the place of some; None leaves one out."""

    def write(**other):
        path = tmp_path / "images.npz"
        np.savez_compressed(path, **{name: array for name, array in {**arrays, **other}.items() if array is not None})
        return path

    return write


NAMES = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]


@pytest.fixture
def cifar(tmp_path):
    """cifar(name=bytes): an archive in the layout of CIFAR-10 with two images a file, labelled 0 and 9; None leaves a file out."""

    def write(**other):
        path = tmp_path / "images.tar.gz"
        with tarfile.open(path, "w:gz") as archive:
            for i, name in enumerate(NAMES):
                content = other.get(name.removesuffix(".bin"), records(i, (0, 9)))
                if content is not None:
                    member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
        return path

    return write


def records(seed, labels):
    draw = np.random.default_rng(seed)
    return b"".join(bytes([label]) + draw.integers(0, 256, 3072, dtype=np.uint8).tobytes() for label in labels)


def test_the_digits_are_split_with_the_share_of_each_class():
    pytest.importorskip("sklearn", reason="the digits are bundled with scikit-learn, of the extra `images`")
    images = load_images()
    assert (images.x_train.shape, images.x_test.shape, images.classes, images.name) == ((1437, 64), (360, 64), 10, "digits")
    assert images.x_train.min() == 0.0
    assert images.x_train.max() == 1.0
    counts = [np.bincount(labels, minlength=10) for labels in (images.y_train, images.y_test)]
    np.testing.assert_allclose(counts[1] / (counts[0] + counts[1]), 0.2, atol=0.004)
    whole = np.concatenate([images.x_train, images.x_test])
    assert np.unique(whole, axis=0).shape == np.unique(_digits(), axis=0).shape
    assert load_images().digest == images.digest
    assert load_images(seed=1).digest != images.digest
    assert load_images(test_share=0.5).x_test.shape[0] == 899


def _digits():
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)[0]


def test_a_file_like_mnist_is_flattened_and_scaled(npz, arrays):
    images = load_images(npz())
    np.testing.assert_allclose(images.x_train, arrays["x_train"].reshape(5, 12) / 255.0, rtol=1e-15)
    np.testing.assert_allclose(images.x_test[1, 4], arrays["x_test"][1, 1, 1] / 255.0, rtol=1e-15)
    np.testing.assert_array_equal(images.y_train, arrays["y_train"])
    assert images.classes == 3
    assert images.name.endswith("images.npz")


def test_floats_are_taken_as_they_are_and_a_column_of_labels_too(npz, arrays):
    images = load_images(npz(x_train=arrays["x_train"] / 100.0, y_train=arrays["y_train"][:, None]))
    assert images.x_train[0, 0] == arrays["x_train"][0, 0, 0] / 100.0
    np.testing.assert_array_equal(images.y_train, arrays["y_train"])


def test_an_archive_like_cifar_is_read_in_order_and_not_unpacked(cifar, tmp_path):
    images = load_images(cifar())
    assert (images.x_train.shape, images.x_test.shape, images.classes) == ((10, 3072), (2, 3072), 10)
    np.testing.assert_array_equal(images.y_train, [0, 9] * 5)
    third = np.frombuffer(records(2, (0, 9)), dtype=np.uint8).reshape(2, 3073)
    np.testing.assert_allclose(images.x_train[5], third[1, 1:] / 255.0, rtol=1e-15)
    assert [path.name for path in tmp_path.iterdir()] == ["images.tar.gz"]


def test_a_file_is_known_by_what_is_in_it(npz, cifar, tmp_path):
    assert load_images(npz().rename(tmp_path / "mnist")).pixels == 12
    assert load_images(cifar().rename(tmp_path / "archive.bin")).pixels == 3072


def test_other_files_are_refused(tmp_path, npz):
    with pytest.raises(FileNotFoundError, match=r"no such file: '.*gone\.npz'"):
        load_images(tmp_path / "gone.npz")
    (tmp_path / "words.npz").write_text("words")
    with pytest.raises(ValueError, match=r"words\.npz' is not a file of images, or is cut short: it is neither an \.npz archive nor"):
        load_images(tmp_path / "words.npz")
    np.save(tmp_path / "one.npy", np.zeros(3))
    with pytest.raises(ValueError, match=r"it is neither an \.npz archive"):
        load_images(tmp_path / "one.npy")
    for name, given in (("seed", {"seed": 0}), ("test_share", {"test_share": 0.2})):
        with pytest.raises(ValueError, match=f"`{name}` belongs to the digits, and must be left out"):
            load_images(npz(), **given)


def test_an_npz_cut_short_or_damaged_is_refused(npz):
    path = npz()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is not a file of images, or is cut short"):
        load_images(path)
    middle = whole.index(b"x_train.npy") + 60
    path.write_bytes(whole[:middle] + bytes(40) + whole[middle + 40 :])
    with pytest.raises(ValueError, match="is not a file of images, or is cut short"):
        load_images(path)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"x_test": None, "y_test": None}, "it has no x_test, y_test, but x_train, y_train"),
        ({"y_train": np.array([0, 1])}, r"`x_train` must have shape \(n, d\) and `y_train` \(n,\), but they have \(5, 12\) and \(2,\)"),
        ({"x_test": np.zeros((2, 5))}, "`x_test` must have 12 pixels an image, as `x_train` has, but has 5"),
        ({"x_test": np.zeros((2, 4, 3), dtype=int)}, "`x_test` must be an array of images, of 8 bits or floats, but is int64"),
        ({"x_test": np.zeros(12)}, r"`x_test` must be an array of images, .* of shape \(12,\)"),
        ({"x_test": np.full((2, 4, 3), np.nan)}, "`x_test` must be finite, but is nan"),
        ({"y_test": np.array([-1, 0])}, "`y_test` must be a whole number from 0 to 2, but is -1"),
        ({"y_test": np.array([0.5, 0.0])}, "`y_test` must be a whole number from 0 to 2, but is 0.5"),
        ({"x_test": np.zeros((0, 4, 3), dtype=np.uint8)}, r"`x_test` must hold an image or more, but has shape \(0, 4, 3\)"),
    ],
)
def test_arrays_that_do_not_fit_are_named(npz, change, said):
    with pytest.raises(ValueError, match=said):
        load_images(npz(**change))


def test_a_pickle_inside_is_never_run(npz, tmp_path):
    path = npz(y_test=None)
    with ZipFile(path, "a") as archive, archive.open("y_test.npy", "w") as stream:
        np.lib.format.write_array(stream, np.array([Trap(), Trap()]), allow_pickle=True)
    with pytest.raises(ValueError, match="is not a file of images"):
        load_images(path)
    assert not Trap.sprung
    pickle.loads(pickle.dumps(Trap()))
    assert Trap.sprung


class Trap:
    sprung = False

    def __reduce__(self):
        return _spring, ()


def _spring():
    Trap.sprung = True
    return Trap()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data_batch_3": None}, r"it has no data_batch_3\.bin"),
        ({"test_batch": records(0, (1, 2))[:-1]}, r"test_batch\.bin has 6145 bytes, not a multiple of 3073"),
        ({"data_batch_1": b""}, r"data_batch_1\.bin has 0 bytes"),
        ({"data_batch_2": records(0, (3, 10))}, r"`y_train` must be a whole number from 0 to 9, but is 10"),
    ],
)
def test_an_archive_with_a_file_missing_or_odd_is_refused(cifar, change, said):
    with pytest.raises(ValueError, match=said):
        load_images(cifar(**change))


def test_an_archive_cut_short_is_refused(cifar):
    path = cifar()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is not a file of images, or is cut short"):
        load_images(path)


def test_without_scikit_learn_the_remedy_is_named(monkeypatch, npz):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(
        ValueError, match=r"`path` must be given where scikit-learn, .* is not installed: .*pip install 'flowsim\[images\]'"
    ):
        load_images()
    assert load_images(npz()).pixels == 12


def test_images_check_what_they_are_given():
    x, y = np.eye(3), np.array([0, 1, 0])
    with pytest.raises(ValueError, match="`classes` must be a whole number, 2 or more, but is 1"):
        Images(x, y, x, y, "three", 1)
    with pytest.raises(ValueError, match="`y_train` must be a whole number from 0 to 1, but is 2"):
        Images(x, y + 1, x, y, "three", 2)
    with pytest.raises(ValueError, match="`test_share` must be in"):
        load_images(test_share=1.5)
    with pytest.raises(ValueError, match="`test_share` must leave an image of each class on both sides"):
        load_images(test_share=1e-4)
