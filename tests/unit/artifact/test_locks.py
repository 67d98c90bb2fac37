import subprocess
import sys
import threading
from pathlib import Path

import pytest

from model_artifact.locks import locked

HOLD = "import sys; from pathlib import Path; from model_artifact.locks import locked\n"
HOLD += "with locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


def test_a_lock_is_exclusive_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "x.lock"
    with locked(path), pytest.raises(BlockingIOError), locked(path, wait=False):
        pass
    assert list(path.parent.iterdir()) == []
    with locked(path, wait=False):
        assert path.exists()


def test_a_lock_dies_with_its_killed_holder(tmp_path: Path) -> None:
    path = tmp_path / "x.lock"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BlockingIOError), locked(path, wait=False):
            pass
        holder.kill()
        with locked(path):
            assert path.exists()
    assert not path.exists()


def test_many_waiting_holders_take_turns(tmp_path: Path) -> None:
    path, inside, seen = tmp_path / "locks" / "x.lock", [], []

    def work(number: int) -> None:
        for _ in range(20):
            with locked(path):
                inside.append(number)
                seen.append(len(inside))
                inside.remove(number)
            try:
                path.parent.rmdir()
            except OSError:
                continue

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert seen == [1] * 80
