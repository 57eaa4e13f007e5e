"""Data sets are what they say, no row is in two parts, and a bad table is refused with reasons."""

import warnings
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise, product
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler

from pycode import data, evaluation, inspection, models

GOOD = "a,b,kind\n" + "".join(f"{n / 2},{n % 7},{'odd' if n % 2 else 'even'}\n" for n in range(40))


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
    assert rows.X[3].tolist() == [1.5, 3]
    assert rows.classes[rows.y[3]] == "odd"


@given(
    st.lists(
        st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from('ab,"c é')),
        min_size=3,
    ).filter(
        lambda rows: (
            len({label.strip() for _, label in rows}) > 1
            and all(label.strip() for _, label in rows)
            and any(abs(y - x) != 1 for (x, _), (y, _) in pairwise(rows))  # no numbers of the rows
            and len({x for x, _ in rows}) > 1
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
    "infinity": ("a,b,kind\n1,-inf,x\n3,1,y\n", ["line 2", "'b'", "'-inf'"]),
    "text after an empty line": ("a,b,kind\n1,2,x\n\n3,q,y\n", ["line 4", "'b'", "'q'"]),
    "nothing in a column": ("a,b,kind\n1,,x\n3,NA,y\n", ["column 'b'", "nan in all rows"]),
    "a column of dates": ("a,kind\n2024-01-31,x\n2024-01-30,y\n", ["line 2", "'2024-01-31'"]),
    "names": ("a,kind\nAda,x\nEmmy,y\nAda,y\n", ["column 'a'", "2 different values in 3"]),
    "a group is missing": ("a,who,kind\n1,p,x\n3,,y\n", ["line 3", "'who'", "no group"]),
    "no class": ("a,b,kind\n1,2,x\n3,4, \n", ["line 3", "'kind'", "no class"]),
    "no target": ("a,b\n1,2\n3,4\n", ["line 1", "'kind'", "a, b"]),
    "a row of other separators": ("a;b;kind\n1;2;x\n3,4,y\n", ["line 3", "1 cells", "';'"]),
    "two separators": ("a,b;kind\n1,2;x\n3,4;y\n", ["',' and ';'", "separator=','"]),
    "single class": ("a,b,kind\n1,2,x\n3,4,x\n", ["'kind'", "one class 'x'"]),
    "empty file": ("", ["no rows"]),
    "header alone": ("a,b,kind\n", ["no rows"]),
    "duplicate columns": ("a,a,kind\n1,2,x\n3,4,y\n", ["line 1", "'a'", "more than one"]),
    "target twice": ("a,kind,kind\n1,x,x\n3,y,y\n", ["line 1", "'kind'", "more than one"]),
    "short row": ("a,b,kind\n1,2,x\n3,y\n", ["line 3", "2 cells", "3 headings"]),
    "only the target": ("kind\nx\ny\n", ["no column besides the target"]),
    "Latin-1": ("a,b,kind\n1,2,é\n3,4,x\n".encode("latin-1"), ["byte 14", "0xe9", "UTF-8"]),
    "UTF-16": (GOOD.encode("utf-16"), ["UTF-16", "UTF-8"]),
    "UTF-16 without a mark": (GOOD.encode("utf-16-le"), ["UTF-16", "UTF-8"]),
    "a spreadsheet": (b"PK\x03\x04\x14\x00\x06\x00" + bytes(9), ["spreadsheet", "CSV"]),
    "an old spreadsheet": (b"\xd0\xcf\x11\xe0\xa1\xb1", ["spreadsheet", "CSV"]),
    "compressed": (b"\x1f\x8b\x08\x00", ["compressed", "CSV"]),
    "a comma of either kind": ('a,kind\n"1,500",x\n"2,250",y\n', ["'1,500'", "decimal=','"]),
    "two decimal marks": ('a,kind\n"1,5",x\n2.5,y\n', ["line 2", "'1,5'", "decimal point"]),
    "dates": ("a,kind\n2024-01-31,x\n3,y\n", ["line 2", "'2024-01-31'", "drop=['a']"]),
    "constant": ("a,b,kind\n1,7,x\n5,7,y\n", ["column 'b'", "7.0 in all rows", "drop=['b']"]),
    "an identifier": ("Id,kind\n7,x\n4,x\n9,y\n", ["'Id'", "identifier", "drop=['Id']"]),
    "the target in other words": (
        "a,code,kind\n" + "".join(f"{n % 7},{n % 2},{'xy'[n % 2]}\n" for n in range(20)),
        ["column 'code'", "one value for each class", "drop=['code']"],
    ),
    "pandas' index": (",a,kind\n0,2,x\n1,5,x\n2,3,y\n", ["line 1", "column 1", "index=False"]),
    "read and written twice": ("Unnamed: 0,a,kind\n4,2,x\n7,5,y\n", ["column 1", "index=False"]),
    "no name at the end": ("a,kind,\n2,x,1\n5,y,1\n", ["line 1", "column 3", "name it"]),
    "rows counted from 0": ("id,a,kind\n0,2,x\n1,5,x\n2,3,y\n", ["'id'", "from 0 to 2", "drop"]),
    "rows counted from 1": ("a,id,kind\n2,1,x\n5,2,x\n3,3,y\n", ["'id'", "from 1 to 3", "drop"]),
    "rows counted down": ("a,id,kind\n2,9,x\n5,8,x\n3,7,y\n", ["'id'", "from 9 to 7", "drop"]),
    "white space in a class": ("a,kind\n1,red\n3,red \n4,b\n", ["'kind'", "'red '", "alike"]),
    "case of a class": ("a,kind\n1,Red\n3,red\n4,b\n", ["'kind'", "'Red' and 'red'", "alike"]),
    "accent of a class": ("a,kind\n1,\u00e9\n3,e\u0301\n", ["'kind'", "differ only", "alike"]),
    "class NA": ("a,kind\n1,x\n3,NA\n4,y\n", ["line 3", "'kind'", "'NA'", "missing"]),
    "class nan": ("a,kind\n1,x\n3,nan\n4,y\n", ["line 3", "'nan'", "missing"]),
    "class ?": ("a,kind\n1,x\n3,?\n4,y\n", ["line 3", "'?'", "missing"]),
    "underscore": ("a,kind\n1_000,x\n3,y\n", ["line 2", "'a'", "'1_000'", "thousands"]),
    "comma for a point": ('a,kind\n"1.000,5",x\n3,y\n', ["line 2", "'a'", "decimal point"]),
    "apostrophe": ("a,kind\n1'000,x\n3,y\n", ["line 2", '"1\'000"', "decimal point"]),
    "fractions to predict": (
        "a,kind\n" + "".join(f"{n * n},{n + 0.5}\n" for n in range(40)),
        ["'kind'", "looks continuous (40 distinct numbers)", "classifiers"],
    ),
    "whole numbers to predict": (
        "a,kind\n" + "".join(f"{n * n},{100 + n // 3}\n" for n in range(60)),
        ["'kind'", "looks continuous (20 distinct numbers)", "classifiers"],
    ),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), ["UTF-8"]),
    "null bytes": (b"a,b,kind\n1,\x00,x\n3,4,y\n", ["rows.csv"]),
    "open quote": ('a,b,kind\n1,2,"x\n3,4,y\n', ["rows.csv"]),
}


