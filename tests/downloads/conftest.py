"""Sites on loopback, and downloads from them into a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph.cli import main
from nodegraph.models.remote.downloads import Downloads
from nodegraph.models.remote.guarded_http import HostRules
from nodegraph.models.remote.hubs import ModelHubs
from nodegraph.models.remote.transfers import RetryPolicy
from tests.cli.conftest import Cli, Result
from tests.downloads.stand_in import LOOPBACK, Site, standing_in

QUICK = RetryPolicy(attempts=3, first_seconds=0.001, most_seconds=0.002)


@pytest.fixture
def site() -> Iterator[Site]:
    with standing_in() as sites:
        yield sites


@pytest.fixture
def environment(site: Site, tmp_path: Path) -> dict[str, str]:
    """Variables that name the stand-in; the cache of the hub's client is empty."""
    cache = tmp_path / "hub_cache"
    return {
        "HF_ENDPOINT": site.url,
        "CIVITAI_ENDPOINT": site.civitai,
        "HF_HUB_CACHE": str(cache),
    }


@pytest.fixture
def hubs(environment: dict[str, str]) -> ModelHubs:
    return ModelHubs(HostRules.parse(LOOPBACK), environment)


@pytest.fixture
def opened(hubs: ModelHubs, tmp_path: Path) -> Callable[..., Downloads]:
    """Opens the downloads into the folder `models`."""

    def open_downloads(**options: Any) -> Downloads:
        return Downloads(tmp_path / "models", hubs, options.pop("retries", QUICK), **options)

    return open_downloads


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run a command in this process."""

    def run_command(*arguments: str | Path) -> Result:
        code = main([str(item) for item in arguments])
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run_command
