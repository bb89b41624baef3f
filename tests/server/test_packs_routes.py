"""Packs over HTTP: those of the index are installed, updated and removed, and nothing else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph.packs.installation.index import write_index
from tests.server.hosting import Hosted, eventually, hosted

PACK = '''
from nodegraph.api import node

@node
def Blur(value: int = 1) -> int:
    """Blur."""
    return value
'''


def publish(folder: Path, version: str) -> None:
    """Put a version of a pack into the folder of an index."""
    project = folder / f"soft-{version}"
    package = project / "soft"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(f"# {version}\n{PACK}")
    (project / "pyproject.toml").write_text(
        "[build-system]\nrequires = ['setuptools']\nbuild-backend = 'setuptools.build_meta'\n"
        f"[project]\nname = 'soft'\nversion = '{version}'\ndescription = 'Soft things'\n"
        "[project.entry-points.'nodegraph.packs']\nsoft = 'soft'\n"
    )
    write_index(folder)


@pytest.fixture
def index(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    folder.mkdir()
    publish(folder, "1.0")
    return folder


@pytest.fixture
def server(home: Path, index: Path) -> Iterator[Hosted]:
    with hosted(home, pack_index=(str(index),)) as opened:
        yield opened


def changed(server: Hosted, answer: Any) -> dict[str, Any]:
    """The end of a change that an answer has begun."""
    assert answer.status_code == 202, answer.text

    def ended() -> bool:
        return bool(server.client.get("/packs").json()["change"]["state"] != "running")

    eventually(ended)
    change: dict[str, Any] = server.client.get("/packs").json()["change"]
    return change


def installed(server: Hosted) -> dict[str, Any]:
    [pack] = server.client.get("/packs").json()["items"]
    return dict(pack)


def test_a_pack_is_installed_updated_rolled_back_and_removed(server: Hosted, index: Path) -> None:
    client = server.client
    assert client.get("/packs").json() == {
        "items": [], "has_index": True, "change": None, "next": None,
    }  # fmt: skip
    change = changed(server, client.post("/packs", json={"name": "soft"}))
    assert (change["state"], change["error"]) == ("done", None)
    pack = installed(server)
    assert (pack["name"], pack["version"], pack["trusted"], pack["node_types"]) == (
        "soft", "1.0", False, 1,
    )  # fmt: skip
    publish(index, "2.0")
    assert installed(server)["newer"] == "2.0"
    assert changed(server, client.post("/packs/soft/update"))["state"] == "done"
    assert (installed(server)["version"], installed(server)["earlier"]) == ("2.0", ["1.0"])
    assert client.post("/packs/soft/rollback").json()["version"] == "1.0"
    assert client.post("/packs/soft/disable").json()["enabled"] is False
    assert client.post("/packs/soft/enable").json()["enabled"] is True
    assert client.delete("/packs/soft").status_code == 204
    assert client.get("/packs").json()["items"] == []
    assert client.delete("/packs/soft").status_code == 404


def test_the_index_is_searched_by_words_types_and_names(server: Hosted) -> None:
    def names(**query: Any) -> list[str]:
        answer = server.client.get("/packs/available", params=query)
        assert answer.status_code == 200, answer.text
        return [item["name"] for item in answer.json()["items"]]

    assert names() == names(search="things") == names(name="soft") == ["soft"]
    assert names(node_type=["a:B", "soft:Blur"]) == ["soft"]
    assert names(search="hard") == names(node_type="hard:Blur") == names(name="hard") == []


def test_a_check_names_the_command_that_brings_what_lacks(server: Hosted) -> None:
    def hints() -> list[str]:
        workflow = {
            "format": "nodegraph/1",
            "requires": {"soft": ">=1.0"},
            "nodes": {"blur": {"type": "soft:Blur"}},
        }
        answer = server.client.post("/validate", json={"workflow": workflow})
        assert answer.status_code == 200, answer.text
        return [each["hint"] for each in answer.json()["problems"]]

    assert hints() == ["Run `nodegraph pack add soft`."] * 2
    changed(server, server.client.post("/packs", json={"name": "soft"}))
    server.client.post("/packs/soft/disable")
    assert hints() == ["Run `nodegraph pack enable soft`."] * 2


@pytest.mark.parametrize(
    "name",
    ["/etc", "../soft", "https://example.org/a.git", "soft==1.0", "a.whl", "", "-e", "x" * 101],
)
def test_only_names_are_taken(server: Hosted, name: str) -> None:
    answer = server.client.post("/packs", json={"name": name})
    assert answer.status_code == 422
    assert server.client.get("/packs").json()["change"] is None


def test_a_name_that_no_index_lists_fails(
    server: Hosted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder of this name in the working folder is no source either.
    (tmp_path / "hard").mkdir()
    (tmp_path / "hard" / "__init__.py").write_text(PACK)
    monkeypatch.chdir(tmp_path)
    change = changed(server, server.client.post("/packs", json={"name": "hard"}))
    assert change["state"] == "failed"
    assert "no index lists a pack `hard`" in change["error"]
    assert server.client.get("/packs").json()["items"] == []


def test_one_change_runs_at_a_time(server: Hosted) -> None:
    folder = server.services.pack_manager._folder()
    with folder.locked():
        first = server.client.post("/packs", json={"name": "soft"})
        second = server.client.post("/packs", json={"name": "soft"})
    assert (first.status_code, second.status_code) == (202, 409)
    assert changed(server, first)["state"] == "done"


def test_only_admins_see_and_change_packs(server: Hosted) -> None:
    for scope in ("read", "run", "models"):
        headers = server.token(scope, scope)
        for method, path in (
            ("GET", "/packs"), ("GET", "/packs/available"), ("POST", "/packs"),
            ("POST", "/packs/soft/update"), ("DELETE", "/packs/soft"),
        ):  # fmt: skip
            assert server.client.request(method, path, headers=headers).status_code == 403
