"""Machines that want the same at once: one computes it, and nobody who is late writes it."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from random import Random

import pytest

from nodegraph.store.remote.leases import Leases
from nodegraph.store.remote.object_storage import FolderStorage, ObjectStorage, Reachability
from tests.store.other_process import Other
from tests.store.remote.conftest import BOTH
from tests.store.support import key_of, open_at, output, put

SECONDS = 15.0


class Clock:
    """Shows what a test says."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


Machine = Callable[[str], Leases]


@pytest.fixture
def machine(place: ObjectStorage, clock: Clock) -> Iterator[Machine]:
    """The leases of a machine, which finds no entry at the place."""
    with ExitStack() as opened:

        def open_machine(name: str) -> Leases:
            reach = Reachability(place.url)
            leases = Leases(place, reach, name, lambda key: False, seconds=SECONDS, clock=clock)
            opened.callback(leases.close)
            return leases

        yield open_machine


@BOTH
def test_one_of_two_has_a_key(machine: Machine) -> None:
    one, two = machine("one"), machine("two")
    assert one.acquire(key_of("a"))
    assert not two.acquire(key_of("a"))
    assert two.acquire(key_of("b"))
    assert one.may_publish(key_of("a"))


def test_what_is_given_back_is_had_at_once_with_a_higher_token(
    machine: Machine, place: ObjectStorage
) -> None:
    one, two = machine("one"), machine("two")
    assert one.acquire(key_of("a"))
    one.release(key_of("a"), False)
    one.close()
    assert two.acquire(key_of("a"))
    assert dict(place.list("leases")).keys() == {
        f"leases/{key_of('a')}/{token:08d}" for token in (1, 2)
    }


def test_a_silent_holder_loses_its_lease_and_is_refused(machine: Machine, clock: Clock) -> None:
    one, two, three = machine("one"), machine("two"), machine("three")
    assert one.acquire(key_of("a"))
    assert not two.acquire(key_of("a"))
    clock.now += SECONDS - 1
    assert not two.acquire(key_of("a"))
    clock.now += 1
    # Who has only just come doesn't know how long it has been silent.
    assert not three.acquire(key_of("a"))
    assert two.acquire(key_of("a"))
    assert not one.may_publish(key_of("a"))
    assert two.may_publish(key_of("a"))


def test_nothing_of_a_lease_is_left_once_the_result_is_there(
    machine: Machine, place: ObjectStorage
) -> None:
    one = machine("one")
    assert one.acquire(key_of("a"))
    one.release(key_of("a"), True)
    one.close()
    assert not list(place.list("leases"))


def test_a_place_that_grants_several_is_told_and_binds_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Lax(FolderStorage):
        """As object stores that know no conditions."""

        def create(self, name: str, data: bytes) -> bool:
            self.write(name, data)
            return True

    place = Lax(tmp_path.as_uri(), tmp_path)
    for name in ("one", "two"):
        leases = Leases(place, Reachability(place.url), name, lambda key: False)
        assert leases.acquire(key_of("a"))
        leases.close()
    assert caplog.text.count("lets several machines create") == 2


def test_a_late_writer_publishes_nothing(place: ObjectStorage, tmp_path: Path) -> None:
    with (
        open_at(tmp_path / "1", storage=place) as one,
        open_at(tmp_path / "2", storage=place) as two,
    ):
        assert one.remote is not None
        assert two.remote is not None
        clock = Clock()
        two.remote.leases._clock = clock
        for store in (one, two):
            assert not store.bring(key_of("a"))
        assert one.remote.lease(key_of("a"))
        assert not two.remote.lease(key_of("a"))
        one.remote.leases.close()  # it stops, and renews nothing
        one.remote.leases._held[key_of("a")] = 1
        clock.now += 100.0
        assert two.remote.lease(key_of("a"))
        put(one, "a", "late")
        assert one.remote.wait_until_sent()
        assert not list(place.list("entries"))
        put(two, "a", "in time")
        assert two.remote.wait_until_sent()
    with open_at(tmp_path / "3", storage=place) as three:
        assert three.bring(key_of("a"))
        assert three.load(output(three, "a")) == "in time"


_SCRIPT = """
from tests.store.remote.machine import Machine
machine = Machine({folder!r}, {url!r}, {seconds})
run = lambda numbers: machine.run(numbers, {log!r})
"""
NUMBERS = list(range(10))


@contextmanager
def two_machines(folder: Path, url: str, seconds: float) -> Iterator[list[Other]]:
    """Processes with a local tier each, at one place."""
    with ExitStack() as opened:
        two = []
        for name in ("one", "two"):
            about = {"folder": str(folder / name), "url": url, "log": str(folder / "log")}
            script = _SCRIPT.format(seconds=seconds, **about)
            two.append(opened.enter_context(closing(Other(script))))
        assert [other.answer() for other in two] == ['"ready"'] * 2
        yield two


def begun(folder: Path) -> Counter[tuple[str, int]]:
    """How often each process began each job."""
    lines = (folder / "log").read_text().splitlines() if (folder / "log").exists() else []
    return Counter((line.split()[0], int(line.split()[1])) for line in lines)


@pytest.mark.parametrize("url", ["file", pytest.param("s3", marks=pytest.mark.slow)], indirect=True)
def test_two_machines_compute_each_key_once(url: str, tmp_path: Path) -> None:
    with two_machines(tmp_path, url, 60.0) as two:
        two[0].tell(f"run({NUMBERS})")
        two[1].tell(f"run({NUMBERS[::-1]})")
        assert [json.loads(other.answer()) for other in two] == [len(NUMBERS)] * 2
    assert sorted(number for _, number in begun(tmp_path).elements()) == NUMBERS


@pytest.mark.parametrize(
    ("url", "seed"),
    [
        ("file", 0),
        pytest.param("file", 1, marks=pytest.mark.slow),
        pytest.param("s3", 2, marks=pytest.mark.slow),
    ],
    indirect=["url"],
)
def test_what_a_killed_machine_had_taken_another_computes(
    url: str, tmp_path: Path, seed: int
) -> None:
    kill_after = Random(seed).randint(1, 6)
    with two_machines(tmp_path, url, 0.6) as two:
        two[0].tell(f"run({NUMBERS})")
        while sum(begun(tmp_path).values()) < kill_after:
            assert two[0].is_alive
            time.sleep(0.005)
        two[1].tell(f"run({NUMBERS})")
        two[0].kill()
        assert json.loads(two[1].answer()) == len(NUMBERS)
    found = begun(tmp_path)
    assert set(found.values()) == {1}  # neither began anything twice
    assert {number for _, number in found} == set(NUMBERS)
