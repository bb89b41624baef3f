"""The server's settings: where they come from, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.errors import InvalidFile
from nodegraph.server.settings import ServerSettings, load_server_settings
from nodegraph.session.settings import Settings, load_settings
from nodegraph.session.settings_kinds import iter_setting_paths
from tests.messages import raises


def loaded(home: Path, text: str = "", **flags: object) -> ServerSettings:
    (home / "config.toml").write_text(text)
    return load_server_settings(Settings(home=home), flags)


def test_without_any_the_server_is_private(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert found == ServerSettings()
    assert (found.host, found.port, found.is_private) == ("127.0.0.1", 8420, True)


def test_variables_go_before_the_file_and_flags_before_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "[server]\nport = 1\nworkers = 1\nmost_waiting = 1\n[server.limits]\nnodes = 5"
    monkeypatch.setenv("NODEGRAPH_SERVER_PORT", "2")
    monkeypatch.setenv("NODEGRAPH_SERVER_WORKERS", "2")
    monkeypatch.setenv("NODEGRAPH_SERVER_LIMITS_BODY", "2MB")
    found = loaded(tmp_path, text, port=3, workers=None)
    assert (found.port, found.workers, found.most_waiting) == (3, 2, 1)
    assert (found.limits.body, found.limits.nodes) == (2_000_000, 5)


@pytest.mark.parametrize(
    "text",
    [
        *("stall_seconds = true", "shutdown_seconds = true", "workers = true", "port = true"),
        *("limits.idle_seconds = true", "limits.body = true", "limits.nodes = false"),
        *("retention.seconds = true", "clients.waiting = true", "worker_memory = true"),
    ],
)
def test_true_is_no_number(tmp_path: Path, text: str) -> None:
    with raises(InvalidFile):
        loaded(tmp_path, f"[server]\n{text}")


def test_lists_in_variables_are_parted_by_commas(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_SERVER_ALLOWED_ORIGINS", "https://a.example:1, http://b")
    assert loaded(tmp_path).allowed_origins == ("https://a.example:1", "http://b")


def test_types_of_uploads_are_a_list_as_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert loaded(tmp_path).uploads.types == (
        *(
            "png",
            "jpeg",
            "webp",
            "gif",
            "ora",
            "psd",
            "mp4",
            "webm",
            "mkv",
            "wav",
            "flac",
            "ogg",
            "mp3",
        ),
        *("glb", "ply", "obj", "sdf", "pdb", "workflow"),
    )
    monkeypatch.setenv("NODEGRAPH_SERVER_UPLOADS_TYPES", "png, safetensors")
    assert loaded(tmp_path).uploads.types == ("png", "safetensors")


@pytest.mark.parametrize(
    "text",
    [
        "[server]\nprot = 1",
        "[server]\nport = 99999999",
        "[server]\nworkers = -1",
        "[server.limits]\nbody = 'many'",
        "[server.limits]\nbdy = 1",
        "[server.uploads]\ntypes = ['safetensor']",
        "[server.uploads]\ntypes = ['pickle']",
        "[server.uploads]\ntypes = []",
        "[server.uploads]\ntype = ['png']",
        "server = 3",
        "[server",
    ],
)
def test_what_makes_no_sense_is_told_by_its_name(tmp_path: Path, text: str) -> None:
    with raises(InvalidFile):
        loaded(tmp_path, text)


@pytest.mark.parametrize("path", ["studio", "/a b", "/a/../b", "//a", "/%61", "/api/x", "/login"])
def test_a_root_path_is_one_that_can_be_told_from_the_servers_own(
    tmp_path: Path, path: str
) -> None:
    with raises(InvalidFile):
        loaded(tmp_path, root_path=path)


@pytest.mark.parametrize(
    ("path", "meant"), [("/studio/", "/studio"), ("/a/b-c.d~1", "/a/b-c.d~1"), ("/", ""), ("", "")]
)
def test_a_root_path_ends_without_a_slash(tmp_path: Path, path: str, meant: str) -> None:
    assert loaded(tmp_path, root_path=path).root_path == meant


def test_an_unknown_variable_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODEGRAPH_SERVER_PROT", "1")
    with raises(InvalidFile):
        loaded(tmp_path)


def test_the_engines_settings_let_the_servers_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_SERVER_PORT", "1")
    (tmp_path / "config.toml").write_text('memory_cache = "1GB"\n[server]\nport = 2')
    assert load_settings({"home": tmp_path}).memory_cache == 1_000_000_000
    (tmp_path / "config.toml").write_text("[servre]\nport = 2")
    with raises(InvalidFile):
        load_settings({"home": tmp_path})


@pytest.mark.parametrize(
    ("settings", "private"),
    [
        ({}, True),
        ({"host": "::1"}, True),
        ({"host": "localhost"}, True),
        ({"host": "0.0.0.0"}, False),
        ({"host": "::"}, False),
        ({"host": "studio.example"}, False),
        ({"allowed_hosts": ["studio.example"]}, False),
    ],
)
def test_a_server_is_private_as_long_as_nobody_else_is_meant_to_reach_it(
    settings: dict[str, object], private: bool
) -> None:
    assert ServerSettings.model_validate(settings).is_private is private


def test_every_setting_has_a_variable_of_its_own() -> None:
    names = ["_".join(place) for place in iter_setting_paths(ServerSettings)]
    assert len(set(names)) == len(names)
    assert {"port", "limits_body", "rates_burst", "retention_count"} <= set(names)
