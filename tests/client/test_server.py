"""The queue as a whole, settings, templates and small images, as clients see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodegraph import Workflow
from nodegraph.client import (
    Client,
    ConnectionLost,
    Forbidden,
    NotFound,
    ServerError,
    UnexpectedAnswer,
    Upload,
)
from nodegraph.session.examples import templates
from tests.client.support import ONCE, Proxy, Said, answering, client_of, either_client, finished
from tests.messages import raises
from tests.server.hosting import Hosted, workflow
from tests.server.resources import opened, picture
from tests.server.talking import Worker


def test_the_queue_is_paused_and_goes_on(either: Any, server: Hosted) -> None:
    first, second = (either.submit(workflow()).id for _ in range(2))
    either.submit(workflow(), held=True)
    found = either.queue.get()
    assert (found.paused, found.counts.queued, found.counts.held) == (False, 3, 1)
    assert [job.id for job in found.upcoming] == [first, second]
    assert [job.id for job in either.queue.get(1).upcoming] == [first]
    assert either.queue.pause().paused
    assert server.services.queue.claim("worker").result() is None
    assert either.queue.get().paused
    assert not either.queue.resume().paused
    assert server.services.queue.claim("worker").result().id == first  # type: ignore[union-attr]


def test_what_waits_is_cancelled(either: Any) -> None:
    tagged = either.submit(workflow(), tags=["a"]).id
    other = either.submit(workflow()).id
    assert either.queue.clear(tag="b") == 0
    assert either.queue.clear(tag="a") == 1
    assert [either.get(job).state for job in (tagged, other)] == ["cancelled", "queued"]
    assert either.queue.clear(client="nobody") == 0
    assert either.queue.clear() == 1


def test_all_that_has_ended_is_deleted_at_once(either: Any) -> None:
    jobs = [either.submit(workflow(), name=f"job {at}", tags=["a"]).id for at in range(4)]
    for job in jobs[:3]:
        either.cancel(job)
    assert either.delete_all(state="failed") == 0
    assert either.delete_all(text="job 1", state=["failed", "cancelled"]) == 1
    assert either.delete_all(created_before=1.0) == 0
    assert either.delete_all(tag="a") == 2
    assert [job.id for job in either.list()] == [jobs[3]]
    assert either.delete_all() == 0


@pytest.mark.parametrize("ask", ["delete_all", "queue.clear"])
def test_what_would_count_otherwise_the_second_time_is_sent_once(
    ask: str, proxy: Proxy, client: Client
) -> None:
    job = client.submit(workflow()).id
    if ask == "delete_all":
        client.cancel(job)
    proxy.lost_answers = 1
    with (
        client_of(proxy) as unlucky,
        raises(ConnectionLost),
    ):
        unlucky.queue.clear() if ask == "queue.clear" else unlucky.delete_all()
    assert list(client.list(state="queued")) == []
    assert len([each for each in proxy.seen if each.startswith((b"POST", b"DELETE"))]) == 1


def test_settings_are_looked_at_and_changed(either: Any, server: Hosted) -> None:
    before = either.settings.get()
    assert before["retention"]["count"] == 10_000
    changed = either.settings.change(retention={"count": 5, "seconds": None})
    assert (changed["retention"]["count"], changed["retention"]["seconds"]) == (5, None)
    assert changed["retention"]["failed_count"] == before["retention"]["failed_count"]
    assert either.settings.get() == changed
    assert server.services.server.retention.count == 5
    with pytest.raises(ServerError):
        either.settings.change(port=1)


def test_who_may_not_administer_is_told(kind: str, own_server: Hosted) -> None:
    headers = own_server.token("ann", "run")
    token = headers["Authorization"].removeprefix("Bearer ")
    with either_client(kind, own_server.url, token=token) as client:
        for ask in (client.queue.pause, client.queue.resume, client.settings.get, client.refresh):
            with pytest.raises(Forbidden):
                ask()
        assert client.queue.clear() == 0
        assert client.queue.get().upcoming == ()


def test_templates_are_there_to_start_from(either: Any) -> None:
    listed = either.templates.list()
    assert {each.name for each in listed} == set(templates())
    first = listed[0]
    assert (first.title, first.parameters) == (
        templates()[first.name].title,
        tuple(templates()[first.name].parameters),
    )
    found = either.templates.get("text_to_image")
    assert Workflow.from_dict(found).title == templates()["text_to_image"].title
    assert either.validate(found).valid
    with raises(NotFound, given="'text_to_imag'"):
        either.templates.get("text_to_imag")


def test_small_pictures_of_pictures(either: Any, server: Hosted, worker: Worker) -> None:
    job = either.submit(workflow())
    finished(server, worker, job.id, {"a.png": picture(800, 400), "a.txt": b"text"})
    shown, text = either.get(job).files
    assert opened(either.thumbnail(shown)).size == (256, 128)
    assert opened(either.thumbnail(shown, 64)).size == (64, 32)
    with pytest.raises(NotFound):
        either.thumbnail(text)
    with pytest.raises(ServerError):
        either.thumbnail(shown, 9_999)
    upload = either.upload(picture(300, 600), "b.png")
    assert opened(either.thumbnail(upload, 128)).size == (64, 128)


def test_uploads_are_brought_back_and_deleted(either: Any, tmp_path: Path) -> None:
    data = picture()
    upload = either.upload(data, "a.png")
    either.download(upload, tmp_path / "back.png")
    assert (tmp_path / "back.png").read_bytes() == data
    either.delete_upload(upload)
    assert list(either.uploads()) == []
    with pytest.raises(NotFound):
        either.delete_upload(upload)


@pytest.mark.parametrize(
    ("said", "ask"),
    [
        (Said(200, {"Content-Type": "text/html"}, b"<html>"), "thumbnail"),
        (Said(200, {"Content-Type": "application/json"}, b'{"removed": 3}'), "delete_all"),
        (Said(200, {"Content-Type": "application/json"}, b'{"cancelled": "all"}'), "clear"),
    ],
)
def test_an_answer_of_another_form_is_not_taken(kind: str, said: Said, ask: str) -> None:
    upload = Upload("ab" * 32, "a.png", "image/png", 3, "upload:x")
    with (
        answering(said) as server,
        either_client(kind, server.url, retries=ONCE) as client,
        pytest.raises(UnexpectedAnswer),
    ):
        {
            "thumbnail": lambda: client.thumbnail(upload),
            "delete_all": client.delete_all,
            "clear": client.queue.clear,
        }[ask]()


def test_packs_are_looked_at_anew(either: Any, server: Hosted) -> None:
    found = either.refresh()
    assert (found.node_types, found.problems) == (either.system().node_types, ())
