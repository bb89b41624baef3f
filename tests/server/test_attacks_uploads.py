"""Two people on one server: what one of them brought, the other neither reads nor hears of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from nodegraph.server.access.tokens import TokenFile
from tests.server.hosting import PATIENCE, Process, eventually, read_packs, write_pack
from tests.server.resources import picture

pytestmark = pytest.mark.slow

PACK = '''
from pathlib import Path
from typing import Annotated

from nodegraph import Context, File, Lazy, node

@node
def Join(a: str, b: str = "") -> str:
    """A text of two."""
    return a + b

@node
def Look(ctx: Context, path: Annotated[str, File()]) -> str:
    """The size of a file. It has no fingerprint: what is kept of it, is kept by the name alone."""
    size = len((ctx.environment.inputs / Path(path).expanduser()).read_bytes())
    return f"seen {size} bytes"

@node
async def LookLater(ctx: Context, path: Annotated[Lazy[str], File()]) -> str:
    """The same of a name that it asks for."""
    name = await path()
    size = len((ctx.environment.inputs / Path(name).expanduser()).read_bytes())
    return f"seen {size} bytes"

@node(output=True)
def Tell(ctx: Context, text: str) -> None:
    """Says a text."""
    ctx.log(text)

@node(output=True)
def Mutter(ctx: Context, path: Annotated[str, File()]) -> None:
    """Says what it does."""
    ctx.log(f"reads {(ctx.environment.inputs / path).resolve()}")

@node(output=True)
def Fail(ctx: Context, path: Annotated[str, File()]) -> None:
    """Can't do what it should."""
    raise OSError(f"can't use {(ctx.environment.inputs / path).resolve()}")
