"""Real data: the bundled sets row for row, splits, and files that are not what they should be."""

import re
import sys
from zipfile import ZipFile

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_digits

from flowsim.finite.real import load_data
from flowsim.finite.training_set import TrainingSet


@pytest.fixture
def npz(tmp_path):
    """npz(y=...): a file with other arrays in the place of some; None leaves one out."""
    draw = np.random.default_rng(0)
    arrays = {"x": draw.normal(size=(12, 3)), "y": np.array([2, 7] * 6), "test_x": draw.normal(size=(4, 3)), "test_y": [7, 7, 2, 7]}

    def write(**other):
        path = tmp_path / "some.npz"
        np.savez(path, **{name: array for name, array in {**arrays, **other}.items() if array is not None})
        return path

    return write


def rows(x: np.ndarray, y: np.ndarray) -> list[tuple[float, ...]]:
    """In an order of their own, to compare what a permutation has split."""
    return sorted(map(tuple, np.column_stack([y, x]).tolist()))


def together(data: TrainingSet) -> tuple[np.ndarray, np.ndarray]:
    return np.concatenate([data.x, data.test_x]), np.concatenate([data.y, data.test_y])


@pytest.mark.parametrize(("classes", "pair"), [(None, (3, 8)), ((7, 1), (7, 1))])
def test_digits_are_scikit_learns_over_16(classes, pair: tuple[int, int]) -> None:
    x, labels = load_digits(return_X_y=True)
    data = load_data("digits", classes=classes, test=0.2, seed=3)
    chosen = np.isin(labels, pair)
    assert rows(*together(data)) == rows(x[chosen] / 16.0, np.where(labels[chosen] == pair[1], 1.0, -1.0))
    assert len(data.test_y) == round(0.2 * chosen.sum())
    assert data.name == f"digits {pair[0]} and {pair[1]}"
    assert set(data.y) == set(data.test_y) == {-1.0, 1.0}


def test_breast_cancer_is_standardised_by_what_is_learnt_from() -> None:
    x, labels = load_breast_cancer(return_X_y=True)
    data = load_data("breast-cancer", seed=1)
    order = np.random.default_rng(1).permutation(569)
    test, learn = order[:142], order[142:]
    expected = (x - x[learn].mean(axis=0)) / x[learn].std(axis=0)
    np.testing.assert_allclose(data.x, expected[learn], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(data.test_x, expected[test], rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(data.test_y, 2.0 * labels[test] - 1.0)
    np.testing.assert_array_equal(data.y, 2.0 * labels[learn] - 1.0)


def test_seeds_split_and_no_share_leaves_all() -> None:
    one, same, other = (load_data("digits", seed=seed) for seed in (0, 0, 1))
    assert one.config() == same.config()
    assert one.config()["digest"] != other.config()["digest"]
    whole = load_data("digits", test=0.0)
    assert (whole.test_x, whole.size) == (None, one.size + len(one.test_y))
    assert load_data("breast-cancer", test=0.0).test_x is None


def test_a_files_arrays_are_taken_as_they_are(npz) -> None:
    path = npz()
    data = load_data(path)
    with np.load(path) as archive:
        np.testing.assert_array_equal(data.x, archive["x"])
        np.testing.assert_array_equal(data.test_x, archive["test_x"])
    np.testing.assert_array_equal(data.y, [-1.0, 1.0] * 6)
    np.testing.assert_array_equal(data.test_y, [1.0, 1.0, -1.0, 1.0])
    assert data.name == str(path)
    np.testing.assert_array_equal(load_data(str(path), classes=(7, 2)).y, -data.y)


def test_a_file_without_a_test_set_is_split(npz) -> None:
    whole, path = load_data(npz()), npz(test_x=None, test_y=None)
    data = load_data(path)
    assert (data.size, len(data.test_y)) == (9, 3)
    assert rows(*together(data)) == rows(whole.x, whole.y)


def test_two_of_a_files_labels_are_chosen(npz) -> None:
    path = npz(y=np.array(["cat", "dog", "eel"] * 4), test_y=np.array(["eel", "dog", "dog", "cat"]))
    data = load_data(path, classes=("eel", "cat"))
    np.testing.assert_array_equal(data.y, [1.0, -1.0] * 4)
    np.testing.assert_array_equal(data.test_y, [-1.0, 1.0])
    with pytest.raises(ValueError, match=r"some.npz' cannot be learnt from: `classes` must be two .* but there are cat, dog, eel"):
        load_data(path)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": None}, "cannot be read: `archive`: it has no x, but y, test_x, test_y"),
        ({"test_y": None}, "cannot be read: `archive`: it has no test_y, but x, y, test_x"),
        ({"x": np.ones((12, 3, 1))}, r"`x`: it must be numbers of shape \(samples, dim\), but is float64 of shape \(12, 3, 1\)"),
        ({"x": np.full((12, 3), np.nan)}, "cannot be read: `x`: `x` must be finite, but is nan"),
        ({"x": np.ones((12, 3), dtype=complex)}, "`x`: it must be numbers of shape .* but is complex128"),
        ({"x": np.array([[1, "a"]] * 12, dtype=object)}, "cannot be read: `x`: Object arrays cannot be loaded"),
        ({"y": np.ones((12, 1))}, r"`y`: it must be labels of shape \(samples,\), but is float64 of shape \(12, 1\)"),
        ({"y": np.full(12, np.nan)}, "cannot be read: `y`: `y` must be finite, but is nan"),
        ({"y": np.ones(11)}, r"has `x` and `y` of shapes \(12, 3\) and \(11,\), but must have a label a row"),
        ({"test_y": [2, 7]}, r"has `test_x` and `test_y` of shapes \(4, 3\) and \(2,\), but must have a label a row"),
        ({"y": np.ones(12)}, "`classes` must be two different labels, but there is 1"),
        ({"y": np.arange(12)}, r"`classes` must be two different labels, but there are 0, 1, 2, 3, 4, \.\.\."),
        ({"test_x": np.ones((4, 2))}, r"cannot be learnt from: `test_x` must have shape \(samples, 3\)"),
        ({"test_y": [2, 7, 2, 5]}, "cannot be learnt from: `test_y` must have the labels of `y`, 2 and 7, but has 5"),
    ],
)
def test_files_that_cannot_be_learnt_from_are_refused_by_name(npz, arrays: dict, message: str) -> None:
    path = npz(**arrays)
    with pytest.raises(ValueError, match=f"^{re.escape(repr(str(path)))} .*{message}"):
        load_data(path)


