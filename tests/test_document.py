"""The paper is whole: nothing undefined, clipped or warned of, and no number by hand."""

import json
import re

import jsonschema
import pytest

from literate import tex
from literate.testing import ROOT, Paper

pytestmark = pytest.mark.xdist_group("shipped")


@pytest.fixture(scope="session")
def text(shipped: Paper) -> str:
    return " ".join(shipped.pages())


@pytest.fixture(scope="session")
def source(shipped: Paper) -> str:
    """The body of paper.tex without comments."""
    body = shipped.read("paper.tex").split(r"\begin{document}")[1]
    return re.sub(r"(?<!\\)%.*", "", body)


@pytest.fixture(scope="session")
def printed(shipped: Paper) -> dict[str, str]:
    """Each result's key and how the paper prints it."""
    bounds = r"(?:\{[-\d.]+\}){2}\{[\\,%]*\}"
    lines = rf"\\resultvalue\{{(.*?)\}}\{{(.*?)\}}(?:{bounds})?$"
    found = re.findall(lines, shipped.read("results.tex"), flags=re.M)
    return dict(found)


def test_log_has_nothing_to_read(shipped: Paper) -> None:
    log = shipped.read("paper.log")
    # What Python warns of, a fit that has not converged say, belongs to the data.
    log = re.sub(r"LaTeX Warning: \S+:\d+: \w+Warning: .*", "", log)
    noted = re.findall(r".*(?:Warning|Overfull|Underfull|undefined|Missing).*", log)
    assert noted == []
    assert "Warning--" not in shipped.read("paper.blg")


def test_no_question_marks_and_no_mark_of_failure(text: str) -> None:
    assert "??" not in text
    assert "has not been completed" not in text


def test_a_significant_difference_has_a_direction(shipped: Paper) -> None:
    """A test has two sides: its p-value alone does not say which of two is ahead."""
    recorded = json.loads(shipped.read("results.json"))
    named = [str(entry["value"]) for key, entry in recorded.items() if key.startswith("claims.")]
    conditions = [*shipped.read("paper.claims").splitlines(), *named]
    tested = [c for c in conditions if re.search(r"\bp(?:_holm)?\b[^<>]*<", c)]
    for condition in tested:
        assert re.search(r"\.low\)? > 0|\.high\)? < 0", condition), condition


def test_building_again_does_nothing(shipped: Paper) -> None:
    assert shipped.build().rules == []


def test_fonts_are_embedded_and_not_type_3(shipped: Paper) -> None:
    listed = shipped.run("pdffonts", "paper.pdf").output
    assert "Syntax" not in listed
    fonts = listed.splitlines()[2:]
    assert fonts
    for line in fonts:
        assert "Type 3" not in line
        assert re.search(r"yes (yes|no) +yes|yes +yes +(yes|no)", line), line


def test_pdf_has_title_authors_and_links(shipped: Paper) -> None:
    info = shipped.run("pdfinfo", "paper.pdf").output
    source = shipped.read("paper.tex")
    title = re.search(r"pdftitle=\{(.*)\}", source)
    author = re.search(r"pdfauthor=\{(.*)\}", source)
    assert title
    assert author
    shown = dict(re.findall(r"^(\w+): +(.*)", info, flags=re.M))
    assert tex.text(shown["Title"]) == title[1]
    assert tex.text(shown["Author"]) == author[1]
    assert source.split(r"\title{")[1].startswith(title[1])


def test_every_result_of_the_prose_is_in_the_pdf(source: str, text: str, printed) -> None:
    used = re.findall(r"\\result\{(.*?)\}", source)
    assert used
    for key in used:
        assert printed[key].replace("-", "\N{MINUS SIGN}") in text or printed[key] in text, key


def test_record_and_pages_agree(shipped: Paper, printed) -> None:
    record = json.loads(shipped.read("results.json"))
    assert set(record) - {"environment"} == set(printed)
    for key, shown in printed.items():
        value = record[key]["value"]
        if isinstance(value, float):
            digits = len(shown.partition(".")[2])
            if re.search(r"\bshares?\b", record[key]["unit"]):
                value *= 100
            assert float(shown) == pytest.approx(value, abs=0.5 * 10**-digits + 1e-12), key


