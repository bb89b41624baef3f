"""Clients of ComfyUI that know nothing of nodegraph make an image with it."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.server.comfyui_prompts import ENVIRONMENT, Comfy, comfy_server, image_prompt
from tests.server.hosting import PATIENCE, Process, prepared_home

CLIENTS = Path(__file__).parent / "clients"
NPM = CLIENTS / "node_modules"
BINARIES = CLIENTS / ".venv" / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BINARIES / "python"

pytestmark = pytest.mark.slow
needs_python = pytest.mark.skipif(
    not PYTHON.exists(), reason="there is no environment with tests/server/clients/requirements.txt"
)
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not NPM.is_dir(),
    reason="npm ci --prefix tests/server/clients has not been run",
)

SIMPLIFIED = """
import sys
from comfy_api_simplified import ComfyApiWrapper, ComfyWorkflowWrapper
url, prompt, out = sys.argv[1:]
api = ComfyApiWrapper(url + "/")
images = api.queue_and_wait_images(ComfyWorkflowWrapper(prompt), "Save Image")
(name, data), = images.items()
open(out, "wb").write(data)
"""
TOOLKIT = """
import sys
from comfy_toolkit import ComfyClient
url, prompt, out = sys.argv[1:]
client = ComfyClient(url)
assert client.is_online()
assert client.queue_status() is not None
workflow = client.load_workflow(prompt)
(image,) = client.wait_for_images(client.submit(workflow))
open(out, "wb").write(client.download(image))
"""
WORKFLOW_CLIENT = """
import sys
from comfyuiclient import ComfyUIClient
url, prompt, out = sys.argv[1:]
client = ComfyUIClient(url.removeprefix("http://"), prompt)
client.connect()
client.generate(["Save Image"])["Save Image"].save(out)
client.close()
"""
STABLE_CANVAS = """
import { readFileSync, writeFileSync } from "node:fs";
import { Client } from "@stable-canvas/comfyui-client";
import WebSocket from "ws";
const [url, prompt, out] = process.argv.slice(2);
const client = new Client({ api_host: url.replace("http://", ""), WebSocket });
await client.connect();
const { images } = await client.enqueue(JSON.parse(readFileSync(prompt, "utf8")));
const answer = await fetch(images[0].data);
writeFileSync(out, Buffer.from(await answer.arrayBuffer()));
client.close();
process.exit(0);
"""
SAINTNO = """
import { readFileSync, writeFileSync } from "node:fs";
import { CallWrapper, ComfyApi, PromptBuilder } from "@saintno/comfyui-sdk";
const [url, prompt, out] = process.argv.slice(2);
const api = new ComfyApi(url, "sdk-client");
await api.init().waitForReady();
const builder = new PromptBuilder(JSON.parse(readFileSync(prompt, "utf8")), [], ["images"])
  .setOutputNode("images", "9");
await new Promise((resolve, reject) => {
  new CallWrapper(api, builder)
    .onFinished(async (data) => {
      const image = await api.getImage(data.images.images[0]);
      writeFileSync(out, Buffer.from(await image.arrayBuffer()));
      resolve();
    })
    .onFailed(reject)
    .run();
});
process.exit(0);
"""


def called(command: Sequence[str | Path], folder: Path) -> str:
    # No client reports to anybody, nor finds settings of whoever runs the tests.
    environment = {**os.environ, "HOME": str(folder), "DO_NOT_TRACK": "1", "NO_COLOR": "1"}
    ended = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def check_png(data: bytes) -> None:
    assert data.startswith(b"\x89PNG")
    assert struct.unpack(">II", data[16:24]) == (128, 128)


@pytest.fixture(scope="module")
def comfy(tmp_path_factory: pytest.TempPathFactory, known_packs: Path) -> Iterator[Comfy]:
    home = prepared_home(tmp_path_factory.mktemp("comfy") / "home", known_packs)
    with Process(home, environment=ENVIRONMENT) as process, comfy_server(process) as found:
        yield found


@pytest.fixture
def prompt(tmp_path: Path) -> Path:
    """A file as ComfyUI's page exports it."""
    path = tmp_path / "prompt.json"
    path.write_text(json.dumps(image_prompt()))
    return path


@needs_python
@pytest.mark.parametrize("program", [SIMPLIFIED, TOOLKIT, WORKFLOW_CLIENT])
def test_python_clients_make_an_image(
    comfy: Comfy, prompt: Path, tmp_path: Path, program: str
) -> None:
    script, out = tmp_path / "program.py", tmp_path / "out.png"
    script.write_text(program)
    called([PYTHON, script, comfy.process.url, prompt, out], tmp_path)
    check_png(out.read_bytes())


@needs_node
@pytest.mark.parametrize("program", [STABLE_CANVAS, SAINTNO])
def test_javascript_clients_make_an_image(
    comfy: Comfy, prompt: Path, tmp_path: Path, program: str
) -> None:
    script, out = tmp_path / "program.mjs", tmp_path / "out.png"
    script.write_text(program)
    (tmp_path / "node_modules").symlink_to(NPM, target_is_directory=True)
    called(["node", script, comfy.process.url, prompt, out], tmp_path)
    check_png(out.read_bytes())


@needs_python
def test_the_command_of_comfy_cli_makes_an_image(
    comfy: Comfy, prompt: Path, tmp_path: Path
) -> None:
    host = ["--host", "127.0.0.1", "--port", str(comfy.process.port)]
    options: list[str | Path] = ["--workflow", prompt, "--wait", *host]
    called(
        [BINARIES / "comfy", "--skip-prompt", "--no-enable-telemetry", "run", *options], tmp_path
    )
    entries = list(comfy.http.get("/history").json().values())
    (image,) = entries[-1]["outputs"]["9"]["images"]
    check_png(comfy.image(image).content)
