"""ComfyUI's protocol of runs: prompts, the queue, messages, the history and jobs."""

from __future__ import annotations

import json
import struct
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from nodegraph.media.images.embedded_texts import read_metadata
from nodegraph.server.access.caller import Scope
from nodegraph.server.access.tokens import TokenFile
from tests.server.comfyui_prompts import (
    ENVIRONMENT,
    Comfy,
    Listener,
    comfy_server,
    node,
    plain_prompt,
    write_trial_pack,
)
from tests.server.hosting import PATIENCE, Process, eventually, prepared_home

FLAGS = {"supports_preview_metadata": True}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, known_packs: Path) -> Path:
    home = prepared_home(tmp_path_factory.mktemp("prompts") / "home", known_packs)
    write_trial_pack(home)
    return home


@pytest.fixture(scope="module")
def comfy(home: Path) -> Iterator[Comfy]:
    with Process(home, environment=ENVIRONMENT) as process, comfy_server(process) as found:
        yield found


def numbers(number: int, **nodes: Any) -> dict[str, dict[str, Any]]:
    """Shows a number."""
    own = {"1": node("Count", number=number), "2": node("Pair", a=["1", 0], b=1)}
    return {**own, "3": node("Show", number=["2", 0]), **nodes}


def waiting(number: int, steps: int = 100_000) -> dict[str, dict[str, Any]]:
    """Takes so many hundredths of a second."""
    wait = node("Wait", number=number, steps=steps)
    return {"1": wait, "2": node("Show", number=["1", 0])}


def types(listener: Listener, prompt_id: str) -> list[str]:
    """The types of a prompt's messages but for states, and of the status behind its end."""
    return [each["type"] for each in listener.of(prompt_id) if each["type"] != "progress_state"]


def remaining(message: dict[str, Any]) -> int:
    return int(message["data"]["status"]["exec_info"]["queue_remaining"])


# Running.


def test_messages_of_a_run_come_in_their_order(comfy: Comfy) -> None:
    with comfy.listening("order") as listener:
        assert listener.messages[0]["data"]["sid"] == "order"
        assert remaining(listener.messages[0]) == 0
        prompt_id = comfy.submit(numbers(100), client_id="order")
        listener.until_end(prompt_id)
    kinds = types(listener, prompt_id)
    assert kinds[:2] == ["execution_start", "execution_cached"]
    assert kinds[-3:] == ["executed", "execution_success", "executing"]
    executing = [m["data"] for m in listener.of(prompt_id) if m["type"] == "executing"]
    assert [each["node"] for each in executing] == ["1", "2", "3", None]
    assert executing[0] == {"node": "1", "display_node": "1", "prompt_id": prompt_id}
    assert executing[-1] == {"node": None, "prompt_id": prompt_id}
    closing = [m for m in listener.messages if m["type"] in ("status", "execution_success")]
    assert closing[-2]["type"] == "execution_success"
    assert remaining(closing[-1]) == 0
    states = [m["data"]["nodes"] for m in listener.of(prompt_id) if m["type"] == "progress_state"]
    assert states[0]["1"] == {
        "value": 0.0,
        "max": 1.0,
        "state": "running",
        "node_id": "1",
        "prompt_id": prompt_id,
        "display_node_id": "1",
        "parent_node_id": None,
        "real_node_id": "1",
    }
    assert {key: each["state"] for key, each in states[-1].items()} == dict.fromkeys(
        ("1", "2", "3"), "finished"
    )
    shown = {"text": ["101"], "files": []} | {}
    executed = next(m["data"] for m in listener.of(prompt_id) if m["type"] == "executed")
    assert executed["node"] == executed["display_node"] == "3"
    assert executed["output"]["text"] == shown["text"]


def test_the_history_has_an_entry_before_the_closing_status(comfy: Comfy) -> None:
    with comfy.listening("closing") as listener:
        prompt_id = comfy.submit(numbers(110), client_id="closing")
        listener.until(lambda m: m["type"] == "execution_success")
        listener.until(lambda m: m["type"] == "status")
        entry = comfy.http.get(f"/history/{prompt_id}").json()[prompt_id]
    assert entry["status"]["status_str"] == "success"
    assert entry["status"]["completed"] is True
    told = [kind for kind, _ in entry["status"]["messages"]]
    assert told == ["execution_start", "execution_cached", "execution_success"]
    assert entry["outputs"]["3"]["text"] == ["111"]
    meta = {"node_id": "3", "display_node": "3", "parent_node": None, "real_node_id": "3"}
    assert entry["meta"] == {"3": meta}


