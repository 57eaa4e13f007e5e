"""Data sets of OpenML come whole, once over the network and then without, or with a reason."""

import gzip
import hashlib
import json
import re
import shutil
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import _openml

from pycode import data, models

Rows = Sequence[Sequence[object]]


@dataclass
class OpenML:
    """A server on this machine that answers as OpenML does, and what scikit-learn keeps of it."""

    home: Path
    pages: dict[str, bytes] = field(default_factory=dict)  # by path, compressed

    def __post_init__(self) -> None:
        pages = self.pages

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page = pages.get(self.path)
                self.send_response(412 if page is None else 200)
                self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(page or b"")))
                self.end_headers()
                self.wfile.write(page or b"")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def open(self, request: Request) -> Any:
        """What urlopen gives, whichever host scikit-learn asks."""
        here = f"http://127.0.0.1:{self.server.server_port}/"
        request.full_url = re.sub(r"^https://[^/]+/", here, request.full_url)
        return urlopen(request)

    def publish(
        self,
        name: str,
        columns: dict[str, str],
        rows: Rows,
        *,
        version: int = 1,
        targets: Sequence[str] = ("class",),
        missing: int = 0,
        form: str = "ARFF",
    ) -> None:
        """Adds a data set; `columns` are numeric, string or nominal."""
        number = 1 + len(self.pages)
        kinds = {"numeric": "REAL", "string": "STRING"}
        lines = ["% from a test", f"@RELATION {number}"]
        for position, (column, kind) in enumerate(columns.items()):
            labels = ",".join(dict.fromkeys(str(row[position]) for row in rows))
            lines.append(f"@ATTRIBUTE {column} {kinds.get(kind, f'{{{labels}}}')}")
        lines += ["@DATA", *(",".join(map(str, row)) for row in rows)]
        arff = ("\n".join(lines) + "\n").encode()
        url = f"data/v1/download/{number}/{number}.arff"
        about = {"name": name, "version": str(version), "status": "active"}
        features = [
            {
                "index": str(position),
                "name": column,
                "data_type": kind,
                "is_target": str(column in targets).lower(),
                "is_ignore": "false",
                "is_row_identifier": "false",
                "number_of_missing_values": str(missing),
            }
            for position, (column, kind) in enumerate(columns.items())
        ]
        description = {
            "id": str(number),
            "description": "made by a test",
            "format": form,
            "url": f"https://www.openml.org/{url}",
            "md5_checksum": hashlib.md5(arff).hexdigest(),
        }
        quality = [{"name": "NumberOfInstances", "value": str(float(len(rows)))}]
        found = f"list/data_name/{name.lower()}/limit/2/data_version/{version}"
        api = {
            found: {"data": {"dataset": [{"did": number, **about}]}},
            f"{number}": {"data_set_description": {**description, **about}},
            f"features/{number}": {"data_features": {"feature": features}},
            f"qualities/{number}": {"data_qualities": {"quality": quality}},
        }
        answers = {f"api/v1/json/data/{path}": json.dumps(api[path]).encode() for path in api}
        for path, page in {**answers, url: arff}.items():
            self.pages[f"/{path}"] = gzip.compress(page, compresslevel=1)

    def kept(self, pattern: str) -> Path:
        """The one file of the cache whose path matches."""
        (found,) = self.home.rglob(pattern)
        return found


@pytest.fixture(scope="module")
def anywhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenML]:
    with pytest.MonkeyPatch.context() as patch:
        server = OpenML(tmp_path_factory.mktemp("home"))
        patch.setenv("SCIKIT_LEARN_DATA", str(server.home))
        patch.setenv("no_proxy", "*")
        patch.setattr(_openml, "urlopen", server.open)
        yield server
        server.close()


@pytest.fixture
def server(anywhere: OpenML) -> OpenML:
    """The server with nothing published and nothing kept."""
    anywhere.pages.clear()
    shutil.rmtree(anywhere.home)
    return anywhere


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function from whose call on nobody listens where OpenML was."""

    def cut() -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{free.getsockname()[1]}/"
        monkeypatch.setattr(_openml, "urlopen", lambda request: urlopen(address))

    return cut


def refusal(name: str, **options: int) -> str:
    with pytest.raises(data.DataError) as raised:
        data.openml(name, **options)
    return str(raised.value)


def images(server: OpenML, name: str, *, pixels: int, n_classes: int = 10) -> np.ndarray:
    """The rows of published images, each with its class last."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 256, (4 * n_classes, pixels + 1))
    rows[:, -1] = rng.permutation(np.arange(len(rows)) % n_classes)
    columns = {f"pixel{n}": "numeric" for n in range(pixels)} | {"class": "nominal"}
    server.publish(name, columns, rows.tolist())
    return rows


