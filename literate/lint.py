r"""Hand-typed results and comparisons that nothing checks: `python -m literate.lint [FILE]`.

Prints each number, and each word of comparison, effect or cause, that is in the prose but not in a
`\claim`, and exits with 1 if there is any.  A number in a claim passes if the condition has it.
Words pass in a sentence that cites, and on a line that ends with the comment `% no result`.
"""

import re
import sys
from bisect import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

GROUP = r"\{(?:\\.|[^\\{}])*+\}"
for _ in range(8):
    GROUP = rf"\{{(?:\\.|[^\\{{}}]|{GROUP})*+\}}"
ARGUMENTS = rf"\*?\s*(?:\[[^\[\]]*\]|{GROUP})*"
YEAR = r"(?:19|20)\d\d"
MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
NAMES = "two three four five six seven eight nine ten eleven twelve twenty hundred thousand dozen"
VALUES = map(str, (*range(2, 13), 20, 100, 1000, 12))
DIGITS = dict(zip(NAMES.split(), VALUES, strict=True)) | {"half": "0.5", "quarter": "4"}
DIGITS |= {"twice": "2", "double": "2", "doubling": "2", "triple": "3", "third": "3"}
COUNT = rf"(?:{NAMES.replace(' ', 's?|')}s?|\w+teen|(?:thir|for|fif|six|seven|eigh|nine)ty)"
PART = "(?:third|quarter|fifth|sixth|seventh|eighth|ninth|tenth|hundredth)"
NOUN = (
    r"(?:models?|classifiers?|baselines?|rows?|images?|features?|class(?:es)?|errors?|mistakes?"
    r"|points?|settings?|fits?|seeds?|folds?|layers?|neurons?|units?|trees?|parameters?|samples?"
    r"|examples?|pairs?|per\s?cent|pixels?|repetitions?|networks?|data\s?sets?|times|epochs?)"
)

