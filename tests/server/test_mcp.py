"""MCP with the protocol's own package: over HTTP against a server, and over stdio."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from PIL import Image

from tests.server.hosting import PATIENCE, Hosted, Process, eventually, workflow
from tests.server.test_apps_routes import painter, save, worker

MODES = ("auto", "legacy")
READS = {
    *("list_models", "list_templates", "get_template", "list_workflows", "get_workflow"),
    *("search_node_types", "get_node_type", "validate_workflow", "plan_workflow"),
    *("list_jobs", "get_job", "wait_for_job", "get_results"),
}
RUNS = {"run_workflow", "save_workflow", "cancel_job"}


def png(side: int) -> bytes:
    made = BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(made, "PNG")
    return made.getvalue()


@asynccontextmanager
async def connected(
    server: Hosted | Process, mode: str = "auto", headers: dict[str, str] | None = None
) -> AsyncIterator[Client]:
    """A client of a server's endpoint."""
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PATIENCE, trust_env=False) as http,
        Client(streamable_http_client(f"{server.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def talk(
    server: Hosted | Process,
    what: Callable[[Client], Awaitable[Any]],
    mode: str = "auto",
    headers: dict[str, str] | None = None,
) -> Any:
    """What comes of a conversation with a server."""

    async def run() -> Any:
        async with connected(server, mode, headers) as client:
            return await what(client)

    return asyncio.run(run())


async def names(client: Client) -> set[str]:
    return {tool.name for tool in (await client.list_tools()).tools}


@pytest.mark.parametrize("mode", MODES)
def test_a_saved_workflow_is_a_tool_with_its_parameters(server: Hosted, mode: str) -> None:
    save(server, "paint", painter())

    async def listed(client: Client) -> Any:
        return {tool.name: tool for tool in (await client.list_tools()).tools}

    tools = talk(server, listed, mode)
    assert set(tools) == READS | RUNS | {"app_paint"}
    app = tools["app_paint"]
    assert (app.title, app.description) == ("Paint over", "Resizes an image.")
    properties = app.input_schema["properties"]
    assert properties["width"]["type"] == "integer"
    assert properties["name"]["default"] == "small"
    assert properties["name"]["description"] == "How it begins."
    assert "nearest" in str(properties["method"])
    assert "a data URL" in properties["picture"]["description"]
    assert app.input_schema["required"] == ["picture"]
    assert app.annotations.read_only_hint is False
    for name in READS:
        assert tools[name].annotations.read_only_hint is True
    assert tools["cancel_job"].annotations.destructive_hint is True
    assert all(tool.description for tool in tools.values())


@pytest.mark.parametrize("mode", MODES)
def test_an_apps_images_and_sounds_come_with_links_to_the_files(server: Hosted, mode: str) -> None:
    save(server, "paint", painter())
    small, large, sound = png(16), png(1200), b"RIFF\x24\0\0\0WAVEfmt "
    url = f"data:image/png;base64,{base64.b64encode(small).decode()}"

    async def run(client: Client) -> Any:
        result = await client.call_tool("app_paint", {"picture": url, "width": 9})
        assert not result.is_error, result.content
        links = [each.uri for each in result.content if each.type == "resource_link"]
        return result, links, await client.read_resource(links[0])

    files = (("a.png", small), ("b.png", large), ("c.wav", sound))
    with worker(server, *files) as jobs:
        result, links, read = talk(server, run, mode)
    assert not result.is_error
    assert jobs[0].parameters["width"] == 9
    shown = [each for each in result.content if each.type == "image"]
    assert base64.b64decode(shown[0].data) == small
    assert len(shown[1].data) < 500_000
    with Image.open(BytesIO(base64.b64decode(shown[1].data))) as picture:
        assert (picture.format, max(picture.size)) == ("WEBP", 512)
    heard = [each for each in result.content if each.type == "audio"]
    assert [base64.b64decode(each.data) for each in heard] == [sound]
    assert [each["uri"] for each in result.structured_content["files"]] == links
    assert base64.b64decode(read.contents[0].blob) == small
    assert result.structured_content["state"] == "finished"


def test_a_result_is_an_input_of_another_app(server: Hosted) -> None:
    save(server, "paint", painter())

    async def run(client: Client) -> Any:
        url = f"data:image/png;base64,{base64.b64encode(png(8)).decode()}"
        first = await client.call_tool("app_paint", {"picture": url})
        uri = first.structured_content["files"][0]["uri"]
        return await client.call_tool("app_paint", {"picture": uri})

    with worker(server, ("a.png", png(8))) as jobs:
        assert not talk(server, run).is_error
    assert "upload:" in json.dumps(server.client.get(f"/jobs/{jobs[1].id}").json()["parameters"])


@pytest.mark.parametrize("mode", MODES)
def test_what_goes_wrong_is_an_error_that_a_model_can_mend(server: Hosted, mode: str) -> None:
    save(server, "paint", painter())

    async def run(client: Client) -> list[Any]:
        found = [
            await client.call_tool("app_paint", {"picture": "data:,x"}),
            await client.call_tool("app_paint", {"picture": "a.png", "width": "wide"}),
            await client.call_tool("get_node_type", {"type": "KSamplr"}),
            await client.call_tool("get_job", {"id": "x"}),
            await client.call_tool("run_workflow", {"workflow": {"template": "nothing"}}),
            await client.call_tool("run_workflow", {"workflow": {"nodes": 3}}),
            await client.call_tool("save_workflow", {"name": "a/b", "workflow": painter()}),
        ]
        with pytest.raises(MCPError, match="no tool 'app_pain'"):
            await client.call_tool("app_pain")
        with pytest.raises(MCPError, match="no such resource"):
            await client.read_resource("nodegraph://nothing/x")
        return found

    found = talk(server, run, mode)
    assert all(each.is_error for each in found)
    texts = [each.content[0].text for each in found]
    assert "not a data URL" in texts[0]
    assert "`width`" in texts[1]
    assert "whole number" in texts[1]
    assert "Did you mean `KSampler`?" in texts[2]
    assert "`job`: field required" in texts[3]
    assert "the gallery has no `nothing`" in texts[4]


@pytest.mark.parametrize("mode", MODES)
def test_a_failed_job_is_an_error_with_its_cause(server: Hosted, mode: str) -> None:
    save(server)
    fault = {"code": "out-of-memory", "message": "the memory is used up", "hint": "Use less."}
    with worker(server, error=fault):
        result = talk(server, lambda client: client.call_tool("app_sum", {"b": 1}), mode)
    assert result.is_error
    assert result.content[0].text == "the memory is used up. Use less."
    assert result.structured_content["state"] == "failed"


@pytest.mark.parametrize("mode", MODES)
def test_a_cancelled_call_cancels_its_job(server: Hosted, mode: str) -> None:
    save(server)
    queue, hub = server.services.queue, server.services.hub

    async def run(client: Client) -> None:
        call = asyncio.create_task(client.call_tool("app_sum", {"b": 1}))
        await asyncio.to_thread(eventually, lambda: queue.page(limit=1).jobs)
        (job,) = queue.page(limit=1).jobs
        await asyncio.to_thread(eventually, lambda: hub.is_followed(job.id))
        call.cancel()
        is_cancelled = lambda: queue.get(job.id).state == "cancelled"  # noqa: E731
        await asyncio.to_thread(eventually, is_cancelled)

    talk(server, run, mode)


def test_a_wait_ends_and_the_job_continues(hosting: Callable[..., Any]) -> None:
    with hosting(longest_wait=0.05) as server:
        save(server)

        async def run(client: Client) -> Any:
            begun = await client.call_tool("app_sum", {"b": 1})
            job = begun.structured_content["job"]
            waited = await client.call_tool("wait_for_job", {"job": job, "seconds": 0.01})
            cancelled = await client.call_tool("cancel_job", {"job": job})
            return begun, waited, cancelled, await client.call_tool("get_results", {"job": job})

        begun, waited, cancelled, results = talk(server, run)
    assert not begun.is_error
    assert "Call wait_for_job" in begun.content[0].text
    assert waited.structured_content["state"] == "queued"
    assert cancelled.structured_content["state"] == "cancelled"
    assert results.is_error


def test_workflows_are_found_made_checked_and_saved(server: Hosted) -> None:
    async def run(client: Client) -> dict[str, Any]:
        async def call(name: str, /, **arguments: Any) -> Any:
            result = await client.call_tool(name, arguments)
            assert not result.is_error, result.content
            return result.structured_content

        resources = "nodegraph://workflows/two%20words", "nodegraph://templates/text_to_image"
        return {
            "template": await call("get_template", name="text_to_image"),
            "types": await call("search_node_types", search="mask", category="mask", limit=5),
            "type": await call("get_node_type", type="KSampler"),
            "valid": await call("validate_workflow", workflow=workflow(), parameters={"b": 2}),
            "wrong": await call("validate_workflow", workflow={"template": "image_to_image"}),
            "saved": await call("save_workflow", name="two words", workflow=workflow()),
            "copied": await call("save_workflow", name="copy", workflow={"saved": "two words"}),
            "listed": await call("list_workflows"),
            "templates": await call("list_templates"),
            "models": await call("list_models", text="tiny"),
            "jobs": await call("list_jobs", state="running"),
            "tools": await names(client),
            "read": [(await client.read_resource(each)).contents[0].text for each in resources],
            "resources": [each.uri for each in (await client.list_resources()).resources],
            "kinds": len((await client.list_resource_templates()).resource_templates),
        }

    found = talk(server, run)
    assert found["template"]["workflow"]["nodes"]["sample"]["type"] == "KSampler"
    assert len(found["types"]["node_types"]) == 5
    assert "steps" in found["type"]["inputs"]["properties"]
    assert found["valid"] == {"valid": True, "problems": []}
    assert found["wrong"]["valid"] is True  # the file that it reads was uploaded
    assert found["saved"] == {"name": "two words", "version": 1, "tool": "app_two_words"}
    assert {each["tool"] for each in found["listed"]["workflows"]} == {"app_copy", "app_two_words"}
    assert {"app_copy", "app_two_words"} <= found["tools"]
    assert "text_to_image" in {each["name"] for each in found["templates"]["templates"]}
    assert "tiny" in {each["name"] for each in found["models"]["models"]}
    assert found["jobs"] == {"jobs": []}
    assert all("nodes" in json.loads(text) for text in found["read"])
    assert found["resources"] == ["nodegraph://workflows/copy", "nodegraph://workflows/two%20words"]
    assert found["kinds"] == 3


def test_names_of_tools_are_those_that_clients_accept(server: Hosted) -> None:
    for name in ("a b", "a_b", "a-b", "äpfel", "z" * 90):
        save(server, name)
    found = talk(server, names) - READS - RUNS
    assert len(found) == 5
    assert {"app_a_b", "app_a-b", "app_pfel"} <= found
    assert all(
        len(name) <= 64 and name.replace("_", "").replace("-", "").isalnum() for name in found
    )


def test_no_app_gets_the_name_of_another_ones_tool(server: Hosted) -> None:
    for name in ("a b", "a.b"):
        save(server, name)
    before = talk(server, names) - READS - RUNS
    for tool in before:
        save(server, tool.removeprefix("app_"))
    assert len(talk(server, names) - READS - RUNS) == 4
    assert before < talk(server, names)


def test_a_client_with_many_sessions_takes_none_from_others(
    own_server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodegraph.server.protocols.mcp_server._MOST_SESSIONS", 2)
    start = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    accepts = {"Accept": "application/json, text/event-stream"}
    one, other = own_server.token("one", "read"), own_server.token("other", "read")

    def begin(token: dict[str, str]) -> int:
        url, headers = f"{own_server.url}/mcp", {**accepts, **token}
        return httpx.post(
            url, json=start, headers=headers, timeout=PATIENCE, trust_env=False
        ).status_code

    assert [begin(one) for _ in range(3)] == [200, 200, 503]
    assert begin(other) == 200


def test_a_long_list_of_apps_comes_in_pages(server: Hosted) -> None:
    for number in range(103):
        save(server, f"app {number:03}")

    async def run(client: Client) -> list[int]:
        first = await client.list_tools()
        second = await client.list_tools(cursor=first.next_cursor)
        assert second.next_cursor is None
        return [len(first.tools), len(second.tools)]

    assert talk(server, run) == [len(READS | RUNS) + 100, 3]


@pytest.mark.parametrize("mode", MODES)
def test_who_may_only_read_sees_tools_that_read_and_runs_nothing(
    own_server: Hosted, mode: str
) -> None:
    save(own_server)
    reader, runner = own_server.token("reader", "read"), own_server.token("runner")

    async def run(client: Client) -> Any:
        calls = ("app_sum", {"b": 1}), ("save_workflow", {"name": "x", "workflow": workflow()})
        found = [await client.call_tool(name, values) for name, values in calls]
        return await names(client), found

    seen, found = talk(own_server, run, mode, reader)
    assert seen == READS
    assert all(each.is_error for each in found)
    assert "the scope `run` is needed" in found[0].content[0].text
    assert own_server.services.queue.page(limit=1).jobs == ()
    assert talk(own_server, names, mode, runner) == READS | RUNS | {"app_sum"}


def test_others_jobs_are_not_seen(own_server: Hosted) -> None:
    own, other = own_server.token("own"), own_server.token("other")
    begun = httpx.post(
        f"{own_server.url}/api/v1/jobs",
        json={"workflow": workflow()},
        headers=own,
        timeout=PATIENCE,
        trust_env=False,
    )
    job = begun.json()["id"]

    async def run(client: Client) -> Any:
        listed = (await client.call_tool("list_jobs", {})).structured_content["jobs"]
        return listed, await client.call_tool("cancel_job", {"job": job})

    listed, cancelled = talk(own_server, run, headers=other)
    assert listed == []
    assert cancelled.is_error


def test_the_gate_refuses_as_everywhere_in_the_form_of_the_protocol(own_server: Hosted) -> None:
    token = own_server.token("runner")
    start = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "test", "version": "1"},
        },
    }
    accepted = {"Accept": "application/json, text/event-stream"}

    def send(body: Any = start, **headers: str) -> httpx.Response:
        every = {**accepted, **headers}
        url = f"{own_server.url}/mcp"
        return httpx.post(url, json=body, headers=every, timeout=PATIENCE, trust_env=False)

    for status, headers in (
        (401, {}),
        (401, {"Authorization": "Bearer ng_wrong"}),
        (403, {**token, "Origin": "https://example.org"}),
        (421, {**token, "Host": "example.org"}),
    ):
        answer = send(**headers)
        assert answer.status_code == status
        assert answer.json()["error"]["code"] == -32000
    begun = send(**token)
    assert begun.status_code == 200
    session = begun.headers["mcp-session-id"]
    tools = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
    assert (
        send(tools, **own_server.token("thief"), **{"mcp-session-id": session}).status_code == 404
    )
    assert send(tools, **token, **{"mcp-session-id": session}).status_code == 200