@pytest.mark.parametrize(
    ("name", "shape"), [("Fashion-MNIST", (28, 28)), ("CIFAR_10", (3, 32, 32))]
)
def test_images_come_once_over_the_network_and_then_without(server, offline, name, shape):
    rows = images(server, name, pixels=int(np.prod(shape)))
    first = data.openml(name)
    offline()
    for dataset in (first, data.openml(name)):
        assert dataset.X.dtype == np.float64
        assert np.array_equal(dataset.X, rows[:, :-1])
        assert dataset.y.dtype == np.int64
        assert np.array_equal(dataset.y, rows[:, -1])
        assert dataset.classes == tuple("0123456789")
        assert data.split(dataset, test_size=0.5, folds=2).classes == dataset.classes
    with pytest.raises(data.DataError, match=rf"^OpenML's {name}, version 1: class '0' has only"):
        data.split(dataset)


def counts(rows: Rows) -> bool:
    """Whether a column numbers the rows."""
    steps = np.diff(np.array(rows, dtype=float)[:, :2], axis=0)
    return len(rows) > 2 and bool((np.abs(steps) == 1).all(axis=0).any())


@settings(max_examples=25)
@given(
    rows=st.lists(
        st.tuples(st.floats(-1e6, 1e6), st.integers(-(10**6), 10**6), st.integers(-5, 4)),
        min_size=2,
    ).filter(lambda rows: len({row[-1] for row in rows}) > 1 and not counts(rows))
)
def test_every_number_comes_back_and_classes_are_sorted_as_numbers(anywhere, rows):
    columns = {"a": "numeric", "b": "numeric", "class": "nominal"}
    name = f"random-{len(anywhere.pages)}"
    anywhere.publish(name, columns, rows)
    dataset = data.openml(name)
    assert dataset.X.tolist() == [pytest.approx(row[:2], rel=1e-12) for row in rows]
    assert dataset.classes == tuple(map(str, sorted({row[-1] for row in rows})))
    assert [int(dataset.classes[n]) for n in dataset.y] == [row[-1] for row in rows]


@pytest.mark.parametrize(
    ("written", "classes"),
    [
        (("b", "a", "c"), ("a", "b", "c")),
        (("10", "9", "x"), ("10", "9", "x")),
        (("10", "9.5", "-1"), ("-1", "9.5", "10")),
        (("1", "01"), ("01", "1")),
        (("true", "false"), ("false", "true")),
        (("'two words'", "one"), ("one", "two words")),
        (("é", "b,ä"), ("b,ä", "é")),
    ],
)
def test_classes_are_what_they_are_called(server, written, classes):
    quoted = [f'"{label}"' if "," in label else label for label in written]
    server.publish(
        "named",
        {"a": "numeric", "class": "nominal"},
        [(n * n, label) for n, label in enumerate(quoted)],
    )
    dataset = data.openml("named")
    assert dataset.classes == classes
    assert [dataset.classes[n] for n in dataset.y] == [label.strip("'") for label in written]
    assert dataset.X.ravel().tolist() == [n * n for n in range(len(written))]


def test_numbers_may_be_called_nominal(server):
    server.publish("codes", {"a": "nominal", "class": "nominal"}, [(0, "x"), (1, "y")])
    assert data.openml("codes").X.tolist() == [[0], [1]]


def test_each_version_is_its_own(server):
    columns = {"a": "numeric", "class": "nominal"}
    for version in (1, 2):
        server.publish("twice", columns, [(version, "x"), (5, "y")], version=version)
    assert data.openml("twice").X[0] == 1
    again = data.openml("twice", version=2)
    assert (again.X[0], again.source) == (2, "OpenML's twice, version 2")


# scikit-learn leaves the server's answer open, and Python 3.14 says so.
@pytest.mark.filterwarnings("ignore:Implicitly cleaning up:ResourceWarning")
@pytest.mark.parametrize("name", ["nothing", "two words", "a/b?c"])
def test_unknown_name_is_refused(server, name):
    message = refusal(name, version=3)
    assert message.startswith(f"OpenML's {name}, version 3: ")
    assert "version 3 not found" in message
    assert "look for another" in message


# scikit-learn warns before it tries again.
@pytest.mark.filterwarnings("ignore:A network error:UserWarning")
def test_without_network_and_files_it_says_where_they_belong(server, offline):
    images(server, "Fashion-MNIST", pixels=4)
    offline()
    message = refusal("Fashion-MNIST")
    assert message.startswith("OpenML's Fashion-MNIST, version 1: ")
    for part in ("Connection refused", f"copy {server.home / 'openml'}"):
        assert part in message