# Of alternatives that begin at the same place, the first counts.
NOT_PROSE = rf"""
\A(?s:.*?)(?:\\title(?=\s*[\[{{])|\\begin\{{document\}}) | \\author(?s:.*?)\\begin\{{document\}}
|\\end\{{document\}}(?s:.*) | (?P<kept>\\[^A-Za-z@]) | %.*
|\\begin\{{(?P<env>py\w*|[Vv]erbatim\*?|lstlisting|minted|thebibliography)\}}
    (?s:.*?)\\end\{{(?P=env)\}}
|\\(?:py\w?|verb|lstinline)\*?(?P<bar>[^\sA-Za-z{{*\[]).*?(?P=bar)
|\\claim\s*(?P<condition>{GROUP}) | (?P<unclosed>\\claim)\b | (?P<cite>\\[Cc]ite\w*{ARGUMENTS})
|\\(?:input|include)\s*\{{(?P<file>[^{{}}]*)\}}
|\\(?:py\w?|label|\w*ref|result|interval|url|texttt|includegraphics|bibliography\w*|date|thanks
    |setlength|addtolength|setcounter|hypersetup|captionsetup|sisetup|definecolor|[vh]space|rule
    |fontsize|cmidrule(?:\(\w+\))?|cline){ARGUMENTS} | \\multi(?:column|row)\s*{GROUP}\s*{GROUP}
|\\begin\{{(?:tabular\w?|array|longtable|minipage|multicols|wrapfigure|exercise)\*?\}}{ARGUMENTS}
|\\(?:begin|end|href|textcolor|color|scalebox|parbox)\s*(?:\[[^\[\]]*\])*{GROUP}(?:\[[^\[\]]*\])*
|\\(?!caption|item|(?:sub)*section|paragraph|chapter)[A-Za-z]+\*?(?:\[[^\[\]]*\])+(?=\{{)
|(?<![\d.])[\d.]++\s*\\(?:text|line|column|paper)(?:width|height) | \\[A-Za-z@]+\*?
|[_^](?:\{{[^{{}}.]*\}}|\d)|\#\d|(?<![\w.])-?(?:\d++\.?\d*+|\.\d++)(?:pt|mm|cm|em|ex|in|bp|px)\b
|(?<![\w.])\d+(?:[\s~$]*(?:\\times|x|\u00d7)[\s~$]*(?!10\s*\^)\d+)+(?!\.?\d)
|(?<![\d.])9[059](?:[\s~]|\\,)*(?:\\%|per\s?cent)[\s~-]+
    (?:(?:confidence|credible|[A-Z][\w']*)[\s~-]+)*(?:intervals?|CIs?)\b
|(?:\b\d\d?\s+)?\b{MONTH}(?:\s+\d\d?,?)?[\s~]+{YEAR}\b | \b{YEAR}-\d\d-\d\d\b | \b{YEAR}s\b
|\b(?i:in|since|until|from|to|and|before|after|by)[\s~]+{YEAR}\b
    (?=[.,;:)]|\s+(?:and|to|the|a|it|we|with|was|were|is|has|had|by|at|on|for|as|when)\b)
"""
# In all of the following, a space matches any gap between words.
NUMBER = r"""
(?:\d+(?:[.,]\d+)*|\.\d+)(?: |-|)(?:\\%|per(?:| )cent\b)
(?:\d+(?:,\d\d\d)*)?\.\d+(?:e[+-]?\d+)?|\d+e[+-]?\d+|\d+(?:k|M|x|s|ms|min|h|[kMGT]i?B)\b
\d+(?:(?:,|\\,|\{,\})\d+)*(?!\w|-[a-z])
"""
SPELLED = rf"""
(?<!any\s){COUNT} (?:(?!of\b)[\w'-]+ )?{NOUN}|{COUNT}(?: |-)(?:{COUNT}|one)|{COUNT}(?: out)? of
(?:one|{COUNT}) (?:in|out of|of) (?:every )?(?:{COUNT}|\d+)|{COUNT}(?: |-){PART}s
(?:an?|one) {PART} (?:of|more|less|as|the)|(?:half|twice) (?:of|the|as|an?|its|their|that|all)
(?:one|by|in) half|every {PART}|{COUNT}fold|(?:doubl|tripl)(?:es?|ed|ing)(?! (?:blind|descent)|-)
"""
COMPARISON = r"""
best|better|worst|worse|superior(?:ity)?|inferior(?:ity)?|prefer(?:able|red)|poor(?:ly|er|est)?
optimal|(?:out|under)-?perform\w*|beat(?:s|en|ing)?|exceed\w*|surpass\w*|edge[sd] out|an edge
favou?rs|won|tops|wins?|winn(?:er|ers|ing)|loses?|losing|lost to|dominat\w*|struggl\w+|fail(?:s|ed)
(?:high|larg|small|great|few|fast|slow|quick|strong|weak|simpl|hard|cheap|bigg|easi)(?:er|est)
(?:wid|narrow|deep|shallow|short|steep|smooth|sharp)(?:er|est)|very (?:high|low|good|bad|well|close)
low(?:er|est)(?! (?:case|bound|limit)\b)|clos(?:er|est)(?! (?:look|at)\b)|(?<!no\s)longer|longest
(?<!at\s)(?:more|less|most|least) \w*(?:[ai]ble|ate|ive|ant|ful|ous|ic|al|ly|ed|[fs]i\w*ent|plex)
(?:more|less|fewer)(?! than one\b)(?: [^\s.]+){0,4}? than|as (?!well|soon|long|far|many|if)\w+ as
(?:as|almost|nearly|just|about) (?:as )?good|on (?:a )?par|second to none|(?:keep|catch)(?:es|s)? up
(?:perform|do|work|score|fare|generali[sz]e|predict)\w*(?: \w+)? (?:as well as|well|badly|the same)
the same (?:\w+ )?(?:accurac\w+|scores?|performance|level|errors?|loss|quality|mistakes)
equal(?:s|led|ly)?(?! (?:parts?|width|size)\b)|equivalent|comparabl[ey]|similar(?:ly)?|leads(?! to)
significant(?:ly)?|indistinguishable|clearly|hardly|barely|robust(?:ly)?|by an? (?:\w+ )?margin
state(?:-| )of(?:-| )the(?:-| )art|competitive|(?<!idea\s)behind|ahead|lags?|lagg(?:ed|ing)
trail(?:s|ing)|(?:dis)?advantages?|stands? out
(?:is|are|was|were|lies?|stays?|remains?|far|well|just|points?) (?:above|below)
(?:come|came|rank|place)[sd]?(?: out)? (?:first|second|last|close|near|top|on top)
match(?:es|ed)? (?:[^\s.]+ ){0,3}?(?:model|network|forest|baseline|accurac|score|svm|mlp)\w*
(?:no|little|much|any)(?: \w+)? differences?|mak(?:es?|ing) a(?: \w+)? difference
t(?:ells?|old)(?: [^\s.]+){0,4}? apart|(?:differs?|var(?:y|ies))(?: by)? (?:little|much|widely)
"""
EFFECT = r"""
improv\w*|degrad(?:es?|ed|ing|ation)|deteriorat\w*|worsen\w*|boost\w*|benefit\w*|increas\w*|widens?
decreas\w*|declin\w*|diminish\w*|reduc(?:es?|ed|ing)|rais(?:es|ed)|lift(?:s|ed)|rises?|rose|rising
fell|falls?(?! (?:in|into|within|under)\b)|climb\w*|soar\w*|jump\w*|drop(?:s|ped|ping)?
(?:goes|go|went) (?:up|down)|collaps\w+|vanish\w*|grows?|grew|grown|gain(?:s|ed|ing)?|shrinks?
shrank|shrinking|halv(?:es?|ed)|plateau\w*|saturat(?:es?|ed)|flatten\w*|hurt(?:s|ing)?|suffer\w*
help(?:s|ed|ing)?|harm(?:s|ed|ful|ing)?|(?:over|under)-?fit\w*|memori[sz]e[sd]?|affect(?:s|ed|ing)?
influenc(?:es?|ed)|impacts?|matters?|pays? off|profit(?:s|ed)? from|contribut(?:es?|ed)|prevents?
(?:no|an?|little|small|large|strong|any|much) effect|essential|crucial|decisive|key factor|since
attribut\w+(?: \w+)? to|at the (?:expense|cost|price) of|correlates?|correlated with
depend(?:s|ed)?(?: \w+)? on|driv(?:es|en by)|stems? from|led to|because|due to|thanks to|owing to
ow(?:es|ed)(?: \w+)? to|caus(?:es?|ed|ing)|lead(?:s|ing)? to|(?<!the\s)(?<!our\s)results in
resulted in|explain(?:s|ed by)?|therefore|thus|hence|consequently|as a result|a consequence
(?:that|this) is why|the reason (?:for|is)|responsible for
"""