@pytest.mark.parametrize(("contents", "named"), BAD.values(), ids=list(BAD))
def test_bad_table_is_refused_with_file_place_and_advice(tmp_path: Path, contents, named):
    groups = "who" if "who" in str(contents) else None
    with pytest.raises(data.DataError) as raised:
        data.read_table(table(tmp_path, contents), target="kind", groups=groups)
    message = str(raised.value)
    assert "rows.csv" in message
    for part in named:
        assert part in message
    assert ": " in message.split("rows.csv")[1]  # what to do stands behind a colon


@pytest.mark.parametrize(("separator", "decimal"), list(product(",;\t|", ",.")))
def test_separators_and_decimal_marks_are_found_and_reported(tmp_path: Path, separator, decimal):
    cells = [["a", "b", "kind"], ["-1.5", "2", "x"], ["3e2", ".25", "y, z"], ["4", "1.5", "x"]]
    plain = [[cell.replace(".", decimal) for cell in row] for row in cells]
    text = "\n".join(separator.join(f'"{cell}"' for cell in row) for row in plain)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = data.read_table(table(tmp_path, text), target="kind")
    assert found.X.tolist() == [[-1.5, 2], [300, 0.25], [4, 1.5]]
    assert found.classes == ("x", "y, z")
    told = [str(w.message) for w in caught]
    assert any(f"separator={separator!r}" in line for line in told) == (separator != ",")
    assert any("decimal=','" in line for line in told) == (decimal == ",")
    assert all(w.filename == __file__ for w in caught)  # where an author calls it
    given = {"separator": separator, "decimal": decimal}
    again = data.read_table(tmp_path / "rows.csv", target="kind", **given)  # without a warning
    assert again.X.tolist() == found.X.tolist()


