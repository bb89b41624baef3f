"""What the server tells and clients read is said once."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from pydantic import TypeAdapter

from nodegraph.client import shapes
from tests.client.support import client_of
from tests.server.hosting import Hosted, workflow
from tests.server.resources import picture

SHAPES = [
    shape
    for shape in (getattr(shapes, name) for name in shapes.__all__)
    if isinstance(shape, type) and is_dataclass(shape)
]
SUMMARY: dict[str, Any] = {
    "id": "job_x",
    "client": "ann",
    "name": "",
    "state": "queued",
    "held": False,
    "wanted": None,
    "priority": 0,
    "created": 1.0,
    "started": None,
    "finished": None,
    "attempt": 0,
    "deaths": 0,
    "worker": None,
    "tags": [],
}


def described(shape: type[Any]) -> dict[str, Any]:
    return TypeAdapter(shape).json_schema(mode="serialization")


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_each_shape_is_described_by_its_docstring(shape: type[Any]) -> None:
    schema = described(shape)
    assert schema["description"] == (shape.__doc__ or "").split("\n")[0]
    assert "Attributes:" not in schema["description"]
    # What is of the moment is in no page of events, and so isn't described.
    left_out = {"after"} if shape is shapes.Event else set()
    assert set(schema["properties"]) == {each.name for each in fields(shape)} - left_out


def test_a_field_has_the_description_of_what_it_extends() -> None:
    told = described(shapes.Artifact)["properties"]
    assert told["width"]["description"].startswith("Size in pixels")
    assert told["jobs"]["description"] == "Number of jobs that output the same bytes."


def test_a_later_server_may_tell_more_and_other_words() -> None:
    more = {**SUMMARY, "wanted": "sleep", "later": 1, "links": {"self": "/x", "more": "/y"}}
    found = TypeAdapter(shapes.JobSummary).validate_python(more)
    assert (found.wanted, found.links.self) == ("sleep", "/x")


def test_an_earlier_server_may_tell_less() -> None:
    assert TypeAdapter(shapes.JobSummary).validate_python(SUMMARY).fault is None
    old = {"digest": "ab", "name": "a", "media_type": "image/png", "size": 3, "value": "upload:ab"}
    assert TypeAdapter(shapes.Upload).validate_python(old).used == 0.0


def test_what_only_the_server_told_is_read(server: Hosted) -> None:
    with client_of(server) as client:
        client.workflows.save("sum", workflow())
        app = client.apps.get("sum")
        assert app.outputs
        assert app.href == "/api/v1/apps/sum"
        upload = client.upload(picture(), "a.png")
        assert 0.0 < upload.created <= upload.used
        assert upload.href == f"/api/v1/uploads/{upload.digest}"
        job = client.submit(workflow())
        assert job.links.self == f"/api/v1/jobs/{job.id}"
        assert client.system().memory["available"] > 0
