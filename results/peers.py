"""What one study costs in other systems, and whether they print old numbers.

`python results/peers.py [ROUNDS]` writes the study of the CoCalc template (four models, their
cross-validation, a learning curve, a grid search and a figure) in each system as its documentation
suggests, builds it, and then, from what was built, builds again after one edit at a time.  Systems
take turns within a round, and each number is the median of three rounds, or of as many as are
asked for.  A PDF that shows an old number after an edit of the helper module is called stale.

A round takes five minutes.  It needs pandoc, and Python with more than the paper's packages:
`pip install -r requirements.txt snakemake jupyter-cache nbconvert ipykernel`.
"""

import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODELS = """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier
    from sklearn.svm import SVC

    MODELS = {
        "logistic": LogisticRegression(max_iter=1000, random_state=42),
        "forest": RandomForestClassifier(n_estimators=100, random_state=42),
        "svm": SVC(kernel="rbf", random_state=42),
        "mlp": MLPClassifier((128, 64, 32), alpha=0.001, max_iter=500, random_state=42),
    }
    STOPPING = MLPClassifier(early_stopping=True, max_iter=200, random_state=42)
"""
STUDY = """
    import numpy as np
    from sklearn.datasets import make_classification
    from sklearn.model_selection import (
        GridSearchCV, cross_val_score, learning_curve, train_test_split)
    from sklearn.preprocessing import StandardScaler

    def load():
        X, y = make_classification(
            n_samples=2000, n_features=64, n_informative=40, n_redundant=10, n_classes=5,
            n_clusters_per_class=1, random_state=42)
        X_train, X_rest, y_train, y_rest = train_test_split(
            X, y, test_size=0.4, random_state=42, stratify=y)
        X_test, y_test = train_test_split(
            X_rest, y_rest, test_size=0.5, random_state=42, stratify=y_rest)[1::2]
        scaler = StandardScaler().fit(X_train)
        return scaler.transform(X_train), y_train, scaler.transform(X_test), y_test

    def score(model):
        X, y, X_test, y_test = load()
        return cross_val_score(model, X, y, cv=5), model.fit(X, y).score(X_test, y_test)

    def curve(model):
        X, y = load()[:2]
        return learning_curve(model, X, y, cv=5, train_sizes=np.linspace(0.1, 1, 10))

    def search(model):
        X, y = load()[:2]
        grid = {
            "alpha": [1e-4, 1e-3, 1e-2],
            "hidden_layer_sizes": [(64,), (128, 64), (128, 64, 32)],
            "learning_rate_init": [1e-3, 1e-2]}
        return GridSearchCV(model, grid, cv=3).fit(X[:500], y[:500]).best_score_

    def shown(accuracy):
        return f"{accuracy:.4f}"
"""
DRAWING = """
    import matplotlib.pyplot as plt

    def draw(scores, curve):
        fig, (left, right) = plt.subplots(1, 2, figsize=(6, 3))
        left.bar(list(scores), [test for _, test in scores.values()], color="tab:blue")
        left.boxplot([folds for folds, _ in scores.values()], positions=range(len(scores)))
        right.plot(curve[0], curve[1].mean(axis=1), curve[0], curve[2].mean(axis=1))
        return fig
"""
NAMES = ("logistic", "forest", "svm", "mlp")
STAGES = (*NAMES, "curve", "search")
# What a script does at once, and Snakemake step by step.
RUN = """
    import pickle, sys
    from drawing import draw
    from models import MODELS, STOPPING
    from study import curve, score, search, shown

    def load(name):
        with open(f"{name}.pkl", "rb") as file:
            return pickle.load(file)

    for step in sys.argv[1:]:
        if step == "figure":
            draw({name: load(name) for name in MODELS}, load("curve")).savefig("figure.pdf")
        elif step == "values":
            found = {name: load(name)[1] for name in MODELS} | {"search": load("search")}
            with open("values.tex", "w") as file:
                for name, value in found.items():
                    print(rf"\\newcommand\\{name}{{{shown(value)}}}", file=file)
        else:
            calls = {"curve": (curve, MODELS["mlp"]), "search": (search, STOPPING)}
            function, model = calls.get(step) or (score, MODELS[step])
            with open(f"{step}.pkl", "wb") as file:
                pickle.dump(function(model), file)
"""
SNAKEFILE = """
    from models import MODELS, STOPPING
    STAGES = {**MODELS, "curve": MODELS["mlp"], "search": STOPPING}

    rule paper:
        input: "paper.tex", "values.tex", "figure.pdf"
        output: "paper.pdf"
        shell: "pdflatex -interaction=nonstopmode paper.tex"
    rule figure:
        input: "drawing.py", expand("{name}.pkl", name=[*MODELS, "curve"])
        output: "figure.pdf"
        shell: "python run.py figure"
    rule values:
        input: "study.py", expand("{name}.pkl", name=[*MODELS, "search"])
        output: "values.tex"
        shell: "python run.py values"
    rule stage:
        input: "study.py"
        output: "{name}.pkl"
        params: model=lambda wildcards: repr(STAGES[wildcards.name])
        shell: "python run.py {wildcards.name}"
"""
BLOCK = """
    from drawing import draw
    from models import MODELS, STOPPING
    from study import curve, score, search, shown

    scores = {name: score(model) for name, model in MODELS.items()}
    best = search(STOPPING)
    draw(scores, curve(MODELS["mlp"])).savefig("figure.pdf")
"""
REMEMBERED = """
    from literate import results
    from pycode.drawing import draw
    from pycode.models import MODELS, STOPPING
    from pycode.study import curve, score, search, shown

    results.begin(pytex, seed=42)
    scores = dict(zip(MODELS, score.map(MODELS.values())))
    best = search(STOPPING)
"""
TEXT = "\n\n".join(f"Paragraph {n}. " + "A sentence of a paper. " * 50 for n in range(20))
ARTICLE = r"""\documentclass{article}
\usepackage{graphicx}
%s
\begin{document}
%s
A study of four models.
%s
The accuracies are %s, and the search found %s.
%s
\end{document}
"""
EDITS = {
    "none": None,
    "prose": ("A study of", "The study of"),
    "colour": ("tab:blue", "tab:red"),
    "SVC C=2": ('SVC(kernel="rbf"', 'SVC(C=2, kernel="rbf"'),
    "helper": ('f"{accuracy:.4f}"', 'f"{100 * accuracy:.2f}"'),
}
LATEX = ["pdflatex", "-interaction=nonstopmode", "paper.tex"]
Project = tuple[dict[str, str | Path], list[list[str]]]


