"""A server with a worker, as people have one: processes of their own that do what is asked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.hosting import Process, prepared_home


@pytest.fixture(scope="module")
def real_server(tmp_path_factory: pytest.TempPathFactory, known_packs: Path) -> Iterator[Process]:
    """One for all tests of a module."""
    home = prepared_home(tmp_path_factory.mktemp("real") / "home", known_packs)
    with Process(home, "--workers", "1", "--devices", "cpu") as process:
        yield process.ready()
        assert process.stop() == 0
    assert "Traceback" not in process.log, process.log


def with_picture(path: str) -> dict[str, Any]:
    """A workflow that reads an image."""
    return {
        "format": "nodegraph/1",
        "parameters": {"path": "load.path", "width": "smaller.width"},
        "nodes": {
            "load": {"type": "LoadImage", "inputs": {"path": path}},
            "smaller": {
                "type": "ResizeImage",
                "inputs": {"image": {"from": "load.image"}, "width": 64, "height": 64},
            },
            "save": {
                "type": "SaveImage",
                "inputs": {"image": {"from": "smaller"}, "name": "apple"},
            },
        },
    }
