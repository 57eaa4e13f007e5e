"""The autograder that Classroom 50's runner starts in the folder of a submission.

The course's source is the folder `source` beside this file.  It has no solutions, since students
can read it.  COURSE_SOURCE can name another source, which only a self-hosted runner can have.  It
is used only if submissions can be kept from reading it.

Writes result.json, release-body.md and paper.pdf.  If the grader fails, the exit status is 1, and
the runner reports an error instead of a grade.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
# The variables passed on to root's process, with the runner's names for the submission.
PASSED = (
    "CLASSROOM ASSIGNMENT ASSIGNMENT_TYPE OWNER USERNAME SUBMISSION_TAG COMMIT_URL RELEASE_URL "
    "REVIEW_URL COURSE_SOURCE PATH"
).split()


def main() -> int:
    """Grade the submission and return the exit status.

    It is 0 if the submission was graded, whatever its score.
    """
    own, again = os.environ.get("COURSE_SOURCE"), "--again" in sys.argv
    source = Path(own or HERE / "source")
    try:
        if not own and not again:
            subprocess.run(["make", "tools"], cwd=source, check=True)
        # Only root can run a submission as another user, so that it cannot deceive the grader.
        if os.geteuid() != 0 and not again and _works("sudo", "-n", "true"):
            known = [f"{name}={os.environ[name]}" for name in PASSED if name in os.environ]
            command = ["sudo", "-n", "env", *known, sys.executable, __file__, "--again"]
            return subprocess.run(command, check=False).returncode
        if own and os.geteuid() != 0:
            raise PermissionError(f"{own} is open to submissions: let the runner use sudo")
        # Students can read this source anyway, and the machine is theirs: nothing has to be hidden.
        grade(source, *[] if own else ["--allow-holes"])
    except (OSError, ValueError, KeyError, subprocess.CalledProcessError) as error:
        print(f"not graded: {error!r}")
        return 1
    return 0


def _works(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def grade(source: Path, *options: str) -> None:
    """Grade the current folder with a course's source, with these options of its grader."""
    submission = Path.cwd()
    with tempfile.TemporaryDirectory() as place:
        made = Path(place)
        command = [str(source / ".venv/bin/python3"), "literate/course/grade.py", str(submission)]
        command += [f"--login={os.environ['OWNER']}", f"--out={made / 'out'}"]
        command += [f"--classroom50={made / 'result.json'}", *options]
        env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run(command, cwd=source, env=env, check=True)
        result = (made / "result.json").read_bytes()
        put(submission / "release-body.md", body(json.loads(result)).encode())
        for pdf in (made / "out").glob("*.pdf"):
            if pdf.is_file() and not pdf.is_symlink():
                put(submission / "paper.pdf", pdf.read_bytes())
        put(submission / "result.json", result)


def put(path: Path, data: bytes) -> None:
    """Write a file that belongs to the owner of its folder."""
    # The submission may have left a link there, to a file that root should not overwrite.
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    with path.open("xb") as file:
        file.write(data)
        owner = path.parent.stat()
        if os.geteuid() == 0:
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)


def body(result: dict[str, Any]) -> str:
    """Return a result.json as text for the student.

    It has the points, and what was expected and found.
    """
    lines = [f"# {result['score']} of {result['max-score']} points", ""]
    for test in result["tests"]:
        passed = "passed" if test["passed"] else "NOT passed"
        points = f"{test['score']} of {test['max-score']}"
        lines.append(f"- {passed}: {test['test-name']} ({points})")
        if output := test.get("output"):
            longest = max(map(len, re.findall("`+", output)), default=0)
            ticks = "`" * max(3, longest + 1)
            lines += ["", *(f"  {line}" for line in [ticks, *output.split("\n"), ticks]), ""]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
