"""AUTOMATIC1111's API: what there is, options, errors, who may do what, and what ends a request."""

from __future__ import annotations

import base64
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image, PngImagePlugin

from nodegraph.server.access.authentication import accepts_password
from nodegraph.server.content.prompt_lists import Style
from nodegraph.server.protocols.a1111 import TAG
from nodegraph.server.protocols.a1111_lists import API
from tests.jobs.queue.support import claim
from tests.server.hosting import PATIENCE, Hosted, Process, eventually, sent, status, workflow
from tests.server.resources import picture
from tests.server.talking import talk

TINY = {"prompt": "a red apple", "steps": 2, "width": 64, "height": 64, "seed": 5}
ORIGIN = "https://evil.example"


@contextmanager
def webui(server: Hosted, **headers: str) -> Iterator[httpx.Client]:
    """A client of the protocol."""
    with httpx.Client(
        base_url=server.url, timeout=PATIENCE, trust_env=False, headers=headers
    ) as client:
        yield client


@pytest.fixture
def client(server: Hosted) -> Iterator[httpx.Client]:
    with webui(server) as found:
        yield found


def base64_picture(**options: Any) -> str:
    return base64.b64encode(picture(**options)).decode()


@contextmanager
def asking(
    server: Hosted, path: str, body: Any, *, left: int = 0, **headers: str
) -> Iterator[list[httpx.Response]]:
    """A request that goes on while the block runs; its client hangs up at the end.

    Args:
        left: Jobs that wait afterwards.
    Yields:
        The answer, once there is one.
    """
    answers: list[httpx.Response] = []
    client = httpx.Client(base_url=server.url, timeout=PATIENCE, trust_env=False, headers=headers)

    def ask() -> None:
        with suppress(httpx.HTTPError, OSError, RuntimeError):
            answers.append(client.post(path, json=body))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        if not answers:
            hang_up(client)
        thread.join(PATIENCE)
        client.close()
        eventually(lambda: len(jobs_of(server, "queued", count=0)) <= left)


def hang_up(client: httpx.Client) -> None:
    """Close the connection of a request that waits."""
    pool = client._transport._pool  # type: ignore[attr-defined]
    for connection in pool.connections:
        stream = connection._connection._network_stream
        stream.get_extra_info("socket").shutdown(2)


def jobs_of(server: Hosted, *states: Any, count: int = 1) -> list[Any]:
    """The protocol's jobs, once there are so many."""

    def listed() -> list[Any]:
        jobs = server.services.queue.page(limit=100).jobs
        return [job for job in jobs if TAG in job.tags and (not states or job.state in states)]

    eventually(lambda: len(listed()) >= count)
    return sorted(listed(), key=lambda job: job.created)


def document_of(server: Hosted, job: Any) -> dict[str, Any]:
    found = server.services.queue.get(job.id)
    text = server.services.queue.workflow(found.workflow)
    document: dict[str, Any] = json.loads(text)
    return document


