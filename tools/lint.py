r"""Results typed by hand, and comparisons that nothing checks: `python tools/lint.py [paper.tex]`.

Prints a line for each number, and for each word of comparison, effect or cause, that stands in
the prose of the paper and not in a `\claim`, and exits with 1 if there is any.  A number in the
text of a claim passes if it stands in the condition, too.  Words pass in a sentence that cites,
and on a line that ends with the comment `% no result`.
"""

import re
import sys
from bisect import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

GROUP = r"\{(?:\\.|[^\\{}])*+\}"
for _ in range(8):
    GROUP = rf"\{{(?:\\.|[^\\{{}}]|{GROUP})*+\}}"
ARGUMENTS = rf"\*?(?:\s*\[[^\[\]]*\]|\s*{GROUP})*"
YEAR = r"(?:19|20)\d\d"
MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
COUNT = (
    r"(?:two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|(?:thir|four|fif|six|seven"
    r"|eigh|nine)teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundreds?|thousands?|dozens?)"
)
PART = "(?:third|quarter|fifth|sixth|seventh|eighth|ninth|tenth|hundredth)"
NOUN = (
    r"(?:models?|classifiers?|baselines?|rows?|images?|features?|class(?:es)?|errors?|mistakes?"
    r"|points?|settings?|fits?|seeds?|folds?|layers?|neurons?|units?|trees?|parameters?|samples?"
    r"|examples?|pairs?|per\s?cent|pixels?|repetitions?|networks?|data\s?sets?|times|epochs?)"
)
DIGITS = {"twice": "2", "double": "2", "triple": "3", "third": "3", "quarter": "4", "half": "0.5"}
DIGITS |= {"dozen": "12", "twenty": "20", "hundred": "100", "thousand": "1000"}
NAMES = "two three four five six seven eight nine ten eleven twelve"
DIGITS |= {name: str(value) for value, name in enumerate(NAMES.split(), start=2)}