def test_cached_outputs_are_listed_again(comfy: Comfy) -> None:
    prompt = plain_prompt(0x112233)
    first = comfy.ended(comfy.submit(prompt))
    with comfy.listening("cached") as listener:
        prompt_id = comfy.submit(prompt, client_id="cached")
        listener.until_end(prompt_id)
    cached = next(m["data"] for m in listener.of(prompt_id) if m["type"] == "execution_cached")
    assert set(cached["nodes"]) == {"1", "2", "3"}
    executed = [m["data"]["node"] for m in listener.of(prompt_id) if m["type"] == "executed"]
    assert executed == ["3"]
    assert "executing" in types(listener, prompt_id)[-1]
    second = comfy.ended(prompt_id)
    assert second["outputs"] == first["outputs"]
    (item,) = second["outputs"]["3"]["images"]
    assert item["type"] == "output"
    assert item["filename"].startswith("plain_")
    image = comfy.image(item)
    assert image.headers["content-type"] == "image/png"
    assert struct.unpack(">II", image.content[16:24]) == (32, 16)


def test_images_carry_the_prompt_and_the_drawing_as_those_of_comfyui_do(
    comfy: Comfy, tmp_path: Path
) -> None:
    prompt = plain_prompt(0x445566)
    drawing = {"nodes": [], "links": [], "version": 0.4}
    extra = {"extra_pnginfo": {"workflow": drawing, "bad name\n": 1}}
    (item,) = comfy.ended(comfy.submit(prompt, extra_data=extra))["outputs"]["3"]["images"]
    path = tmp_path / "image.png"
    path.write_bytes(comfy.image(item).content)
    with Image.open(path) as opened:
        chunks = dict(opened.text)  # type: ignore[attr-defined]
    assert json.loads(chunks["prompt"]) == prompt
    assert json.loads(chunks["workflow"]) == drawing
    assert "bad name\n" not in chunks
    # nodegraph's own is what is opened here.
    own = json.loads(read_metadata(path)["workflow"])
    assert own["format"] == "nodegraph/1"
    assert own["metadata"]["prompt"] == prompt


def test_the_log_is_sent_to_who_subscribes(comfy: Comfy) -> None:
    def subscribe(client_id: str, enabled: bool) -> None:
        body = {"clientId": client_id, "enabled": enabled}
        assert comfy.http.patch("/internal/logs/subscribe", json=body).status_code == 200

    subscribe("nobody", True)
    with comfy.listening("reader") as listener, comfy.listening("other") as other:
        subscribe("reader", True)
        while not any(each["type"] == "logs" for each in listener.messages):
            comfy.http.get("/prompt")  # each request is a line
            listener.next()
        found = next(each["data"] for each in listener.messages if each["type"] == "logs")
        assert all({"t", "m"} == entry.keys() for entry in found["entries"])
        prompt_id = comfy.submit(numbers(130), client_id="other")
        other.until_end(prompt_id)
        assert not any(each["type"] == "logs" for each in other.messages)
        subscribe("reader", False)


def test_what_nodes_show_is_listed_from_the_cache_as_well(comfy: Comfy) -> None:
    prompt = {
        "1": node("Note", number=115),
        "2": node("Notes", number=["1", 0]),
        "3": node("Show", number=["2", 0]),
    }
    runs = []
    for _ in range(2):
        with comfy.listening("notes") as listener:
            prompt_id = comfy.submit(prompt, client_id="notes")
            listener.until_end(prompt_id)
        told = [m["data"] for m in listener.of(prompt_id) if m["type"] == "executed"]
        executed = {each["node"]: each["output"] for each in told}
        assert len(told) == 3
        assert comfy.ended(prompt_id)["outputs"] == executed
        assert comfy.http.get(f"/api/jobs/{prompt_id}").json()["outputs"] == executed
        runs.append(executed)
    assert runs[0] == runs[1]
    assert runs[0]["1"] == {"text": ["note 115"], "number": 115}
    assert runs[0]["2"] == {"text": ["outer", "note 115"], "number": 115}
    assert runs[0]["3"]["text"] == ["115"]


def test_a_node_that_is_several_here_is_one_in_messages(comfy: Comfy) -> None:
    prompt = {
        "a": node("Count", number=120),
        "b": node("Twice", number=["a", 0]),
        "c": node("Show", number=["b", 0]),
    }
    with comfy.listening("several") as listener:
        prompt_id = comfy.submit(prompt, client_id="several")
        listener.until_end(prompt_id)
    messages = listener.of(prompt_id)
    executing = [m["data"]["node"] for m in messages if m["type"] == "executing"]
    assert executing == ["a", "b", "c", None]
    progress = [m["data"] for m in messages if m["type"] == "progress"]
    assert {each["node"] for each in progress} == {"b"}
    assert all(each["max"] == 30 for each in progress)
    assert comfy.ended(prompt_id)["outputs"]["c"]["text"] == ["240"]