def test_a_server_stops_with_open_sessions(hosting: Callable[..., Any]) -> None:
    async def run() -> None:
        async with AsyncExitStack() as stack:
            with hosting() as server:
                client = await stack.enter_async_context(connected(server, "legacy"))
                assert await names(client) >= READS

    asyncio.run(run())


_WITHOUT = """
import sys
sys.modules["mcp"] = None
from nodegraph.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_without_the_package_it_is_said_how_to_install_it(home: Path) -> None:
    command = [sys.executable, "-c", _WITHOUT, "--home", str(home), "mcp"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, input="")
    assert ended.returncode == 2
    assert "pip install 'nodegraph[mcp]'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_package_is_imported_when_a_client_connects() -> None:
    program = (
        "import sys; import nodegraph.server.serve; from nodegraph.server.http.app import _routes; "
        "_routes(); sys.exit('mcp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def stdio(home: Path, *arguments: str) -> StdioServerParameters:
    environment = {**os.environ, "NODEGRAPH_SERVER_WORKERS": "1", "OMP_NUM_THREADS": "1"}
    return StdioServerParameters(
        command=sys.executable,
        args=["-m", "nodegraph", "--home", str(home), "mcp", *arguments],
        env=environment,
        cwd=Path(__file__).parents[2],
    )


async def conversation(client: Client) -> list[str]:
    """Make an image by a new app; the types of what came."""
    saved = await client.call_tool(
        "save_workflow", {"name": "apple", "workflow": {"template": "text_to_image"}}
    )
    assert saved.structured_content == {"name": "apple", "version": 1, "tool": "app_apple"}
    assert "app_apple" in await names(client)
    steps: list[float] = []

    async def progressed(done: float, total: float | None, text: str | None) -> None:
        steps.append(done)

    values = {"prompt": "a lemon", "steps": 3}
    result = await client.call_tool("app_apple", values, progress_callback=progressed)
    assert not result.is_error, result.content
    assert steps == sorted(set(steps))
    assert steps[-1] >= 5
    wrong = await client.call_tool("app_apple", {"steps": "many"})
    assert wrong.is_error
    assert "`steps`" in wrong.content[0].text
    with Image.open(BytesIO(base64.b64decode(result.content[1].data))) as picture:
        assert picture.size == (128, 128)
    return [each.type for each in result.content]


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_over_stdio_it_runs_jobs_itself(home: Path, mode: str) -> None:
    async def run() -> list[str]:
        async with Client(stdio(home), mode=mode) as client:
            return await conversation(client)

    assert asyncio.run(run()) == ["text", "image", "resource_link"]
    # What it has done is kept for a server that comes later.
    assert (home / "workflows" / "apple.json").exists()
    assert (home / "queue.sqlite").exists()


@pytest.mark.slow
@pytest.mark.parametrize("mode", MODES)
def test_over_stdio_it_uses_a_running_server(home: Path, mode: str, tmp_path: Path) -> None:
    with Process(home, "--workers", "1") as serving:
        serving.ready()

        async def run() -> list[str]:
            other = tmp_path / "other"
            async with Client(stdio(other, "--server", serving.url), mode=mode) as client:
                return await conversation(client)

        assert asyncio.run(run()) == ["text", "image", "resource_link"]
        taken = subprocess.run(
            [sys.executable, "-m", "nodegraph", "--home", str(home), "mcp"],
            capture_output=True,
            text=True,
            check=False,
            input="",
        )
    assert "--server URL" in taken.stderr
    assert taken.stdout == ""
