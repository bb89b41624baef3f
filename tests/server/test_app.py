"""The application as a whole: its description, who may use which route, how errors are told."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import httpx
import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute, APIWebSocketRoute

from nodegraph.errors import InvalidValue, OutputError
from nodegraph.server.access.head import PUBLIC
from nodegraph.server.http.app import OPEN_ROUTES, PROTOCOLS, ROUTES
from nodegraph.server.http.dependencies import may_admin, may_models, may_read, may_run
from nodegraph.server.http.errors import status_of
from tests.server.hosting import PATIENCE, Hosted, hosted, prepared_home, workflow

GUARDS = {may_read, may_run, may_models, may_admin}
CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
HARMLESS = {
    *("validate_workflow", "plan_workflow", "import_workflow", "write_script"),
    *("compare_workflows", "merge_workflows"),
}
"""They are sent a body, and change nothing."""
CHECKED_INSIDE = {"exchange_messages"}
"""They are sent calls of tools, and each tool says what scope it takes: see test_mcp."""


def routes() -> Iterator[APIRoute | APIWebSocketRoute]:
    names = [f"http.routes.{name}" for name in (*ROUTES, *OPEN_ROUTES)]
    for name in (*names, *(f"protocols.{name}" for name in PROTOCOLS)):
        for route in import_module(f"nodegraph.server.{name}").router.routes:
            assert isinstance(route, (APIRoute, APIWebSocketRoute))
            yield route


def guards(dependant: Dependant) -> set[Any]:
    found = {dependant.call} & GUARDS
    return found.union(*map(guards, dependant.dependencies))


@pytest.mark.parametrize("route", list(routes()), ids=lambda route: f"{route.name} {route.path}")
def test_every_route_says_what_scope_it_takes(route: APIRoute | APIWebSocketRoute) -> None:
    found = guards(route.dependant)
    if route.path in PUBLIC:
        assert not found
        return
    assert len(found) == 1
    methods = route.methods if isinstance(route, APIRoute) else {"GET"}
    if CHANGING & methods and route.name not in HARMLESS | CHECKED_INSIDE:
        assert found <= {may_run, may_models, may_admin}


@pytest.fixture(scope="module")
def document(known_packs: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = prepared_home(tmp_path_factory.mktemp("described") / "home", known_packs)
    with hosted(home) as server:
        assert server.client.put("/workflows/a sum", json=workflow()).status_code == 201
        found = httpx.get(f"{server.url}/openapi.json", trust_env=False, timeout=PATIENCE)
        return found.json()


def operations(document: Any) -> list[tuple[str, str, Any]]:
    return [
        (method, path, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
    ]


def test_the_description_is_openapi_3_1_and_whole(document: Any) -> None:
    assert document["openapi"].startswith("3.1.")
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names) > 35
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
    known = document["components"]["schemas"]

    def check(part: Any) -> None:
        if isinstance(part, dict):
            reference = part.get("$ref")
            if isinstance(reference, str):
                assert reference.removeprefix("#/components/schemas/") in known, reference
            for value in part.values():
                check(value)
        elif isinstance(part, list):
            for value in part:
                check(value)

    check(document)


def test_every_operation_is_described_with_its_errors(document: Any) -> None:
    for method, path, operation in operations(document):
        place = (method, path)
        assert operation["summary"], place
        assert not operation["summary"].endswith("."), place
        assert operation["tags"], place
        if "apps/a%20sum" not in path:
            assert operation["description"], place
        statuses = set(operation["responses"])
        assert {status for status in statuses if status.startswith("2")}, place
        if path in PUBLIC:
            assert operation["security"] == []
            continue
        assert {"401", "403"} <= statuses, place
        if operation.get("requestBody"):
            assert {"413", "422"} & statuses, place
        for status in statuses:
            if status >= "400":
                content = operation["responses"][status]["content"]
                assert set(content) == {"application/problem+json"}, (place, status)


def test_bodies_and_answers_have_examples(document: Any) -> None:
    """Of each schema that stands for something, at least one field shows what it looks like."""
    for name in ("JobWish", "JobEntry", "ProblemDetails", "Finding", "UploadEntry", "SystemEntry"):
        properties = document["components"]["schemas"][name]["properties"]
        assert any("examples" in field for field in properties.values()), name


def test_a_field_of_a_request_that_may_be_left_out_is_optional_to_generators(document: Any) -> None:
    """A generator of TypeScript takes a field with a `default` for one that is always there."""
    schemas = document["components"]["schemas"]
    wish = schemas["JobWish"]
    assert wish["required"] == ["workflow"]
    assert "Default: `0`." in wish["properties"]["priority"]["description"]
    assert "Default" not in wish["properties"]["name"]["description"]
    bodies = [operation.get("requestBody") for _, _, operation in operations(document)]
    for name in schemas_reached(bodies, schemas):
        for field, schema in schemas[name].get("properties", {}).items():
            assert "default" not in schema, (name, field)


def test_a_field_that_an_error_may_lack_is_optional_to_generators(document: Any) -> None:
    for name in ("Finding", "ProblemDetails"):
        schema = document["components"]["schemas"][name]
        for field in schema["properties"].keys() - set(schema["required"]):
            assert "default" not in schema["properties"][field], (name, field)


def schemas_reached(part: Any, schemas: dict[str, Any]) -> set[str]:
    found: set[str] = set()
    waiting = [part]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            name = str(part.get("$ref", "")).rpartition("/")[2]
            if name and name not in found:
                found.add(name)
                waiting.append(schemas[name])
            waiting += part.values()
    return found


def test_objects_of_any_fields_say_so_to_generators(document: Any) -> None:
    """openapi-typescript takes an object that says nothing of its fields for an empty one."""
    told = {"properties", "additionalProperties", "anyOf", "oneOf", "allOf"}
    waiting: list[Any] = [document["paths"], document["components"]]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            assert part.get("type") != "object" or told & part.keys(), part
        waiting += (
            part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
        )


def test_a_node_type_is_described_with_the_fields_that_it_is_sent_with(
    document: Any, server: Hosted
) -> None:
    known = document["components"]["schemas"]["NodeType"]["properties"]
    assert known.keys() == server.client.get("/node-types/sums:Sum").json().keys()


def test_headers_and_files_are_declared_as_generators_take_them(document: Any) -> None:
    """Generators of Python leave out an operation with a header that is a list, and a body of a
    type that they don't know."""
    known = {"application/json", "application/octet-stream"}
    known |= {"multipart/form-data", "application/x-www-form-urlencoded"}
    for method, path, operation in operations(document):
        for parameter in operation.get("parameters", ()):
            if parameter["in"] == "header":
                assert "array" not in json.dumps(parameter["schema"]), (method, path)
        assert set(operation.get("requestBody", {}).get("content", {})) <= known, (method, path)
        for status in ("200", "206"):
            kinds = list(operation["responses"].get(status, {}).get("content", {}))
            if "*/*" in kinds:
                assert kinds[0] == "application/octet-stream", (method, path)


