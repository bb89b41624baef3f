"""Unmodified clients of AUTOMATIC1111's API, and what plug-ins for Krita and Photoshop send."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from nodegraph.server.access.tokens import TokenFile
from tests.server.hosting import PATIENCE, Process, prepared_home
from tests.server.resources import picture

CLIENTS = Path(__file__).parent / "clients"
PYTHON = CLIENTS / ".venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
pytestmark = pytest.mark.slow
needs_clients = pytest.mark.skipif(
    not PYTHON.exists(), reason="there is no environment with tests/server/clients/requirements.txt"
)
SMALL = {"prompt": "a red apple", "steps": 4, "width": 64, "height": 64, "seed": 5}


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> str:
    text, _ = TokenFile(tmp_path_factory.mktemp("token") / "tokens.json").add("studio", ["run"])
    return text


@pytest.fixture(scope="module")
def serving(
    tmp_path_factory: pytest.TempPathFactory, known_packs: Path, token: str
) -> Iterator[Process]:
    """A server that needs a token, with a worker."""
    home = prepared_home(tmp_path_factory.mktemp("webui") / "home", known_packs)
    TokenFile(home / "tokens.json").put("studio", ["run"], token)
    with Process(home, "--workers", "1") as found:
        yield found.ready()
        assert "Traceback" not in found.log


@pytest.fixture
def client(serving: Process, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(
        base_url=serving.url, timeout=PATIENCE, trust_env=False, auth=("anybody", token)
    ) as found:
        yield found


def program(name: str, serving: Process, token: str) -> Any:
    """What a program of a client's prints."""
    command = [PYTHON, CLIENTS / name, str(serving.port), "anybody", token]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


@needs_clients
def test_webuiapi(serving: Process, token: str) -> None:
    found = program("webuiapi_program.py", serving, token)
    error = found.pop("error")
    assert error[0] == 422
    assert "there is no sampler of this name (given: none such)" in error[1]
    interrupted = found.pop("interrupted")
    assert interrupted[0] == 0
    assert "Interrupted" in interrupted[1][0]
    lists = found.pop("lists")
    assert lists[:8] == ["list"] * 8
    assert found == {
        "scripts": [False, True],
        "seeds": [5, 6, 7, 8],
        "sizes": [[64, 64]] * 4,
        "text": "a red apple",
        "same": True,
        "outside": True,
        "inside": True,
        "again": [64, 64],
        "hires": [128, 128],
        "controlled": True,
        "notes": [],
        "enlarged": [128, 128],
        "both": [[128, 128]] * 2,
        "png_info": "a red apple",
        "detected": [512, 512],
        "option": 2,
        "model": "tiny",
        "samplers": True,
        "schedulers": True,
        "progress": True,
        "preview": [128, 128],
    }


@needs_clients
def test_aaa1111(serving: Process, token: str) -> None:
    assert program("aaa1111_program.py", serving, token) == {
        "seeds": [5, 6],
        "sizes": [[64, 64]] * 2,
        "again": [64, 64],
        "controlled": [64, 64],
        "same": True,
        "enlarged": [128, 128],
        "progress": 0.0,
        "models": ["tiny"],
        "loras": ["lcm_lora", "style_lora"],
        "upscalers": True,
        "samplers": True,
        "lists": [0, 0, 0, 0],
        "scripts": ["adetailer", "controlnet"],
        "embeddings": 0,
        "memory": True,
    }


def opened(text: str) -> Image.Image:
    with Image.open(BytesIO(base64.b64decode(text))) as image:
        image.load()
        return image


def as_base64(size: int = 64, **options: Any) -> str:
    return base64.b64encode(picture(size, size, **options)).decode()


def made(client: httpx.Client, path: str, **fields: Any) -> Any:
    answer = client.post(f"/sdapi/v1/{path}", json={**SMALL, **fields})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    found["info"] = json.loads(found["info"])
    return found