def test_points_beside_semicolons_may_stand_between_thousands(tmp_path: Path):
    path = table(tmp_path, "a;kind\n1.500;x\n999;y\n")
    with pytest.raises(data.DataError, match=r"'1\.500' is a decimal one.*by decimal='\.'"):
        data.read_table(path, target="kind", separator=";")
    given = data.read_table(path, target="kind", separator=";", decimal=".")
    assert given.X.tolist() == [[1.5], [999]]
    plain = table(tmp_path, "a;kind\n0.500;x\n1.500;y\n")  # 0.500 is no five hundred
    assert data.read_table(plain, target="kind", separator=";").X.tolist() == [[0.5], [1.5]]


def test_columns_are_left_out_by_name(tmp_path: Path):
    path = table(tmp_path, "id,day,a,kind\n0,Monday,3,x\n1,Sunday,1,y\n2,Friday,2,x\n")
    assert data.read_table(path, target="kind", drop=["id", "day"]).X.tolist() == [[3], [1], [2]]
    with pytest.raises(data.DataError, match=r"no column is called 'days', only id, day.*to drop"):
        data.read_table(path, target="kind", drop=["days"])


def test_spreadsheets_are_tables_too(tmp_path: Path):
    frame = pd.DataFrame({"a": [0.1, 2, 3.5], "n": [3, 1, 2], "kind": ["x", None, "y"]})
    frame.to_excel(tmp_path / "rows.xlsx", index=False)
    with pytest.raises(data.DataError, match=r"rows.xlsx, line 3, column 'kind': '' is no class"):
        data.read_table(tmp_path / "rows.xlsx", target="kind")
    frame.fillna("z").to_excel(tmp_path / "rows.xlsx", index=False)
    found = data.read_table(tmp_path / "rows.xlsx", target="kind")
    assert found.X.tolist() == [[0.1, 3], [2, 1], [3.5, 2]]
    assert found.classes == ("x", "y", "z")
    table(tmp_path, "a,kind\n1,x\n2,y\n").rename(tmp_path / "rows.xlsx")
    with pytest.raises(
        data.DataError, match=r"rows.xlsx: openpyxl cannot read it .*: save it anew"
    ):
        data.read_table(tmp_path / "rows.xlsx", target="kind")


@pytest.mark.skipif(bool(find_spec("pyarrow")), reason="what is missing is here")
def test_what_a_parquet_file_needs_is_named(tmp_path: Path):
    table(tmp_path, "PAR1").rename(tmp_path / "rows.parquet")
    with pytest.raises(
        data.DataError, match=r"rows.parquet: reading it needs pyarrow: pip install"
    ):
        data.read_table(tmp_path / "rows.parquet", target="kind")


