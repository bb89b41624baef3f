"""Language models of servers: real requests to stand-ins on this machine."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import torch
from PIL import Image

from nodegraph import Workflow
from nodegraph.engine.options import CancelToken
from nodegraph.store.secrets import SecretStore
from tests.diffusion.families.language import qwen3_text
from tests.diffusion.families.words import qwen_words
from tests.nodes.conftest import Bench, link
from tests.nodes.services import KEY, WORDS, Service, running


@pytest.fixture
def service() -> Iterator[Service]:
    with running() as made:
        yield made


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Bench]:
    """May call services of this machine."""
    made = Bench(tmp_path, service_hosts=("127.0.0.1",))
    yield made
    made.session.close()


def connected(service: Service, kind: str = "openai", **inputs: Any) -> dict[str, Any]:
    base = f"{service.url}/v1" if kind == "openai" else service.url
    known = {name: inputs.pop(name) for name in ("secret", "options", "address") if name in inputs}
    load = {"kind": kind, "model": "small", "address": base, **known}
    return {
        "load": {"type": "ConnectLanguageModel", "inputs": load},
        "ask": {
            "type": "GenerateText",
            "inputs": {"encoder": link("load"), "prompt": "a cat", "max_tokens": 50, **inputs},
        },
    }


def store_key(bench: Bench, *hosts: str, name: str = "mine") -> None:
    path = bench.session.environment.services.secrets
    assert path is not None
    SecretStore(path).set(name, KEY, hosts or ("127.0.0.1",))


@pytest.mark.parametrize("kind", ["openai", "ollama"])
def test_an_answer_is_streamed_and_cached(local: Bench, service: Service, kind: str) -> None:
    nodes = connected(service, kind, system="be kind", seed=2**31 + 5, temperature=0.5)
    assert local.value(nodes, "ask.text") == "".join(WORDS)
    [sent] = service.seen
    body = sent.json
    assert body["stream"] is True
    assert body["model"] == "small"
    assert [item["role"] for item in body["messages"]] == ["system", "user"]
    assert body["messages"][1]["content"] == "a cat"
    options = body if kind == "openai" else body["options"]
    assert (options["seed"], options["temperature"]) == (5, 0.5)
    assert local.told("node.preview")
    local.run(nodes, "ask")
    assert len(service.seen) == 1
    nodes["ask"]["inputs"]["seed"] = 1
    local.value(nodes, "ask.text")
    assert len(service.seen) == 2


@pytest.mark.parametrize("kind", ["openai", "ollama"])
def test_images_and_schemas_are_sent(local: Bench, service: Service, kind: str) -> None:
    service.words = ['{"color": ', '"red"}']
    schema = {
        "type": "object",
        "properties": {"color": {"type": "string"}},
        "required": ["color"],
        "additionalProperties": False,
    }
    nodes = connected(service, kind, schema=json.dumps(schema), sampling=False)
    nodes["picture"] = {"type": "Picture", "inputs": {"batch": 2}}
    nodes["ask"]["inputs"]["images"] = link("picture")
    assert json.loads(local.value(nodes, "ask.text")) == {"color": "red"}
    body = service.seen[0].json
    if kind == "openai":
        _, *images = body["messages"][0]["content"]
        data = [item["image_url"]["url"].partition("base64,")[2] for item in images]
        form = body["response_format"]["json_schema"]
        assert (form["schema"], form["strict"]) == (schema, True)
        assert body["temperature"] == 0
    else:
        data = body["messages"][0]["images"]
        assert body["format"] == schema
        assert body["options"]["temperature"] == 0
        assert body["think"] is False
    assert len(data) == 2
    with Image.open(BytesIO(b64decode(data[0]))) as opened:
        assert opened.size == (16, 8)
    service.words = ["no JSON"]
    nodes["ask"]["inputs"]["prompt"] = "again"
    assert "not JSON" in local.failure(nodes, "ask").problem.message


def test_further_fields_are_merged_and_removed(local: Bench, service: Service) -> None:
    options = '{"temperature": null, "top_k": 3, "stream": false}'
    local.value(connected(service, options=options), "ask.text")
    body = service.seen[0].json
    assert "temperature" not in body
    assert (body["top_k"], body["stream"]) == (3, True)
    [problem] = local.problems(connected(service, options="[1]"), "ask")
    assert (problem.node, problem.port) == ("load", "options")


def test_a_cut_answer_is_a_warning_and_a_broken_one_an_error(
    local: Bench, service: Service
) -> None:
    service.finish = "length"
    local.value(connected(service), "ask.text")
    [warning] = [event for event in local.told("log") if event.data["level"] == "warning"]
    assert "max_tokens" in warning.data["message"]
    service.finish = ""
    nodes = connected(service, prompt="another")
    assert "ended before" in local.failure(nodes, "ask").problem.message
    nodes = connected(service, "ollama", prompt="another")
    assert "ended before" in local.failure(nodes, "ask").problem.message


def test_a_busy_server_is_asked_again_and_a_refusal_is_told(local: Bench, service: Service) -> None:
    busy = (429, {"Retry-After": "0"}, {"error": {"message": "slow down"}})
    service.refusals = [busy, (503, {"Retry-After": "0"}, {})]
    assert local.value(connected(service), "ask.text") == "".join(WORDS)
    assert len(service.seen) == 3
    service.refusals = [(404, {}, {"error": "model 'small' not found"})]
    problem = local.failure(connected(service, "ollama"), "ask").problem
    assert "model 'small' not found" in problem.message
    assert problem.given == "HTTP status 404"
    service.refusals = [(429, {"Retry-After": "9999"}, {})]
    count = len(service.seen)
    local.failure(connected(service, prompt="later"), "ask")
    assert len(service.seen) == count + 1


def test_cancel_does_not_wait_for_the_server(local: Bench) -> None:
    with running(held=Event()) as service:
        token = CancelToken()
        results: list[Any] = []
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": connected(service)})
        run = Thread(
            target=lambda: results.append(
                local.session.run(workflow, targets=["ask"], cancel=token)
            )
        )
        run.start()
        service.began.wait()
        token.cancel()
        run.join()
        assert results[0].status == "cancelled"


def test_a_secret_goes_to_its_host_alone(local: Bench, service: Service) -> None:
    service.requires_key = True
    problem = local.failure(connected(service), "ask").problem
    assert problem.given == "HTTP status 401"
    store_key(local)
    assert local.value(connected(service, secret="mine"), "ask.text") == "".join(WORDS)
    assert service.seen[-1].headers["authorization"] == f"Bearer {KEY}"
    store_key(local, "api.openai.com", name="other")
    [problem] = local.problems(connected(service, secret="other"), "ask")
    assert (problem.node, problem.port) == ("load", "secret")
    assert "may not be sent to 127.0.0.1" in problem.message
    count = len(service.seen)
    # A link hides the name from the check, so the call itself refuses.
    nodes = connected(service, secret=link("name"), prompt="new")
    nodes["name"] = {"type": "Text", "inputs": {"text": "other"}}
    assert "may not be sent" in local.failure(nodes, "ask").problem.message
    assert len(service.seen) == count


def test_redirects_never_carry_a_secret(local: Bench, service: Service) -> None:
    store_key(local)
    with running() as other:
        service.refusals = [(307, {"Location": f"{other.url}/v1/chat/completions"}, {})]
        problem = local.failure(connected(service, secret="mine"), "ask").problem
        assert "redirects" in problem.message
        assert other.seen == []


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("http://127.0.0.1:9/v1", "are not allowed"),
        ("http://169.254.169.254/latest", "are not allowed"),
        ("http://[::ffff:127.0.0.1]:80", "are not allowed"),
        ("https://example.org/v1", "are not allowed"),
        ("file:///etc/passwd", "not the address"),
        ("https://user:hidden@api.openai.com/v1", "not the address"),
        ("https://api.openai.com@example.org/v1", "not the address"),
    ],
)
def test_other_hosts_are_refused_before_the_run(bench: Bench, address: str, message: str) -> None:
    nodes = connected(Service(), address=address)
    [problem] = bench.problems(nodes, "ask")
    assert (problem.node, problem.port) == ("load", "address")
    assert message in problem.message
    assert problem.hint
    assert "hidden" not in str(problem)


def test_private_addresses_behind_a_name_are_refused(tmp_path: Path, service: Service) -> None:
    bench = Bench(tmp_path, service_hosts=("localhost.localdomain", "localhost4", "localhost"))
    try:
        port = service.url.rpartition(":")[2]
        for name in ("localhost4", "localhost.localdomain"):
            nodes = connected(service, address=f"http://{name}:{port}/v1")
            problem = bench.failure(nodes, "ask").problem
            assert problem.code == "service-failed"
        assert service.seen == []
        nodes = connected(service, address=f"http://localhost:{port}/v1")
        assert bench.value(nodes, "ask.text") == "".join(WORDS)
    finally:
        bench.session.close()


def test_offline_and_missing_secrets_are_told_before_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, service_hosts=("api.openai.com",))
    nodes = connected(Service(), address="")
    [problem] = bench.problems(nodes, "ask")
    assert (problem.port, problem.message) == ("secret", "api.openai.com needs a secret")
    nodes = connected(Service(), address="", secret="opeani")
    store_key(bench, "api.openai.com", name="openai")
    [problem] = bench.problems(nodes, "ask")
    assert problem.hint is not None
    assert "openai" in problem.hint
    nodes = connected(Service(), address="", secret=KEY)
    [problem] = bench.problems(nodes, "ask")
    assert KEY not in str(problem)
    nodes = connected(Service(), address="", secret="openai")
    assert bench.problems(nodes, "ask") == []
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    [problem] = bench.problems(nodes, "ask")
    assert (problem.node, problem.port) == ("load", "address")
    assert "offline" in problem.message
    bench.session.close()


@pytest.fixture
def writer(local: Bench) -> str:
    folder = local.folder / "models" / "small"
    torch.manual_seed(0)
    words = qwen_words()
    qwen3_text(words).eval().save_pretrained(folder)
    words.save_pretrained(folder)
    return "small"


def enhancing(prompt: str, **inputs: Any) -> dict[str, Any]:
    return {"type": "EnhancePrompt", "inputs": {"model": link("load"), "prompt": prompt, **inputs}}


def test_a_prompt_is_enhanced_without_its_syntax(local: Bench, service: Service) -> None:
    service.words = ["Here is the prompt:\n", '"A quiet (forest:1.2) ', '<lora:made_up:1>"']
    nodes = connected(service)
    prompt = "a (cat:1.3), <lora:fur:0.8> [wide] embedding:good __hat__"
    nodes["ask"] = enhancing(prompt, style="tags", instructions="Keep it calm.")
    found = local.value(nodes, "ask.text")
    assert found == "A quiet forest <lora:fur:0.8> embedding:good __hat__"
    system, user = service.seen[0].json["messages"]
    assert "tags" in system["content"]
    assert "Keep it calm." in system["content"]
    assert user["content"] == "a cat, wide"


def test_a_local_model_enhances_prompts_by_seed(local: Bench, writer: str) -> None:
    nodes = {
        "load": {"type": "LoadLanguageModel", "inputs": {"model": writer}},
        "ask": enhancing("a red cat <lora:fur:0.8>", max_tokens=16),
    }
    first = local.value(nodes, "ask.text")
    assert first.endswith("<lora:fur:0.8>")
    assert local.run(nodes, "ask").nodes["ask"].status == "cached"
    nodes["ask"]["inputs"]["seed"] = 1
    assert local.value(nodes, "ask.text") != first


def test_a_local_model_takes_no_schema(local: Bench, writer: str) -> None:
    nodes = {
        "load": {"type": "LoadLanguageModel", "inputs": {"model": writer}},
        "ask": {
            "type": "GenerateText",
            "inputs": {"encoder": link("load"), "prompt": "x", "schema": "{}", "max_tokens": 2},
        },
    }
    assert local.failure(nodes, "ask").problem.port == "schema"


WILD = {
    "openai": [
        b'data: {"choices": 5}',
        b'data: {"choices": [5]}',
        b'data: {"choices": [{"delta": "x"}]}',
        b'data: {"choices": [{"delta": {"content": [1]}}]}',
        b'data: {"choices": [{"delta": {}, "finish_reason": 3}]}',
        b"data: " + b"[" * 100_000,
    ],
    "ollama": [
        b'{"message": "x"}',
        b'{"message": {"content": 5}}',
        b'{"done": true, "done_reason": 5}',
        b"[" * 100_000,
    ],
}


@pytest.mark.parametrize("kind", ["openai", "ollama"])
def test_answers_in_another_form_are_told(local: Bench, service: Service, kind: str) -> None:
    for service.raw in WILD[kind]:
        problem = local.failure(connected(service, kind), "ask").problem
        assert problem.code == "service-failed"
        assert "another form" in problem.message


SLASHED = 'sk/with"quotes+0123456789/abcdef'


def escaped(value: object) -> bytes:
    """JSON as PHP writes it."""
    return json.dumps(value).replace("/", "\\/").encode()


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b"data: " + escaped({"error": {"message": f"wrong key {SLASHED}"}})),
        (200, b"data: " + escaped({"choices": [{"delta": {}, "finish_reason": SLASHED}]})),
        (200, b"data: " + escaped([f"wrong key {SLASHED}"])),
        (400, escaped({"error": {"message": f"wrong key {SLASHED}"}})),
        (400, escaped({"error": {"message": "x" * 290 + SLASHED}})),
        (400, ("x" * 290 + SLASHED).encode()),
    ],
)
def test_a_repeated_secret_is_not_shown(
    local: Bench, service: Service, status: int, body: bytes
) -> None:
    path = local.session.environment.services.secrets
    assert path is not None
    SecretStore(path).set("mine", SLASHED, ["127.0.0.1"])
    service.raw, service.raw_status = body, status
    result = local.run(connected(service, secret="mine"), "ask")
    shown = [str(error.problem) for error in result.errors]
    shown += [str(event.data) for event in local.events]
    assert not any(part in text for part in ("sk/w", "quotes", "0123456") for text in shown)
    assert any("***" in text or "xxxxx" in text for text in shown)


def test_answers_are_not_unpacked_without_limit(local: Bench, service: Service) -> None:
    answer = json.dumps({"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]})
    service.raw = gzip.compress(answer.encode())
    service.raw_headers = {"Content-Encoding": "gzip"}
    assert local.value(connected(service), "ask.text") == "hi"
    assert service.seen[0].headers["accept-encoding"] == "identity"
    service.raw = gzip.compress(b" " * (65 << 20))
    problem = local.failure(connected(service, prompt="large"), "ask").problem
    assert "too large" in problem.message
    # Two layers would unpack a thousand times a thousand bytes of each.
    service.raw = gzip.compress(gzip.compress(b"x"))
    service.raw_headers = {"Content-Encoding": "gzip, gzip"}
    problem = local.failure(connected(service, prompt="twice"), "ask").problem
    assert "compressed" in problem.message


@pytest.mark.parametrize("options", ['{"a": NaN}', "[" * 100_000, '{"a": 1e999}'])
def test_options_that_cannot_be_sent_are_told_before_the_run(
    local: Bench, service: Service, options: str
) -> None:
    [problem] = local.problems(connected(service, options=options), "ask")
    assert (problem.code, problem.port) == ("invalid-value", "options")
