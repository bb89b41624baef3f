"""How much memory a server's workers may take, where the settings don't say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nodegraph.core import host_memory
from nodegraph.core.host_memory import HostMemory
from nodegraph.server.rules import supervision_rules, worker_specs
from nodegraph.server.settings import ServerSettings
from nodegraph.session.settings import Settings

GIB = 1 << 30


@pytest.fixture(autouse=True)
def seven_gibibytes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A container that may take so much."""
    monkeypatch.setattr(host_memory, "host_memory", lambda: HostMemory(5 * GIB, 7 * GIB))
    host_memory.total_memory.cache_clear()
    yield
    host_memory.total_memory.cache_clear()


def two(**settings: object) -> ServerSettings:
    return ServerSettings.model_validate({"devices": ["cpu"], "workers": 2, **settings})


def test_workers_share_most_of_the_memory_there_is() -> None:
    assert supervision_rules(two()).memory_limit == int(7 * GIB * 0.85) // 2
    assert supervision_rules(two(worker_memory="1GiB")).memory_limit == GIB
    assert supervision_rules(two(worker_memory=0)).memory_limit is None


def test_they_share_what_is_kept_in_memory_too() -> None:
    workers = worker_specs(Settings(), two(), [])[:2]
    assert [spec.settings["memory_cache"] for spec in workers] == [7 * GIB // 16 // 2] * 2
    assert [spec.settings["host_weights_budget"] for spec in workers] == [int(4.2 * GIB) // 2] * 2


def test_what_the_settings_say_is_for_each() -> None:
    given = Settings(memory_cache=5, host_weights_budget=6)
    [spec, *_] = worker_specs(given, two(), [])
    assert (spec.settings["memory_cache"], spec.settings["host_weights_budget"]) == (5, 6)


def test_results_in_memory_have_a_share_of_it_up_to_a_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert Settings().memory_budget == 7 * GIB // 16
    monkeypatch.setattr(host_memory, "host_memory", lambda: HostMemory(GIB, 900 * GIB))
    host_memory.total_memory.cache_clear()
    assert Settings().memory_budget == 4 * GIB