@pytest.mark.parametrize(
    ("flags", "method", "event"),
    [
        (FLAGS, None, 4),
        (None, "auto", 1),
        (FLAGS, "latent2rgb", 4),
        (FLAGS, "none", 0),
        (None, None, 0),
        (FLAGS, ["auto"], 0),
    ],
)
def test_previews_come_to_those_who_ask(
    comfy: Comfy, flags: dict[str, Any] | None, method: Any, event: int
) -> None:
    number = 1000 + 10 * event + len(method or "") + (flags is None)
    extra = {} if method is None else {"preview_method": method}
    with comfy.listening("preview", flags=flags) as listener:
        prompt_id = comfy.submit(waiting(number, 100), client_id="preview", extra_data=extra)
        listener.until_end(prompt_id)
    assert bool(listener.frames) == bool(event)
    for frame in listener.frames:
        kind, second = struct.unpack(">II", frame[:8])
        assert kind == event
        if event == 1:
            assert second == 1
            assert frame[8:] == b"\xff\xd8 a JPEG"
        else:
            about = json.loads(frame[8 : 8 + second])
            assert about == {
                "node_id": "1",
                "prompt_id": prompt_id,
                "display_node_id": "1",
                "parent_node_id": None,
                "real_node_id": "1",
                "image_type": "image/jpeg",
            }
            assert frame[8 + second :] == b"\xff\xd8 a JPEG"


def test_a_prompt_without_a_client_tells_all_of_its_progress_alone(comfy: Comfy) -> None:
    with comfy.listening("watcher") as listener:
        prompt_id = comfy.submit(waiting(130, 60))
        comfy.ended(prompt_id)
        mine = comfy.submit(numbers(131), client_id="watcher")
        listener.until_end(mine)
    assert set(types(listener, prompt_id)) == {"progress"}
    assert any(m["type"] == "progress_state" for m in listener.of(prompt_id))


def test_messages_of_another_client_do_not_come(comfy: Comfy) -> None:
    with comfy.listening("mine") as listener:
        other = comfy.submit(numbers(140), client_id="other")
        comfy.ended(other)
        mine = comfy.submit(numbers(141), client_id="mine")
        listener.until_end(mine)
    assert listener.of(other) == []
    # The queue's state is everybody's.
    assert sum(m["type"] == "status" for m in listener.messages) > 3


def test_the_latest_socket_of_a_client_counts(comfy: Comfy) -> None:
    with comfy.listening("twin") as first, comfy.listening("twin") as second:
        prompt_id = comfy.submit(numbers(150), client_id="twin")
        second.until_end(prompt_id)
        with suppress(TimeoutError):
            while True:
                first.messages.append(json.loads(first.socket.recv(timeout=0.2)))
    assert first.of(prompt_id) == []


def test_a_client_that_comes_back_hears_what_runs(comfy: Comfy) -> None:
    with comfy.listening("back") as listener:
        prompt_id = comfy.submit(waiting(160), client_id="back")
        listener.until(lambda m: m["type"] == "executing")
    with comfy.listening("back") as listener:
        assert listener.until(lambda m: m["type"] == "executing")["data"] == {"node": "1"}
        comfy.http.post("/interrupt", json={"prompt_id": prompt_id})
        listener.until_end(prompt_id)


def test_flags_are_answered_as_the_first_message_alone(comfy: Comfy) -> None:
    with comfy.listening("flags") as listener:
        listener.socket.send("no JSON")
        listener.socket.send(json.dumps({"type": "feature_flags", "data": {}}))
        prompt_id = comfy.submit(numbers(170), client_id="flags")
        listener.until_end(prompt_id)
    assert not any(m["type"] == "feature_flags" for m in listener.messages)
    with comfy.listening("flags", path="/api/ws", flags={}) as listener:
        flags = next(m["data"] for m in listener.messages if m["type"] == "feature_flags")
    assert flags == comfy.http.get("/features").json()


# Failing, and interrupting.


def test_a_node_that_fails_is_told_with_its_id(comfy: Comfy) -> None:
    prompt = numbers(180, **{"9": node("Fail", number=["2", 0])})
    del prompt["3"]
    with comfy.listening("fails") as listener:
        prompt_id = comfy.submit(prompt, client_id="fails")
        listener.until_end(prompt_id)
    error = next(m["data"] for m in listener.of(prompt_id) if m["type"] == "execution_error")
    assert error["node_id"] == "9"
    assert error["node_type"] == "Fail"
    assert "181 is refused on purpose" in error["exception_message"]
    assert error["executed"] == ["1", "2"]
    assert error["current_inputs"] == {"number": ["['2', 0]"]}
    entry = comfy.ended(prompt_id)
    assert entry["status"]["status_str"] == "error"
    assert entry["status"]["completed"] is False
    assert entry["status"]["messages"][-1] == ["execution_error", error]
    job = comfy.http.get(f"/api/jobs/{prompt_id}").json()
    assert job["status"] == "failed"
    assert job["execution_error"] == error


