"""Downloads by a server: for admins, with progress, continued by the next server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from nodegraph.client import Client, Forbidden, NotFound, ServerError
from nodegraph.errors import InvalidValue, NodegraphError
from tests.downloads.stand_in import LOOPBACK, Fault, Site, weights
from tests.server.hosting import Hosted, eventually, hosted

BIG = weights(3_000_000)
CDN = "/cdn/a/ink//ink.safetensors"


@pytest.fixture
def online(site: Site, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Site:
    """The stand-in, as a server reaches it."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    site.repositories["a/ink"] = {"ink.safetensors": BIG}
    site.cards["a/ink"] = {"license": "mit"}
    return site


@contextmanager
def serving(home: Path) -> Iterator[Hosted]:
    with hosted(home, download_hosts=LOOPBACK) as server:
        yield server


def test_a_model_is_found_planned_and_downloaded_with_progress(
    online: Site, tmp_path: Path
) -> None:
    with serving(tmp_path / "home") as server, Client(server.url) as client:
        found = client.model_downloads.search("ink", source="huggingface")
        assert [(hit.reference, hit.license) for hit in found] == [("a/ink", "mit")]
        offer = client.model_downloads.plan("a/ink", kind="lora")
        assert (offer.name, offer.bytes, offer.license) == (
            "loras/ink.safetensors",
            len(BIG),
            "mit",
        )
        assert [file.path for file in offer.files] == ["ink.safetensors"]
        address = f"{server.url.replace('http', 'ws')}/api/v1/events"
        with connect(address, subprotocols=[Subprotocol("nodegraph.v1.json")]) as socket:
            started = client.model_downloads.start("a/ink", kind="lora")
            assert started.state in ("queued", "running")
            while True:
                message = json.loads(socket.recv(60))
                if message.get("kind") == "models.download" and (
                    message["data"]["state"] == "finished"
                ):
                    break
        assert message["data"] | {"speed": 0, "seconds_left": 0} == {
            "id": started.id,
            "name": "loras/ink.safetensors",
            "state": "finished",
            "bytes": len(BIG),
            "done": len(BIG),
            "speed": 0,
            "seconds_left": 0,
        }
        assert "loras/ink.safetensors" in [model.name for model in client.models()]
        record = client.model_record("loras/ink.safetensors")
        assert (record.source, record.license) == ("a/ink", "mit")
        with pytest.raises(NotFound):
            client.model_record("nothing")
        (listed,) = client.model_downloads.list()
        assert (listed.state, listed.done) == ("finished", len(BIG))
        client.model_downloads.cancel(started.id)
        assert client.model_downloads.list() == ()


def test_a_download_is_paused_and_continued(online: Site, tmp_path: Path) -> None:
    gate = Event()
    online.faults[CDN] = Fault(gate=(1_000_000, gate))
    with serving(tmp_path / "home") as server, Client(server.url) as client:
        id_ = client.model_downloads.start("a/ink").id
        eventually(lambda: client.model_downloads.list()[0].done > 0)
        client.model_downloads.pause(id_)
        gate.set()
        eventually(lambda: client.model_downloads.list()[0].state == "paused")
        assert client.model_downloads.resume(id_).state in ("queued", "running")
        eventually(lambda: client.model_downloads.list()[0].state == "finished")
    assert (tmp_path / "home/models/checkpoints/ink.safetensors").read_bytes() == BIG


def test_the_next_server_continues_what_was_not_finished(online: Site, tmp_path: Path) -> None:
    gate = Event()
    online.faults[CDN] = Fault(gate=(1_000_000, gate))
    with serving(tmp_path / "home") as server, Client(server.url) as client:
        client.model_downloads.start("a/ink")
        eventually(lambda: client.model_downloads.list()[0].done > 500_000)
        server.services.model_downloads._stop.set()
        gate.set()
    assert not (tmp_path / "home/models/checkpoints").exists()
    with serving(tmp_path / "home") as server, Client(server.url) as client:
        eventually(lambda: client.model_downloads.list()[0].state == "finished")
    assert (tmp_path / "home/models/checkpoints/ink.safetensors").read_bytes() == BIG
    assert online.of(CDN)[-1].headers["Range"] > "bytes=0-"


