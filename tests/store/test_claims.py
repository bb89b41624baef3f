"""Claims exclude each other, within a process and across processes."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nodegraph.store.claims
from nodegraph.store.claims import Claims
from tests.messages import raises
from tests.store.other_process import Other, other_process

_NAME = "ab" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "claims"


@pytest.fixture
def claims(path: Path) -> Iterator[Claims]:
    with closing(Claims(path)) as claims:
        yield claims


@pytest.fixture
def other(path: Path) -> Iterator[Other]:
    script = (
        "from pathlib import Path\nfrom nodegraph.store.claims import Claims\n"
        f"claims = Claims(Path({str(path)!r}))"
    )
    with other_process(script) as process:
        yield process


def test_a_name_has_one_holder(claims: Claims) -> None:
    assert not claims.is_held(_NAME)
    assert claims.try_claim(_NAME)
    assert claims.is_held(_NAME)
    assert not claims.try_claim(_NAME)
    claims.release(_NAME)
    assert not claims.is_held(_NAME)
    assert claims.try_claim(_NAME)


def test_two_objects_of_a_process_exclude_each_other(path: Path, claims: Claims) -> None:
    assert claims.try_claim(_NAME)
    with closing(Claims(path)) as second:
        assert second.is_held(_NAME)
        assert not second.try_claim(_NAME)
        second.release(_NAME)  # it isn't its own
        assert claims.is_held(_NAME)
        claims.release(_NAME)
        assert second.try_claim(_NAME)
        assert not claims.try_claim(_NAME)
    assert claims.try_claim(_NAME)


def test_another_path_to_the_file_is_the_same(tmp_path: Path, path: Path, claims: Claims) -> None:
    link = tmp_path / "link"
    link.symlink_to(path)
    assert claims.try_claim(_NAME)
    with closing(Claims(link)) as second:
        assert not second.try_claim(_NAME)


def test_two_processes_exclude_each_other(claims: Claims, other: Other) -> None:
    assert claims.is_shared
    assert other.ask(f"claims.try_claim({_NAME!r})") == "true"
    assert claims.is_held(_NAME)
    assert not claims.try_claim(_NAME)
    assert claims.try_claim("cd" * 32)
    assert other.ask(f"claims.is_held({'cd' * 32!r})") == "true"
    assert other.ask(f"claims.release({_NAME!r})") == "null"
    assert claims.try_claim(_NAME)
    assert other.ask(f"claims.try_claim({_NAME!r})") == "false"


def test_what_a_dead_process_held_is_free(claims: Claims, other: Other) -> None:
    assert other.ask(f"claims.try_claim({_NAME!r})") == "true"
    assert not claims.try_claim(_NAME)
    other.kill()
    assert not claims.is_held(_NAME)
    assert claims.try_claim(_NAME)


def test_closing_one_object_keeps_the_others_claims(
    path: Path, claims: Claims, other: Other
) -> None:
    second = Claims(path)
    assert claims.try_claim(_NAME)
    assert second.try_claim("cd" * 32)
    second.close()
    assert other.ask(f"claims.is_held({_NAME!r})") == "true"
    assert other.ask(f"claims.is_held({'cd' * 32!r})") == "false"


def test_closed_claims_are_free_and_cannot_be_used(path: Path) -> None:
    claims = Claims(path)
    assert claims.try_claim(_NAME)
    claims.close()
    claims.close()
    with raises(ValueError):
        claims.try_claim(_NAME)
    with closing(Claims(path)) as again:
        assert not again.is_held(_NAME)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_holds_nothing_of_its_parents(path: Path) -> None:
    script = f"""
import os
from pathlib import Path
from nodegraph.store.claims import Claims
claims = Claims(Path({str(path)!r}))
assert claims.try_claim({_NAME!r})
child = os.fork()
if child == 0:
    seen = claims.is_held({_NAME!r}), claims.try_claim({_NAME!r}), claims.try_claim("cd")
    claims.release({_NAME!r})
    claims.close()
    os._exit(0 if seen == (True, False, True) else 3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
again = os.fork()
if again == 0:
    os._exit(0 if claims.is_held({_NAME!r}) and not claims.is_held("cd") else 4)
assert os.waitstatus_to_exitcode(os.waitpid(again, 0)[1]) == 0
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_one_of_many_threads_gets_a_name(claims: Claims) -> None:
    names = [f"{number:02x}" * 32 for number in range(50)]
    taken: list[str] = []
    start = Barrier(8)

    def take() -> None:
        start.wait()
        taken.extend(name for name in names if claims.try_claim(name))

    threads = [Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == names


_NAMES = ["00" * 32, "01" * 32, "ff" * 32]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["claim", "release", "reopen"]),
            st.integers(0, 1),
            st.sampled_from(_NAMES),
        )
    )
)
def test_they_act_like_a_table_of_holders(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, str]]
) -> None:
    path = tmp_path_factory.mktemp("model") / "claims"
    objects = [Claims(path), Claims(path)]
    holders: dict[str, int] = {}
    for step, number, name in steps:
        if step == "claim":
            assert objects[number].try_claim(name) == (name not in holders)
            holders.setdefault(name, number)
        elif step == "release":
            objects[number].release(name)
            if holders.get(name) == number:
                del holders[name]
        else:
            objects[number].close()
            objects[number] = Claims(path)
            holders = {held: who for held, who in holders.items() if who != number}
        for known in _NAMES:
            assert objects[1 - number].is_held(known) == (known in holders)
    for each in objects:
        each.close()


def test_without_locks_they_hold_within_the_process(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(descriptor: int, place: int) -> bool:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(nodegraph.store.claims, "lock_place", refuse)
    monkeypatch.setattr(nodegraph.store.claims, "is_locked_elsewhere", refuse)
    with closing(Claims(path)) as claims, closing(Claims(path)) as second:
        assert not claims.is_shared
        assert claims.try_claim(_NAME)
        assert not second.try_claim(_NAME)
        assert second.is_held(_NAME)
        claims.release(_NAME)
        assert not second.is_held(_NAME)
