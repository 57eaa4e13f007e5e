"""The study's numbers, to the last digit printed.

They hold for the shipped data, models and requirements.txt: delete this file when you change them.
"""

import json

import pypdf
import pytest

from literate.testing import ROOT, Paper

pytestmark = pytest.mark.xdist_group("shipped")

SCORES = {  # train, validation, test, scaled once, s.d., scaled in each fold, s.d.
    "logistic": "0.7908 0.7150 0.7525 0.6967 0.0223 0.6967 0.0223",
    "random_forest": "1.0000 0.8275 0.7950 0.7808 0.0208 0.7808 0.0208",
    "svm": "0.9908 0.9100 0.9300 0.9050 0.0061 0.9042 0.0059",
    "mlp": "1.0000 0.8775 0.8900 0.8383 0.0122 0.8383 0.0161",
}
FIELDS = ("train", "validation", "test", "cv", "cv_sd", "cv_in_fold", "cv_in_fold_sd")
TRIALS = [  # penalty, hidden layers, learning rate, mean, s.d.
    (0.01, (128, 64, 32), 0.01, "0.7160 0.0152"),
    (0.0001, (64,), 0.01, "0.7140 0.0160"),
    (0.001, (64,), 0.01, "0.7140 0.0160"),
    (0.01, (64,), 0.01, "0.7140 0.0160"),
    (0.0001, (128, 64, 32), 0.001, "0.7081 0.0361"),
]


@pytest.fixture(scope="session")
def value(shipped: Paper):
    record = json.loads(shipped.read("results.json"))
    return lambda key: record[f"synthetic.{key}"]["value"]


def test_data(value):
    assert [value(f"class_counts.{n}") for n in range(1, 6)] == [404, 398, 399, 400, 399]
    assert [value(f"n_{part}") for part in ("train", "validation", "test")] == [1200, 400, 400]
    raw = " ".join(f"{value(name):.3f}" for name in ("mean", "sd", "min", "max"))
    assert raw == "-0.021 6.428 -67.874 54.471"


@pytest.mark.parametrize("model", SCORES)
def test_scores(value, model):
    found = " ".join(f"{value(f'{model}.{field}'):.4f}" for field in FIELDS)
    assert found == SCORES[model]


def test_choice(value):
    assert value("best.name") == "SVM"


def test_learning_curve(value):
    sizes = [value(f"learning_curve.sizes.{n}") for n in range(1, 11)]
    assert sizes == [96, 192, 288, 384, 480, 576, 672, 768, 864, 960]
    ends = ("train", "train_sd", "validation", "validation_sd")
    found = " ".join(f"{value(f'learning_curve.{end}.10'):.4f}" for end in ends)
    assert found == "1.0000 0.0000 0.8383 0.0122"


def test_search(value):
    for rank, (alpha, layers, rate, scores) in enumerate(TRIALS, start=1):
        key = f"search.{rank}"
        assert value(f"{key}.parameters.alpha") == alpha
        assert value(f"{key}.parameters.learning_rate_init") == rate
        for position, size in enumerate(layers, start=1):
            assert value(f"{key}.parameters.hidden_layer_sizes.{position}") == size
        assert f"{value(f'{key}.mean'):.4f} {value(f'{key}.sd'):.4f}" == scores


def test_importances(value):
    found = f"{value('importances.largest'):.4f} {value('importances.mean'):.4f}"
    assert found == "0.0308 0.0156"
    assert value("importances.n_zero") == 0


def test_every_number_is_on_the_pages(shipped: Paper):
    text = " ".join(shipped.pages())
    for scores in SCORES.values():
        for number in scores.split():
            assert number in text
    for *_, scores in TRIALS:
        for number in scores.split():
            assert number in text
    for number in ("404, 398, 399, 400 and 399", "96, 192, 288", "0.0308", "0.0156", "67.874"):
        assert number in text


def test_the_record_in_git_is_that_of_this_paper(shipped: Paper):
    committed = json.loads((ROOT / "results.json").read_text(encoding="utf-8"))
    built = json.loads(shipped.read("results.json"))
    del committed["environment"], built["environment"]
    assert {key: entry["value"] for key, entry in built.items()} == pytest.approx(
        {key: entry["value"] for key, entry in committed.items()}, abs=0.01
    )


def test_it_says_much_on_few_pages(shipped: Paper):
    pdf = pypdf.PdfReader(shipped.folder / "paper.pdf")
    assert len(pdf.pages) <= 13
    works = [at for name, at in pdf.named_destinations.items() if name.startswith("cite.")]
    last = max(pdf.get_destination_page_number(at) or 0 for at in works)
    assert last + 1 <= 9  # then comes the appendix
    source = shipped.read("paper.tex")
    assert source.count(r"\result{") > 30
    assert source.count(r"\begin{pyblock}") >= 5
    assert shipped.read("references.bib").count("\n@") >= 11
    assert shipped.read("results.json").count("evaluation.Score") >= 30