def test_a_node_without_inputs_may_fail(comfy: Comfy) -> None:
    for inputs in ({}, {"inputs": None}):
        with comfy.listening("breaks") as listener:
            prompt_id = comfy.submit({"1": {"class_type": "Break", **inputs}}, client_id="breaks")
            listener.until_end(prompt_id)
        error = next(m["data"] for m in listener.of(prompt_id) if m["type"] == "execution_error")
        assert (error["node_id"], error["current_inputs"]) == ("1", {})
        assert "in Break" in error["traceback"][0]
        assert comfy.ended(prompt_id)["status"]["messages"][-1] == ["execution_error", error]


def test_a_prompt_that_is_tried_again_is_followed_again(comfy: Comfy) -> None:
    with comfy.listening("again") as listener:
        prompt_id = comfy.submit({"1": node("Break", number=185)}, client_id="again")
        for _ in range(2):
            listener.messages.clear()
            listener.until_end(prompt_id)
            kinds = types(listener, prompt_id)
            assert kinds[0] == "execution_start"
            assert kinds[-2:] == ["execution_error", "executing"]
            told = [kind for kind, _ in comfy.ended(prompt_id)["status"]["messages"]]
            assert told == ["execution_start", "execution_cached", "execution_error"]
            job = comfy.http.get("/api/v1/jobs").json()["items"][0]["id"]
            assert comfy.http.post(f"/api/v1/jobs/{job}/retry").is_success
        listener.until_end(prompt_id)


def test_an_interrupted_prompt_is_an_error_in_the_history(comfy: Comfy) -> None:
    with comfy.listening("stop") as listener:
        prompt_id = comfy.submit(waiting(190), client_id="stop")
        listener.until(lambda m: m["type"] == "executing")
        assert comfy.http.post("/interrupt", json={"prompt_id": str(uuid.uuid4())}).text == ""
        assert comfy.http.get(f"/history/{prompt_id}").json() == {}
        assert comfy.http.post("/interrupt", content=b"no JSON").status_code == 200
        listener.until_end(prompt_id)
    told = next(m["data"] for m in listener.of(prompt_id) if m["type"] == "execution_interrupted")
    assert (told["node_id"], told["node_type"], told["executed"]) == ("1", "Wait", [])
    entry = comfy.ended(prompt_id)
    assert entry["status"]["status_str"] == "error"
    assert entry["status"]["messages"][-1][0] == "execution_interrupted"
    assert comfy.http.get(f"/api/jobs/{prompt_id}").json()["status"] == "cancelled"


# The queue.


@pytest.fixture
def held(comfy: Comfy) -> Iterator[str]:
    """A prompt that runs until the end of the test."""
    with comfy.listening("holds") as listener:
        prompt_id = comfy.submit(waiting(200), client_id="holds")
        listener.until(lambda m: m["type"] == "executing")
        yield prompt_id
        comfy.http.post("/queue", json={"clear": True})
        comfy.http.post("/interrupt")
        listener.until_end(prompt_id)


def ids(comfy: Comfy, name: str) -> list[str]:
    return [item[1] for item in comfy.http.get("/queue").json()[name]]


def test_the_queue_lists_what_runs_and_waits(comfy: Comfy, held: str) -> None:
    info = {"workflow": {"id": "w-1", "nodes": []}}
    secrets = {"api_key_comfy_org": "SECRET", "auth_token_comfy_org": "SECRET"}
    prompt = numbers(210)
    waits = comfy.submit(prompt, client_id="c", extra_data={"extra_pnginfo": info, **secrets})
    document = comfy.http.get("/queue").json()
    assert [item[1] for item in document["queue_running"]] == [held]
    ((number, prompt_id, kept, extra, outputs),) = document["queue_pending"]
    assert prompt_id == waits
    assert isinstance(number, int)
    assert kept == prompt
    assert outputs == ["3"]
    assert extra.pop("create_time") > 1_600_000_000_000
    assert extra == {"extra_pnginfo": info, "client_id": "c"}
    assert comfy.http.get("/prompt").json() == {"exec_info": {"queue_remaining": 2}}
    everything = comfy.http.get("/api/v1/jobs").json()["items"]
    for job in everything:
        assert "SECRET" not in comfy.http.get(f"/api/v1/jobs/{job['id']}").text


