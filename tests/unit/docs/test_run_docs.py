"""`scripts/run_docs.py` as it is called: what it runs, what it leaves out, and when it fails."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "run_docs.py"


def run(folder: Path, *pages: str) -> subprocess.CompletedProcess[str]:
    paths = []
    for number, text in enumerate(pages):
        path = folder / f"page{number}.md"
        path.write_text(text, encoding="utf-8")
        paths.append(str(path))
    work = folder / "work"
    work.mkdir(exist_ok=True)
    command = [sys.executable, str(SCRIPT), *paths, "--directory", str(work)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def block(text: str, language: str = "bash", before: str = "") -> str:
    return f"Some prose.\n\n{before}```{language}\n{text}\n```\n"


def test_the_blocks_of_a_file_share_one_shell_in_the_given_directory(tmp_path: Path) -> None:
    done = run(tmp_path, block("NAME=iris\nmkdir sub && cd sub") + block('echo "$NAME" > file'))
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "work" / "sub" / "file").read_text() == "iris\n"


def test_files_do_not_share_a_shell(tmp_path: Path) -> None:
    done = run(tmp_path, block("NAME=iris"), block('echo "[${NAME:-none}]"'))
    assert "[none]" in done.stdout


def test_each_command_is_shown_with_its_line_and_time(tmp_path: Path) -> None:
    done = run(tmp_path, block("# a comment\necho one \\\n  two\n\necho 'it'\"'\"'s three'"))
    lines = done.stdout.splitlines()
    assert "one two" in lines
    assert "it's three" in lines
    assert "  $ echo one \\" in lines
    assert [line.partition(".md:")[2].split()[0] for line in lines if line.endswith(" ms")] == ["5:", "8:"]


def test_here_documents_and_loops_are_one_command(tmp_path: Path) -> None:
    text = "cat > file <<'END'\na\n\nb\nEND\nfor x in 1 2; do\n  echo \"x$x\"\ndone"
    done = run(tmp_path, block(text))
    assert done.returncode == 0
    assert (tmp_path / "work" / "file").read_text() == "a\n\nb\n"
    assert sum(line.endswith(" ms") for line in done.stdout.splitlines()) == 2


@pytest.mark.parametrize("failing", ["false", "false | true", 'echo "$UNSET_NAME"', "if true; then"])
def test_the_first_failure_ends_the_run(tmp_path: Path, failing: str) -> None:
    done = run(tmp_path, block(f"{failing}\ntouch after"), block("touch other"))
    assert done.returncode != 0
    assert "page0.md:4: FAILED" in done.stdout or "syntax error" in done.stderr
    assert list((tmp_path / "work").iterdir()) == []


def test_other_languages_and_marked_blocks_are_left_out_and_listed(tmp_path: Path) -> None:
    text = (
        block("touch python", "python")
        + block("touch marked", before="<!-- not run -->\n")
        + block("touch reason", before="<!-- not run: needs a cloud account -->\n")
        + block("touch run")
    )
    done = run(tmp_path, text)
    assert [path.name for path in (tmp_path / "work").iterdir()] == ["run"]
    assert "not run (marked so)" in done.stdout
    assert "not run (needs a cloud account)" in done.stdout
    assert "touch python" not in done.stdout


# A signal between fork and exec is lost on bash, so the job has to be the program before it is stopped.
JOB = "sleep 60 &\nuntil [[ $(< /proc/$!/comm) == sleep ]]; do :; done"


def test_background_jobs_are_stopped_by_the_file_itself(tmp_path: Path) -> None:
    done = run(tmp_path, block(f"{JOB}\nkill %1 && wait"))
    assert done.returncode == 0, done.stdout


def test_what_a_file_leaves_running_is_stopped_and_fails_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, block(JOB))
    assert done.returncode == 1
    assert "left running and stopped" in done.stdout
    assert "sleep 60" in done.stdout


def test_a_fence_that_is_never_closed_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "```bash\necho")
    assert done.returncode != 0
    assert "page0.md: line 1: the fence is never closed" in done.stderr
