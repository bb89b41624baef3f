"""A graph whose node types are known already."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodegraph import Graph, Session, Settings


@pytest.fixture
def session(tmp_path: Path, known_specs: Path) -> Iterator[Session]:
    home = tmp_path / "home"
    shutil.copytree(known_specs, home / "cache" / "specs")
    with Session(Settings(home=home), inputs=tmp_path) as found:
        yield found


@pytest.fixture
def g(session: Session) -> Graph:
    return Graph("An image", session=session)
