"""Data sets are what they say, no row is in two parts, and a bad table is refused with reasons."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.preprocessing import StandardScaler

from pycode import data

GOOD = "a,b,kind\n" + "".join(f"{n},{n % 7},{'odd' if n % 2 else 'even'}\n" for n in range(40))


def table(folder: Path, contents: str | bytes) -> Path:
    path = folder / "rows.csv"
    path.write_bytes(contents if isinstance(contents, bytes) else contents.encode())
    return path


def rows_of(split: data.Split) -> np.ndarray:
    return np.concatenate([split.X_train, split.X_validation, split.X_test])


@given(
    n_samples=st.integers(100, 300),
    n_classes=st.integers(2, 4),
    test_size=st.floats(0.2, 0.6),
    seed=st.integers(0, 1000),
)
def test_parts_are_all_rows_once_with_every_class_in_proportion(
    n_samples, n_classes, test_size, seed
):
    dataset = data.synthetic(n_samples=n_samples, n_classes=n_classes, seed=seed)
    split = data.split(dataset, test_size=test_size, seed=seed)
    assert sorted(rows_of(split)[:, 0]) == sorted(dataset.X[:, 0])
    assert abs(len(split.y_validation) - len(split.y_test)) <= 1
    assert len(split.y_train) == pytest.approx(n_samples * (1 - test_size), abs=1)
    share = np.bincount(dataset.y) / n_samples
    for part in (split.y_train, split.y_validation, split.y_test):
        expected = share * len(part)
        assert np.abs(np.bincount(part, minlength=n_classes) - expected).max() <= 2


def test_the_same_seed_gives_the_same_rows_and_another_gives_others():
    first, again, other = (data.split(data.synthetic(seed=seed), seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.X_test, again.X_test)
    assert not np.array_equal(first.X_test, other.X_test)


def test_scaling_looks_at_the_training_rows_alone():
    split = data.split(data.synthetic(n_samples=200))
    scaled = split.scaled()
    mean, sd = split.X_train.mean(axis=0), split.X_train.std(axis=0)
    assert scaled.X_train == pytest.approx((split.X_train - mean) / sd)
    assert scaled.X_test == pytest.approx((split.X_test - mean) / sd)


def test_description_by_hand():
    X = np.arange(40.0).reshape(20, 2)
    dataset = data.Dataset(X, np.array([0, 1] * 10), ("a", "b"))
    split = data.split(dataset, folds=2)
    summary = data.describe(dataset, split)
    assert (summary.n_samples, summary.n_features, summary.class_counts) == (20, 2, (10, 10))
    assert (summary.n_train, summary.n_validation, summary.n_test) == (12, 4, 4)
    assert summary.sd == pytest.approx(np.sqrt(((split.X_train - summary.mean) ** 2).mean()))


def test_digits_are_small_images_of_ten_classes():
    digits = data.digits()
    assert digits.X.shape[1] == 8 * 8
    assert (digits.X.min(), digits.X.max()) == (0, 16)
    assert sorted(set(digits.y)) == list(range(10))


def test_table_with_text_labels(tmp_path: Path):
    rows = data.read_table(table(tmp_path, "\ufeff" + GOOD), target="kind")
    assert rows.classes == ("even", "odd")
    assert rows.X.shape == (40, 2)
    assert rows.X[3].tolist() == [3, 3]
    assert rows.classes[rows.y[3]] == "odd"


@given(
    st.lists(
        st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from('ab,"c é')),
        min_size=3,
    ).filter(
        lambda rows: (
            len({label.strip() for _, label in rows}) > 1
            and all(label.strip() for _, label in rows)
        )
    )
)
def test_every_number_and_label_comes_back(tmp_path_factory, rows):
    quoted = "".join('{!r},"{}"\n'.format(x, label.replace('"', '""')) for x, label in rows)
    read = data.read_table(table(tmp_path_factory.mktemp("t"), "x,kind\n" + quoted), target="kind")
    assert read.X[:, 0].tolist() == [x for x, _ in rows]
    assert [read.classes[number] for number in read.y] == [label for _, label in rows]


BAD = {
    "text where a number belongs": ("a,b,kind\n1,2,x\n3,lots,y\n", ["line 3", "'b'", "'lots'"]),
    "NaN": ("a,b,kind\n1,2,x\n3,nan,y\n", ["line 3", "'b'", "'nan'", "finite"]),
    "infinity": ("a,b,kind\n1,-inf,x\n3,1,y\n", ["line 2", "'b'", "'-inf'"]),
    "empty cell": ("a,b,kind\n1,2,x\n\n3,,y\n", ["line 4", "'b'", "''"]),
    "no class": ("a,b,kind\n1,2,x\n3,4, \n", ["line 3", "'kind'", "no class"]),
    "no target": ("a,b\n1,2\n3,4\n", ["line 1", "'kind'", "a, b"]),
    "semicolons": ("a;b;kind\n1;2;x\n3;4;y\n", ["line 1", "'kind'", "commas"]),
    "single class": ("a,b,kind\n1,2,x\n3,4,x\n", ["'kind'", "one class 'x'"]),
    "empty file": ("", ["no rows"]),
    "header alone": ("a,b,kind\n", ["no rows"]),
    "duplicate columns": ("a,a,kind\n1,2,x\n3,4,y\n", ["line 1", "'a'", "more than one"]),
    "target twice": ("a,kind,kind\n1,x,x\n3,y,y\n", ["line 1", "'kind'", "more than one"]),
    "short row": ("a,b,kind\n1,2,x\n3,y\n", ["line 3", "2 cells", "3 headings"]),
    "only the target": ("kind\nx\ny\n", ["no column besides the target"]),
    "Latin-1": ("a,b,kind\n1,2,é\n3,4,x\n".encode("latin-1"), ["byte 14", "0xe9", "UTF-8"]),
    "UTF-16": (GOOD.encode("utf-16"), ["UTF-8"]),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), ["UTF-8"]),
    "null bytes": (b"a,b,kind\n1,\x00,x\n3,4,y\n", ["rows.csv"]),
    "open quote": ('a,b,kind\n1,2,"x\n3,4,y\n', ["rows.csv"]),
}


@pytest.mark.parametrize(("contents", "named"), BAD.values(), ids=list(BAD))
def test_bad_table_is_refused_with_file_place_and_advice(tmp_path: Path, contents, named):
    with pytest.raises(data.DataError) as raised:
        data.read_table(table(tmp_path, contents), target="kind")
    message = str(raised.value)
    assert "rows.csv" in message
    for part in named:
        assert part in message
    assert ": " in message.split("rows.csv")[1]  # what to do stands behind a colon


def test_missing_file_is_named():
    with pytest.raises(data.DataError, match=r"nowhere.csv: there is no such file"):
        data.read_table("nowhere.csv", target="kind")


def test_folder_is_no_table(tmp_path: Path):
    with pytest.raises(data.DataError, match="no readable CSV"):
        data.read_table(tmp_path, target="kind")


def test_class_with_fewer_rows_than_folds_names_class_and_file(tmp_path: Path):
    rare = GOOD + "".join(f"{n},{n},rare\n" for n in range(6))
    rows = data.read_table(table(tmp_path, rare), target="kind")
    with pytest.raises(data.DataError, match=r"rows.csv: class 'rare' has only 6 rows") as raised:
        data.split(rows, folds=5)
    assert "5 folds" in str(raised.value)
    assert data.split(rows, folds=3)


def none() -> data.Leakage:
    return data.Leakage(n_shared=0, n_scaled=0, n_moved=0)


@pytest.mark.parametrize("dataset", [data.synthetic(n_samples=300), data.digits()], ids=["s", "d"])
def test_no_leak_is_found_where_there_is_none(dataset):
    assert data.leakage(dataset, data.split(dataset)) == none()


def test_rows_in_more_than_one_part_are_found():
    dataset = data.synthetic(n_samples=300)
    X, y = np.vstack([dataset.X, dataset.X[:40]]), np.concatenate([dataset.y, dataset.y[:40]])
    twice = replace(dataset, X=X, y=y)
    split = data.split(twice)
    parts = [split.X_train, split.X_validation, split.X_test]
    rows = [{tuple(row) for row in part} for part in parts]
    elsewhere = {1: rows[0] | rows[2], 2: rows[0] | rows[1]}
    shared = sum(tuple(row) in found for n, found in elsewhere.items() for row in parts[n])
    assert shared > 5
    assert data.leakage(twice, split) == replace(none(), n_shared=shared)
    noisy = replace(split, X_train=split.X_train * (1 + 1e-14))
    assert data.leakage(twice, noisy) == replace(none(), n_shared=shared)


def test_each_copy_among_the_held_out_rows_counts():
    dataset = data.synthetic(n_samples=300)
    split = data.split(dataset)
    X = np.vstack([split.X_test[:-5], split.X_train[[7] * 5]])
    assert data.leakage(dataset, replace(split, X_test=X)) == replace(none(), n_shared=5)


@pytest.mark.parametrize(
    "scale",
    [
        StandardScaler().fit_transform,
        lambda X: (X - X.mean(axis=0)) / X.std(axis=0, ddof=1),
        lambda X: StandardScaler().fit_transform(X).round(4),
        lambda X: StandardScaler().fit_transform(X).astype(np.float32),
    ],
    ids=["scikit-learn", "ddof 1", "rounded", "float32"],
)
def test_scaling_before_the_split_is_found(scale):
    dataset = data.synthetic(n_samples=300)
    scaled = replace(dataset, X=scale(dataset.X))
    assert data.leakage(scaled, data.split(scaled)) == replace(none(), n_scaled=64)


def test_normal_features_are_not_taken_for_scaled():
    X = np.random.default_rng(0).normal(size=(300, 500))
    normal = data.Dataset(X, np.tile([0, 1], 150), ("a", "b"))
    assert data.leakage(normal, data.split(normal)) == none()


@pytest.mark.parametrize(
    "fitted_on",
    [
        lambda s: np.vstack([s.X_train, s.X_validation, s.X_test]),
        lambda s: np.vstack([s.X_train, s.X_test]),
        lambda s: s.X_validation,
    ],
    ids=["all rows", "test rows", "held-out rows"],
)
def test_a_scaler_that_has_seen_held_out_rows_is_found(monkeypatch, fitted_on):
    def scaled(split):
        scaler = StandardScaler().fit(fitted_on(split))
        names = ("X_train", "X_validation", "X_test")
        return replace(split, **{name: scaler.transform(getattr(split, name)) for name in names})

    dataset = data.synthetic(n_samples=300)
    split = data.split(dataset)
    monkeypatch.setattr(data.Split, "scaled", scaled)
    assert data.leakage(dataset, split).n_moved > 0


def test_held_out_rows_scaled_by_themselves_are_found(monkeypatch):
    def scaled(split):
        return replace(split, X_test=StandardScaler().fit_transform(split.X_test))

    dataset = data.synthetic(n_samples=300)
    split = data.split(dataset)
    monkeypatch.setattr(data.Split, "scaled", scaled)
    assert data.leakage(dataset, split).n_moved > 0


def test_digests_tell_rows_apart_but_not_rounding():
    split = data.split(data.synthetic(n_samples=300))
    found = data.digests(split)
    assert len({*found.values()}) == 3
    assert all(len(digest) == 16 for digest in found.values())
    assert data.digests(replace(split, X_train=split.X_train * (1 + 1e-14))) == found
    moved = data.digests(replace(split, y_test=split.y_test[::-1]))
    assert moved["test"] != found["test"]
    assert moved["train"] == found["train"]


def test_roles_are_those_that_make_the_data():
    dataset = data.synthetic(n_samples=2000, seed=3)
    useful = np.array(dataset.roles) != "random"
    assert (useful.sum(), dataset.roles.count("informative")) == (50, 40)
    # Useful features are combinations of the informative ones; noise is not.
    informative = dataset.X[:, np.array(dataset.roles) == "informative"]
    rest = dataset.X - informative @ np.linalg.lstsq(informative, dataset.X)[0]
    shares = (rest**2).mean(axis=0) / dataset.X.var(axis=0)
    assert shares[useful].max() < 1e-9
    assert shares[~useful].min() > 0.9
