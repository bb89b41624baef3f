"""Workflows of ComfyUI are translated for whoever asks; what is none is refused with a reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from nodegraph.core.workflow import Workflow
from nodegraph.errors import NodegraphError
from nodegraph.jobs.supervisor.errors import QuestionFailed, error_to_dict
from nodegraph.jobs.worker.planner import PlannerAnswers
from nodegraph.session.session import Session
from nodegraph.session.settings import Settings
from tests.compat.image_metadata.samples import SAMPLES, Sample
from tests.server.hosting import Hosted, prepared_home

TOOLS = sorted({sample.tool for sample in SAMPLES})
HIDDEN = next(sample for sample in SAMPLES if sample.name == "novelai-stealth")

API = {
    "1": {"class_type": "LoadImage", "inputs": {"image": "pear.png"}},
    "2": {
        "class_type": "SparkleFilter",
        "inputs": {"image": ["1", 0], "amount": 0.5},
        "_meta": {"title": "Sparkles"},
    },
    "3": {"class_type": "VAELoader", "inputs": {"vae_name": "clear.safetensors"}},
    "4": {"class_type": "VAEEncode", "inputs": {"pixels": ["2", 0], "vae": ["3", 0]}},
    "5": {"class_type": "KSampler", "inputs": {"latent_image": ["4", 0], "seed": 2**64 - 1}},
}


@pytest.fixture(scope="module")
def answers(
    tmp_path_factory: pytest.TempPathFactory, known_packs: Path
) -> Iterator[PlannerAnswers]:
    """Those of a planner within this process."""
    home = prepared_home(tmp_path_factory.mktemp("planner") / "home", known_packs)
    found = PlannerAnswers(lambda: Session(Settings(home=home)))
    yield found
    found.close()


@pytest.fixture
def planner(
    server: Hosted, answers: PlannerAnswers, monkeypatch: pytest.MonkeyPatch
) -> httpx.Client:
    """Asks a server that has a planner within this process."""

    async def ask(question: str, arguments: dict[str, Any], timeout: float) -> Any:
        try:
            return json.loads(json.dumps(answers.answer(question, arguments)))
        except NodegraphError as error:
            raise QuestionFailed(error_to_dict(error)) from None

    monkeypatch.setattr(server.services.supervisor, "ask", ask)
    return server.client


def imported(client: httpx.Client, **wish: Any) -> Any:
    answer = client.post("/import", json=wish)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_document_becomes_a_workflow_with_a_report(planner: httpx.Client) -> None:
    found = imported(planner, document=API)
    workflow = Workflow.from_dict(found["workflow"])
    assert workflow.nodes["load_image"].type == "LoadImage"
    assert "18446744073709551615" in json.dumps(found["workflow"])
    assert (found["format"], found["nodes"]) == ("api", 5)
    [placeholder] = found["untranslated"]
    assert placeholder["node"] == "sparkles"
    assert placeholder["type"] == "SparkleFilter"
    assert placeholder["reason"]
    assert [model["name"] for model in found["models"]] == ["clear.safetensors"]
    assert found["files"] == ["pear.png"]


@pytest.mark.parametrize("name", ["prompt", "workflow", "comment"])
def test_so_do_the_texts_of_a_picture(planner: httpx.Client, name: str) -> None:
    text = json.dumps({"prompt": API}) if name == "comment" else json.dumps(API)
    found = imported(planner, texts={name: text.replace("0.5", "NaN")})
    assert found["nodes"] == 5


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"document": API, "texts": {}},
        {"texts": {str(at): "" for at in range(17)}},
        {"texts": {"prompt": "no JSON"}},
        {"texts": {"workflow": json.dumps({"format": "nodegraph/1", "nodes": {}})}},
        {"document": {"format": "nodegraph/1", "nodes": {}}},
        {"document": {"nodes": [], "links": [], "version": 7}},
        {"document": {"nodes": [{"id": 1}], "links": []}},
    ],
)
def test_what_is_none_is_refused(planner: httpx.Client, wish: dict[str, Any]) -> None:
    answer = planner.post("/import", json=wish)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["message"]


@pytest.mark.parametrize(
    "sample",
    [next(each for each in SAMPLES if each.tool == tool) for tool in TOOLS] + [HIDDEN],
    ids=lambda sample: sample.name,
)
def test_an_uploaded_image_of_another_tool_becomes_a_workflow(
    planner: httpx.Client, sample: Sample, tmp_path: Path
) -> None:
    path = tmp_path / f"theirs{sample.suffix}"
    sample.write(path)
    upload = planner.post("/uploads", params={"name": path.name}, content=path.read_bytes())
    texts = planner.get(f"/uploads/{upload.json()['digest']}/texts").json()["texts"]

    report = imported(planner, texts=texts)

    workflow = Workflow.from_dict(report["workflow"])
    assert workflow.nodes["sample"].inputs["seed"] == sample.expected["seed"]
    assert report["format"] == sample.tool
    assert report["models"]
    assert not report["untranslated"]
    messages = " ".join(difference["message"] for difference in report["differences"])
    assert all(words in messages for words in sample.reports)


def test_too_much_is_refused_before_it_is_read(planner: httpx.Client) -> None:
    deep = {"texts": {"workflow": '{"nodes":' + "[" * 5_000}}
    many = {"document": {"nodes": [0] * 10_001, "links": []}}
    for wish in (deep, many):
        assert planner.post("/import", json=wish).status_code == 413


def test_without_a_planner_it_is_said_so(server: Hosted) -> None:
    assert server.client.post("/import", json={"document": API}).status_code == 503