def test_no_whole_result_is_typed_by_hand(source: str, printed) -> None:
    # literate/lint.py finds numbers of all kinds; here those of the results are known.
    prose = re.sub(r"\\begin\{(pyblock|pycode)\}.*?\\end\{\1\}", "", source, flags=re.S)
    prose = re.sub(
        r"\\(result|label|[cC]ref|citep?|py|claim|interval|setlength\S*)\{[^{}]*(\{[^{}]*\}[^{}]*)*\}",
        "",
        prose,
    )
    whole = {shown for shown in printed.values() if len(shown) > 1}
    assert [n for n in re.findall(r"(?<![\w-])\d+", prose) if n in whole] == []


def test_captions_of_all_figures_and_tables_are_referred_to(source: str) -> None:
    labels = re.findall(r"\\label\{((?:fig|tab|sec):[a-z]+)\}", source)
    referred = ",".join(re.findall(r"\\[cC]ref\{(.*?)\}", source)).split(",")
    assert {label for label in labels if not label.startswith("sec")} <= set(referred)
    for before in source.split(r"\label{fig:")[:-1]:
        caption = before.rsplit(r"\caption", 1)[1]
        for panel in re.findall(r"\([a-d]\)(?=~)", caption):
            assert panel in source.replace(caption, "")


def test_every_work_is_cited_and_has_an_address(shipped: Paper, source: str) -> None:
    entries = re.findall(r"@\w+\{(\w+),(.*?)\n\}", shipped.read("references.bib"), flags=re.S)
    cited = set(",".join(re.findall(r"\\citep?\{(.*?)\}", source)).split(","))
    assert {key for key, _ in entries} == cited
    for key, fields in entries:
        doi = re.search(r"doi = \{(.*?)\}", fields)
        url = re.search(r"url = \{(https://.*?)\}", fields)
        assert url, key
        assert not doi or url[1] == f"https://doi.org/{doi[1]}", key


def test_blocks_fit_the_page_and_are_followed_by_prose(source: str) -> None:
    shown = re.sub(r"\\begin\{pycode\}.*?\\end\{pycode\}\n", "", source, flags=re.S)
    parts = re.split(r"\\(?:begin|end)\{pyblock\}\n", shown)
    for block, after in zip(parts[1::2], parts[2::2], strict=True):
        assert len(block.splitlines()) <= 9
        assert max(map(len, block.splitlines())) <= 65
        assert re.match(r"[A-Z]|\\(?:[cC]ref|claim)", after.lstrip()), after[:60]


def test_sentences_stand_on_lines_of_their_own(source: str) -> None:
    prose = re.sub(r"\\begin\{(pyblock|pycode)\}.*?\\end\{\1\}", "", source, flags=re.S)
    assert re.findall(r"[a-z)}]\. [A-Z].*", re.sub(r"\\caption\{.*", "", prose)) == []
    assert r"\today" not in prose


def test_figures_have_alternative_text(shipped: Paper) -> None:
    made = (shipped.folder / "pythontex-files-paper").glob("*")
    output = "".join(path.read_text() for path in made if path.suffix in {".stdout", ".pytxmcr"})
    included = re.findall(r"includegraphics\*?\[alt=\{[^}]{30,}", output)
    assert len(included) == len(re.findall(r"\\label\{fig:", shipped.read("paper.tex")))


def test_the_record_follows_its_schema(shipped: Paper) -> None:
    schema = json.loads((ROOT / "literate/results.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    record = json.loads(shipped.read("results.json"))
    jsonschema.validate(record, schema)
    for broken in ({"value": None}, {"interval": [1]}, {"seed": "x"}, {"more": 1}):
        key = next(key for key in record if key != "environment")
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**record, key: {**record[key], **broken}}, schema)


def test_every_accuracy_has_its_interval_and_n(shipped: Paper) -> None:
    record = json.loads(shipped.read("results.json"))
    parts = ("train", "validation", "test", "cv", "cv_in_fold")
    shares = [
        key
        for key, entry in record.items()
        if entry.get("by")
        in {"evaluation.Score", "evaluation.Reference", "evaluation.Variant", "report.Best"}
        and key.rpartition(".")[2] in parts
    ]
    assert shares
    for key in shares:
        low, high = record[key]["interval"]
        assert low <= record[key]["value"] <= high, key
        assert record[key]["n"] > 0, key
        assert record[key]["unit"] == "share of samples", key