def test_an_app_has_its_own_entry(document: Any) -> None:
    entry = document["paths"]["/api/v1/apps/a%20sum"]["post"]
    schema = entry["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["properties"]) == {"b"}


def test_every_error_is_a_problem(server: Hosted) -> None:
    client = server.client
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "/../nothing", 404),
        ("PUT", "/jobs", 405),
        ("DELETE", "/queue/pause", 405),
        ("GET", "/jobs?limit=x", 422),
        ("POST", "/jobs", 422),
        ("GET", "/jobs/job_x", 404),
    ):
        answer = client.request(method, path)
        assert answer.status_code == status, (method, path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
        found = answer.json()
        assert found["status"] == status
        assert found["title"]
        assert found["detail"]
        assert found["problems"]
        assert found["instance"] == answer.request.url.path
    assert client.put("/jobs").headers["allow"]


def test_bodies_must_be_called_json_and_be_it(server: Hosted) -> None:
    for kind, status in (("text/plain", 415), ("", 415), ("application/json; charset=x", 202)):
        answer = server.client.post(
            "/jobs",
            content=b'{"workflow":' + httpx.Response(200, json=workflow()).content + b"}",
            headers={"Content-Type": kind},
        )
        assert answer.status_code == status, answer.text
    answer = server.client.post("/jobs", content="{", headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "/problems/invalid-json"


def test_head_tells_what_get_would_without_the_body(server: Hosted) -> None:
    for path in ("/jobs", "/system", "/queue"):
        get, head = server.client.get(path), server.client.head(path)
        assert head.status_code == 200
        assert head.content == b""
        assert head.headers["content-type"] == get.headers["content-type"]


def test_a_fault_of_the_server_tells_nothing_of_itself(
    own_server: Hosted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret of the server")

    monkeypatch.setattr(own_server.services.queue, "counts", fails)
    answer = own_server.client.get("/queue")
    assert answer.status_code == 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "secret" not in answer.text


@pytest.mark.parametrize(
    "error",
    [sqlite3.OperationalError("disk is full"), OSError(28, "no space"), OutputError("full")],
)
def test_a_disk_that_fails_is_not_the_clients_fault(
    server: Hosted, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(server.services.queue, "counts", fails)
    answer = server.client.get("/queue")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1


def test_a_damaged_file_of_the_server_is_told_as_such() -> None:
    error = InvalidValue("x")
    assert status_of(error)[0] == 422
    error.__cause__ = sqlite3.DatabaseError("malformed")
    assert status_of(error)[0] == 503


def test_settings_are_shown_and_a_few_of_them_changed(own_server: Hosted) -> None:
    before = own_server.client.get("/settings").json()
    assert before["retention"]["count"] == 10_000
    change = {"retention": {"count": 5, "failed_seconds": None}}
    after = own_server.client.patch("/settings", json=change).json()
    assert (after["retention"]["count"], after["retention"]["failed_seconds"]) == (5, None)
    assert after["retention"]["seconds"] == before["retention"]["seconds"]
    assert own_server.client.get("/settings").json() == after
    for odd in ({"host": "0.0.0.0"}, {"retention": {"count": 0}}, {"retention": {"x": 1}}):
        assert own_server.client.patch("/settings", json=odd).status_code == 422
    assert own_server.client.get("/settings").json() == after


def test_the_system_tells_of_versions_memory_and_the_queue(server: Hosted) -> None:
    found = server.client.get("/system").json()
    assert found["version"]
    assert found["memory"]["server"] > 0
    assert found["disk"]["free"] > 0
    assert found["queue"] == {
        "paused": False,
        "fault": None,
        "counts": dict.fromkeys(
            ("queued", "running", "finished", "failed", "cancelled", "held"), 0
        ),
    }
    assert found["node_types"] > 0
    assert found["workers"] == []


def test_node_packs_are_read_anew_when_asked_to(server: Hosted) -> None:
    found = server.client.post("/system/refresh").json()
    assert found["node_types"] == server.client.get("/system").json()["node_types"]


def test_a_page_of_the_settings_may_ask_and_is_told_so(hosting: Any) -> None:
    origin = "https://studio.example"
    with hosting(allowed_origins=[origin]) as server:
        ask = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        preflight = server.client.options("/jobs", headers=ask)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == origin
        allowed = preflight.headers["access-control-allow-headers"].split(", ")
        assert {"content-type", "prefer"} <= {*allowed}
        answer = server.client.get("/queue", headers={"Origin": origin})
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == origin
        assert "access-control-allow-credentials" not in answer.headers
        other = server.client.get("/queue", headers={"Origin": "https://evil.example"})
        assert other.status_code == 403
        assert "access-control-allow-origin" not in other.headers
