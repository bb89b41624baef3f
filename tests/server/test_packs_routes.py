"""Packs over HTTP: those of the index are installed, updated and removed, and nothing else is."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread
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
    assert client.get("/node-types").json()["isolated"] == {"soft": "sandbox"}
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


def test_files_that_differ_from_the_pinned_ones_are_not_installed(
    server: Hosted, index: Path
) -> None:
    (index / "soft-1.0" / "soft" / "__init__.py").write_text("import os")
    change = changed(server, server.client.post("/packs", json={"name": "soft"}))
    assert change["state"] == "failed"
    assert "is not the file that was pinned" in change["error"]
    assert server.client.get("/packs").json()["items"] == []


def test_odd_texts_of_an_index_do_no_harm(server: Hosted, index: Path) -> None:
    document = json.loads((index / "index.json").read_text())
    [version] = document["packs"]["soft"]["versions"]
    version["summary"] = "Soft\x1b[2J \ud800" + "x" * 5000
    document["packs"] |= {name: {"versions": [version]} for name in ("../up", "größe", "a b", "")}
    (index / "index.json").write_text(json.dumps(document))
    items = server.client.get("/packs/available").json()["items"]
    assert [each["name"] for each in items] == ["größe", "soft"]
    assert items[1]["summary"].startswith("Soft [2J  xxx")
    assert len(items[1]["summary"]) <= 1000
    # What is listed can be installed.
    change = changed(server, server.client.post("/packs", json={"name": "größe"}))
    assert (change["state"], installed(server)["name"]) == ("done", "größe")


@pytest.mark.parametrize("text", ["[" * 200_000, "{}", "", '{"format": "other", "packs": {}}'])
def test_a_file_that_is_no_index_is_a_problem(server: Hosted, index: Path, text: str) -> None:
    (index / "index.json").write_text(text)
    answer = server.client.get("/packs/available")
    assert (answer.status_code, answer.json()["items"]) == (200, [])
    assert "is not an index of packs" in answer.json()["problem"]


def test_an_address_that_does_not_answer_is_not_tried_by_each_search(home: Path) -> None:
    connections = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    connections.append(connection)
                    connection.close()

        Thread(target=refuse, daemon=True).start()
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/index.json"
        with hosted(home, pack_index=(address,)) as server:
            answers = [server.client.get("/packs/available").json() for _ in range(3)]
    assert len(connections) == 1
    assert all("cannot read" in answer["problem"] for answer in answers)


def test_one_change_runs_at_a_time(server: Hosted) -> None:
    folder = server.services.pack_manager._folder()
    with folder.locked():
        first = server.client.post("/packs", json={"name": "soft"})
        second = server.client.post("/packs", json={"name": "soft"})
    assert (first.status_code, second.status_code) == (202, 409)
    assert changed(server, first)["state"] == "done"


def test_only_admins_see_and_change_packs(server: Hosted) -> None:
    changes = [
        ("POST", f"/packs/soft/{each}") for each in ("update", "rollback", "enable", "disable")
    ]
    for scope in ("read", "run", "models"):
        headers = server.token(scope, scope)
        for method, path in (
            ("GET", "/packs"), ("GET", "/packs/available"), ("POST", "/packs"),
            ("DELETE", "/packs/soft"), *changes,
        ):  # fmt: skip
            assert server.client.request(method, path, headers=headers).status_code == 403
