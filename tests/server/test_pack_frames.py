"""Pages for what packs bring into the editor: who gets them, and what they may do."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.hosting import Hosted, hosted, prepared_home, read_pack

NODES = '''
from typing import Annotated
from nodegraph import Panel, Widget, node

TONES = Panel("tones", "Tones & more", "What there is.")

@node
def Bend(
    curve: Annotated[list[float], Widget("curve")] = (0.0,),
    lost: Annotated[list[float], Widget("lost")] = (0.0,),
) -> float:
    """Bend."""
    return sum(curve)
'''
SCRIPT = "export default () => {}; // </script><script>alert(1)</script> <!--\n"


@pytest.fixture
def home(home: Path) -> Path:
    return with_frames(home)


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory: pytest.TempPathFactory, known_packs: Path) -> Iterator[Hosted]:
    home = prepared_home(tmp_path_factory.mktemp("shared") / "home", known_packs)
    with hosted(with_frames(home)) as found:
        yield found


def with_frames(home: Path) -> Path:
    """A home folder with a pack that brings a widget and a panel."""
    folder = home / "packs" / "bends"
    for place, text in (
        ("nodes.py", NODES),
        ("widgets/curve.js", SCRIPT),
        ("widgets/stray.js", SCRIPT),
        ("panels/tones.js", SCRIPT),
    ):
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(text)
    assert read_pack(home, "bends") == ["bends:Bend"]
    return home


def listed(server: Hosted, **headers: str) -> dict[str, Any]:
    found: dict[str, Any] = server.client.get("/node-types", headers=headers).json()
    return found


def page(server: Hosted, path: str, **headers: str) -> httpx.Response:
    return server.client.get(f"{server.url}{path}", headers=headers)


def hrefs(server: Hosted, **headers: str) -> dict[str, str]:
    return {frame["name"]: frame["href"] for frame in listed(server, **headers)["frames"]}


def test_what_packs_bring_is_listed_and_what_lacks_is_told(server: Hosted) -> None:
    found = listed(server)
    assert [
        (frame["pack"], frame["kind"], frame["name"], frame["label"]) for frame in found["frames"]
    ] == [("bends", "widget", "curve", ""), ("bends", "panel", "tones", "Tones & more")]
    assert any("widget `lost` has no file widgets/lost.js" in each for each in found["problems"])
    types = {item["type"]: item for item in found["items"]}
    assert [port["widget"] for port in types["bends:Bend"]["inputs"]] == ["pack:curve", "pack:lost"]


def test_a_page_may_run_its_script_and_reach_nothing(server: Hosted) -> None:
    answer = page(server, hrefs(server)["curve"])
    assert (answer.status_code, answer.headers["content-type"]) == (
        *(200, "text/html; charset=utf-8"),
    )
    rules = dict(
        rule.split(" ", 1) for rule in answer.headers["content-security-policy"].split("; ")
    )
    assert rules["default-src"] == rules["form-action"] == rules["base-uri"] == "'none'"
    assert (rules["frame-ancestors"], rules["sandbox"]) == ("'self'", "allow-scripts")
    assert "connect-src" not in rules
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"
    assert "access-control-allow-origin" not in answer.headers
    # What stands in the page to be run is what the policy names, and nothing of the pack's.
    scripts = re.findall(r"<script>(.*?)</script>", answer.text, flags=re.DOTALL)
    assert len(scripts) == 1
    digest = b64encode(sha256(scripts[0].encode()).digest()).decode()
    assert rules["script-src"] == f"'sha256-{digest}' blob:"
    assert "alert(1)</script>" not in answer.text
    assert "<!--" not in answer.text


def test_only_who_may_read_gets_it(own_server: Hosted) -> None:
    reader = own_server.token("ann", "read")
    href = hrefs(own_server, **reader)["curve"]
    assert page(own_server, href).status_code == 401
    assert page(own_server, href, **reader).status_code == 200
    # The frame itself has no origin: what it asks for comes from nowhere.
    assert page(own_server, href, Origin="null", **reader).status_code == 403
    assert page(own_server, href, **{"Sec-Fetch-Site": "cross-site"}, **reader).status_code == 403


def test_nothing_but_what_is_declared_is_served(server: Hosted) -> None:
    base, _, digest = hrefs(server)["curve"].rpartition("/")
    folder = base.rpartition("/")[0]
    for path in (
        f"{folder}/stray/{digest}",
        f"{folder}/lost/{digest}",
        f"{folder}/curve.js/{digest}",
        f"/packs/bends/panels/curve/{digest}",
        f"/packs/sums/widgets/curve/{digest}",
        f"{base}/{'0' * 64}",
        "/packs/bends/widgets/curve.js",
    ):
        assert page(server, path).status_code == 404, path
    for path in (f"{folder}/..%2fnodes.py/{digest}", f"{folder}/%2e%2e/{digest}"):
        assert page(server, path).status_code in (400, 404), path


def test_an_edit_is_another_page(hosting: Callable[..., Any], home: Path) -> None:
    with hosting() as server:
        before, tag = hrefs(server)["curve"], listed(server)
        answer = page(server, before)
        assert "immutable" in answer.headers["cache-control"]
        known = {"If-None-Match": answer.headers["etag"]}
        assert page(server, before, **known).status_code == 304
        assert server.services.node_types.now.is_unchanged()
        (home / "packs" / "bends" / "widgets" / "curve.js").write_text(SCRIPT + "// more\n")
        assert not server.services.node_types.now.is_unchanged()
    with hosting() as server:
        assert hrefs(server)["curve"] != before
        assert (
            hrefs(server)["tones"]
            == {each["name"]: each for each in tag["frames"]}["tones"]["href"]
        )
        assert page(server, before).status_code == 404
