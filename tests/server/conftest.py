"""What tests of the server share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.hosting import Hosted, hosted, prepared_home


@pytest.fixture(scope="session")
def known_packs(tmp_path_factory: pytest.TempPathFactory, known_specs: Path) -> Path:
    """A home folder in which it is known what packs declare; reading that takes seconds."""
    return prepared_home(tmp_path_factory.mktemp("known"), known_specs.parents[1])


@pytest.fixture
def home(tmp_path: Path, known_packs: Path) -> Path:
    """A server's home folder."""
    return prepared_home(tmp_path / "home", known_packs)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory, known_packs: Path) -> Iterator[Hosted]:
    """One server for the tests of a module, with what the last one left."""
    with hosted(prepared_home(tmp_path_factory.mktemp("shared") / "home", known_packs)) as found:
        found.is_shared = True
        yield found


@pytest.fixture
def server(shared_server: Hosted) -> Hosted:
    """A server without workers, jobs and files, as good as new.

    It goes on afterwards: tests that make tokens, stop it or break it take `own_server`.
    """
    shared_server.empty()
    return shared_server


@pytest.fixture
def own_server(home: Path) -> Iterator[Hosted]:
    """A server that no other test has."""
    with hosted(home) as found:
        yield found


@pytest.fixture
def hosting(home: Path) -> Callable[..., Any]:
    """Makes a server with other settings; for `with`."""
    return lambda **settings: hosted(home, **settings)