def test_text_and_missing_values_stay_for_the_pipeline(tmp_path: Path):
    """Imputed values and encoded texts are those of the samples that a pipeline is fitted on."""
    rng = np.random.default_rng(0)
    place = rng.choice(["north", "south", ""], 200)
    length = [f"{n:.3f}" if n > -1 else "NA" for n in rng.normal(size=200)]
    kinds = np.where(place == "north", "x", np.where(rng.random(200) < 0.8, "y", "x"))
    rows = zip(length, place, map(str, rng.normal(size=200)), kinds, strict=True)
    lines = ["length,place,age,kind", *map(",".join, rows)]
    dataset: Any = data.read_table(table(tmp_path, "\n".join(lines)), target="kind")
    assert dataset.X["place"].isna().sum() == (place == "").sum() > 0
    assert dataset.X["length"].isna().sum() == length.count("NA") > 0
    split: Any = data.split(dataset)
    assert data.describe(dataset, split).mean == pytest.approx(
        np.nanmean(split.X_train[["length", "age"]])
    )

    pipeline: Any = models.scaled(LogisticRegression(), models.preprocess(dataset))
    score = evaluation.score(pipeline, split)
    assert score.test > 0.75 > np.bincount(split.y_test).max() / len(split.y_test)
    fitted = score.estimator[0]
    filler = fitted.named_transformers_["pipeline"][0]
    assert filler.statistics_.tolist() == split.X_train[["length", "age"]].median().tolist()
    unknown = split.X_test.head(1).assign(place="east")
    assert fitted.transform(unknown)[0, 2:].tolist() == [0, 0, 0]
    assert data.leakage(dataset, split, [score.estimator]) == data.Leakage(0, 0, 0)
    twice = replace(split, X_test=split.X_train.head(3), y_test=split.y_train[:3])
    assert data.leakage(dataset, twice, []).n_shared == 3
    assert data.digests(split) == data.digests(data.split(dataset))
    other = split.X_test.replace({"place": {"north": "south"}})
    assert data.digests(replace(split, X_test=other))["test"] != data.digests(split)["test"]
    lost = inspection.grouped_permutation_importance({"": score.estimator}, split, [[0, 2], [1]])[
        ""
    ]
    assert lost[1] > 0.1 > abs(lost[0])
    with pytest.raises(TypeError, match="have no ranks"):
        inspection.correlation_clusters(split, threshold=0.5)
    with pytest.raises(ValueError, match="could not convert string"):
        evaluation.score(models.scaled(LogisticRegression()), split)


def test_numbers_alone_are_scaled():
    plain = data.synthetic(n_samples=50, n_features=60)
    assert isinstance(models.preprocess(plain), StandardScaler)
    assert isinstance(models.candidates(preprocessing=MinMaxScaler())["SVM"][0], MinMaxScaler)


@given(sizes=st.lists(st.integers(1, 8), min_size=30, max_size=50), seed=st.integers(0, 9))
@settings(max_examples=20)
def test_a_group_is_in_one_part_only(sizes, seed):
    groups = np.repeat([f"patient {n}" for n in range(len(sizes))], sizes)
    y = np.repeat(np.arange(len(sizes)) % 2, sizes)
    made = np.random.default_rng(seed).normal(size=(len(y), 2))
    dataset = data.Dataset(made, y, ("a", "b"), groups=groups)
    split: Any = data.split(dataset, seed=seed)
    place = {tuple(row): group for row, group in zip(made, groups, strict=True)}
    parts = [
        {place[tuple(row)] for row in X} for X in (split.X_train, split.X_validation, split.X_test)
    ]
    assert len(set.union(*parts)) == sum(map(len, parts)) == len(sizes)
    assert [place[tuple(row)] for row in split.X_train] == split.groups.tolist()
    assert abs(len(split.y_test) / len(y) - 0.2) < 0.1