def code(text: str) -> str:
    """Return one of the programs above as it stands in a file."""
    return textwrap.dedent(text).lstrip()


HELPERS = {"models.py": code(MODELS), "study.py": code(STUDY), "drawing.py": code(DRAWING)}


def article(preamble: str, block: str, value: str, figure: str) -> str:
    """Return the paper, in which `value` sets the Python expression that it is formatted with."""
    values = [value.format(f"scores['{name}'][1]", name=name) for name in NAMES]
    shown = ", ".join(values), value.format("best", name="search")
    return ARTICLE % (preamble, block, TEXT, *shown, figure)


def script() -> Project:
    """Write one script, and a paper that takes one pass of LaTeX."""
    macros = article(r"\input{values}", "", r"\{name}{{}}", r"\includegraphics{figure}")
    files = {**HELPERS, "run.py": code(RUN), "paper.tex": macros}
    return files, [["python", "run.py", *STAGES, "figure", "values"], LATEX]


def pythontex() -> Project:
    """Write a document for PythonTeX alone, with the commands of its documentation."""
    block = "\\begin{pycode}\nimport sys\nsys.path.append('.')\n"
    figure = r"\IfFileExists{figure.pdf}{\includegraphics{figure}}{}"
    paper = article(
        r"\usepackage{pythontex}",
        f"{block}{code(BLOCK)}\\end{{pycode}}",
        r"\py{{shown({0})}}",
        figure,
    )
    return {**HELPERS, "paper.tex": paper}, [LATEX, ["pythontex", "paper"], LATEX]


def snakemake() -> Project:
    """Write rules for each fit, figure and file of numbers, as in showyourwork."""
    files = script()[0] | {"Snakefile": code(SNAKEFILE)}
    return files, [["snakemake", "--cores", "2", "--quiet", "all"]]


