"""A server's plans tell what has room on the workers' devices, by what workers told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph.core.host_memory import HostMemory
from nodegraph.jobs.supervisor.messages import MemoryUpdate, Ready
from nodegraph.jobs.supervisor.placement import rooms_of
from nodegraph.jobs.worker.planner import PlannerAnswers
from nodegraph.session import session as sessions
from nodegraph.session import weights
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings
from tests.server.hosting import Hosted
from tests.server.workflows import sampling

MIB = 1 << 20
Plan = Callable[..., dict[str, Any]]


@pytest.fixture
def planned(
    server: Hosted, home: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Plan]]:
    """Gives what asks a server, whose planner is for a device, for a plan."""
    opened: list[PlannerAnswers] = []
    # There is no such device here; the planner needs none.
    monkeypatch.setattr(sessions, "resolve_device", lambda name: name)
    monkeypatch.setattr(sessions, "matmul_seconds", lambda device: None)

    def planner(device: str) -> Plan:
        settings = Settings(home=home, device=device)
        answers = PlannerAnswers(lambda: Session(settings))
        opened.append(answers)

        async def ask(question: str, arguments: dict[str, Any], timeout: float) -> Any:
            return answers.answer(question, arguments)

        monkeypatch.setattr(server.services.supervisor, "ask", ask)

        def plan(*workers: Ready) -> dict[str, Any]:
            answers.update_memory(MemoryUpdate({}, [], [], is_all=True, rooms=rooms_of(workers)))
            document = sampling(64, steps=3)
            answer = server.client.post("/plan", json={"workflow": document})
            assert answer.status_code == 200, answer.text
            found: dict[str, Any] = answer.json()
            return found

        return plan

    yield planner
    for answers in opened:
        answers.close()


def worker(device: str, total: int, free: int | None = None) -> Ready:
    """What one says at its start, of so many MiB."""
    room = {"total": total * MIB, "free": (total if free is None else free) * MIB}
    return Ready(1, "worker", device, {}, {**room, "budget": None, "rate": float(8 << 30)})


@pytest.mark.parametrize(("total", "fit"), [(64, "whole"), (14, "parts"), (1, "none")])
def test_a_plan_says_what_has_room_on_the_worker_s_device(
    planned: Callable[[str], Plan], total: int, fit: str
) -> None:
    found = planned("cuda:0")(worker("cuda:0", total))
    sample = found["nodes"]["sample"]
    assert sample["fit"] == fit
    assert (sample["transfer_seconds"] > 0) == (fit == "parts")
    assert sample["weights"] > 14 * MIB
    assert found["totals"]["room"]["cuda:0"] == total * MIB


@pytest.mark.slow
def test_of_several_devices_the_largest_counts(planned: Callable[[str], Plan]) -> None:
    workers = worker("cuda:0", 1), worker("cuda:1", 64), worker("cuda:1", 64, 2)
    found = planned("cuda:0")(*workers)
    assert found["nodes"]["sample"]["fit"] == "whole"
    assert found["totals"]["room"]["cuda:0"] == 64 * MIB


def test_what_no_worker_told_is_not_known(planned: Callable[[str], Plan]) -> None:
    plan = planned("cuda:0")
    for workers in ((), (Ready(1, "worker", "cuda:0", {}),), (worker("cpu", 1),)):
        found = plan(*workers)
        assert found["nodes"]["sample"]["fit"] == ""
        assert "cuda:0" not in found["totals"]["room"]


def test_what_a_worker_s_idle_weights_take_of_the_host_is_no_alarm(
    planned: Callable[[str], Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "memory_of", lambda device: HostMemory(1 * MIB, 256 * MIB))
    plan = planned("cpu")
    assert plan()["nodes"]["sample"]["fit"] == "none"
    assert plan(worker("cpu", 256))["nodes"]["sample"]["fit"] == "whole"