LISTS: dict[str, Callable[[Any], bool]] = {
    "sd-models": lambda found: {"title", "model_name", "hash", "filename"} <= set(found[0]),
    "loras": lambda found: {"lcm_lora", "style_lora"} <= {each["name"] for each in found},
    "upscalers": lambda found: {"None", "Lanczos", "upscaler"} <= {each["name"] for each in found},
    "samplers": lambda found: {"Euler a", "DPM++ 2M"} <= {each["name"] for each in found},
    "schedulers": lambda found: {"automatic", "karras"} <= {each["name"] for each in found},
    "latent-upscale-modes": lambda found: {"name": "Latent"} in found,
    "embeddings": lambda found: found == {"loaded": {}, "skipped": {}},
    "scripts": lambda found: "controlnet" in found["txt2img"],
    "script-info": lambda found: all(each["is_alwayson"] for each in found),
    "memory": lambda found: set(found) == {"ram", "cuda"},
    "cmd-flags": lambda found: found["api"] is True,
    **dict.fromkeys(
        ("sd-vae", "hypernetworks", "face-restorers", "realesrgan-models", "prompt-styles"),
        lambda found: found == [],
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_lists_have_a1111s_form(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/sdapi/v1/{name}")
    assert answer.status_code == 200
    assert LISTS[name](answer.json())


def test_no_list_tells_where_models_lie(server: Hosted, client: httpx.Client) -> None:
    for name in LISTS:
        assert str(server.services.home) not in client.get(f"/sdapi/v1/{name}").text


def test_styles_are_those_of_the_caller(server: Hosted, client: httpx.Client) -> None:
    server.services.prompt_lists.put_styles("local", [Style("ink", "ink, {prompt}", "photo")])
    assert client.get("/sdapi/v1/prompt-styles").json() == [
        {"name": "ink", "prompt": "ink, {prompt}", "negative_prompt": "photo"}
    ]
    body = {**TINY, "styles": ["ink"], "negative_prompt": "blue"}
    with asking(server, "/sdapi/v1/txt2img", body):
        nodes = document_of(server, jobs_of(server)[0])["nodes"]
    assert nodes["positive"]["inputs"]["text"] == "ink, a red apple"
    assert nodes["negative"]["inputs"]["text"] == "blue, photo"


def test_controlnets_lists(client: httpx.Client) -> None:
    assert client.get("/controlnet/version").json() == {"version": 2}
    assert client.get("/controlnet/model_list").json() == {"model_list": ["controlnet"]}
    modules = client.get("/controlnet/module_list").json()["module_list"]
    assert {"none", "canny"} <= set(modules)
    assert "openpose" not in modules
    types = client.get("/controlnet/control_types").json()["control_types"]
    assert types["All"]["module_list"] == modules


@pytest.mark.parametrize("path", ["/internal/ping", "/app_id", "/user", "/login_check"])
def test_clients_that_look_whether_it_is_there_find_it(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 200


# Options


def test_options_are_kept_for_each_client_and_survive_a_restart(
    hosting: Callable[..., Any], known_packs: Any
) -> None:
    with hosting() as server:
        ann, bob = server.token("ann"), server.token("bob")
        with webui(server, **ann) as client:
            changed = {"CLIP_stop_at_last_layers": 2, "sd_model_checkpoint": "tiny", "foo": 1}
            answer = client.post("/sdapi/v1/options", json=changed)
            assert answer.json() == {"nodegraph_notes": ["The option `foo` is not kept."]}
            # What was read may be sent back as a whole.
            options = client.get("/sdapi/v1/options").json()
            assert client.post("/sdapi/v1/options", json=options).json() is None
        with webui(server, **bob) as client:
            assert client.get("/sdapi/v1/options").json()["CLIP_stop_at_last_layers"] == 1
    with hosting() as server, webui(server, **ann) as client:
        options = client.get("/sdapi/v1/options").json()
        assert (options["CLIP_stop_at_last_layers"], options["sd_model_checkpoint"]) == (2, "tiny")
        with asking(server, "/sdapi/v1/txt2img", TINY, **ann):
            nodes = document_of(server, jobs_of(server)[0])["nodes"]
        assert nodes["skip"]["inputs"]["skip"] == 2


@pytest.mark.parametrize(
    "options",
    [{"sd_model_checkpoint": "none such"}, {"sd_vae": "x"}, {"CLIP_stop_at_last_layers": 99}],
)
def test_wrong_options_change_nothing(client: httpx.Client, options: dict[str, Any]) -> None:
    before = client.get("/sdapi/v1/options").json()
    answer = client.post("/sdapi/v1/options", json={"CLIP_stop_at_last_layers": 3, **options})
    assert answer.status_code == 422
    assert client.get("/sdapi/v1/options").json() == before


def test_options_of_a_request_are_kept_only_if_it_says_so(server: Hosted) -> None:
    wish = {**TINY, "override_settings": {"CLIP_stop_at_last_layers": 4}}
    with webui(server) as client:
        for is_kept, skip in ((False, 1), (True, 4)):
            wish["override_settings_restore_afterwards"] = not is_kept
            with asking(server, "/sdapi/v1/txt2img", wish):
                nodes = document_of(server, jobs_of(server, count=1 + is_kept)[-1])["nodes"]
            assert nodes["skip"]["inputs"]["skip"] == 4
            options = client.get("/sdapi/v1/options").json()
            assert options["CLIP_stop_at_last_layers"] == skip


# Errors


@pytest.mark.parametrize(
    ("path", "body", "code", "words"),
    [
        ("txt2img", {"steps": 0}, 422, "`steps`"),
        ("txt2img", {"steps": "many"}, 422, "'many'"),
        ("txt2img", {"seed": -2}, 422, "`seed`"),
        ("txt2img", {"sampler_name": "none such"}, 422, "/sdapi/v1/samplers"),
        ("txt2img", {"prompt": "<lora:none_such:1>"}, 422, "style_lora"),
        ("txt2img", {"script_name": "X/Y/Z plot"}, 422, "alwayson_scripts"),
        ("txt2img", {"n_iter": 100, "batch_size": 64}, 422, "at most 256"),
        ("txt2img", {"seed": 2**64 - 1, "batch_size": 2}, 422, "seed"),
        ("txt2img", {"override_settings": {"sd_model_checkpoint": "gone"}}, 422, "gone"),
        ("txt2img", {"alwayson_scripts": {"roop": {"args": ["x"]}}}, 422, "ControlNet or ADet"),
        ("img2img", {}, 422, "`init_images`"),
        ("img2img", {"init_images": ["http://example.org/a.png"]}, 422, "base64"),
        ("img2img", {"init_images": ["&&"]}, 422, "base64"),
        ("img2img", {"init_images": [base64.b64encode(b"no image").decode()]}, 415, "known type"),
        ("extra-single-image", {"image": base64_picture(), "upscaler_1": "x"}, 422, "upscaler"),
        ("interrogate", {"image": base64_picture()}, 422, "GenerateText"),
        ("server-kill", {}, 403, "nodegraph serve"),
        ("none-such", {}, 404, "nothing"),
    ],
)
def test_errors_have_a1111s_form(
    client: httpx.Client, path: str, body: dict[str, Any], code: int, words: str
) -> None:
    answer = client.post(f"/sdapi/v1/{path}", json=body)
    assert answer.status_code == code
    found = answer.json()
    assert set(found) == {"error", "detail", "body", "errors"}
    assert words in found["detail"]


def test_a_large_image_comes_through_and_a_huge_body_is_refused(client: httpx.Client) -> None:
    large = "a" * (6 << 20)
    assert client.post("/sdapi/v1/png-info", json={"image": large}).status_code == 415
    huge = {"image": "a" * (65 << 20)}
    answer = client.post("/sdapi/v1/png-info", json=huge)
    assert (answer.status_code, answer.json()["error"]) == (413, "too-large")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="it reads /proc")
def test_a_mask_is_not_decoded_in_the_memory_of_the_server(home: Path) -> None:
    made = BytesIO()
    Image.new("LA", (7999, 7999)).save(made, "PNG")
    body = {
        "init_images": [base64_picture()],
        "mask": base64.b64encode(made.getvalue()).decode(),
        "sampler_name": "no such sampler",
    }
    with Process(home, "--workers", "1") as server:
        server.ready()
        before = _peak_memory(server.pid)
        asked = httpx.post(
            f"{server.url}{API}/img2img", json=body, timeout=PATIENCE, trust_env=False
        )
        assert asked.status_code == 422, asked.text
        # Decoded, it takes 256 MB.
        assert _peak_memory(server.pid) - before < 150 << 10


def _peak_memory(pid: int) -> int:
    """Most KiB that a process had in memory."""
    (line,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(line)


def test_the_seed_that_is_too_large_is_shown(client: httpx.Client) -> None:
    asked = client.post(f"{API}/txt2img", json={**TINY, "subseed": 2**64 - 1})
    assert asked.status_code == 422
    assert f"given: {2**64 - 1}" in asked.json()["detail"]


def test_a_prompt_may_have_any_character(server: Hosted) -> None:
    with asking(server, f"{API}/txt2img", {**TINY, "prompt": "a\0pear"}):
        (job,) = jobs_of(server, "queued")
        assert job.name == "a pear"


def test_texts_of_an_image_are_read(client: httpx.Client) -> None:
    made = BytesIO()
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a cat\nNegative prompt: dog\nSteps: 20, Seed: 7, Size: 64x32")
    Image.new("RGB", (4, 4)).save(made, "PNG", pnginfo=info)
    answer = client.post(
        "/sdapi/v1/png-info", json={"image": base64.b64encode(made.getvalue()).decode()}
    ).json()
    assert answer["info"].startswith("a cat")
    assert answer["parameters"]["Seed"] == "7"
    assert (answer["parameters"]["Size-1"], answer["parameters"]["Size-2"]) == ("64", "32")


# What ends a request


def test_a_client_that_hangs_up_cancels_its_jobs(server: Hosted) -> None:
    with asking(server, "/sdapi/v1/txt2img", {**TINY, "n_iter": 3}):
        assert [job.state for job in jobs_of(server, count=3)] == ["queued"] * 3
    jobs_of(server, "cancelled", count=3)


def test_a_job_that_another_client_follows_goes_on(server: Hosted) -> None:
    with talk(server) as other:
        with asking(server, "/sdapi/v1/txt2img", {**TINY, "n_iter": 2}, left=1):
            followed = jobs_of(server, count=2)[0].id
            other.ask("subscribe", jobs=[followed])
        [job] = jobs_of(server, "cancelled")
        assert job.id != followed
        assert server.services.queue.get(followed).state == "queued"


def test_interrupt_ends_a_request_and_it_is_answered(server: Hosted) -> None:
    with asking(server, "/sdapi/v1/txt2img", {**TINY, "n_iter": 2}) as answers:
        jobs_of(server, count=2)
        with webui(server) as client:
            assert client.post("/sdapi/v1/interrupt").json() == {}
        eventually(lambda: answers)
    found = answers[0].json()
    assert found["images"] == []
    assert "Interrupted" in " ".join(json.loads(found["info"])["nodegraph_notes"])


def test_skip_ends_the_run_and_goes_on(server: Hosted) -> None:
    with asking(server, "/sdapi/v1/txt2img", {**TINY, "n_iter": 2}), webui(server) as client:
        jobs_of(server, count=2)
        running = claim(server.services.queue)
        client.post("/sdapi/v1/skip")
        wanted = {job.id: job.wanted or job.state for job in jobs_of(server)}
        assert wanted.pop(running.id) == "cancel"
        assert list(wanted.values()) == ["queued"]
        progress = client.get("/sdapi/v1/progress").json()
        assert progress["state"]["job_count"] == 2


def test_interrupt_and_progress_are_of_the_callers_own_jobs(own_server: Hosted) -> None:
    server = own_server
    ann, bob, boss = (server.token(name, scope) for name, scope in
                      (("ann", "run"), ("bob", "run"), ("boss", "admin")))  # fmt: skip
    with asking(server, "/sdapi/v1/txt2img", TINY, **ann) as answers:
        [job] = jobs_of(server)
        with webui(server, **bob) as client:
            assert client.get("/sdapi/v1/progress").json()["state"]["job_count"] == 0
            client.post("/sdapi/v1/interrupt")
            client.post("/sdapi/v1/skip")
            assert server.services.queue.get(job.id).state == "queued"
        with webui(server, **ann) as client:
            assert client.get("/sdapi/v1/progress").json()["state"]["job_count"] == 1
        with webui(server, **boss) as client:
            client.post("/sdapi/v1/interrupt")
        eventually(lambda: answers)
    assert server.services.queue.get(job.id).state == "cancelled"


def test_jobs_of_other_protocols_are_not_interrupted(server: Hosted) -> None:
    other = server.client.post("/jobs", json={"workflow": workflow()}).json()["id"]
    with webui(server) as client:
        client.post("/sdapi/v1/interrupt")
    assert server.client.get(f"/jobs/{other}").json()["state"] == "queued"


# Who may come in


def basic(user: str, password: str) -> dict[str, str]:
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


PATHS = ("/sdapi/v1/options", "/controlnet/version", "/internal/ping")


PASSWORDS = (
    *("/sdapi/v1/options", "/v1", "/v1/images", "/mcp", "/comfyui", "/comfyui/ws", "/user"),
    "/controlnet/version",
)
NO_PASSWORDS = (
    *("/api/v1", "/api/v1/jobs", "/", "/v10", "/mcpx", "/openapi.json", "/sdapi.json"),
    *("/login", "/metrics", "/api/v1/../sdapi", "//v1"),
)


@pytest.mark.parametrize("path", [*PASSWORDS, *NO_PASSWORDS])
def test_one_predicate_says_where_a_token_may_be_a_password(path: str) -> None:
    assert accepts_password(path) is (path in PASSWORDS)


def test_a_token_may_be_a_password_in_protocols_only(hosting: Callable[..., Any]) -> None:
    with hosting(rates={"failure_burst": 100}) as server, webui(server) as client:
        token = server.token("ann")["Authorization"].removeprefix("Bearer ")
        _, public, secret = token.split("_")
        for user, password in (("anybody", token), ("", token), (public, secret)):
            for path in PATHS:
                assert client.get(path, headers=basic(user, password)).status_code == 200
            for path in ("/api/v1/jobs", "/api/v1/sdapi/v1/options", "/openapi.json", "/"):
                answer = client.get(path, headers=basic(user, password))
                assert answer.status_code == 401
                assert "Basic" not in answer.headers["www-authenticate"]
        wrong = (("ann", "ng_" + "0" * 12 + "_" + "0" * 48), (token, ""), (public, "0" * 48))
        for user, password in (*wrong, ("", ""), ("a", "b" * 3000), ("é", "ü"), (secret, public)):
            answer = client.get(PATHS[0], headers=basic(user, password))
            assert answer.status_code == 401
            assert 'Basic realm="nodegraph"' in answer.headers["www-authenticate"]
            assert set(answer.json()) == {"error", "detail", "body", "errors"}
        for header in ("Basic", "Basic ===", "Basic " + "%" * 20, "Digest x", "basic \x80"):
            answer = client.get(PATHS[0], headers={"Authorization": header.encode("latin-1")})
            assert answer.status_code == 401


def test_scopes_hold_for_passwords(own_server: Hosted) -> None:
    token = own_server.token("eve", "read")["Authorization"].removeprefix("Bearer ")
    with webui(own_server, **basic("eve", token)) as client:
        assert client.get("/sdapi/v1/options").status_code == 200
        for path in ("txt2img", "img2img", "options", "interrupt", "skip", "png-info"):
            assert client.post(f"/sdapi/v1/{path}", json={}).status_code == 403
        assert client.post("/controlnet/detect", json={}).status_code == 403
    assert server_jobs(own_server) == 0


def server_jobs(server: Hosted) -> int:
    return len(server.services.queue.page().jobs)


def test_wrong_passwords_are_counted_like_wrong_tokens(hosting: Callable[..., Any]) -> None:
    rates = {"failures_per_minute": 0.001, "failure_burst": 4}
    with hosting(rates=rates) as server, webui(server) as client:
        headers = server.token("ann")
        codes = [client.get(PATHS[0], headers=basic("ann", f"{at}")).status_code for at in range(6)]
        assert codes == [401] * 4 + [429] * 2
        assert client.get("/api/v1/jobs", headers={"Authorization": "Bearer x"}).status_code == 429
        # Whoever has a good one is let in all the same.
        assert client.get("/api/v1/jobs", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ORIGIN},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
    ],
)
def test_a_page_elsewhere_cannot_use_a_password_that_the_browser_sends(
    own_server: Hosted, headers: dict[str, str]
) -> None:
    token = own_server.token("ann")["Authorization"].removeprefix("Bearer ")
    with webui(own_server, **basic("ann", token)) as client:
        for path in ("txt2img", "interrupt", "options"):
            answer = client.post(f"/sdapi/v1/{path}", json=TINY, headers=headers)
            assert answer.status_code == 403
        assert client.get("/sdapi/v1/options", headers=headers).status_code == 403
    assert server_jobs(own_server) == 0


def test_a_page_that_is_allowed_needs_a_token_of_its_own(hosting: Callable[..., Any]) -> None:
    with hosting(allowed_origins=(ORIGIN,)) as server, webui(server) as client:
        bearer = server.token("ann")
        token = bearer["Authorization"].removeprefix("Bearer ")
        for headers, code in ((basic("ann", token), 401), (bearer, 200)):
            answer = client.get(PATHS[0], headers={**headers, "Origin": ORIGIN})
            assert answer.status_code == code


def test_a_form_elsewhere_cannot_start_anything(server: Hosted) -> None:
    body = json.dumps(TINY)
    with webui(server) as client:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            answer = client.post("/sdapi/v1/txt2img", content=body, headers={"Content-Type": kind})
            assert answer.status_code == 415
    assert server_jobs(server) == 0


@pytest.mark.parametrize(
    "path", ["/sdapi/../api/v1/jobs", "/sdapi/%2e%2e/api/v1/jobs", "//api/v1/jobs"]
)
def test_no_path_leads_a_password_to_the_own_api(own_server: Hosted, path: str) -> None:
    token = own_server.token("ann")["Authorization"].removeprefix("Bearer ")
    text = basic("ann", token)["Authorization"]
    head = f"GET {path} HTTP/1.1\r\nHost: {own_server.host}\r\nAuthorization: {text}\r\n"
    answer = sent(own_server.port, f"{head}Connection: close\r\n\r\n".encode())
    assert status(answer) in (400, 401, 404)
    assert b'"items"' not in answer