def test_an_image_has_the_bits_of_the_same_workflow_run_by_the_own_api(
    client: httpx.Client, token: str
) -> None:
    fields: dict[str, Any] = {"sampler_name": "Euler a", "scheduler": "Karras"}
    fields |= {"negative_prompt": "blue", "override_settings": {"CLIP_stop_at_last_layers": 1}}
    theirs = opened(made(client, "txt2img", **fields)["images"][0])
    ours = {"Authorization": f"Bearer {token}"}
    client.auth = None  # type: ignore[assignment]
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        **{
            name: {
                "type": "EncodePrompt",
                "inputs": {"encoder": {"from": "load.text_encoder"}, "text": text},
            }
            for name, text in (("positive", "a red apple"), ("negative", "blue"))
        },
        "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
        "sample": {
            "type": "KSampler",
            "inputs": {
                **{name: {"from": name} for name in ("positive", "negative")},
                "model": {"from": "load.model"},
                "latent": {"from": "size"},
                "seed": 5,
                "steps": 4,
                "cfg": 7.0,
                "sampler": "euler_ancestral",
                "schedule": "karras",
                "convention": "comfyui",
            },
        },
        "decode": {
            "type": "VAEDecode",
            "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "sample"}},
        },
        "save": {"type": "SaveImage", "inputs": {"image": {"from": "decode"}, "name": "own"}},
    }
    app = {"format": "nodegraph/1", "nodes": nodes}
    saved = client.put("/api/v1/workflows/own", json=app, headers=ours)
    assert saved.status_code in (200, 201)
    answer = client.post(
        "/api/v1/apps/own", json={}, headers={**ours, "Prefer": "wait=60", "Accept": "image/*"}
    )
    assert answer.status_code == 200, answer.text
    with Image.open(BytesIO(answer.content)) as image:
        assert image.tobytes() == theirs.tobytes()


def test_images_are_saved_if_the_request_says_so(client: httpx.Client, token: str) -> None:
    ours = {"Authorization": f"Bearer {token}"}

    def listed() -> list[Any]:
        with httpx.Client(base_url=client.base_url, timeout=PATIENCE, trust_env=False) as own:
            found = own.get("/api/v1/artifacts?kind=image", headers=ours).json()
            items: list[Any] = found["items"]
            return items

    before = len(listed())
    found = made(client, "txt2img", send_images=False, save_images=True, seed=77)
    assert found["images"] == []
    assert len(listed()) == before + 1
    assert found["info"]["all_seeds"] == [77]


# Bodies as plug-ins send them, with the fields that others ignore.

PHOTOSHOP = {
    "sampler_index": "DPM++ 2M Karras",
    "sampler_name": "DPM++ 2M Karras",
    "batch_size": 1,
    "cfg_scale": 7,
    "negative_prompt": "",
    "restore_faces": False,
    "seed": "-1",
    "inpaint_full_res": False,
    "enable_hr": False,
    "hr_scale": 1,
    "hr_upscaler": "Latent",
    "hr_resize_x": 512,
    "hr_resize_y": 512,
    "hr_sampler_name": None,
    "hr_second_pass_steps": 0,
    "denoising_strength": 0.7,
    "selection_info": {"left": 0, "top": 0, "width": 64},
    "use_prompt_shortcut": True,
    "prompt_shortcut_ui_dict": {"game-like": "unreal engine"},
    "uniqueDocumentId": "7b1d1b2e",
    "mode": "txt2img",
    "backend_type": "auto1111",
    "script_args": [],
    "script_name": None,
    "alwayson_scripts": {
        "controlnet": {
            "args": [
                {
                    "enabled": True,
                    "input_image": as_base64(),
                    "mask": "",
                    "module": "canny",
                    "model": "controlnet [ab12cd34]",
                    "weight": 1,
                    "resize_mode": "Scale to Fit (Inner Fit)",
                    "lowvram": False,
                    "processor_res": 64,
                    "threshold_a": 100,
                    "threshold_b": 200,
                    "guidance_start": 0,
                    "guidance_end": 1,
                    "guessmode": False,
                    "control_mode": "Balanced",
                    "pixel_perfect": True,
                },
                {"enabled": False, "module": "", "model": "", "input_image": ""},
            ]
        },
        "ADetailer": {"args": [False, {"ad_model": "face_yolov8n.pt"}]},
    },
}