def jupyter() -> Project:
    """Write a notebook that jupyter-cache runs and nbconvert typesets, as in Quarto and MyST."""
    shown = [f"print(shown({value}))" for value in (*(f"scores['{n}'][1]" for n in NAMES), "best")]
    cells = [
        ("markdown", f"A study of four models.\n\n{TEXT}"),
        ("code", code(BLOCK)),
        ("code", "\n".join(shown)),
    ]
    notebook = {
        "cells": [
            {"cell_type": kind, "id": kind + str(n), "metadata": {}, "source": source}
            | ({"outputs": [], "execution_count": None} if kind == "code" else {})
            for n, (kind, source) in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    commands = [
        ["jcache", "notebook", "add", "paper.ipynb"],
        ["jcache", "project", "execute", "--timeout", "600"],
        ["jcache", "notebook", "merge", "paper.ipynb", "built.ipynb"],
        ["jupyter", "nbconvert", "--to", "latex", "--output", "paper", "built.ipynb"],
        LATEX,
    ]
    return {**HELPERS, "paper.ipynb": json.dumps(notebook, indent=1)}, commands


def template() -> Project:
    """Write a paper of this template, whose blocks call the same functions."""
    study = "from literate.cache import remembered\n\n" + code(STUDY)
    for name in ("score", "curve", "search"):
        study = study.replace(f"def {name}(", f"@remembered\ndef {name}(")
    drawing = f"from literate.drawing import figure\n\n@figure\n{code(DRAWING)}"
    drawing = drawing.replace("return fig", 'return fig, "Accuracies."')
    drawing = drawing.replace("import matplotlib.pyplot as plt\n", "").replace(
        "    fig,", "    import matplotlib.pyplot as plt\n    fig,"
    )
    paper = article(
        "\\input{literate/macros}",
        f"\\begin{{pycode}}\n{code(REMEMBERED)}\\end{{pycode}}",
        r"\py{{shown({0})}}",
        r'\py{draw(scores, curve(MODELS["mlp"]))}',
    )
    files = {
        **{name: ROOT / name for name in ("latexmkrc", "literate", "pyproject.toml")},
        "pycode/__init__.py": ROOT / "pycode/__init__.py",
        "pycode/paper.mplstyle": ROOT / "pycode/paper.mplstyle",
        "pycode/models.py": code(MODELS),
        "pycode/study.py": study,
        "pycode/drawing.py": drawing,
        "paper.tex": paper,
    }
    return files, [["latexmk"]]


SYSTEMS = {
    "a serial script and one pass of LaTeX": script,
    "PythonTeX": pythontex,
    "Snakemake": snakemake,
    "jupyter-cache and nbconvert": jupyter,
    "this template": template,
}


def seconds(commands: list[list[str]], folder: Path) -> float:
    """Measure how long commands take in `folder`, one after the other."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = os.environ | {"PATH": path, "JUPYTERCACHE": str(folder / ".jupyter_cache")}
    start = time.monotonic()
    for command in commands:
        done = subprocess.run(
            command, cwd=folder, env=env, input=b"y\n", capture_output=True, check=False
        )
        if done.returncode:
            said = (done.stdout + done.stderr).decode(errors="replace")
            sys.exit(f"{said[-3000:]}\n{command} failed in {folder}")
    return time.monotonic() - start


def write(files: dict[str, str | Path], folder: Path) -> None:
    """Write a project, or copy what stands for its files."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.write_text(content, encoding="utf-8")
        elif content.is_dir():
            shutil.copytree(content, path, ignore=shutil.ignore_patterns("__pycache__", "tests"))
        else:
            shutil.copy(content, path)


def edit(files: dict[str, str | Path], folder: Path, old: str, new: str) -> None:
    """Make one edit in the one file of a project that has the text."""
    [name] = [n for n, content in files.items() if isinstance(content, str) and old in content]
    write({name: str(files[name]).replace(old, new)}, folder)


def accuracies(folder: Path) -> list[str]:
    """Return the numbers that the PDF prints, whose form is that of accuracies."""
    command = ["pdftotext", "paper.pdf", "-"]
    text = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return re.findall(r"\b0\.\d{4}\b", text)


def one_round(work: Path) -> dict[tuple[str, str], tuple[float, bool]]:
    """Return the seconds of each build of each system, and whether its PDF is stale."""
    found = {}
    for system, project in SYSTEMS.items():
        files, commands = project()
        folder, built = work / "paper", work / "built"
        write(files, folder)
        found[system, "cold"] = seconds(commands, folder), False
        assert len(accuracies(folder)) == len(NAMES) + 1, system
        folder.rename(built)
        for name, change in EDITS.items():
            shutil.copytree(built, folder, symlinks=True)  # where it was: some remember the place
            if change:
                edit(files, folder, *change)
            taken = seconds(commands, folder)
            found[system, name] = taken, name == "helper" and bool(accuracies(folder))
            shutil.rmtree(folder)
        shutil.rmtree(built)
    return found


def main() -> None:
    """Print the table, in Markdown."""
    n_rounds = int(sys.argv[1]) if sys.argv[1:] else 3
    rounds = []
    with tempfile.TemporaryDirectory() as work:
        os.environ["TEXMFVAR"] = f"{work}/texmf"  # where TeX keeps letters that it has drawn
        for number in range(n_rounds):
            print(f"round {number + 1} of {n_rounds}", file=sys.stderr)
            rounds.append(one_round(Path(work)))
    columns = ("cold", *EDITS)
    print(f"| | {' | '.join(columns)} |\n|---|{'--:|' * len(columns)}")
    for system in SYSTEMS:
        cells = []
        for column in columns:
            taken = statistics.median(r[system, column][0] for r in rounds)
            stale = any(r[system, column][1] for r in rounds)
            cells.append(f"{taken:.1f}{' **stale**' * stale}")
        print(f"| {system} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