def _table(rows: str, before: str = r"\b", after: str = r"\b") -> re.Pattern[str]:
    either = "|".join(rows.strip().splitlines()).replace(" ", r"(?:[\s~{}$]|\\,)+")
    return re.compile(f"{before}(?:{either}){after}", re.IGNORECASE)


TYPED = "number by hand"
LONG = "condition to be named by results.claims"
LONGEST = 60  # characters of a condition within a sentence
HIDDEN = re.compile(NOT_PROSE, re.VERBOSE)
SOUGHT = (
    (TYPED, _table(NUMBER, r"(?<![\w.])(?<![A-Za-z]-)", "")),
    (TYPED, _table(SPELLED)),
    ("comparison outside a claim", _table(COMPARISON)),
    ("effect or cause outside a claim", _table(EFFECT)),
)
NO_RESULT = re.compile(r"(?<!\\)%\s*no result\s*$")
# What ends a sentence: a full stop, but not that of an abbreviation, or a new piece of the paper.
STOP = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!\bcf)(?<!\bvs)(?<!\bal)[.!?]['\")}]*\s")
BREAK = re.compile(r"\n\s*\n|\\(?:item|caption|(?:sub)*section|paragraph|footnote|begin|end)\b")


@dataclass(frozen=True)
class Finding:
    """A place in the prose, what is wrong there, and the words around it."""

    file: str
    line: int
    kind: str
    excerpt: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.kind}: {self.excerpt}"


