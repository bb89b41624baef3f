"""What jobs need is told when they are submitted, and which worker of several they come to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nodegraph.jobs.queue import Job
from tests.server.faults import Api, serving, until
from tests.server.hosting import Hosted, read_packs, workflow
from tests.server.workflows import sampling

PACK = '''
import time
from pathlib import Path
from nodegraph import node

@node(lane="gpu", output=True)
def Paint(number: int, until: str) -> None:
    """Takes as long as a file isn't there."""
    while not Path(until).exists():
        time.sleep(0.01)
'''


def submitted(server: Hosted, document: Mapping[str, Any], **more: Any) -> Job:
    answer = server.client.post("/jobs", json={"workflow": document, **more})
    return server.services.queue.get(answer.json()["id"])


def painting(**model: Any) -> dict[str, Any]:
    """Samples by a model."""
    found = sampling(64, steps=1)
    found["nodes"]["load"]["inputs"].update(model)
    latent = {"vae": {"from": "load.vae"}, "latent": {"from": "sample"}}
    found["nodes"]["decode"] = {"type": "VAEDecode", "inputs": latent}
    preview = {"type": "PreviewImage", "inputs": {"image": {"from": "decode"}}}
    return {**found, "nodes": {**found["nodes"], "show": preview}}


def test_a_job_needs_a_gpu_if_one_of_its_nodes_computes_there(server: Hosted) -> None:
    assert not submitted(server, workflow()).gpu
    assert submitted(server, painting()).gpu
    assert not submitted(server, painting(), targets=["size"]).gpu


def test_a_node_within_a_loop_counts(server: Hosted) -> None:
    body = {
        "inputs": {"item": {"to": ["prompt.text"]}, "encoder": {"to": ["prompt.encoder"]}},
        "outputs": {"result": "prompt"},
        "nodes": {"prompt": {"type": "EncodePrompt"}},
    }
    encoder = {"from": "load.text_encoder"}
    each = {
        "type": "ForEach",
        "inputs": {"items": ["an apple", "a pear"], "body": "said", "encoder": encoder},
    }
    load = {"type": "LoadModel"}
    nodes = {"format": "nodegraph/1", "nodes": {"load": load, "each": each}}
    job = submitted(server, {**nodes, "subgraphs": {"said": body}}, targets=["each"])
    assert job.gpu
    assert len(job.models) == 1


def test_models_have_names_by_all_that_is_chosen_of_them(server: Hosted) -> None:
    first, again, other = (
        submitted(server, painting(**choice)).models for choice in ({}, {}, {"dtype": "bfloat16"})
    )
    assert len(first) == 1
    assert first == again != other
    longer = painting()
    longer["nodes"]["sample"]["inputs"].update({"steps": 9, "seed": 4})
    assert submitted(server, longer).models == first


def test_samplings_are_alike_whose_prompts_seeds_guidance_and_steps_differ(
    server: Hosted,
) -> None:
    def kind(size: int = 64, then: int = 128, **inputs: Any) -> str:
        document = painting()
        nodes = document["nodes"]
        nodes["size"]["inputs"]["width"] = size
        nodes["prompt"]["inputs"]["text"] = inputs.pop("text", "a red apple")
        resized = {"latent": {"from": "sample"}, "width": then, "height": 128}
        nodes["larger"] = {"type": "ResizeLatent", "inputs": resized}
        again = {**nodes["sample"]["inputs"], "latent": {"from": "larger"}}
        nodes["again"] = {"type": "KSampler", "inputs": again}
        nodes["sample"]["inputs"].update(inputs)
        return submitted(server, document, targets=["again"]).sampling

    usual = kind()
    assert usual
    assert usual == kind(text="a pear", seed=4, steps=9, cfg=3.0, sampler="ddim")
    assert len({usual, kind(size=128), kind(then=192), kind(cfg=1.0)}) == 4


def test_what_samples_nothing_or_has_no_time_to_lose_shares_nothing(server: Hosted) -> None:
    assert submitted(server, workflow()).sampling == ""
    assert submitted(server, painting(), targets=["prompt"]).sampling == ""
    assert submitted(server, painting(), options={"deadline": 9}).sampling == ""
    assert submitted(server, painting(), options={"check_mutation": True}).sampling == ""


def worker_of(api: Api, job: str) -> str:
    until(lambda: api.state(job) == "finished")
    return str(api.get(f"/jobs/{job}").json()["worker"])


@pytest.mark.slow
def test_a_worker_without_a_gpu_takes_what_needs_none(home: Path, tmp_path: Path) -> None:
    (home / "packs" / "paints.py").write_text(PACK)
    read_packs(home)
    done = tmp_path / "done"

    def paint(number: int) -> dict[str, Any]:
        inputs = {"number": number, "until": str(done)}
        node = {"type": "paints:Paint", "inputs": inputs}
        return {"format": "nodegraph/1", "nodes": {"paint": node}}

    with serving(home, "--devices", "auto,cpu") as (_, api):
        paints = [api.submit(workflow=paint(at)).json()["id"] for at in range(2)]
        sums = [api.submit(parameters={"b": at}).json()["id"] for at in range(3)]
        assert {worker_of(api, job) for job in sums} == {"worker-2"}
        assert api.state(paints[1]) == "queued"
        done.touch()
        assert [worker_of(api, job) for job in paints] == ["worker-1", "worker-1"]


@pytest.mark.slow
def test_jobs_go_where_their_model_is(home: Path) -> None:
    """Both workers are idle each time."""
    with serving(home, "--devices", "cpu,cpu") as (_, api):
        where: dict[str, set[str]] = {"float32": set(), "bfloat16": set()}
        for text in ("an apple", "a pear"):
            for dtype, found in where.items():
                document = painting(dtype=dtype)
                document["nodes"]["prompt"]["inputs"]["text"] = text
                until(lambda: [each["state"] for each in workers(api)] == ["idle", "idle"])
                answer = api.submit(workflow=document, targets=["prompt"])
                found.add(worker_of(api, answer.json()["id"]))
        assert [len(found) for found in where.values()] == [1, 1]
        assert where["float32"] != where["bfloat16"]


def workers(api: Api) -> list[dict[str, Any]]:
    return [each for each in api.get("/system").json()["workers"] if each["role"] == "worker"]


def test_a_job_of_some_targets_is_not_refused_for_what_others_lack(server: Hosted) -> None:
    document = workflow()
    document["nodes"]["bad"] = {"type": "PreviewImage"}
    good = [name for name in document["nodes"] if name != "bad"][-1]
    refused = server.client.post("/jobs", json={"workflow": document})
    assert refused.status_code == 422
    assert [each["node"] for each in refused.json()["problems"]] == ["bad"]
    assert submitted(server, document, targets=[good]).targets == [good]
