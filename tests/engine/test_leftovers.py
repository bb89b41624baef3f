"""What is left of a run that has ended."""

from __future__ import annotations

import gc
import time
import weakref
from pathlib import Path
from typing import Any

from nodegraph.api import node
from nodegraph.engine.cache import Cache, MemoryCache
from tests.engine.conftest import Bench


class Large:
    """Something whose end can be seen."""


def test_values_of_an_ended_run_need_no_garbage_collector(tmp_path: Path) -> None:
    made: list[weakref.ref[Large]] = []

    @node
    def Make() -> Any:
        """Give something."""
        value = Large()
        made.append(weakref.ref(value))
        return value

    bench = Bench(tmp_path).add(Make)
    bench.engine.close()
    bench.cache = Cache(MemoryCache(0))
    bench.engine = bench.new_engine()
    gc.disable()
    try:
        result = bench.run({"make": {"type": "Make"}})
        assert isinstance(next(iter(result.outputs.values())), Large)
        del result
        end = time.monotonic() + 30
        while made[0]() is not None and time.monotonic() < end:
            time.sleep(0.01)  # the lane's thread may hold it a moment longer
        assert made[0]() is None
    finally:
        gc.enable()
        bench.engine.close()