'''


@dataclass
class House:
    """A server of two people; Ann has brought an image."""

    process: Process
    home: Path
    ann: httpx.Client
    bob: httpx.Client
    guest: httpx.Client
    digest: str

    @property
    def file(self) -> Path:
        return self.home / "uploads" / "files" / f"{self.digest}.png"

    def tell(self, client: httpx.Client, nodes: dict[str, Any], **wish: Any) -> tuple[str, str]:
        """How a job of somebody ended, and all that they are told of it."""
        answer = client.post("/jobs", json={"workflow": document(nodes), **wish})
        if answer.status_code != 202:
            return f"refused {answer.status_code}", answer.text
        href = answer.headers["location"].removeprefix("/api/v1")
        ends = ("finished", "failed", "cancelled")
        eventually(lambda: client.get(href).json()["state"] in ends)
        job = client.get(href)
        events = client.get(f"{href}/events", headers={"Accept": "application/json"})
        return job.json()["state"], job.text + events.text


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    home = tmp_path_factory.mktemp("two") / "home"
    write_pack(home)
    (home / "packs" / "looks.py").write_text(PACK)
    read_packs(home)
    (home / "inputs" / "deep").mkdir(parents=True)
    (home / "inputs" / "own.png").write_bytes(picture(2, 2))
    files = TokenFile(home / "tokens.json")
    tokens = {
        name: files.add(name, [scope])[0]  # type: ignore[list-item]
        for name, scope in (("ann", "run"), ("bob", "run"), ("guest", "read"))
    }
    with Process(home, "--workers", "1") as process:
        base = f"{process.ready().url}/api/v1"
        clients = {
            name: httpx.Client(
                base_url=base,
                headers={"Authorization": f"Bearer {token}"},
                timeout=PATIENCE,
                trust_env=False,
                limits=httpx.Limits(max_keepalive_connections=0),
            )
            for name, token in tokens.items()
        }
        brought = clients["ann"].post("/uploads", params={"name": "a.png"}, content=picture(9, 9))
        found = House(process, home, **clients, digest=brought.json()["digest"])
        (home / "inputs" / "linked.png").symlink_to(found.file)
        (home / "inputs" / "linked").symlink_to(home / "uploads")
        yield found
        for client in clients.values():
            client.close()


def document(nodes: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"format": "nodegraph/1", "nodes": nodes, **more}


def names(house: House) -> list[str]:
    """Every way to name Ann's image that anybody has thought of."""
    file = house.file
    return [
        *(f"../uploads/files/{file.name}", str(file), f"./../uploads/./files//{file.name}"),
        *(
            f"deep/../../uploads/files/{file.name}",
            f"{house.home}/inputs/../uploads/files/{file.name}",
        ),
        *("linked.png", f"linked/files/{file.name}", "deep/../linked.png"),
        *(f"upload:{house.digest}/a.png", f"upload:{house.digest}", f"UPLOAD:{house.digest}"),
        *(f"upload:{house.digest}/../../inputs/own.png", f"file://{file}", f"file:{file}"),
        *(f"../UPLOADS/files/{file.name}", f"../uploads/files/{file.name.upper()}"),
        *(
            f"../uploads/files/{house.digest}",
            "../uploads/files/x.png",
            "../uploads/uploads.sqlite",
        ),
        *(f"../uploads\N{FULLWIDTH SOLIDUS}files/{file.name}", f"..\\uploads\\files\\{file.name}"),
        *("../tokens.json", "../queue.sqlite", f"{file}/.", f"//{str(file).lstrip('/')}"),
        *(f"~/../../{file}", f"/proc/self/root{file}", f"/proc/self/cwd/../../../../../../{file}"),
    ]


def stays(name: str) -> bool:
    """Whether it means a file below the inputs folder, where there is none of that name."""
    is_text = name.startswith(("UPLOAD:", "file:", "..\\"))
    return is_text or "\N{FULLWIDTH SOLIDUS}" in name


def leaks(house: House, told: str) -> bool:
    """Whether a text says where or what something is that isn't the reader's."""
    others = [str(house.home), "seen ", ".sqlite", "Did you mean"]
    return any(text in told for text in others)


def show(path: Any) -> dict[str, Any]:
    return {
        "look": {"type": "looks:Look", "inputs": {"path": path}},
        "tell": {"type": "looks:Tell", "inputs": {"text": {"from": "look"}}},
    }


def loaded(path: Any) -> dict[str, Any]:
    return {
        "load": {"type": "LoadImage", "inputs": {"path": path}},
        "show": {"type": "PreviewImage", "inputs": {"image": {"from": "load.image"}}},
    }


def without(told: str, given: str) -> str:
    """An answer without what the client said itself."""
    for form in (
        given,
        json.dumps(given)[1:-1],
        ascii(given)[1:-1],
        json.dumps(ascii(given))[2:-2],
    ):
        told = told.replace(form, "")
    return told


def test_the_owner_reads_what_she_brought_in_every_place_of_a_workflow(house: House) -> None:
    own = f"upload:{house.digest}/a.png"
    size = f"seen {house.file.stat().st_size} bytes"
    for nodes, wish in (
        (show(own), {}),
        ({"name": {"type": "looks:Join", "inputs": {"a": own}}, **show({"from": "name"})}, {}),
    ):
        state, told = house.tell(house.ann, nodes, **wish)
        assert (state, size in told) == ("finished", True), told
        assert str(house.home) not in told
    checked = house.ann.post("/validate", json={"workflow": document(loaded(own))}).json()
    assert checked == {"valid": True, "problems": []}
    planned = house.ann.post("/plan", json={"workflow": document(loaded(own))}).json()
    assert planned["valid"], planned


def test_nobody_else_names_it_in_a_workflow_or_hears_of_its_neighbours(house: House) -> None:
    for name in names(house):
        # Of a name below the inputs folder only LoadImage says beforehand that it isn't there.
        for nodes in (loaded(name),) if stays(name) else (loaded(name), show(name)):
            wish = {"workflow": document(nodes)}
            for client in (house.guest, house.bob):
                for route in ("/validate", "/plan"):
                    answer = client.post(route, json=wish)
                    assert answer.status_code == 422 or not answer.json()["valid"], (name, route)
                    assert not leaks(house, without(answer.text, name)), (name, answer.text)
            answer = house.bob.post("/jobs", json=wish)
            assert answer.status_code == 422, (name, answer.text)
            assert not leaks(house, without(answer.text, name)), (name, answer.text)


def test_nor_through_parameters_blocks_or_saved_workflows(house: House) -> None:
    for name in (f"../uploads/files/{house.file.name}", str(house.file), f"upload:{house.digest}"):
        wishes = [
            {
                "workflow": document(show("own.png"), parameters={"path": "look.path"}),
                "parameters": {"path": name},
            },
            {
                "workflow": document(
                    {"block": {"type": "Inner", "inputs": {"name": name}}},
                    subgraphs={
                        "Inner": {
                            "inputs": {"name": "look.path"},
                            "outputs": {"text": "look"},
                            "nodes": show("own.png"),
                        }
                    },
                )
            },
            {
                "workflow": document(
                    {"block": {"type": "Inner", "inputs": {}}},
                    subgraphs={"Inner": {"inputs": {}, "outputs": {}, "nodes": show(name)}},
                )
            },
        ]
        for wish in wishes:
            for route in ("/validate", "/plan", "/jobs"):
                answer = house.bob.post(route, json=wish)
                assert answer.status_code == 422 or not answer.json()["valid"], (route, wish)
                assert not leaks(house, without(answer.text, name)), answer.text
        kept = house.bob.put("/workflows/kept", json=document(show(name)))
        if kept.is_success:
            answer = house.bob.post("/jobs", json={"workflow": {"saved": "kept"}})
            assert answer.status_code == 422, answer.text
            assert not leaks(house, without(answer.text, name))
            assert house.bob.post("/apps/kept", json={}).status_code >= 400
        house.bob.delete("/workflows/kept")


@pytest.mark.parametrize("look", ["Look", "LookLater"])
def test_nor_by_a_name_that_only_the_run_makes_up_even_if_the_result_is_known(
    house: House, look: str
) -> None:
    def made_up(first: str, rest: str) -> dict[str, Any]:
        return {
            "name": {"type": "looks:Join", "inputs": {"a": first, "b": rest}},
            "look": {"type": f"looks:{look}", "inputs": {"path": {"from": "name"}}},
            "tell": {"type": "looks:Tell", "inputs": {"text": {"from": "look"}}},
        }

    own = f"upload:{house.digest}/a.png"
    state, _ = house.tell(house.ann, made_up(own, ""))
    assert state == "finished"  # from here on a result is kept under the file's very path
    for name in names(house):
        state, told = house.tell(house.bob, made_up(name[:6], name[6:]))
        assert state == "failed", (name, told)
        assert not leaks(house, without(told.replace(name[6:], ""), name)), (name, told)
    state, told = house.tell(house.bob, made_up("own.png", ""))
    assert (state, "seen" in told) == ("finished", True), told


def test_a_failure_calls_her_upload_as_she_does(house: House) -> None:
    own = f"upload:{house.digest}/a.png"
    nodes = {"fail": {"type": "looks:Fail", "inputs": {"path": own}}}
    state, told = house.tell(house.ann, nodes)
    assert state == "failed"
    assert f"can't use upload:{house.digest}" in told
    assert str(house.home) not in told


def test_what_a_node_says_of_its_failure_tells_no_place_of_this_machine(house: House) -> None:
    state, told = house.tell(
        house.bob, {"fail": {"type": "looks:Fail", "inputs": {"path": "own.png"}}}
    )
    assert state == "failed"
    assert "can't use inputs/own.png" in told
    assert str(house.home) not in told


def test_what_a_node_says_meanwhile_tells_no_place_of_this_machine(house: House) -> None:
    nodes = {"it": {"type": "looks:Mutter", "inputs": {"path": "own.png"}}}
    state, told = house.tell(house.bob, nodes)
    assert state == "finished"
    assert "reads inputs/own.png" in told
    assert str(house.home) not in told


def test_no_answer_to_a_reader_tells_a_place_of_this_machine(house: House) -> None:
    api = house.guest.get(f"{house.process.url}/openapi.json").json()
    plain = [path for path, item in api["paths"].items() if "get" in item and "{" not in path]
    assert len(plain) > 10
    for path in plain:
        if path.startswith("/api/v1") and not path.endswith("/events"):
            answer = house.guest.get(f"{house.process.url}{path}")
            assert str(house.home) not in answer.text, (path, answer.text[:500])