def test_too_few_groups_are_refused():
    y = np.tile([0, 1], 50)
    dataset = data.Dataset(np.random.default_rng(0).normal(size=(100, 2)), y, ("a", "b"))
    few = replace(dataset, groups=np.arange(100) // 20)
    with pytest.raises(data.DataError, match="class 'a' is in only 5 groups, too few for 5 folds"):
        data.split(few)


def test_missing_file_is_named():
    with pytest.raises(data.DataError, match=r"nowhere.csv: there is no such file"):
        data.read_table("nowhere.csv", target="kind")


def test_folder_is_no_table(tmp_path: Path):
    with pytest.raises(data.DataError, match="no readable CSV"):
        data.read_table(tmp_path, target="kind")


def test_class_with_fewer_rows_than_folds_names_class_and_file(tmp_path: Path):
    rare = GOOD + "".join(f"{n},{n},rare\n" for n in range(6))
    rows = data.read_table(table(tmp_path, rare), target="kind")
    with pytest.raises(
        data.DataError, match=r"rows.csv: class 'rare' has only 6 samples"
    ) as raised:
        data.split(rows, folds=5)
    assert "5 folds" in str(raised.value)
    assert data.split(rows, folds=3)


def test_few_numbers_to_predict_are_refused_in_the_split(tmp_path: Path):
    few = "a,kind\n" + "".join(f"{n * n},{n + 100}.0\n" for n in range(8))
    rows = data.read_table(table(tmp_path, few), target="kind")
    with pytest.raises(
        data.DataError, match=r"'100.0' has only 1 sample.*looks continuous \(8 dist"
    ):
        data.split(rows)


def test_many_numbers_are_classes_if_each_has_rows(tmp_path: Path):
    codes = "a,kind\n" + "".join(f"{n * n},{n % 26}\n" for n in range(260))
    assert len(data.read_table(table(tmp_path, codes), target="kind").classes) == 26


X = np.random.default_rng(0).normal(size=(40, 3))
Y = np.tile([0, 1, 2, 1], 10)
NAMES = ("a", "b", "c")
MADE: dict[str, tuple[tuple, str]] = {
    "text as y": ((X, np.array(NAMES)[Y], NAMES), "y holds 'a', no integer.*np.unique"),
    "labels as objects": ((X, pd.Series(list("abca") * 10), NAMES), "y holds 'a', no integer"),
    "truth values as y": ((X, Y > 0, ("a", "b")), "y holds False, no integer"),
    "whole floats as y": ((X, Y * 1.0, NAMES), "y holds 0.0, no integer"),
    "a quantity as y": ((X, X[:, 0], NAMES), r"y looks continuous \(40 distinct numbers\)"),
    "codes from 1": ((X, Y + 1, NAMES), "y goes from 1 to 3.* from 0 to 2: number them so"),
    "codes below 0": ((X, Y - 1, NAMES), "y goes from -1 to 1"),
    "too few names": ((X, Y, ("a", "b")), "y goes from 0 to 2, and the numbers of 2 classes"),
    "short y": ((X, Y[:-1], NAMES), r"y has the shape \(39,\) beside 40 rows"),
    "y as a column": ((X, Y[:, None], NAMES), r"y has the shape \(40, 1\)"),
    "one row": ((X[0], Y, NAMES), r"X has the shape \(3,\): give an array"),
    "no rows": ((X[:0], Y[:0], NAMES), r"X has the shape \(0, 3\)"),
    "images": ((X.reshape(40, 3, 1), Y, NAMES), r"X has the shape \(40, 3, 1\)"),
    "NaN": (
        (np.where(np.arange(120).reshape(40, 3) == 7, np.nan, X), Y, NAMES),
        "X is nan in row 3, column 2",
    ),
    "infinite": (
        (np.where(np.arange(120).reshape(40, 3) == 7, np.inf, X), Y, NAMES),
        "X is inf in row 3, column 2",
    ),
    "text in X": ((np.full((40, 1), "q"), Y, NAMES), "'q' in row 1, column 1: give numbers in an"),
    "missing in X": (
        (np.where(np.arange(120).reshape(40, 3) == 7, None, cast(Any, X)), Y, NAMES),
        "None in row 3, column 2",
    ),
    "infinite in a table": (
        (pd.DataFrame(X).mask(np.arange(120).reshape(40, 3) == 7, np.inf), Y, NAMES),
        "inf in row 3, column 1",
    ),
    "dates in a table": (
        (pd.DataFrame({"day": pd.to_datetime(["2024-01-01"] * 40)}), Y, NAMES),
        "row 1, column 'day': give",
    ),
    "few groups": ((X, Y, NAMES, "mine", (), np.arange(3)), r"mine: groups has the shape \(3,\)"),
    "dates": ((np.full((40, 1), "2024-01-01", "datetime64[D]"), Y, NAMES), "row 1, column 1: give"),
    "numbers of rows": ((np.column_stack([X, np.arange(40)]), Y, NAMES), "column 4: it numbers"),
    "one class": ((X, Y * 0, ("a",)), "nothing to tell apart"),
    "one name": ((X, Y, "abc"), "give the names of the classes"),
    "names that are none": ((X, Y, (1, 2, 3)), "give the names of the classes"),
    "same names": ((X, Y, ("a", "b", "a")), "'a' and 'a' differ only"),
    "names alike": ((X, Y, ("red", "b", "red ")), "'red' and 'red ' differ only"),
    "missing name": ((X, Y, ("a", "b", "nan")), "'nan' stands for a missing value"),
    "numbers for names": (
        (np.vstack([X] * 2), np.arange(80) % 20, tuple(f"{n}.5" for n in range(20))),
        r"looks continuous \(20 distinct numbers\)",
    ),
    "roles": ((X, Y, NAMES, "mine", ("random",)), "mine: 1 roles for 3 features"),
}


@pytest.mark.parametrize(("made", "message"), MADE.values(), ids=list(MADE))
def test_what_is_no_data_set_is_refused_as_it_is_made(made, message):
    with pytest.raises(data.DataError, match=message):
        data.Dataset(*made)


def test_rows_may_come_as_a_table_or_from_a_file(tmp_path: Path):
    plain = data.Dataset(X, Y, NAMES)
    mapped = np.memmap(tmp_path / "X", mode="w+", dtype=float, shape=X.shape)
    mapped[:] = X
    mixed = pd.DataFrame(X).assign(flag=True)
    tables: list[Any] = [pd.DataFrame(X), pd.DataFrame(X, columns=[*"abc"]), mapped, X.tolist()]
    made_of: Any = data.Dataset
    for rows in tables:
        made = made_of(rows, pd.Series(Y), list(NAMES))
        assert type(made.X) is (pd.DataFrame if isinstance(rows, pd.DataFrame) else np.ndarray)
        assert type(made.y) is np.ndarray
        assert made.classes == NAMES
        split, expected = data.split(made), data.split(plain)
        assert np.array_equal(split.X_test, expected.X_test)
        assert data.digests(split) == data.digests(expected)
        assert data.describe(made, split).sd == pytest.approx(data.describe(plain, expected).sd)
        model = LogisticRegression()
        score = evaluation.score(model, split)
        assert score.test == evaluation.score(model, expected).test
        assert data.leakage(made, split, [score.estimator]) == none()
        importance = inspection.grouped_permutation_importance
        for found in (split, expected):
            assert inspection.correlation_clusters(found, threshold=0.5)
        ours, theirs = (
            importance({"": model.fit(found.X_train, found.y_train)}, found, [[0], [1, 2]])[""]
            for found in (split, expected)
        )
        assert np.array_equal(ours, theirs)
    part: Any = data.split(made_of(mixed, Y, NAMES)).X_test
    assert part["flag"].all()


def test_a_pipeline_may_take_columns_of_a_table_by_their_names():
    table: Any = pd.DataFrame(X, columns=[*"abc"])
    split = data.split(data.Dataset(table, Y, NAMES))
    by_name = make_pipeline(
        ColumnTransformer([("", StandardScaler(), ["c", "a"])]), LogisticRegression()
    )
    alone = make_pipeline(StandardScaler(), LogisticRegression())
    plain = data.split(data.Dataset(X[:, [2, 0]], Y, NAMES))
    score, expected = evaluation.score(by_name, split), evaluation.score(alone, plain)
    assert score.test == expected.test
    folds, expected = (
        evaluation.cross_validate({"": model}, some, repeats=1)[""]
        for model, some in ((by_name, split), (alone, plain))
    )
    assert np.array_equal(folds.accuracies, expected.accuracies)


def test_a_split_made_by_hand_is_checked():
    parts: dict[str, Any] = {"X_train": X, "X_validation": X, "X_test": X, "classes": NAMES}
    labels: dict[str, Any] = {"y_train": Y, "y_validation": Y, "y_test": Y}
    tables = {name: pd.DataFrame(X) for name in parts if name != "classes"}
    made_of: Any = data.Split
    assert type(made_of(**parts | labels | tables).X_test) is pd.DataFrame
    for y, message in (
        (np.array(NAMES)[Y], "the test part of the split: y holds 'a', no integer"),
        (Y[1:], "the test part of the split: y has the shape"),
        (Y + 1, "the test part of the split: y goes from 1 to 3"),
    ):
        with pytest.raises(data.DataError, match=message):
            made_of(**parts | labels | {"y_test": y})


def test_a_class_without_rows_is_named():
    with pytest.raises(data.DataError, match="class 'd' has only 0 samples"):
        data.split(data.Dataset(X, Y, (*NAMES, "d")))


def none() -> data.Leakage:
    return data.Leakage(n_shared=0, n_scaled=0, n_moved=0)


@pytest.mark.parametrize("dataset", [data.synthetic(n_samples=300), data.digits()], ids=["s", "d"])
def test_no_leak_is_found_where_there_is_none(dataset):
    split = data.split(dataset)
    fitted = [models.scaled(models.baseline()).fit(split.X_train, split.y_train)]
    assert data.leakage(dataset, split, fitted) == none()


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
    assert data.leakage(twice, split, []) == replace(none(), n_shared=shared)
    noisy = replace(split, X_train=split.X_train * (1 + 1e-14))
    assert data.leakage(twice, noisy, []) == replace(none(), n_shared=shared)


def test_each_copy_among_the_held_out_rows_counts():
    dataset = data.synthetic(n_samples=300)
    split = data.split(dataset)
    X = np.vstack([split.X_test[:-5], split.X_train[[7] * 5]])
    assert data.leakage(dataset, replace(split, X_test=X), []) == replace(none(), n_shared=5)


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
    assert data.leakage(scaled, data.split(scaled), []) == replace(none(), n_scaled=64)


def test_normal_features_are_not_taken_for_scaled():
    X = np.random.default_rng(0).normal(size=(300, 500))
    normal = data.Dataset(X, np.tile([0, 1], 150), ("a", "b"))
    assert data.leakage(normal, data.split(normal), []) == none()


@pytest.mark.parametrize(
    "fitted_on",
    [
        lambda s: np.vstack([s.X_train, s.X_validation, s.X_test]),
        lambda s: np.vstack([s.X_train, s.X_test]),
        lambda s: s.X_validation,
    ],
    ids=["all rows", "test rows", "held-out rows"],
)
def test_a_scaler_that_has_seen_held_out_samples_is_found(fitted_on):
    dataset = data.synthetic(n_samples=300)
    split = data.split(dataset)
    model: Any = models.scaled(models.baseline()).fit(split.X_train, split.y_train)
    model[0].fit(fitted_on(split))
    assert data.leakage(dataset, split, [model]).n_moved > 0


def test_held_out_samples_scaled_by_themselves_are_found():
    dataset = data.synthetic(n_samples=300)
    split = data.split(dataset)
    each_time = FunctionTransformer(StandardScaler().fit_transform)
    model = make_pipeline(each_time, models.baseline()).fit(split.X_train, split.y_train)
    assert data.leakage(dataset, split, [model]).n_moved > 0


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