# Of those that begin at the same place the first counts.
NOT_PROSE = rf"""
\A(?s:.*?)\\begin\{{document\}} | \\end\{{document\}}(?s:.*) | (?P<kept>\\[^A-Za-z@]) | %.*
|\\begin\{{(?P<env>py\w*|[Vv]erbatim\*?|lstlisting|minted|thebibliography)\}}
    (?s:.*?)\\end\{{(?P=env)\}}
|\\(?:py\w?|verb|lstinline)\*?(?P<bar>[^\sA-Za-z{{*\[]).*?(?P=bar)
|\\claim\s*(?P<condition>{GROUP}) | (?P<unclosed>\\claim)\b | (?P<cite>\\[Cc]ite\w*{ARGUMENTS})
|\\(?:input|include)\s*\{{(?P<file>[^{{}}]*)\}}
|\\(?:py\w?|label|\w*ref|result|interval|url|texttt|includegraphics|bibliography\w*|date|thanks
    |setlength|addtolength|setcounter|hypersetup|captionsetup|sisetup|definecolor|[vh]space|rule
    |fontsize|cmidrule(?:\(\w+\))?|cline){ARGUMENTS}
|\\begin\{{(?:tabular\w?|array|longtable|minipage|multicols|wrapfigure)\*?\}}{ARGUMENTS}
|\\(?:multicolumn|multirow|resizebox)\s*{GROUP}\s*{GROUP}
|\\(?:begin|end|href|textcolor|color|scalebox|parbox)\s*(?:\[[^\[\]]*\])*{GROUP}(?:\[[^\[\]]*\])*
|\\(?!caption|item|(?:sub)*section|paragraph|chapter)[A-Za-z]+\*?(?:\[[^\[\]]*\])+(?=\{{)
|[\d.]+\s*\\(?:text|line|column|paper)(?:width|height) | \\[A-Za-z@]+\*?
|[_^](?:\{{[^{{}}.]*\}}|\d) | \#\d
|(?<![\w.])-?(?:\d+\.?\d*|\.\d+)(?:pt|mm|cm|em|ex|in|bp|pc|px)\b
|(?<![\w.])\d+(?:[\s~$]*(?:\\times|[x×])[\s~$]*(?!10\s*\^)\d+)+(?!\.?\d)
|(?<![\d.])9[059](?:[\s~]|\\,)*(?:\\%|per\s?cent)[\s~-]+
    (?:(?:confidence|credible|[A-Z][\w']*)[\s~-]+)*(?:intervals?|CIs?)\b
|(?:\b\d\d?\s+)?\b{MONTH}(?:\s+\d\d?,?)?[\s~]+{YEAR}\b | \b{YEAR}-\d\d-\d\d\b | \b{YEAR}s\b
|\b(?:[Ii]n|[Ss]ince|[Uu]ntil|[Ff]rom|[Bb]efore|[Aa]fter|[Bb]y)[\s~]+{YEAR}\b
    (?:\s+(?:to|and|or)\s+{YEAR}\b)?(?!\s+(?:\w+\s+)?{NOUN})
"""
# In all that follow a space stands for any gap between words.
NUMBER = r"""
(?:\d+(?:[.,]\d+)*|\.\d+)(?: |-|)(?:\\%|per ?cent\b)
(?:\d+(?:,\d\d\d)*)?\.\d+(?:e[+-]?\d+)?|\d+e[+-]?\d+|\d+(?:k|M|x|s|ms|min|h|[kMGT]i?B)\b
\d+(?:(?:,|\\,|\{,\})\d+)*(?!\w|-[a-z])
"""
SPELLED = rf"""
(?<!any\s){COUNT}(?: |-)(?:(?!of\b)[\w'-]+ )?{NOUN}|{COUNT}(?: |-){COUNT}|{COUNT}(?: out)? of
(?:one|{COUNT}) (?:in|out of|of) (?:every )?(?:{COUNT}|\d+)|{COUNT}(?: |-){PART}s
(?:an?|one) {PART} (?:of|more|less|as|the)|(?:half|twice) (?:of|the|as|an?|its|their|that|all)
(?:one|by) half|(?:double|triple)[sd]?(?! (?:blind|precision|descent)|-)
"""
QUALITY = (
    r"(?:\w+(?:able|ible|ate|ive|ant|ful|ous|ical|ic|ly|ed)|\w*(?:fid|fici|sist|pati)ent"
    r"|robust|certain|complex|precise|often|noisy|well)"
)
COMPARISON = rf"""
best|better|worst|worse|superior(?:ity)?|inferior(?:ity)?|preferable|poor(?:ly|er|est)?
(?:out|under)perform\w*|beat(?:s|en|ing)?|exceed\w*|surpass\w*|outclass\w*|excels?|edge[sd] out
wins?|won|winn(?:er|ers|ing)|loses?|losing|lost to|dominat\w*|rivals?|struggl\w+|fail(?:s|ed)
(?:high|larg|small|great|few|fast|slow|quick|strong|weak|simpl|hard|cheap|wid|narrow|deep|shallow
short|steep|smooth|sharp|bigg|easi)(?:er|est)|low(?:er|est)(?! (?:case|bound|limit|and)\b)
(?<!no\s)longer|longest|clos(?:er|est)(?! (?:look|at)\b)|(?<!at\s)(?:more|less|most|least) {QUALITY}
(?:more|less|fewer)(?! than one\b)(?: [^\s.]+){{0,4}}? than
(?:as|so) (?:good|bad|high|low|large|small|strong|weak|fast|slow|simple|close|much|{QUALITY}) as
as good an? \w+ as|(?:almost|nearly|just|about) as \w+|on (?:a )?par|state-of-the-art
(?:perform|do|work|score|fare|generali[sz]e|predict)\w*(?: \w+)? (?:as well as|well|badly|the same)
the same (?:\w+ )?(?:accurac\w+|scores?|performance|level|errors?|loss|quality|mistakes)
equal(?:s|led|ly)?(?! (?:parts?|width|size)\b)|comparabl[ey]|similar(?:ly)?|competitive
significant(?:ly)?|indistinguishable|clearly|robust(?:ly)?|by an? (?:\w+ )?margin
(?<!idea\s)behind|ahead|leads|lags?|lagg(?:ed|ing)|trail(?:s|ing)|stands? out
(?:come|came|rank|place)[sd]?(?: out)? (?:first|second|last|close|near|top|on top)
match(?:es|ed)? (?:[^\s.]+ ){{0,3}}?(?:model|network|forest|baseline|accurac|score|perform|svm|mlp)\w*
(?:no|little|much|hardly any|barely any)(?: \w+)? differences?|mak(?:es?|ing) a(?: \w+)? difference
t(?:ells?|old)(?: [^\s.]+){{0,4}}? apart|f(?:alls?|ell|alling) short|(?:dis)?advantages?
"""
EFFECT = r"""
improv\w*|degrad(?:es?|ed|ing|ation)|deteriorat\w*|worsen\w*|boost\w*|benefit\w*|increas\w*
decreas\w*|declin\w*|diminish\w*|reduc(?:es?|ed|ing)|rais(?:es|ed)|lift(?:s|ed)|rises?|rose|rising
fell|falls?(?! (?:in|into|within|under|short)\b)|climb\w*|soar\w*|jump\w*|drop(?:s|ped|ping)?
plung\w+|collaps\w+|vanish\w*|grows?|grew|grown|gain(?:s|ed|ing)?|shrinks?|shrank|shrinking
halv(?:es?|ed)|plateau\w*|saturat(?:es?|ed)|hurt(?:s|ing)?|harm(?:s|ed|ful|ing)?|suffer\w*
help(?:s|ed|ing)?|over-?fit\w*|under-?fit\w*|affect(?:s|ed)?|influenc(?:es?|ed)|impacts?|matters?
(?:no|an?|little|small|large|strong|any|much) effect|pays? off|contribut(?:es?|ed)
correlates?|correlated with|depend(?:s|ed)?(?: \w+)? on
"""
CAUSE = r"""
because|due to|thanks to|owing to|caus(?:es?|ed|ing)|lead(?:s|ing)? to|led to|resulted in
(?<!the\s)(?<!our\s)results in|explain(?:s|ed by)?|therefore|thus|hence|consequently|accordingly
as a (?:result|consequence)|(?:which|that|this) is why|the (?:\w+ )?reason (?:for|is|why|that)
driv(?:es|en by)|stems? from|attribut(?:able|ed) to
"""