def find(text: str, name: str | Path = "paper.tex", *, only: str = "") -> list[Finding]:
    """Return all findings in the paper `text`, a file called `name`, and in the files it inputs.

    With `only`, just the findings of that kind are returned.  This works on hostile texts, too,
    where the search for words may never end.
    """
    sought = [(kind, table) for kind, table in SOUGHT if kind == only] or SOUGHT
    return list(_find(text, Path(name).name, Path(name).parent, sought))


def _find(
    source: str, file: str, folder: Path, sought: Sequence[tuple[str, re.Pattern[str]]]
) -> Iterator[Finding]:
    hidden = list(HIDDEN.finditer(source))
    prose = HIDDEN.sub(lambda m: m[0] if m["kept"] else re.sub(r"[^\n]", " ", m[0]), source)
    claims = list(_claims(source, prose, file))
    marked = {n for n, line in enumerate(source.split("\n"), 1) if NO_RESULT.search(line)}
    stops = {m.end() for m in STOP.finditer(prose) if not source[m.end() : m.end() + 1].islower()}
    ends = sorted(stops | {m.start() for m in BREAK.finditer(source)})
    cited = {bisect(ends, m.start()) for m in hidden if m["cite"]}
    found = []
    for match in (m for m in hidden if m["condition"] and sought is SOUGHT):
        condition = " ".join(match["condition"][1:-1].split())
        if len(condition) > LONGEST:
            line = source.count("\n", 0, match.start()) + 1
            found.append(Finding(file, line, LONG, condition[:LONGEST]))
    for kind, match in ((kind, m) for kind, table in sought for m in table.finditer(prose)):
        start, line = match.start(), source.count("\n", 0, match.start()) + 1
        known = [literals for begin, end, literals in claims if begin <= start < end]
        if kind == TYPED:
            fine = known and set() < _literals(match[0]) <= known[0]
        else:
            fine = known or line in marked or bisect(ends, start) in cited
        if not fine:
            excerpt = source[max(source.rfind("\n", 0, start) + 1, start - 30) : start + 50]
            found.append(Finding(file, line, kind, " ".join(excerpt.split())))
    yield from sorted(found, key=lambda finding: finding.line)
    for path in (m["file"] for m in hidden if m["file"]):
        for name in (path, f"{path}.tex"):
            if (folder / name).is_file():
                yield from _find((folder / name).read_text("utf-8"), name, folder, sought)


def _claims(source: str, prose: str, file: str) -> Iterator[tuple[int, int, set[str]]]:
    """Yield where the text of each claim begins and ends, and the numbers in its condition."""
    for claim in (m for m in HIDDEN.finditer(source) if m["condition"] or m["unclosed"]):
        text = claim["condition"] and re.compile(rf"\s*{GROUP}").match(prose, claim.end())
        if not text or re.search(r"\n\s*\n", source[claim.start() : text.end()]):
            line = source.count("\n", 0, claim.start()) + 1
            raise ValueError(f"{file}:{line}: the braces of a \\claim do not close")
        yield text.start(), text.end(), _literals(claim["condition"])


def _literals(text: str) -> set[str]:
    """Return the numbers in `text` as they are written, with words as digits."""
    text = re.sub(r"(?<=\d)(?:,|\\,|\{,\})(?=\d{3})", "", text.lower())
    found = re.findall(r"(?<![\w.])(?:(?:\d*\.)?\d+(?:e[+-]?\d+)?|[a-z]+)", text)
    found = [DIGITS.get(word) or DIGITS.get(word[:-1]) or word for word in found]
    return {word for word in found if not word.isalpha()}


def main() -> None:
    """Print the findings, and exit with 1 if there are any."""
    path = Path(sys.argv[1] if sys.argv[1:] else Path(__file__).parent.parent / "paper.tex")
    try:
        findings = find(path.read_text("utf-8"), path)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(*findings, sep="\n", end="\n" if findings else "")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