def test_photoshops_plug_in_makes_an_image(client: httpx.Client) -> None:
    body = {**PHOTOSHOP, "seed": 7}
    found = made(client, "txt2img", **body)
    assert opened(found["images"][0]).size == (64, 64)
    notes = " ".join(found["info"]["nodegraph_notes"])
    for name in ("selection_info", "uniqueDocumentId", "backend_type"):
        assert name in notes
    # It reads the settings of each image back.
    image = {"image": f"data:image/png;base64,{found['images'][0]}"}
    info = client.post("/sdapi/v1/png-info", json=image).json()["info"]
    assert "Seed: 7" in info.rpartition("\n")[2]


def test_photoshops_plug_in_paints_over_a_part(client: httpx.Client) -> None:
    mask = as_base64(color=(255, 255, 255))
    body = {**PHOTOSHOP, "mode": "inpaint", "init_images": [as_base64()], "mask": mask}
    body |= {"mask_blur": 4, "inpainting_fill": 1, "inpaint_full_res_padding": 32}
    body |= {"inpaint_full_res": True, "mask_expansion": 0, "mask_content": 1}
    body |= {"inpainting_mask_invert": False, "include_init_images": True}
    found = made(client, "img2img", **body)
    assert opened(found["images"][0]).size == (64, 64)
    assert found["parameters"]["init_images"]


def test_photoshops_plug_in_asks_what_there_is(client: httpx.Client) -> None:
    for path in (
        *("sdapi/v1/sd-models", "sdapi/v1/samplers", "sdapi/v1/upscalers", "sdapi/v1/options"),
        *("sdapi/v1/loras", "sdapi/v1/embeddings", "sdapi/v1/scripts", "sdapi/v1/script-info"),
        *("sdapi/v1/sd-vae", "controlnet/model_list", "controlnet/module_list?alias_names=1"),
        *("controlnet/control_types", "sdapi/v1/progress?skip_current_image=false"),
    ):
        assert client.get(f"/{path}").status_code == 200, path


def test_kritas_plug_ins_request_for_a_selection(client: httpx.Client) -> None:
    """A1111's fields as the plug-ins for Krita fill them: null and empty for what is not set."""
    body = {
        "init_images": [as_base64(80)],
        "mask": as_base64(80, color=(255, 255, 255, 128)),
        "mask_blur": 0,
        "inpainting_fill": 1,
        "inpaint_full_res": False,
        "inpaint_full_res_padding": 0,
        "inpainting_mask_invert": 0,
        "resize_mode": 1,
        "denoising_strength": 0.6,
        "styles": None,
        "subseed": -1,
        "subseed_strength": 0,
        "seed_resize_from_h": 0,
        "seed_resize_from_w": 0,
        "sampler_name": "Euler a",
        "n_iter": 1,
        "batch_size": 1,
        "eta": 0,
        "tiling": False,
        "override_settings": {"sd_model_checkpoint": "tiny", "CLIP_stop_at_last_layers": 1},
        "script_name": "None",
        "script_args": [],
        "include_init_images": False,
    }
    found = made(client, "img2img", **body)
    assert opened(found["images"][0]).size == (64, 64)
    assert found["info"]["nodegraph_notes"] == []


def test_kritas_plug_in_enlarges_and_looks_for_progress(client: httpx.Client) -> None:
    body = {"image": as_base64(32), "upscaler_1": "upscaler", "upscaling_resize": 2}
    body |= {"resize_mode": 0, "show_extras_results": False}
    answer = client.post("/sdapi/v1/extra-single-image", json=body)
    assert opened(answer.json()["image"]).size == (64, 64)
    state = client.get("/sdapi/v1/progress").json()
    assert (state["progress"], state["current_image"]) == (0, None)