def test_only_an_admin_may_have_the_server_ask_other_sites(online: Site, tmp_path: Path) -> None:
    with serving(tmp_path / "home") as server:
        admin = server.token("ada", "admin")
        runner = server.token("bob", "run")
        text = runner["Authorization"].removeprefix("Bearer ")
        with Client(server.url, text) as client:
            for ask in (
                lambda: client.model_downloads.search("ink"),
                lambda: client.model_downloads.plan("a/ink"),
                lambda: client.model_downloads.start("a/ink"),
                lambda: client.model_downloads.pause("x"),
                lambda: client.model_downloads.resume("x"),
                lambda: client.model_downloads.cancel("x"),
            ):
                with pytest.raises(Forbidden):
                    ask()
            assert client.model_downloads.list() == ()
            assert online.requests == []
            with Client(server.url, admin["Authorization"].removeprefix("Bearer ")) as other:
                other.model_downloads.start("a/ink")
                assert other.model_downloads.list()[0].source == "a/ink"
            (listed,) = client.model_downloads.list()
            assert (listed.name, listed.source) == ("checkpoints/ink.safetensors", "")


def test_a_server_reaches_only_the_hosts_of_its_setting(online: Site, tmp_path: Path) -> None:
    online.files["/x.safetensors"] = BIG
    with serving(tmp_path / "home") as server, Client(server.url) as client:
        for source, words in (
            ("https://example.org/x.safetensors", "downloads from example.org are not allowed"),
            ("http://169.254.169.254/x.safetensors", "are not allowed"),
            ("a/none", "no repository"),
            ("nonsense", "names no model"),
        ):
            with pytest.raises(NodegraphError, match=words):
                client.model_downloads.start(source)
        assert client.model_downloads.start(f"{online.plain}/x.safetensors").state in (
            "queued",
            "running",
        )
        with pytest.raises(NotFound, match="no such download"):
            client.model_downloads.pause("0123")


def test_a_failure_is_kept_without_paths_of_the_server(online: Site, tmp_path: Path) -> None:
    online.stated["ink.safetensors"] = "0" * 64
    with serving(tmp_path / "home") as server, Client(server.url) as client:
        client.model_downloads.start("a/ink")
        eventually(lambda: client.model_downloads.list()[0].state == "failed")
        error = client.model_downloads.list()[0].error
        assert error is not None
        assert "does not match the digest" in error
        assert str(tmp_path) not in error


def test_models_are_noted_moved_and_removed(online: Site, tmp_path: Path) -> None:
    folder = tmp_path / "home/models"
    (folder / "loras").mkdir(parents=True)
    (folder / "loras/a.safetensors").write_bytes(weights(100))
    (folder / "loras/a.civitai.info").write_text('{"baseModel": "Pony", "trainedWords": ["ink"]}')
    (folder / "loras/a.preview.png").write_bytes(b"none")
    name = "loras/a.safetensors"
    with serving(tmp_path / "home") as server, Client(server.url) as client:
        record = client.model_record(name)
        assert (record.base_model, record.trigger_words, record.stars) == ("Pony", ("ink",), 0)
        changed = client.change_model_record(name, stars=4, tags=["line"], trigger_words=["pen"])
        assert (changed.stars, changed.tags, changed.trigger_words) == (4, ("line",), ("pen",))
        assert changed.base_model == "Pony"
        assert client.change_model_record(name, trigger_words=None).trigger_words == ("ink",)
        with pytest.raises(ServerError, match="less than or equal to 5"):
            client.change_model_record(name, stars=9)
        moved = client.move_model(name, "loras/drawing/b")
        assert moved == "loras/drawing/b.safetensors"
        assert client.model_record(moved).stars == 4
        assert sorted(path.name for path in (folder / "loras/drawing").iterdir()) == [
            "b.civitai.info",
            "b.preview.png",
            "b.safetensors",
            "b.safetensors.nodegraph.json",
        ]
        with pytest.raises(InvalidValue, match="cannot have this name"):
            client.move_model(moved, "../../b")
        for wrong in ("tiny", "../home/models/loras/drawing/b.safetensors", "/etc/passwd"):
            with pytest.raises(NodegraphError):
                client.move_model(wrong, "loras/c")
            if wrong == "tiny":
                with pytest.raises(InvalidValue, match="not in a models folder"):
                    client.remove_model(wrong)
        client.remove_model(moved)
        assert [path.name for path in (folder / "loras/drawing").iterdir()] == []
        assert (folder / "loras").is_dir()


def test_only_an_admin_may_change_models(online: Site, tmp_path: Path) -> None:
    (tmp_path / "home/models").mkdir(parents=True)
    (tmp_path / "home/models/a.safetensors").write_bytes(weights(100))
    with serving(tmp_path / "home") as server:
        text = server.token("bob", "run")["Authorization"].removeprefix("Bearer ")
        with Client(server.url, text) as client:
            for ask in (
                lambda: client.change_model_record("a.safetensors", stars=1),
                lambda: client.move_model("a.safetensors", "b"),
                lambda: client.remove_model("a.safetensors"),
            ):
                with pytest.raises(Forbidden):
                    ask()
            assert client.model_record("a.safetensors").stars == 0
