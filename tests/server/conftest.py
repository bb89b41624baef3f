"""What tests of the server share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.server.hosting import Hosted, hosted, prepared_home


@pytest.fixture(scope="session")
def known_packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder in which it is known what packs declare; reading that takes seconds."""
    return prepared_home(tmp_path_factory.mktemp("known"))


@pytest.fixture
def home(tmp_path: Path, known_packs: Path) -> Path:
    """A server's home folder."""
    return prepared_home(tmp_path / "home", known_packs)


@pytest.fixture
def server(home: Path) -> Iterator[Hosted]:
    """A server without workers, tokens, and anything out of the ordinary."""
    with hosted(home) as found:
        yield found


@pytest.fixture
def hosting(home: Path) -> Callable[..., Any]:
    """Makes a server with other settings; for `with`."""
    return lambda **settings: hosted(home, **settings)
