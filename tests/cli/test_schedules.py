"""`nodegraph schedules`, `nodegraph webhooks`, timed submissions and webhooks of tokens."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.cli.server_support import Asked, known_packs, own_server, server, shared_server
from tests.server.hosting import workflow

__all__ = ["known_packs", "own_server", "server", "shared_server"]


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "sum.json"
    path.write_text(json.dumps(workflow()))
    return str(path)


def test_a_job_starts_no_sooner_than_it_should(cli: Cli, server: Asked, file: str) -> None:
    job = cli("submit", file, "--in", "2h", "--json").json
    assert 0 < job["not_before"] - job["created"] <= 7_200
    assert "queued, not before" in cli("jobs").out
    at = cli("submit", file, "--at", "2040-12-01T02:00:00+00:00", "--json").json
    assert at["not_before"] == 2_237_940_000.0
    assert cli("submit", file, "--at", "02:00", "--json").json["not_before"] > job["created"]
    for options in (["--at", "25:00"], ["--in", "soon"], ["--at", "02:00", "--in", "1h"]):
        assert cli("submit", file, *options).code == 2
    assert cli("jobs", "unhold", job["id"]).code == 0
    assert "not_before" not in cli("jobs", "show", job["id"]).out


def test_schedules_are_added_listed_changed_and_removed(
    cli: Cli, own_server: Asked, file: str
) -> None:
    assert cli("schedules").out == "No schedules.\n"
    added = cli("schedules", "add", file, "daily", "02:00", "--zone", "UTC", "--set", "b=4")
    assert added.code == 0, added.err
    name = added.out.strip()
    listed = cli("schedules", "--json").json["schedules"]
    assert [(each["id"], each["rule"], each["zone"]) for each in listed] == [
        (name, "daily 02:00", "UTC")
    ]
    assert name in cli("schedules").out
    assert cli("schedules", "pause", name[-8:]).out == "Paused 1 schedule.\n"
    job = cli("schedules", "run", name).out.strip()
    assert cli("jobs", "show", job, "--json").json["tags"] == [f"schedule:{name}"]
    assert cli("schedules", "resume", name, "--json").json["schedules"][0]["fired"] == 1
    assert "there is no such schedule" in cli("schedules", "pause", "sch_x").err
    assert cli("schedules", "remove", name).out == "Removed 1 schedule.\n"
    assert cli("schedules").out == "No schedules.\n"


def test_what_is_no_schedule_says_why(cli: Cli, server: Asked, file: str) -> None:
    refused = cli("schedules", "add", file, "dayly", "02:00")
    assert (refused.code, "not the rule of a schedule" in refused.err) == (2, True)
    refused = cli("schedules", "add", file, "endless", "--seeds", "randm")
    assert (refused.code, "Did you mean `random`?" in refused.err) == (2, True)


def test_webhooks_are_listed_tested_and_signed(cli: Cli, server: Asked, file: str) -> None:
    assert cli("webhooks").out == "No deliveries.\n"
    refused = cli("submit", file, "--webhook", "https://example.org/")
    assert (refused.code, "webhooks to example.org are not allowed" in refused.err) == (2, True)
    assert cli("submit", file, "--webhook", "none", "-q").code == 0
    assert cli("submit", file, "--webhook-event", "job.started").code == 2
    assert cli("webhooks", "test").code == 2
    assert cli("webhooks", "secret").out.startswith("whsec_")
    assert "there is no such delivery" in cli("webhooks", "show", "job_x-1").err
    assert cli("webhooks", "replay", "job_x-1").code == 2
    assert cli("webhooks", "list", "--state", "lost").code == 2


def test_a_token_has_a_webhook(cli: Cli) -> None:
    url = "https://example.org/hooks"
    assert cli("token", "add", "studio", "--webhook", url, "--json").json["webhook"] == url
    assert cli("token", "webhook", "studio").out == f"{url}\n"
    assert cli("token", "rotate", "studio", "--json").json["webhook"] == url
    assert cli("token", "webhook", "studio", "none").out == "No webhook.\n"
    for command in (["add", "other", "--webhook", "no"], ["webhook", "nobody", url]):
        assert cli("token", *command).code == 2