def test_numbers_and_front_order_the_queue(comfy: Comfy, held: str) -> None:
    # A worker may have the next ones already, which nothing overtakes.
    fillers = [comfy.submit(numbers(n)) for n in range(600, 606)]
    first = comfy.submit(numbers(220))
    second = comfy.submit(numbers(221))
    answer = comfy.http.post("/prompt", json={"prompt": numbers(222), "front": True}).json()
    assert answer["number"] < 0
    early = comfy.http.post("/prompt", json={"prompt": numbers(223), "number": -0.5}).json()
    assert early["number"] == -0.5
    late = comfy.submit(numbers(224), number=1 << 40)
    plain = comfy.submit(numbers(225))
    between = {item[1]: item[0] for item in comfy.http.get("/queue").json()["queue_pending"]}
    ordered = sorted(between.keys() - set(fillers), key=between.__getitem__)
    assert ordered == [answer["prompt_id"], early["prompt_id"], first, second, plain, late]
    comfy.http.post("/interrupt")
    for each in (*fillers, *ordered):
        comfy.ended(each)
    history = list(comfy.http.get("/history", params={"max_items": 12}).json())
    assert [each for each in history if each in ordered] == ordered


def test_waiting_prompts_are_removed_without_a_trace(comfy: Comfy, held: str) -> None:
    with comfy.listening("removed") as listener:
        one, two, three = (comfy.submit(numbers(n), client_id="removed") for n in (230, 231, 232))
        answer = comfy.http.post("/queue", json={"delete": [two, held, "no id", 5]})
        assert (answer.status_code, answer.content) == (200, b"")
        assert ids(comfy, "queue_pending") == [one, three]
        assert ids(comfy, "queue_running") == [held]
        assert comfy.http.post("/queue", json={"clear": True}).status_code == 200
        assert ids(comfy, "queue_pending") == []
        listener.until(lambda m: m["type"] == "status" and remaining(m) == 1)
    assert ids(comfy, "queue_running") == [held]
    assert listener.of(one) == []
    assert comfy.http.get(f"/history/{two}").json() == {}
    assert one not in comfy.http.get("/history").json()


def test_the_memory_of_workers_is_freed(comfy: Comfy) -> None:
    answer = comfy.http.post("/free", json={"unload_models": True, "free_memory": True})
    assert (answer.status_code, answer.content) == (200, b"")
    comfy.ended(comfy.submit(numbers(235)))


# The history, and jobs.


def test_the_history_is_cut_and_deleted(comfy: Comfy) -> None:
    made = [comfy.submit(numbers(n)) for n in (240, 241, 242)]
    for each in made:
        comfy.ended(each)
    everything = list(comfy.http.get("/history").json())
    assert everything[-3:] == made

    def listed(**query: int) -> list[str]:
        return list(comfy.http.get("/history", params=query).json())

    assert listed(max_items=2) == made[1:]
    assert listed(max_items=2, offset=-5) == made[1:]
    assert listed(max_items=2, offset=len(everything) - 3) == made[:2]
    assert listed(max_items=0) == []
    assert listed(max_items=3, offset=10_000) == []
    assert comfy.http.post("/history", json={"delete": [made[1], "nothing"]}).content == b""
    assert listed(max_items=2) == [made[0], made[2]]
    assert comfy.http.get(f"/history/{uuid.uuid4()}").json() == {}
    assert comfy.http.post("/history", json={"clear": True}).status_code == 200
    assert listed() == []


def test_jobs_are_listed_in_pages(comfy: Comfy) -> None:
    comfy.http.post("/history", json={"clear": True})
    info = {"extra_pnginfo": {"workflow": {"id": "flow"}}}
    made = [comfy.submit(numbers(250), extra_data=info), comfy.submit(numbers(251))]
    for each in made:
        comfy.ended(each)

    def listed(**query: Any) -> dict[str, Any]:
        answer = comfy.http.get("/api/jobs", params=query)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    document = listed()
    assert [job["id"] for job in document["jobs"]] == made[::-1]
    assert document["pagination"]["total"] == 2
    assert isinstance(document["pagination"]["limit"], int)
    job = document["jobs"][1]
    assert job["status"] == "completed"
    assert job["workflow_id"] == "flow"
    assert job["create_time"] <= job["execution_start_time"] <= job["execution_end_time"]
    assert job["preview_output"]["content"] == "251"
    assert (job["preview_output"]["nodeId"], job["preview_output"]["mediaType"]) == ("3", "text")
    assert [each["id"] for each in listed(sort_order="asc", limit=1)["jobs"]] == made[:1]
    page = listed(limit=1, offset=1)
    assert [each["id"] for each in page["jobs"]] == made[:1]
    assert page["pagination"] == {"offset": 1, "limit": 1, "total": 2, "has_more": False}
    assert [each["id"] for each in listed(ids=made[1])["jobs"]] == made[1:]
    assert [each["id"] for each in listed(workflow_id="flow")["jobs"]] == made[:1]
    assert listed(status="failed,pending")["jobs"] == []
    assert len(listed(sort_by="execution_duration")["jobs"]) == 2
    for wrong in ({"status": "done"}, {"sort_by": "size"}, {"sort_order": "up"}):
        answer = comfy.http.get("/api/jobs", params=wrong)
        assert answer.status_code == 400
        assert isinstance(answer.json()["error"], str)
    whole = comfy.http.get(f"/api/jobs/{made[0]}").json()
    assert whole["outputs"]["3"]["text"] == ["251"]
    assert whole["execution_status"]["status_str"] == "success"
    assert whole["workflow"]["prompt"] == numbers(250)
    assert whole["workflow"]["extra_data"]["extra_pnginfo"] == info["extra_pnginfo"]
    missing = comfy.http.get(f"/api/jobs/{uuid.uuid4()}")
    assert (missing.status_code, list(missing.json())) == (404, ["error"])
    assert comfy.http.get(f"/api/jobs/{made[0]}/assets").status_code == 404


