"""Unfinished work is found again whole, or as it was before, whenever its process is killed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from nodegraph.store.checkpoints import Checkpoints
from nodegraph.store.msgpack_codec import Unstorable
from nodegraph.store.store import Store
from tests.store.support import files, key_of, open_at
from tests.store.values import same

_KEY = key_of("call")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with open_at(tmp_path / "store") as opened:
        yield opened


@pytest.fixture
def checkpoints(store: Store) -> Checkpoints:
    return Checkpoints(store)


def _files(store: Store) -> list[Path]:
    return files(store.folder, "checkpoints")


def _state(step: int) -> dict[str, Any]:
    latent = torch.full((1, 4, 8, 8), float(step))
    return {"latent": latent, "history": [latent * 2, None], "order": (1, step), "sigma": 0.1}


@pytest.mark.parametrize(
    "state", [_state(3), {"plain": [1, (2.5,), b"x"]}, {}], ids=["a", "b", "c"]
)
def test_a_checkpoint_comes_back(store: Store, state: dict[str, Any]) -> None:
    Checkpoints(store).save(_KEY, 3, 20, state)
    found = Checkpoints(store).load(_KEY)
    assert found is not None
    assert (found.step, found.total) == (3, 20)
    assert same(dict(found.state), state)


def test_there_is_none_at_first(checkpoints: Checkpoints) -> None:
    assert checkpoints.load(_KEY) is None
    checkpoints.remove(_KEY)


def test_the_last_one_counts_and_takes_room(store: Store, checkpoints: Checkpoints) -> None:
    for step in range(1, 5):
        checkpoints.save(_KEY, step, 4, _state(step))
    found = checkpoints.load(_KEY)
    assert found is not None
    assert same(dict(found.state), _state(4))
    assert len(_files(store)) == 1
    checkpoints.remove(_KEY)
    assert checkpoints.load(_KEY) is None
    assert _files(store) == []


def test_the_same_state_twice_keeps_its_file(store: Store, checkpoints: Checkpoints) -> None:
    other = key_of("other")
    for key in (_KEY, _KEY, other):
        checkpoints.save(key, 1, 4, _state(1))
    assert len(_files(store)) == 1
    checkpoints.remove(other)
    assert checkpoints.load(_KEY) is not None
    checkpoints.remove(_KEY)
    assert _files(store) == []


def test_a_damaged_one_is_set_aside(store: Store, checkpoints: Checkpoints) -> None:
    checkpoints.save(_KEY, 1, 4, _state(1))
    (path,) = _files(store)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert checkpoints.load(_KEY) is None
    assert _files(store) == []
    assert len(files(store.folder, "quarantine")) == 1
    assert checkpoints.rows() == []
    checkpoints.save(_KEY, 1, 4, _state(1))
    assert checkpoints.load(_KEY) is not None


def test_a_missing_one_is_forgotten(store: Store, checkpoints: Checkpoints) -> None:
    checkpoints.save(_KEY, 1, 4, _state(1))
    shutil.rmtree(store.folder / "checkpoints")
    assert checkpoints.load(_KEY) is None
    assert checkpoints.rows() == []
    checkpoints.save(_KEY, 2, 4, _state(2))
    assert checkpoints.load(_KEY) is not None


def test_what_cannot_be_stored_leaves_the_one_before(
    store: Store, checkpoints: Checkpoints
) -> None:
    checkpoints.save(_KEY, 1, 4, _state(1))
    with pytest.raises(Unstorable):
        checkpoints.save(_KEY, 2, 4, {"scheduler": object()})
    found = checkpoints.load(_KEY)
    assert found is not None
    assert found.step == 1
    assert files(store.folder, "temporary") == []


def test_the_oldest_go_beyond_the_budget(store: Store) -> None:
    names = [key_of(number) for number in range(4)]
    roomy = Checkpoints(store)
    for number, name in enumerate(names):
        roomy.save(name, number, 9, _state(number))
    size = roomy.rows()[0].bytes
    assert roomy.prune(3 * size) == 1
    assert [row.key for row in roomy.rows()] == names[1:]
    Checkpoints(store, budget=2 * size).save(names[0], 5, 9, _state(5))
    assert [row.key for row in roomy.rows()] == [names[3], names[0]]
    # One that is larger than all that may be kept is kept alone.
    Checkpoints(store, budget=1).save(names[1], 6, 9, _state(6))
    assert [row.key for row in roomy.rows()] == [names[1]]
    assert len(_files(store)) == 1


def test_files_that_nobody_knows_of_are_swept(store: Store, checkpoints: Checkpoints) -> None:
    checkpoints.save(_KEY, 1, 4, _state(1))
    (path,) = _files(store)
    shutil.copy(path, path.with_name("00" * 31 + ".safetensors"))
    assert checkpoints.sweep() == 1
    assert _files(store) == [path]


def test_a_read_only_store_gives_and_takes_nothing(store: Store, checkpoints: Checkpoints) -> None:
    checkpoints.save(_KEY, 1, 4, _state(1))
    (path,) = _files(store)
    with open_at(store.folder, read_only=True) as reading:
        assert Checkpoints(reading).load(_KEY) is not None
        path.write_bytes(b"damaged")
        assert Checkpoints(reading).load(_KEY) is None
    assert path.exists()
    assert len(checkpoints.rows()) == 1


def test_threads_save_and_load_at_once(checkpoints: Checkpoints) -> None:
    names = [key_of(number) for number in range(4)]
    wrong: list[Any] = []

    def work(name: str) -> None:
        for step in range(10):
            checkpoints.save(name, step, 10, {"key": name, "step": step})
            found = checkpoints.load(name)
            if found is None or found.state != {"key": name, "step": step}:
                wrong.append(found)

    threads = [Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


_KILLED_AT_EVERY_LINE = """
import os, sys
from pathlib import Path
from nodegraph.store.checkpoints import Checkpoints
from nodegraph.store.store import Store

