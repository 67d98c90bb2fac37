import os
import signal

import pytest

from modelport.cli.children import TOLD_TO_END, capture, forwarding_signals, last_line


def test_exit_codes_are_passed_through():
    with forwarding_signals() as children:
        assert children.run("compileall", ["-q", os.devnull]) == 0
        assert children.read("json.tool", ["/nowhere"])[0] == 2


def test_death_by_a_signal_reads_as_in_a_shell():
    with forwarding_signals() as children:
        assert children.run("timeit", ["-n1", "-s", "import os", "os.kill(os.getpid(), 9)"]) == 137


def test_environment_and_output(tmp_path, capfd):
    ask = ["-n1", "-r1", "import os", "print(os.environ['MODELPORT_X'])"]
    with forwarding_signals() as children:
        assert children.run("timeit", ask, {"MODELPORT_X": "given"}) == 0
        assert capfd.readouterr().out.startswith("given")
        (tmp_path / "a.json").write_text("[1]")
        assert children.read("json.tool", ["--compact", "a.json"]) == (0, b"[1]\n")


def test_a_file_in_the_working_directory_takes_no_modules_place(tmp_path):
    (tmp_path / "json.py").write_text("raise SystemExit(99)")
    assert capture("json.tool", ["--help"]).returncode == 0


@pytest.mark.parametrize("number", TOLD_TO_END)
def test_without_a_child_this_process_ends_and_cleans_up(number):
    before = signal.getsignal(number)
    with pytest.raises(SystemExit) as ended, forwarding_signals():
        os.kill(os.getpid(), number)
    assert ended.value.code == 128 + number
    assert signal.getsignal(number) is before


def test_an_ignored_hangup_stays_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with forwarding_signals():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("output", "line"), [(b"a\nb\n", "b"), (b"", "it said nothing"), (b"\xff", "\ufffd")])
def test_last_line(output, line):
    assert last_line(output) == line
