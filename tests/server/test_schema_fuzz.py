"""Every operation that the server's description names, asked as it says and as it doesn't.

Left out: the websocket, which no description of this kind knows (see `test_fuzz`), and streams of
server-sent events, which have no end: the operations that have one are asked for a page here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from nodegraph.server.http.app import create_app
from nodegraph.server.http.openapi import describe
from nodegraph.server.services import Services
from nodegraph.server.settings import ServerSettings
from nodegraph.session.settings import Settings
from tests.properties import examples
from tests.server.fuzz_sending import Lives, cries
from tests.server.hosting import ONCE, PATIENCE, Process, prepared_home, workflow
from tests.server.resources import picture

pytestmark = pytest.mark.slow

CASES = 8
"""Of each operation, half of them as it is described and half not so."""
SEVERAL_SECONDS = {"refresh": 1}
"""Operations that read all packs anew, and how many cases they get."""
STREAMS = {"get_events", "get_job_events"}
CHECKS: Any = [
    *(not_a_server_error, status_code_conformance, content_type_conformance),
    *(response_schema_conformance, response_headers_conformance),
]


def _schema() -> Any:
    """The description as the server gives it, but for the entries of apps."""
    services = Services(Settings(home=Path("nowhere")), ServerSettings())
    return schemathesis.openapi.from_dict(describe(create_app(services)))


OPERATIONS = {
    found.ok().definition.raw["operationId"]: found.ok() for found in _schema().get_all_operations()
}


@dataclass
class Asked:
    """A server with something to find.

    Attributes:
        known: Values of parameters in paths that lead to something.
    """

    process: Process
    client: httpx.Client
    known: dict[str, str] = field(default_factory=dict)

    def fill(self) -> None:
        """See that there is one of each: it may have been deleted meanwhile."""
        self.client.put("/workflows/sum", json=workflow()).raise_for_status()
        job = self.client.post("/jobs", json={"workflow": workflow(), "held": True})
        upload = self.client.post("/uploads", content=picture(), params={"name": "a.png"})
        self.known = {
            "id": job.raise_for_status().json()["id"],
            "digest": upload.raise_for_status().json()["digest"],
            "name": "sum",
            "file": "apple.png",
            "version": "1",
            "type": "sums:Sum",
        }


@pytest.fixture(scope="module")
def asked(known_packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    home = prepared_home(tmp_path_factory.mktemp("schema") / "home", known_packs)
    with Process(home, "--workers", "0") as process:
        url = f"{process.ready().url}/api/v1"
        with httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False, limits=ONCE) as client:
            yield Asked(process, client)


def test_the_description_has_them_all() -> None:
    assert len(OPERATIONS) >= 50
    assert set(OPERATIONS) >= STREAMS | set(SEVERAL_SECONDS)


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_answers_as_it_says(asked: Asked, name: str) -> None:
    operation = OPERATIONS[name]
    asked.fill()
    base = asked.process.url
    before = Lives.of(asked.process)

    @settings(
        max_examples=examples(SEVERAL_SECONDS.get(name, CASES)),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(_cases(operation), st.booleans())
    def ask(case: Any, is_known: bool) -> None:
        for parameter in case.path_parameters if is_known else ():
            case.path_parameters[parameter] = asked.known[parameter]
        headers = {"Accept": "application/json"} if name in STREAMS else None
        answer = case.call(base_url=base, headers=headers, timeout=PATIENCE)
        case.validate_response(answer, checks=CHECKS)

    ask()
    assert Lives.of(asked.process).restarts(before) == 0
    assert cries(asked.process) == []


def _cases(operation: Any) -> st.SearchStrategy[Any]:
    good = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
    has_parts = operation.body or operation.query or operation.path_parameters
    if not has_parts:
        return good  # there is nothing to be wrong
    return good | operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