def test_what_is_no_archive_is_refused(npz, tmp_path) -> None:
    text = tmp_path / "text.npz"
    text.write_text("x, y")
    with pytest.raises(ValueError, match=r"text.npz' is not an .npz archive"):
        load_data(text)
    array = tmp_path / "array.npy"
    np.save(array, np.ones(3))
    with pytest.raises(ValueError, match=r"array.npy' is not an .npz archive"):
        load_data(array)
    path = npz()
    content = bytearray(path.read_bytes())
    start = content.find(b"\x93NUMPY")
    content[start + 200] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"some.npz' cannot be read: `x`: Bad CRC-32"):
        load_data(path)
    with ZipFile(path, "w") as archive:
        archive.writestr("x.npy", b"none")
        archive.writestr("y.npy", b"")
    with pytest.raises(ValueError, match=r"some.npz' cannot be read: `x`: it must be an array in NumPy's format"):
        load_data(path)


def test_names_and_words_that_do_not_fit_are_refused(npz) -> None:
    with pytest.raises(ValueError, match=r"`name_or_path` must be one of digits, .*\.npz file, but is 'digit'; did you mean 'digits'"):
        load_data("digit")
    with pytest.raises(FileNotFoundError, match=r"no such file: 'nowhere\.npz'"):
        load_data("nowhere.npz")
    with pytest.raises(ValueError, match="`classes` must be two different labels, but there are 3, 3"):
        load_data("digits", classes=(3, 3))
    with pytest.raises(ValueError, match="`classes` must be a whole number from 0 to 9, but is 10"):
        load_data("digits", classes=(3, 10))
    with pytest.raises(ValueError, match="`classes` must be left out for breast-cancer, which has two"):
        load_data("breast-cancer", classes=(0, 1))
    with pytest.raises(ValueError, match="`classes` must be labels that are there, but 5 is not"):
        load_data(npz(), classes=(2, 5))
    with pytest.raises(ValueError, match=r"`test` must be left out where the file has `test_x` and `test_y`, but is 0.25"):
        load_data(npz(), test=0.25)
    with pytest.raises(ValueError, match=r"`test` must be in \[0, 1\), but is 1"):
        load_data("digits", test=1.0)
    with pytest.raises(ValueError, match=r"`test` must leave a sample on both sides of 12, but is 0.01"):
        load_data(npz(test_x=None, test_y=None), test=0.01)
    with pytest.raises(ValueError, match="`seed` must be a whole number, 0 or more, but is -1"):
        load_data("digits", seed=-1)


def test_scikit_learn_is_asked_for_where_it_is_missing(npz, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ValueError, match=r"scikit-learn, which has the data, is not installed: install the extra `images`"):
        load_data("digits")
    assert load_data(npz()).size == 12