@pytest.mark.filterwarnings("ignore:A network error:UserWarning")
def test_nobody_waits_for_a_silent_network(server, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        monkeypatch.setattr(_openml, "urlopen", lambda request: urlopen(address))
        monkeypatch.setattr(data, "PATIENCE", 0.1)
        begun = monotonic()
        assert "timed out" in refusal("Fashion-MNIST")
        assert monotonic() - begun < 10
    assert socket.getdefaulttimeout() is None


def test_lack_of_memory_costs_no_download(server, monkeypatch):
    images(server, "small", pixels=4)
    data.openml("small")

    def read_csv(*args, **options):
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(pd, "read_csv", read_csv)
        with pytest.raises(MemoryError):
            data.openml("small")
    assert server.kept("*.arff.gz")


DAMAGE = {
    "half of the data": ("*.arff.gz", lambda old: old[: len(old) // 2]),
    "empty data": ("*.arff.gz", lambda old: b""),
    "half of the features": ("features/*.gz", lambda old: old[: len(old) // 2]),
    "a web page": ("data_version/1.gz", lambda old: gzip.compress(b"<html>Log in</html>")),
    "another answer": ("data_version/1.gz", lambda old: gzip.compress(b'{"error": "none"}')),
    "no object": ("qualities/*.gz", lambda old: gzip.compress(b"[]")),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # as where no test runs
@pytest.mark.parametrize(("file", "damage"), DAMAGE.values(), ids=list(DAMAGE))
def test_damaged_file_is_kept_and_its_folder_named(server, file, damage):
    rows = images(server, "small", pixels=4)
    data.openml("small")
    kept = server.kept(file)
    damaged = damage(kept.read_bytes())
    kept.write_bytes(damaged)
    message = refusal("small")
    assert message.startswith("OpenML's small, version 1: ")
    assert f"{server.home / 'openml'} from" in message
    assert kept.read_bytes() == damaged
    kept.unlink()
    assert np.array_equal(data.openml("small").X, rows[:, :-1])


NUMBERS = {"a": "numeric", "b": "numeric"}
BAD: dict[str, tuple[dict[str, str], Rows, dict[str, Any], list[str]]] = {
    "infinity": (
        {**NUMBERS, "class": "nominal"},
        [(1, 2, "x"), (3, "-inf", "y")],
        {},
        ["X is -inf in row 2, column 'b'"],
    ),
    "regression": (
        {**NUMBERS, "price": "numeric"},
        [(1, 2, 3.5), (4, 5, 6.5)],
        {"targets": ["price"]},
        ["target 'price' is not one class a row", "another data set"],
    ),
    "text as target": (
        {**NUMBERS, "remark": "string"},
        [(1, 2, "good"), (4, 5, "bad")],
        {"targets": ["remark"]},
        ["target 'remark' is not one class a row"],
    ),
    "no target": (
        {**NUMBERS, "class": "nominal"},
        [(1, 2, "x"), (3, 4, "y")],
        {"targets": []},
        ["it has 0 targets"],
    ),
    "two targets": (
        {"a": "numeric", "class": "nominal", "kind": "nominal"},
        [(1, "x", "u"), (3, "y", "v")],
        {"targets": ["class", "kind"]},
        ["it has 2 targets"],
    ),
    "missing class": (
        {**NUMBERS, "class": "nominal"},
        [(1, 2, "x"), (3, 4, "?"), (5, 6, "y")],
        {"missing": 1},
        ["'class' has 1 missing values", "look for another"],
    ),
    "missing class that OpenML does not count": (
        {**NUMBERS, "class": "nominal"},
        [(1, 2, "x"), (3, 4, "?"), (5, 6, "y")],
        {},
        ["target 'class' is not one class a row"],
    ),
    "single class": (
        {**NUMBERS, "class": "nominal"},
        [(1, 2, "x"), (3, 4, "x")],
        {},
        ["only the one class 'x'"],
    ),
    "sparse": (
        {**NUMBERS, "class": "nominal"},
        [(1, 0, "x"), (0, 3, "y")],
        {"form": "Sparse_ARFF"},
        ["Sparse ARFF", "look for another"],
    ),
    "a column more than OpenML knows": (
        {**NUMBERS, "class": "nominal"},
        [(1, 2, "x", 1), (3, 4, "y", 1)],
        {},
        ["number of columns", "look for another"],
    ),
}


def test_text_and_missing_values_stay_in_a_table(server):
    columns = {"a": "numeric", "colour": "nominal", "remark": "string", "class": "nominal"}
    rows: Rows = [(1, 7, "good", "x"), ("?", "red", "bad", "y"), (5, "?", "good", "x")]
    server.publish("mixed", columns, rows)
    found: Any = data.openml("mixed")
    assert found.X["a"].tolist() == [1, pytest.approx(np.nan, nan_ok=True), 5]
    assert found.X["colour"].astype(str).tolist()[:2] == ["7", "red"]
    assert found.X["colour"].isna().tolist() == [False, False, True]
    assert found.X["remark"].tolist() == ["good", "bad", "good"]
    assert found.y.tolist() == [0, 1, 0]
    step: Any = models.preprocess(found)
    table = step.fit_transform(found.X)
    assert table.shape == (3, 1 + 3 + 2)
    assert np.isfinite(table).all()


@pytest.mark.parametrize(("columns", "rows", "options", "named"), BAD.values(), ids=list(BAD))
def test_what_is_no_classification_of_numbers_is_refused(server, columns, rows, options, named):
    server.publish("bad", columns, rows, **options)
    message = refusal("bad")
    assert message.startswith("OpenML's bad, version 1")
    for part in named:
        assert part in message
