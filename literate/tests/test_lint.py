"""What literate/lint.py finds in a paper, and what it lets pass."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from literate import lint
from literate.testing import ROOT

BODY = r"""\documentclass{article}
\newcommand{\half}{0.5}
\title{@title}
\author{Nobody, 12 Best Street}
\newcommand{\most}{0.93}
\begin{document}
\maketitle
\begin{abstract}
We ask a question about rows and models.
@abstract
\end{abstract}

\section{Methods}
\label{sec:methods2}
@section
Each model is fitted on the training rows~\citep{Pedregosa2011}.
@paragraph
\begin{pycode}
best = 0.93  # better than 12
\end{pycode}
\begin{itemize}[noitemsep,topsep=3pt]
  \item The rows are scaled.
  \item @item
\end{itemize}
The seeds are listed in the appendix.\footnote{@footnote}

\begin{figure}[t]
\includegraphics[width=0.8\textwidth]{figure2}
\caption{The scores of the models. (a)~Training rows.
  @caption}
\label{fig:scores1}
\end{figure}
\input{sections/more}
\appendix
\section{Tables}
\claim{synthetic.best.test > 0.5}{The chosen model is better than chance.} @claim
\bibliographystyle{plain}
\bibliography{references}
\end{document}
The accuracy is 0.93.
"""
PLACES = re.findall(r"@(\w+)", BODY)
NEUTRAL = "The rows are scaled."

NUMBERS = r"""
The SVM reaches a test accuracy of 0.93.
On the test rows the forest is right for 87\% of the images.
The MLP needs 412 gradient steps to converge.
Its Brier score is $0.118 \pm 0.004$ on the held-out rows.
We drew 1,200 rows from the cluster law.
The accuracy of the SVM is \num{0.9142} on the digits.
Fitting took \SI{12.4}{\second} on this machine.
About 93 percent of the digits are read correctly.
Five of the misread digits are eights.
Two thirds of the rows belong to the training part.
The expected calibration error is 3e-2.
Half of the mistakes concern the digit eight.
The forest makes twice as many mistakes in class B.
We compared four classifiers on this data.
In all, 17 of 360 images are misread.
The McNemar test gives $p = .03$.
The 95\,\% interval runs from 0.88 to 0.96.
One in ten images is misread.
A learning rate of $10^{-3}$ was chosen by the search.
The network has some 12\,500 weights.
The loss of the last epoch is 0{,}42.
Cohen's kappa amounts to .81 on the validation rows.
A quarter of the features carry no information.
Eight out of ten folds show this pattern.
The accuracy on the digits was ninety-one percent.
"""
WORDS = r"""
The SVM outperforms every other model on the test rows.
Of all models the SVM has the best accuracy.
The forest is clearly behind the network.
Accuracy drops when the penalty is removed.
The MLP does worse on the digits than the forest does.
This is because the clusters overlap.
The poor score of the forest is due to correlated features.
More rows lead to more accurate networks.
Early stopping does not hurt the MLP here.
The network and the forest perform equally well.
There is no significant difference between the two.
The wider network overfits the training rows.
A deeper network brings no further gain.
Logistic regression is on par with the MLP.
The MLP comes out on top in every fold.
The kernel machine wins on both problems.
Nothing comes close to the SVM here.
The SVM edges out the forest.
Depth makes hardly any difference to the score.
The penalty is what drives the accuracy of the network.
The forest falls short of the linear model.
Accuracy climbs steadily with the number of rows.
The SVM generalises better to unseen rows.
Standardisation leads to a marked improvement for the MLP.
The linear model is as accurate as the network.
The forest's calibration suffers from averaging over its trees.
Its error is lower than that of any baseline.
With few rows the simpler models are preferable.
The results on the digits confirm the superiority of kernel methods.
The choice of the optimiser affects the score strongly.
Scaling has little effect on the forest.
Therefore the network should not be used for such data.
Pixels in the corners contribute less than those in the centre.
The two forests reach the same accuracy.
The MLP struggles with the rare classes.
"""
PLANTED = [*NUMBERS.strip().splitlines(), *WORDS.strip().splitlines()]

INNOCENT = [
    "Each model is fitted on the training rows and scored on the others.",
    "At most a handful of cells may be empty, and at least the header must be there.",
    "Most of the code is in the package.",
    "A random forest votes over its trees, and the learning rate is constant.",
    "Names are written in lower case.",
    "The file is no longer needed once the paper is compiled.",
    "On the one hand this is a paper, on the other it is a program.",
    "One line of code draws the figure, and all run at one time.",
    "This is one of the questions we ask of one model.",
    "The rows are split in two parts by class.",
    "We use CIFAR-10, ResNet50, Python3 and the L2 penalty.",
    "The F1 score, or $F_1$, of each class is tabulated, top-5 accuracy is not.",
    r"Images have $8\times8$ pixels, or $8 \times 8$, and others 32x32.",
    r"All accuracies have 95\,\% confidence intervals.",
    r"The 95 \% intervals are Wilson's, and so is the 95\% Wilson interval.",
    "The work began in November 2026 on data that were gathered in 1998.",
    r"The accuracy is \num{\result{synthetic.svm2.test}} on \result{synthetic.n_test} rows.",
    r"It is \interval{digits.best.test}, all intervals being at \py{tex.num(100 * 0.95, 0)}\,\%.",
    r"Support vector machines outperform forests on such rows~\citep{Fernandez2014}.",
    "It is known to help~\\cite[p.~3]{LeCun1998}, because\nimages have edges.",
    r"\claim{a.best > 0}{The \emph{SVM, {or kernel}} outperforms the MLP by \num{\result{a.b1}}.}",
    "\\claim{digits.svm.test >\n  digits.mlp.test}{On the digits the SVM\n  is better, because\n"
    "  \\interval{digits.svm.test} is more.}",
    r"\claim{synthetic.mlp.p < 0.05}{The test rejects at 0.05, and the MLP is worse.}",
    r"\claim{digits.n_ties == 4}{All four models do equally well~(\cref{tab:x2}).}",
    "We take the best setting of each search. % no result",
    r"\Cref{fig:performance2}(a) shows the accuracy of each model, (b) its confusion matrix.",
    r"See \href{https://example.org/v2.0/95}{the manual} and \url{https://example.org/7}.",
    r"\verb|x = 0.93| and \texttt{alpha=0.001} are code.",
    r"\begin{tabular}{p{3cm}r@{1}} data & rows \\[2.5pt] \end{tabular}",
    r"\vspace{3.5mm}\setlength{\tabcolsep}{4.5pt}\noindent Further details stand below.",
    "The rule is stated below. % was 0.93, and better than the MLP",
    "\\begin{verbatim}\n0.93 is better % not shown\n\\end{verbatim}",
    "Whether a network is the right tool is asked rather than assumed.",
    "Later sections look at other layers and numbers of neurons.",
    "The first author wrote the code, the second the prose, and the third read both.",
    "Before a model sees them, features are scaled to mean zero and variance one.",
    "Ties are broken at random, so that no order of the models is favoured.",
    "The p-value of McNemar's exact test is adjusted by Holm's method for all pairs.",
    "Rows that fall into a bin are counted, after double-blind reading, in bins of equal width.",
    "We ask which of the models generalises to new rows, and how sure we can be.",
]


def body(**planted: str) -> str:
    """A clean paper with sentences at some of its places."""
    return re.sub(r"@(\w+)", lambda place: planted.get(place[1], NEUTRAL), BODY)


def lines_of(text: str, sentence: str) -> set[int]:
    first = text[: text.index(sentence)].count("\n") + 1
    return set(range(first, first + 1 + sentence.count("\n")))


def found_in_place(sentence: str, place: str, folder: Path) -> bool:
    """Whether lint finds `sentence`, planted at a place of a clean paper, and nothing else."""
    if place == "caption":
        middle = sentence.index(" ", len(sentence) // 2)
        sentence = f"{sentence[:middle]}\n{sentence[middle + 1 :]}"
    more = folder / "sections/more.tex"
    more.parent.mkdir(exist_ok=True)
    more.write_text(f"{NEUTRAL}\n{sentence if place == 'input' else NEUTRAL}\n", encoding="utf-8")
    text = body(**{place: sentence})
    allowed = {("sections/more.tex", 2)}
    if place != "input":
        allowed = {("paper.tex", line) for line in lines_of(text, sentence)}
    found = {(f.file, f.line) for f in lint.find(text, folder / "paper.tex")}
    assert found <= allowed, (sentence, place)
    return bool(found)


def test_planted_errors_are_found(tmp_path):
    assert len(PLANTED) == 60
    places = [*PLACES, "input"]
    assert len(places) == 9
    missed = [
        (place, sentence)
        for number, sentence in enumerate(PLANTED)
        if not found_in_place(sentence, place := places[number % len(places)], tmp_path)
    ]
    assert missed == []


@pytest.mark.parametrize("place", [*PLACES, "input"])
def test_every_place_is_read(place, tmp_path):
    assert found_in_place("The SVM has a higher accuracy.", place, tmp_path)
    assert found_in_place("The SVM has an accuracy of 0.93.", place, tmp_path)


@pytest.mark.parametrize("sentence", INNOCENT)
def test_innocent_sentences_pass(sentence):
    assert len(INNOCENT) == 40
    assert lint.find(body(section=sentence)) == []


def test_lines_are_those_of_the_file():
    text = body(
        abstract="% a comment\nThe SVM is\n% another\nbetter by 0.1.",
        item="A good one.\n\\begin{pyblock}\nx = 1\n\n\\end{pyblock}\nIt has 12 rows.",
        footnote="A first line,\na second, which is\nlower.",
    )
    lines = text.splitlines()
    found = [(lines[f.line - 1], f.kind) for f in lint.find(text)]
    assert found == [
        ("better by 0.1.", "number by hand"),
        ("better by 0.1.", "comparison outside a claim"),
        ("It has 12 rows.", "number by hand"),
        ("lower.}", "comparison outside a claim"),
    ]


@pytest.mark.parametrize(
    "claim",
    [
        "\\claim{a > 0}{The SVM {wins.}",
        "\\claim{a > 0 {The SVM wins.}",
        "\\claim{a > 0} wins.",
        "\\claim{a > 0}{The SVM\n\nwins.}",
        "\\claim{a > 0}{The SVM wins \\% \\}.",
    ],
)
def test_braces_of_a_claim_must_close(claim):
    text = body(section=f"A line.\n{claim}")
    line = text[: text.index(claim)].count("\n") + 1
    with pytest.raises(ValueError, match=rf"^paper\.tex:{line}: the braces of a .claim"):
        lint.find(text)


@pytest.mark.parametrize(
    ("condition", "prose", "passes"),
    [
        ("a.p < 0.05", "at 0.05", True),
        ("a.p < 0.05", "at 0.01", False),
        ("a.p < 0.05", "at $0.05$ and \\num{0.05}", True),
        ("a.13.p < 0.3", "13 of them", False),
        ("a.n == 13", "13 of them", True),
        ("a.n == 113", "13 of them", False),
        ("a.n == 1200", "1,200 or 1\\,200 rows", True),
        ("a.p > 0.95", "95\\,\\% of the rows", False),
        ("a.n == 3", "three models", True),
        ("a.n == 4", "three models", False),
        ("a.n == 17", "seventeen models", False),
        ("a.p > 2 / 3", "two thirds of the rows", True),
        ("a.p > 2 * b.p", "twice as many", True),
    ],
)
def test_numbers_in_a_claim_stand_in_its_condition(condition, prose, passes):
    text = rf"\claim{{{condition}}}{{The SVM is better: {prose}.}}"
    assert (lint.find(text) == []) is passes
    assert lint.find(f"{text} A better one.") != []


def test_only_its_own_sentence_or_line_is_excused():
    better = r"The SVM is better. "
    for excused in (
        r"\Cref{a} says so~\citep{B1}.",
        "So he says~\\citep{B1}.\n",
        "\n\nA~\\cite{B}.",
    ):
        assert [f.line for f in lint.find(better + excused)] == [1]
    assert lint.find("The SVM is better, e.g. than a tree,\nor so they say~\\citet{B1}.") == []
    assert [f.line for f in lint.find("It is better. % no result\nIt is better.")] == [2]
    assert [f.line for f in lint.find("It is better by 0.1. % no result")] == [1]
    assert lint.find(r"It has 5\,\% more rows~\citep{B1}.") != []


def test_long_conditions_are_to_be_named():
    fine, long = " > ".join(["a" * 28] * 2), " > ".join(["a" * 30] * 2)
    found = lint.find(f"\\claim{{{fine}}}{{It is so.}}\n\\claim{{{long}}}{{It is so.}}")
    assert [(f.line, f.kind) for f in found] == [(2, lint.LONG)]
    assert lint.find(f"\\claim{{{long}}}{{It is so.}}", only=lint.TYPED) == []


def test_command(tmp_path):
    def run(text: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "paper.tex").write_text(text, encoding="utf-8")
        command = [sys.executable, "-B", ROOT / "literate/lint.py", tmp_path / "paper.tex"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = run(body())
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run("One line.\nThe SVM has 0.93 and is better.\n")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "paper.tex:2: number by hand: The SVM has 0.93 and is better.",
        "paper.tex:2: comparison outside a claim: The SVM has 0.93 and is better.",
    ]
    done = run("\\claim{a > 0}{The")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "paper.tex:1: the braces of a \\claim do not close\n"


def test_the_shipped_paper_is_clean():
    path = ROOT / "paper.tex"
    assert [str(f) for f in lint.find(path.read_text(encoding="utf-8"), path)] == []
