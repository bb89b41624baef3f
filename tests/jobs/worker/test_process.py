"""The process itself, spoken to as the server would."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph.jobs.supervisor.crash_evidence import Recorder
from nodegraph.jobs.supervisor.messages import (
    Cancel,
    Ended,
    Heartbeat,
    Ready,
    Release,
    RunEvents,
    RunJob,
    Shutdown,
    read_report,
)
from nodegraph.jobs.supervisor.protocol import FrameReader, FrameWriter, Message
from nodegraph.jobs.supervisor.worker_spec import Launch, WorkerSpec
from nodegraph.jobs.worker.job_runner import MOST_AHEAD
from tests.jobs.supervisor.crew import PACK, PATIENCE, alone, run_of, sums
from tests.processes import killed_after

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")


class Server:
    """The other side of one process."""

    def __init__(self, folder: Path) -> None:
        settings = {
            "home": str(folder / "home"),
            "outputs": str(folder / "output"),
            "cache": str(folder.parent / "cache"),
            "checkpoint_seconds": 0,
            "device": "cpu",
        }
        self._recorder = Recorder.create()
        spec = WorkerSpec("it", settings=settings, packs=[PACK], warm=False)
        command = Launch.of(spec, self._recorder.path).command()
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self._writer = FrameWriter(self.process.stdin.fileno())
        self._reader = FrameReader(self.process.stdout.fileno())

    def say(self, message: Message) -> None:
        self._writer.write(message.as_dict())

    def hear(self, kind: type[Any]) -> Any:
        """The next message of a kind."""
        while (message := self._reader.read()) is not None:
            found = read_report(message)
            if isinstance(found, kind):
                return found
        raise AssertionError(f"no {kind.kind} came")

    @property
    def begun(self) -> dict[str, str | None]:
        """The jobs that it has begun, as its death would tell."""
        return self._recorder.begun

    def hang_up(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    def end(self) -> tuple[int, str]:
        """Wait for its end: the exit code, and what it wrote."""
        assert self.process.stderr is not None
        text = self.process.stderr.read().decode()
        return self.process.wait(PATIENCE), text

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()
        self._recorder.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    with killed_after(made.process):
        yield made
    made.close()


def waiting(folder: Path, **inputs: Any) -> RunJob:
    return run_of(alone("Wait", here=str(folder / "in"), gate=str(folder / "never"), **inputs))


def until_waiting(server: Server) -> None:
    """Wait until a job's node has begun."""
    while "node.started" not in {event.kind for event in server.hear(RunEvents).events}:
        pass


def test_it_says_who_it_is_and_that_it_lives_before_it_is_ready(server: Server) -> None:
    first = read_report(server._reader.read() or {})
    assert isinstance(first, Heartbeat)
    assert first.memory > 1 << 20
    ready = server.hear(Ready)
    assert (ready.pid, ready.role, ready.device) == (server.process.pid, "worker", "cpu")
    assert {"nodegraph", "python"} <= set(ready.versions)
    server.say(run_of(sums(1)))
    assert server.hear(Ended).status == "finished"
    server.say(Shutdown())
    assert server.end() == (0, "")


def test_a_server_that_hangs_up_gets_its_job_back(server: Server, tmp_path: Path) -> None:
    server.hear(Ready)
    server.say(waiting(tmp_path))
    until_waiting(server)
    server.hang_up()
    assert server.hear(Ended).status == "released"
    assert server.end()[0] == 0


@pytest.mark.slow
def test_a_server_that_is_not_understood_gets_its_job_back(server: Server, tmp_path: Path) -> None:
    server.hear(Ready)
    server.say(waiting(tmp_path))
    until_waiting(server)
    server._writer.write({"kind": "dance"})
    assert server.hear(Ended).status == "released"
    code, text = server.end()
    assert code == 0
    assert "unknown kind (given: 'dance'" in text


@pytest.mark.slow
def test_more_jobs_at_a_time_than_can_be_are_a_fault_of_the_server(
    server: Server, tmp_path: Path
) -> None:
    server.hear(Ready)
    for _ in range(MOST_AHEAD + 2):
        server.say(waiting(tmp_path))
    assert server.hear(Ended).status == "released"
    assert "more jobs at the same time than possible" in server.end()[1]