folder, key = Path(sys.argv[1]), sys.argv[2]

def state(step):
    return {"step": step, "filling": bytes(10_000)}

def found():
    with Store(folder) as store:
        return Checkpoints(store).load(key)

def save(step, lines):
    left = lines
    def line(frame, event, argument):
        nonlocal left
        if "nodegraph" in frame.f_code.co_filename:
            left -= event == "line"
            if left < 0:
                os._exit(9)
            return line
    with Store(folder) as store:
        checkpoints = Checkpoints(store)
        sys.settrace(line)
        checkpoints.save(key, step, 1000, state(step))
        sys.settrace(None)
    os._exit(0)

with Store(folder) as store:
    Checkpoints(store).save(key, 0, 1000, state(0))
before, lines, kills = 0, 0, 0
while True:
    step = before + 1
    child = os.fork()
    if child == 0:
        save(step, lines)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    checkpoint = found()
    assert checkpoint is not None, lines
    assert checkpoint.step in (before, step), (lines, before, checkpoint.step)
    assert checkpoint.state == state(checkpoint.step), lines
    before = checkpoint.step
    if code == 0:
        assert before == step
        break
    assert code == 9
    kills += 1
    lines += 1
print(kills)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_killed_at_any_line_there_is_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    ended = subprocess.run(
        [sys.executable, "-c", _KILLED_AT_EVERY_LINE, str(folder), _KEY],
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 50
    with open_at(folder) as store:
        store.sweep()
        checkpoints = Checkpoints(store)
        checkpoints.sweep()
        assert len(_files(store)) == 1
        assert files(folder, "temporary") == []


@pytest.mark.slow
def test_another_process_goes_on_from_it(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    script = f"""
from pathlib import Path
from nodegraph.store.checkpoints import Checkpoints
from nodegraph.store.store import Store
import os, torch
store = Store(Path({str(folder)!r}))
Checkpoints(store).save({_KEY!r}, 7, 20, {{"latent": torch.arange(12.0).reshape(3, 4)}})
os._exit(1)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=500).returncode == 1
    with closing(open_at(folder)) as store:
        found = Checkpoints(store).load(_KEY)
        assert found is not None
        assert found.step == 7
        assert torch.equal(found.state["latent"], torch.arange(12.0).reshape(3, 4))