def test_jobs_are_cancelled_alone_and_together(comfy: Comfy, held: str) -> None:
    waits = comfy.submit(numbers(260))

    def cancelled(path: str, **fields: Any) -> Any:
        return comfy.http.post(f"/api/jobs/{path}", json=fields).json()["cancelled"]

    assert cancelled(f"{waits}/cancel") is True
    assert cancelled(f"{waits}/cancel") is False
    assert cancelled(f"{uuid.uuid4()}/cancel") is False
    assert comfy.http.get(f"/api/jobs/{held}").json()["status"] == "in_progress"
    more = comfy.submit(numbers(261))
    assert cancelled("cancel", job_ids=[more.upper(), str(uuid.uuid4())]) is True
    answer = comfy.http.post("/api/jobs/cancel", json={"job_ids": [held, "x"]})
    assert answer.status_code == 400
    assert answer.json()["invalid_ids"] == ["x"]
    assert comfy.http.post("/api/jobs/cancel", json={}).status_code == 400
    assert ids(comfy, "queue_running") == [held]


# What is refused.


def test_a_bad_output_beside_a_good_one_runs_the_good_one(comfy: Comfy) -> None:
    prompt = numbers(270, **{"4": node("Show", number=["77", 0])})
    answer = comfy.http.post("/prompt", json={"prompt": prompt})
    assert answer.status_code == 200
    errors = answer.json()["node_errors"]
    assert set(errors) == {"4"}
    assert errors["4"]["class_type"] == "Show"
    assert errors["4"]["dependent_outputs"] == ["4"]
    assert errors["4"]["errors"][0]["type"] == "exception_during_validation"
    entry = comfy.ended(answer.json()["prompt_id"])
    assert list(entry["outputs"]) == ["3"]
    assert entry["prompt"][4] == ["3"]
    assert entry["prompt"][2] == prompt


def test_what_was_missing_may_come(comfy: Comfy) -> None:
    loads = {
        "8": node("LoadImage", image="later.png"),
        "9": node("SaveImage", filename_prefix="later", images=["8", 0]),
    }
    prompt = numbers(275, **loads)
    body = {"prompt": prompt}
    assert set(comfy.http.post("/prompt", json=body).json()["node_errors"]) == {"8"}
    inputs = comfy.process.home / "inputs"
    inputs.mkdir(exist_ok=True)
    Image.new("RGB", (8, 8)).save(inputs / "later.png")
    answer = comfy.http.post("/prompt", json=body).json()
    assert answer["node_errors"] == {}
    assert set(comfy.ended(answer["prompt_id"])["outputs"]) == {"3", "9"}


