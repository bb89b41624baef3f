"""A proxy offers the server below a path: whether it takes the path away or not, all is found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from nodegraph.client import Client
from nodegraph.core.events import Event
from nodegraph.server.access.authentication import safe_redirect_target
from nodegraph.server.access.tokens import TokenFile
from nodegraph.server.content.pages import Editor
from nodegraph.server.root_path import using_root_path
from tests.server.hosting import PATIENCE, Hosted, hosted, prepared_home, workflow
from tests.server.proxying import Proxy, proxied
from tests.server.resources import picture
from tests.server.talking import Worker
from tests.server.test_artifacts_routes import give
from tests.server.test_pack_frames import with_frames

PATH = "/studio"
PICTURE = picture(300, 200)
HTML = {"Accept": "text/html"}
PAGE = (
    b'<!doctype html><meta name="root-path" content="" /><link href="./favicon.svg" />'
    b'<script type="module" src="./assets/main-1a2b.js"></script>'
)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory, known_packs: Path) -> Iterator[Hosted]:
    home = prepared_home(tmp_path_factory.mktemp("shared") / "home", known_packs)
    with hosted(with_frames(home), root_path=PATH) as found:
        yield found


@pytest.fixture(params=[True, False], ids=["taken away", "left"])
def proxy(server: Hosted, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    with proxied(server.port, PATH, strips=request.param) as found:
        yield found


@contextmanager
def browser(proxy: Proxy) -> Iterator[httpx.Client]:
    headers = {**HTML, "Origin": proxy.origin, "Sec-Fetch-Site": "same-origin"}
    with httpx.Client(
        base_url=proxy.origin, headers=headers, timeout=PATIENCE, trust_env=False
    ) as found:
        yield found


def addresses(found: Any) -> Iterator[str]:
    """All addresses in an answer."""
    if isinstance(found, list):
        for each in found:
            yield from addresses(each)
    elif isinstance(found, dict):
        for name, value in found.items():
            if name in ("href", "thumbnail", "picture", "self", "workflow", "events") and value:
                yield value
            else:
                yield from addresses(value)


def test_every_address_in_an_answer_leads_to_what_it_names(server: Hosted, proxy: Proxy) -> None:
    give(server, PICTURE)
    for folder, names in (("inputs", ["a.png"]), ("models", ["a.safetensors", "a.png"])):
        (server.services.home / folder).mkdir()
        for name in names:
            (server.services.home / folder / name).write_bytes(PICTURE)
    with Client(proxy.url) as client:
        upload = client.upload(PICTURE, name="apple.png")
        job = client.submit(workflow())
        client.workflows.save("sum", workflow())
        assert client.workflows.get("sum")
        assert client.apps.run("sum", {"b": 2}).job.links.self.startswith(f"{PATH}/")
        found = [upload.href, job.links.self]
    with browser(proxy) as client:
        for path in (
            *("jobs", "artifacts", "uploads", "inputs", "templates", "workflows", "apps"),
            *("models", "node-types"),
        ):
            answer = client.get(f"{PATH}/api/v1/{path}", headers={"Accept": "application/json"})
            listed = list(addresses(answer.json()))
            assert listed, path
            # Of hundreds of examples some; pages of packs come last.
            found += listed[:4] + listed[-4:]
        assert any(address.startswith(f"{PATH}/packs/") for address in found)
        for address in dict.fromkeys(found):
            assert address.startswith(f"{PATH}/"), address
            answer = client.get(address, headers={"Accept": "application/json, image/*"})
            assert answer.status_code == 200, address
    assert proxy.strays == []


def test_events_have_such_addresses_too(server: Hosted, proxy: Proxy) -> None:
    with Client(proxy.url) as client:
        job = client.submit(workflow())
        worker = Worker(server)
        claimed = worker.take()
        data = {
            "path": "/out/a.png",
            "file": "image",
            "digest": "ab" * 32,
            "media_type": "image/png",
        }
        worker.tell(claimed, Event(1, "node.wrote", "show", 0.5, data))
        worker.finish(claimed)
        told = [event.data for event in client.watch(job, after=0) if event.kind == "node.wrote"]
    href = f"{PATH}/api/v1/artifacts/{'ab' * 32}"
    assert [(each["href"], each["thumbnail"]) for each in told] == [(href, f"{href}/thumbnail")]


def test_refusals_and_new_things_say_where(proxy: Proxy) -> None:
    with browser(proxy) as client:
        missing = client.get(f"{PATH}/api/v1/jobs/job_{'0' * 26}").json()
        assert missing["instance"] == f"{PATH}/api/v1/jobs/job_{'0' * 26}"
        made = client.post(f"{PATH}/api/v1/jobs", json={"workflow": workflow()})
        assert made.headers["location"] == f"{PATH}/api/v1/jobs/{made.json()['id']}"
        description = client.get(f"{PATH}/openapi.json").json()
        assert description["servers"] == [{"url": PATH}]
        assert "/api/v1/jobs" in description["paths"]


def test_the_form_of_an_app_leads_to_its_job(proxy: Proxy) -> None:
    with browser(proxy) as client:
        client.put(f"{PATH}/api/v1/workflows/sum", json=workflow()).raise_for_status()
        form = client.get(f"{PATH}/api/v1/apps/sum").text
        action = re.search(r'action="([^"]+)"', form)
        assert action is not None
        ran = client.post(action[1], files={"b": (None, "3")}, headers={"Prefer": "wait=0"})
        assert ran.status_code == 303
        shown = client.get(ran.headers["location"]).text
        assert f'href="{PATH}/api/v1/apps/sum"' in shown
        assert f'href="{PATH}/favicon.svg"' in shown
    assert proxy.strays == []


def test_the_editors_page_asks_for_its_parts_below_the_path(
    server: Hosted, proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "favicon.svg").write_bytes(b"<svg/>")
    (tmp_path / "assets" / "main-1a2b.js").write_bytes(b"1")
    monkeypatch.setattr(server.services, "editor", Editor(tmp_path, PATH))
    with browser(proxy) as client:
        for place in (PATH, f"{PATH}/"):  # some proxies hand on the one, some the other
            page = client.get(place).text
            assert re.findall(r'"(/[^"]+)"', page) == [
                PATH,
                f"{PATH}/favicon.svg",
                f"{PATH}/assets/main-1a2b.js",
            ]
        assert client.get(f"{PATH}/assets/main-1a2b.js").text == "1"


def test_logging_in_leads_below_the_path_and_the_cookie_is_for_it_alone(home: Path) -> None:
    token, _ = TokenFile(home / "tokens.json").add("studio", ["run"])
    with (
        hosted(home, root_path=PATH) as server,
        proxied(server.port, PATH) as proxy,
        browser(proxy) as client,
    ):
        asked = client.get(f"{PATH}/api/v1/jobs?limit=2")
        place = asked.headers["location"]
        assert place == f"{PATH}/login?next=%2Fstudio%2Fapi%2Fv1%2Fjobs%3Flimit%3D2"
        goal = re.search(r'name="next" value="([^"]+)"', client.get(place).text)
        assert goal is not None
        entered = client.post(place, data={"token": token, "next": goal[1]})
        assert entered.headers["location"] == f"{PATH}/api/v1/jobs?limit=2"
        name, *attributes = entered.headers["set-cookie"].split("; ")
        assert name.startswith("nodegraph_session_")
        assert ".studio=" in name
        assert f"Path={PATH}" in attributes
        assert client.get(entered.headers["location"]).status_code == 200
        assert f'action="{PATH}/logout"' in client.get(f"{PATH}/login").text
        left = client.post(f"{PATH}/logout")
        assert left.headers["location"] == f"{PATH}/login"
        assert client.get(f"{PATH}/api/v1/jobs").status_code == 303
        by_tls = client.post(
            f"{PATH}/login",
            data={"token": token},
            headers={"Origin": proxy.origin.replace("http:", "https:")},
        )
        # Names with `__Host-` are for whole hosts.
        assert by_tls.headers["set-cookie"].startswith("__Secure-nodegraph_session_")
        assert proxy.strays == []


def test_without_a_proxy_its_own_addresses_work_too(server: Hosted) -> None:
    assert server.client.get("/jobs").status_code == 200
    assert httpx.get(f"{server.url}/healthz", timeout=PATIENCE).status_code == 200
    assert httpx.get(f"{server.url}{PATH}/healthz", timeout=PATIENCE).status_code == 200
    # What only begins alike lies elsewhere.
    assert httpx.get(f"{server.url}{PATH}s/healthz", timeout=PATIENCE).status_code == 404


def test_what_a_client_kept_of_another_path_is_not_what_there_is_now(
    hosting: Callable[..., Any],
) -> None:
    tags = set()
    for root in ("", PATH):
        with hosting(root_path=root) as server:
            headers = {"If-None-Match": next(iter(tags), "")}
            answer = server.client.get("/node-types", headers=headers)
            assert answer.status_code == 200
            tags.add(answer.headers["etag"])
    assert len(tags) == 2


@pytest.mark.parametrize("place", ["/", "/other", "/studios/x", "/studio/../x", "/studio/%2E%2e/x"])
def test_nobody_is_sent_out_of_the_path(place: str) -> None:
    with using_root_path(PATH):
        assert safe_redirect_target(place) == f"{PATH}/login"
        assert safe_redirect_target(f"{PATH}/api/v1/jobs?limit=2") == f"{PATH}/api/v1/jobs?limit=2"