def _table(rows: str, before: str = r"\b", after: str = r"\b") -> re.Pattern[str]:
    either = "|".join(rows.strip().splitlines()).replace(" ", r"(?:[\s~{}$]|\\,)+")
    return re.compile(f"{before}(?:{either}){after}", re.IGNORECASE)


HIDDEN = re.compile(NOT_PROSE, re.VERBOSE)
TYPED = {
    "number by hand": _table(NUMBER, r"(?<![\w.])(?<![A-Za-z]-)", ""),
    "number by hand, in words": _table(SPELLED),
}
WORDS = {
    "comparison outside a claim": _table(COMPARISON),
    "effect outside a claim": _table(EFFECT),
    "cause outside a claim": _table(CAUSE),
}
NO_RESULT = re.compile(r"(?<!\\)%\s*no result\s*$")
# What ends a sentence: a full stop, but not that of an abbreviation, or a new piece of the paper.
STOP = re.compile(r"(?<!e\.g)(?<!i\.e)(?<!\bcf)(?<!\bvs)(?<!\bal)[.!?]['\")}]*\s+")
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


def find(text: str, name: str | Path = "paper.tex") -> list[Finding]:
    """All findings in the paper `text`, a file called `name`, and in the files that it inputs."""
    return list(_find(text, Path(name).name, Path(name).parent))


def _find(source: str, file: str, folder: Path) -> Iterator[Finding]:
    hidden = list(HIDDEN.finditer(source))
    prose = HIDDEN.sub(lambda m: m[0] if m["kept"] else re.sub(r"[^\n]", " ", m[0]), source)
    claims = list(_claims(source, prose, hidden, file))
    stops = [m.end() for m in STOP.finditer(prose)]
    ends = [end for end in stops if not source[end : end + 1].islower()]
    ends = sorted([*ends, *(m.start() for m in BREAK.finditer(source))])
    cited = {bisect(ends, m.start()) for m in hidden if m["cite"]}
    lines = source.split("\n")
    found = []
    for kind, pattern in (TYPED | WORDS).items():
        for match in pattern.finditer(prose):
            number, column = _place(source, match.start())
            line = lines[number - 1]
            known = [literals for start, end, literals in claims if start <= match.start() < end]
            if kind in TYPED:
                fine = known and _literals(match[0], DIGITS) <= known[0]
            else:
                fine = known or bisect(ends, match.start()) in cited or NO_RESULT.search(line)
            if not fine:
                excerpt = line[max(0, column - 30) : column + 50].strip()
                found.append(Finding(file, number, kind, excerpt))
    yield from sorted(found, key=lambda finding: finding.line)
    for name in (m["file"] for m in hidden if m["file"]):
        for path in (folder / name, folder / f"{name}.tex"):
            if path.is_file():
                inputs = path.relative_to(folder).as_posix()
                yield from _find(path.read_text(encoding="utf-8"), inputs, folder)


def _claims(
    source: str, prose: str, hidden: Iterable[re.Match[str]], file: str
) -> Iterator[tuple[int, int, set[str]]]:
    """Where the text of each claim begins and ends, and the numbers in its condition."""
    for claim in (m for m in hidden if m["condition"] or m["unclosed"]):
        text = re.compile(rf"\s*{GROUP}").match(prose, claim.end())
        if not claim["condition"] or not text or "\n\n" in source[claim.start() : text.end()]:
            number, _ = _place(source, claim.start())
            raise ValueError(f"{file}:{number}: the braces of this \\claim do not close")
        yield text.start(), text.end(), _literals(claim["condition"])


def _place(source: str, position: int) -> tuple[int, int]:
    """The line of a position, from 1, and the column, from 0."""
    before = source[:position]
    return before.count("\n") + 1, position - before.rfind("\n") - 1


def _literals(text: str, words: dict[str, str] | None = None) -> set[str]:
    """The numbers in `text` as they are written, those in `words` as digits."""
    text = re.sub(r"(?<=\d)(?:,|\\,|\{,\})(?=\d{3})", "", text)
    spelled = re.findall(r"[a-z]+?(?=s?d?\b)", text.lower())
    return {
        *re.findall(r"(?<![\w.])(?:\d*\.)?\d+(?:e[+-]?\d+)?", text),
        *(words[word] for word in spelled if words and word in words),
    }


def main() -> None:
    """Exits with 1 if there is a finding."""
    path = Path(sys.argv[1] if sys.argv[1:] else Path(__file__).parent.parent / "paper.tex")
    try:
        findings = find(path.read_text(encoding="utf-8"), path)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
    print(*findings, sep="\n", end="\n" if findings else "")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