def test_jobs_that_are_handed_over_ahead_are_run_in_order(server: Server, tmp_path: Path) -> None:
    server.hear(Ready)
    gate = tmp_path / "gate"
    nodes = alone("Wait", here=str(tmp_path / "in"), gate=str(gate))
    server.say(run_of(nodes, "first"))
    until_waiting(server)
    for job in ("second", "third"):
        server.say(run_of(sums(1), job))
    gate.touch()
    ends = [server.hear(Ended) for _ in range(3)]
    assert [(end.job, end.status) for end in ends] == [
        ("first", "finished"),
        ("second", "finished"),
        ("third", "finished"),
    ]


def test_a_job_that_has_not_begun_can_be_taken_back_while_another_one_runs(
    server: Server, tmp_path: Path
) -> None:
    server.hear(Ready)
    server.say(run_of(alone("Wait", here=str(tmp_path / "in"), gate=str(tmp_path / "never")), "it"))
    until_waiting(server)
    for job in ("back", "cancelled", "last"):
        server.say(run_of(sums(1), job))
    server.say(Release("back", 1))
    server.say(Cancel("cancelled", 1))
    ends = [server.hear(Ended) for _ in range(2)]
    assert [(end.job, end.status) for end in ends] == [
        ("back", "released"),
        ("cancelled", "cancelled"),
    ]
    server.say(Shutdown())
    left = {(end.job, end.status) for end in [server.hear(Ended) for _ in range(2)]}
    assert left == {("it", "released"), ("last", "released")}
    assert server.end() == (0, "")


def test_jobs_run_beside_each_other_where_they_are_told_to(server: Server, tmp_path: Path) -> None:
    server.hear(Ready)
    gate = tmp_path / "gate"
    for job in ("first", "second", "third"):
        nodes = alone("Wait", here=str(tmp_path / job), gate=str(gate))
        server.say(run_of(nodes, job, beside=job != "first"))
        until_waiting(server)
    assert server.begun == {"first": "it", "second": "it", "third": "it"}
    server.say(run_of(sums(1), "ahead"))
    server.say(Cancel("second", 1))
    server.say(Release("third", 1))
    ends = {(end.job, end.status) for end in (server.hear(Ended) for _ in range(2))}
    assert ends == {("second", "cancelled"), ("third", "released")}
    assert server.begun == {"first": "it"}
    gate.touch()
    left = [server.hear(Ended) for _ in range(2)]
    assert [(end.job, end.status) for end in left] == [("first", "finished"), ("ahead", "finished")]


def test_all_jobs_are_given_back_at_the_end(server: Server, tmp_path: Path) -> None:
    server.hear(Ready)
    for job in ("first", "second"):
        nodes = alone("Wait", here=str(tmp_path / job), gate=str(tmp_path / "never"))
        server.say(run_of(nodes, job, beside=job != "first"))
        until_waiting(server)
    server.say(Shutdown())
    ends = {(end.job, end.status) for end in (server.hear(Ended) for _ in range(2))}
    assert ends == {("first", "released"), ("second", "released")}
    assert server.end() == (0, "")


def test_a_process_that_is_asked_to_end_gives_its_job_back(server: Server, tmp_path: Path) -> None:
    server.hear(Ready)
    server.say(waiting(tmp_path))
    until_waiting(server)
    server.process.send_signal(signal.SIGTERM)
    assert server.hear(Ended).status == "released"
    assert server.end()[0] == 0


@pytest.mark.slow
def test_a_process_that_is_asked_twice_ends_at_once(server: Server, tmp_path: Path) -> None:
    server.hear(Ready)
    server.say(waiting(tmp_path, heeds=False))
    until_waiting(server)
    server.say(Shutdown())
    # Given back only once the shutdown was heard, as both come by the same way.
    server.say(run_of(sums(1), "late"))
    ended = server.hear(Ended)
    assert (ended.job, ended.status) == ("late", "released")
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(PATIENCE) == 128 + signal.SIGTERM


@pytest.mark.slow
def test_who_is_cancelled_after_being_released_does_not_go_on(
    server: Server, tmp_path: Path
) -> None:
    server.hear(Ready)
    server.say(waiting(tmp_path))
    server.say(Cancel("job", 1, "both"))
    assert server.hear(Ended).status == "cancelled"


def test_settings_that_cannot_be_read_end_it_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text("chache = 1")
    server = Server(tmp_path)
    code, text = server.end()
    server.close()
    assert code == 1
    assert "there is no setting `chache`. Did you mean `cache`?" in text