def test_answers_to_large_prompts_stay_small(comfy: Comfy) -> None:
    count = 2_000
    chain = {str(at): node("Pair", a=[str(at - 1), 0], b=1) for at in range(1, count)}
    shows = {f"s{at}": node("Show", number=[str(at), 0]) for at in range(count)}
    wrong = comfy.refused({"0": node("Count", number="x"), **chain, **shows})
    assert list(wrong["node_errors"]) == ["0"]
    incomplete = {key: node("Pair", a=each["inputs"]["a"]) for key, each in chain.items()}
    wrong = comfy.refused({"0": node("Pair", a=1), **incomplete, **shows})
    assert len(wrong["node_errors"]) == 256
    assert len(json.dumps(wrong)) < 2_000_000
    circles = {
        str(at): node("Pair", a=[str((at + 1) % count), 0], b=[str(at // 2), 0])
        for at in range(count)
    }
    wrong = comfy.refused({**circles, **shows})
    assert len(json.dumps(wrong)) < 2_000_000
    reasons = [each for found in wrong["node_errors"].values() for each in found["errors"]]
    assert {each["type"] for each in reasons} == {"dependency_cycle"}


def test_targets_choose_outputs(comfy: Comfy) -> None:
    prompt = numbers(280, **{"4": node("Show", number=["1", 0])})
    prompt_id = comfy.submit(prompt, partial_execution_targets=["4", "1", "nothing"])
    assert list(comfy.ended(prompt_id)["outputs"]) == ["4"]
    refused = comfy.refused(prompt, partial_execution_targets=[])
    assert refused["error"]["type"] == "prompt_no_outputs"


def test_whole_prompts_are_refused_with_their_reason(comfy: Comfy) -> None:
    unknown = numbers(1, **{"8": node("NoSuchNode", "Mine")})
    error = comfy.refused(unknown)["error"]
    assert error["type"] == "missing_node_type"
    assert error["extra_info"] == {
        "node_id": "8",
        "class_type": "NoSuchNode",
        "node_title": "Mine",
    }
    assert comfy.refused({"1": {"inputs": {}}})["error"]["extra_info"]["class_type"] is None
    assert comfy.refused({"1": node("Count", number=1)})["error"]["type"] == "prompt_no_outputs"
    assert comfy.refused({})["error"]["type"] == "prompt_no_outputs"
    wrong: Any
    for wrong in (5, [], {"1": 5}, None, "x"):
        assert comfy.refused(wrong)["error"]["type"] == "invalid_prompt"
    for wrong in ("x", 5, str(uuid.uuid4()).upper(), "0" * 32):
        assert comfy.refused(numbers(1), prompt_id=wrong)["error"]["type"] == "invalid_prompt_id"
    for wrong in ("x", True, [], 1e300, 10**400):
        assert comfy.refused(numbers(1), number=wrong)["error"]["type"] == "invalid_prompt"
    assert comfy.refused(numbers(1), partial_execution_targets=5)["error"]["type"]
    answer = comfy.http.post("/prompt", json={"client_id": "x"})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "no_prompt")
    assert answer.json()["node_errors"] == {}
    for body in (b"", b"{", b"\xff", b'{"prompt": NaN}', b"[" * 5_000):
        answer = comfy.http.post("/prompt", content=body)
        assert answer.status_code == 400, body
        assert set(answer.json()) == {"error", "node_errors"}


def test_a_prompt_keeps_the_id_that_its_client_chose(comfy: Comfy) -> None:
    chosen = str(uuid.uuid4())
    assert comfy.submit(numbers(290), prompt_id=chosen) == chosen
    assert comfy.ended(chosen)["prompt"][1] == chosen


def test_all_forms_of_a_path_are_one(comfy: Comfy) -> None:
    for root in ("", "/api", "/comfyui", "/comfyui/api"):
        assert set(comfy.http.get(f"{root}/queue").json()) == {"queue_running", "queue_pending"}
        with comfy.listening("forms", path=f"{root}/ws") as listener:
            assert listener.messages[0]["type"] == "status"
    assert comfy.http.get("/api/v1/queue").json()["counts"]["running"] == 0
    assert comfy.http.get("/api/nothing").status_code == 404


@pytest.mark.parametrize("method", ["OPTIONS", "GET"])
def test_a_request_without_a_path_is_refused(comfy: Comfy, method: str) -> None:
    connection = HTTPConnection(comfy.process.host, timeout=PATIENCE)
    with closing(connection):
        connection.request(method, "*")
        assert 400 <= connection.getresponse().status < 500


def test_content_types_do_not_matter(comfy: Comfy) -> None:
    body = json.dumps({"prompt": numbers(300)})
    answer = comfy.http.post("/prompt", content=body, headers={"content-type": "text/plain"})
    assert answer.status_code == 200
    comfy.ended(answer.json()["prompt_id"])


def test_jobs_of_other_protocols_are_no_prompts(comfy: Comfy) -> None:
    workflow = {
        "format": "nodegraph/1",
        "nodes": {"show": {"type": "trial:Show", "inputs": {"number": 5}}},
    }
    before = list(comfy.http.get("/history").json())
    with comfy.listening("others") as listener:
        job = comfy.http.post("/api/v1/jobs", json={"workflow": workflow}).json()["id"]
        eventually(lambda: comfy.http.get(f"/api/v1/jobs/{job}").json()["state"] == "finished")
        mine = comfy.submit(numbers(310), client_id="others")
        listener.until_end(mine)
    assert [m["type"] for m in listener.messages[:2]] == ["status", "status"]
    assert list(comfy.http.get("/history").json()) == [*before, mine]


@pytest.mark.parametrize("count", [500, 2_500])
def test_messages_of_a_large_fan_take_bytes_in_proportion_to_its_nodes(
    comfy: Comfy, count: int
) -> None:
    prompt = {str(at): node("Pair", a=["0", 0], b=at + count) for at in range(1, count + 1)}
    prompt["0"] = node("Count", number=count)
    # One that needs all of them, two by two.
    level, at = [str(each) for each in range(1, count + 1)], 0
    while len(level) > 1:
        halves = [level[each : each + 2] for each in range(0, len(level), 2)]
        level = []
        for half in halves:
            if len(half) == 1:
                level += half
                continue
            name = f"s{at}"
            prompt[name] = node("Pair", a=[half[0], 0], b=[half[1], 0])
            level.append(name)
            at += 1
    prompt["end"] = node("Show", number=[level[0], 0])
    assert len(prompt) == 2 * count + 1
    with comfy.listening("fan", flags=FLAGS) as listener:
        prompt_id = comfy.submit(prompt, client_id="fan")
        listener.until_end(prompt_id)
    entry = comfy.ended(prompt_id)
    assert entry["status"]["completed"] is True
    finished = {
        key
        for message in listener.of(prompt_id)
        if message["type"] == "progress_state"
        for key, state in message["data"]["nodes"].items()
        if state["state"] == "finished"
    }
    assert finished == set(prompt)
    assert listener.bytes <= 1_000 * len(prompt)


@pytest.mark.slow
def test_a_restart_forgets_nothing(home: Path, known_packs: Path, tmp_path: Path) -> None:
    own = prepared_home(tmp_path / "own", known_packs)
    write_trial_pack(own)
    with Process(own, environment=ENVIRONMENT) as process, comfy_server(process) as comfy:
        shown = plain_prompt(0x445566)
        done = comfy.submit(shown, client_id="before", extra_data={"extra_pnginfo": {"k": "v"}})
        before = comfy.ended(done)
        (item,) = before["outputs"]["3"]["images"]
        data = comfy.image(item).content
        runs = comfy.submit(waiting(400))
        waits = comfy.submit(numbers(401), client_id="before")
        eventually(lambda: ids(comfy, "queue_running") == [runs])
        queue = comfy.http.get("/queue").json()["queue_pending"]
        process.process.kill()
        process.ended()
    with Process(own, environment=ENVIRONMENT) as process, comfy_server(process) as comfy:
        assert comfy.http.get(f"/history/{done}").json() == {done: before}
        assert comfy.http.get("/history").json() == {done: before}
        assert comfy.image(item).content == data
        eventually(lambda: ids(comfy, "queue_running") == [runs])
        assert comfy.http.get("/queue").json()["queue_pending"] == queue
        with comfy.listening("before") as listener:
            comfy.http.post("/interrupt")
            listener.until_end(waits)
        assert set(comfy.http.get("/history").json()) == {done, runs, waits}


def test_tokens_decide_what_a_client_may_do(known_packs: Path, tmp_path: Path) -> None:
    home = prepared_home(tmp_path / "tokens", known_packs)
    write_trial_pack(home)
    file = TokenFile(home / "tokens.json")
    names: dict[str, tuple[Scope, ...]] = {"reader": ("read",), "one": ("run",), "two": ("run",)}
    tokens = {name: file.add(name, scopes)[0] for name, scopes in names.items()}
    with Process(home, environment=ENVIRONMENT) as process:
        process.ready()

        def ask(name: str, method: str, path: str, **more: Any) -> httpx.Response:
            headers = {"Authorization": f"Bearer {tokens[name]}"} if name else {}
            return httpx.request(
                method, f"{process.url}{path}", headers=headers, trust_env=False, timeout=60, **more
            )

        refused = ask("", "GET", "/queue")
        assert refused.status_code == 401
        assert refused.json()["error"]["type"] == "unauthenticated"
        for path in ("/prompt", "/queue", "/interrupt", "/free", "/history", "/upload/image"):
            assert ask("reader", "POST", path, json={}).status_code == 403, path
        assert ask("one", "POST", "/free", json={}).status_code == 403
        answer = ask("one", "POST", "/prompt", json={"prompt": numbers(500)})
        prompt_id = answer.json()["prompt_id"]
        eventually(lambda: ask("one", "GET", f"/history/{prompt_id}").json() != {})
        for name in ("two", "reader"):
            assert ask(name, "GET", f"/history/{prompt_id}").json() == {}
            assert ask(name, "GET", "/history").json() == {}
            assert ask(name, "GET", f"/api/jobs/{prompt_id}").status_code == 404
        assert ask("two", "POST", "/history", json={"delete": [prompt_id]}).status_code == 200
        assert ask("one", "GET", f"/history/{prompt_id}").json() != {}
