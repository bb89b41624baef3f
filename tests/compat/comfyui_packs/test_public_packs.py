"""Public packs from PyPI, unmodified, and packs that use public helper libraries."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nodegraph import Session, Settings
from nodegraph.interop.comfyui.importer import node_table
from tests.compat.comfyui_packs.conftest import Prompts, node
from tests.packs.installing import operations

HERE = Path(__file__).parent
WHEELS = HERE / "wheels"
DOWNLOAD = (
    "pip download --no-deps -d tests/compat/comfyui_packs/wheels "
    "-r tests/compat/comfyui_packs/public_packs.txt"
)
PUBLIC = (
    *("civitai_comfy_nodes", "comfyui_ib_customnodes", "comfyui_orbitquant"),
    "comfyui_tooling_nodes",
)
HELPED = ("easy_pack", "typed_pack")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not any(WHEELS.glob("*.whl")), reason=f"wheels are missing; run `{DOWNLOAD}`"
    ),
]


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prompts]:
    """A session in whose home the packs are installed, from the folder of wheels alone."""
    folder = tmp_path_factory.mktemp("public")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("PIP_", "UV_"))]:
            patch.delenv(name)
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(WHEELS))
        packs = operations(folder / "home")
        for name in PUBLIC:
            (wheel,) = WHEELS.glob(f"{name}-*.whl")
            packs.add(str(wheel))
        for name in HELPED:
            packs.add(str(HERE / "helped" / name))
    settings = Settings(home=folder / "home", inputs=folder / "in", outputs=folder / "out")
    with Session(settings) as session:
        assert not session.registry.problems
        yield Prompts(session, node_table([], session.registry))


def encoded(color: tuple[int, ...]) -> str:
    """A picture of 64 by 64 pixels as a client sends it."""
    file = BytesIO()
    Image.new("RGBA" if len(color) == 4 else "RGB", (64, 64), color).save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.parametrize(("color", "alpha"), [((255, 0, 0), 0), ((255, 0, 0, 64), 191)])
def test_a_picture_gets_its_mask_as_alpha(
    public: Prompts, color: tuple[int, ...], alpha: int
) -> None:
    prompt = {
        "1": node("ETN_LoadImageBase64", image=encoded(color)),
        "2": node("ETN_ApplyMaskToImage", image=["1", 0], mask=["1", 1]),
        "3": node("SaveImage", images=["2", 0], filename_prefix=f"alpha{alpha}"),
    }

    (file,) = public.run(prompt).result.files

    saved = pixels(file.path)
    assert saved.shape == (64, 64, 4)
    assert tuple(saved[5, 5]) == (255, 0, 0, alpha)


def test_a_picture_is_cut_and_sent(public: Prompts) -> None:
    prompt = {
        "1": node("ETN_LoadImageBase64", image=encoded((0, 255, 0))),
        "2": node("ETN_CropImage", image=["1", 0], x=8, y=4, width=16, height=12),
        "3": node("ETN_SendImageWebSocket", images=["2", 0]),
        "4": node("SaveImage", images=["2", 0], filename_prefix="cut"),
    }

    outcome = public.run(prompt)

    assert pixels(outcome.result.files[0].path).shape == (12, 16, 3)
    (shown,) = outcome.ui("3")
    assert shown["images"][0]["source"] == "websocket"


def test_pictures_of_pillow_cross_between_nodes(public: Prompts) -> None:
    prompt = {
        "1": node("EmptyImage", width=8, height=6, batch_size=2, color=0xFF8000),
        "2": node("ImageToPIL", images=["1", 0]),
        "3": node("PILToImage", images=["2", 0]),
        "4": node("PILToMask", images=["2", 0]),
        "5": node("SaveImage", images=["3", 0], filename_prefix="back"),
        "6": node("SaveImage", images=["4", 0], filename_prefix="mask"),
    }

    outcome = public.run(prompt)

    files = {file.path.name: pixels(file.path) for file in outcome.result.files}
    assert outcome.result.is_ok
    assert tuple(files["back_00001.png"][0, 0]) == (255, 128, 0)
    assert not files["mask_00001.png"].any()


def test_a_file_is_loaded_by_its_name_and_folder(public: Prompts) -> None:
    outputs = public.session.environment.outputs
    outputs.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (20, 10), (0, 0, 255)).save(outputs / "own.png")
    prompt = {
        "1": node("LoadImageFromPath", image="own.png [output]"),
        "2": node("SaveImage", images=["1", 0], filename_prefix="loaded"),
    }

    (file,) = public.run(prompt).result.files

    assert pixels(file.path).shape == (10, 20, 3)
    missing = {**prompt, "1": node("LoadImageFromPath", image="none.png")}
    (problems,) = public.refusal(missing).values()
    assert "Invalid image path" in problems[0][1]


def test_a_loader_offers_the_models_folders_files(public: Prompts) -> None:
    spec = public.session.registry.spec("civitai_comfy_nodes:CivitAI_Lora_Loader")
    assert spec is not None
    assert spec.foreign["input"]["required"]["lora_name"][0] == ["none"]
    assert spec.foreign["output"] == ["MODEL", "CLIP"]


def test_nodes_of_decorated_functions(public: Prompts) -> None:
    prompt = {
        "1": node("EmptyImage", width=8, height=6, batch_size=2, color=0xFF8000),
        "2": node("ThresholdImage", image=["1", 0], threshold=0.4),
        "3": node("Describe", mask=["2", 1], words="above", kind="plain"),
        "4": node("MeanOf", images=["1", 0]),
        "5": node("Describe", mask=["2", 0], words="below", kind="loud"),
        "6": node("SaveImage", images=["4", 0], filename_prefix="mean"),
    }

    outcome = public.run(prompt)

    assert (outcome.text("3"), outcome.text("5")) == ("above 0.00", "BELOW 1.00")
    assert tuple(pixels(outcome.result.files[0].path)[0, 0]) == (255, 128, 0)


def test_nodes_of_typed_classes(public: Prompts) -> None:
    prompt = {
        "1": node("ETN_LoadImageBase64", image=encoded((200, 100, 0))),
        "2": node("ETN_CropImage", image=["1", 0], x=0, y=0, width=4, height=4),
        "3": node("Flip", image=["2", 0], axis="y", times=3, invert=True),
        "4": node("Describe", mask=["5", 0], words=["3", 1], kind="plain"),
        "5": node("ETN_LoadMaskBase64", mask=encoded((255, 0, 0))),
        "6": node("SaveImage", images=["3", 0], filename_prefix="flipped"),
    }

    outcome = public.run(prompt)

    assert outcome.text("4") == "y3 1.00"
    pixel = pixels(outcome.result.files[0].path)[0, 0]
    assert np.allclose(pixel, (55, 155, 255), atol=1)


ARTIFACT = """
import sys
import torch
from orbitquant.artifacts.writer import save_orbitquant_artifact
from orbitquant.config import OrbitQuantConfig
from orbitquant.modeling import quantize_linear_modules

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(64, 64))
config = OrbitQuantConfig(target_policy="universal")
facts = {"source_model_id": "tests/tiny", "source_revision": "main", "source_license": "mit"}
summary = quantize_linear_modules(model, config)
save_orbitquant_artifact(model, sys.argv[1], config=config, summary=summary, **facts)
"""


def test_a_quantized_artifact_is_inspected(public: Prompts, tmp_path: Path) -> None:
    (wheel,) = WHEELS.glob("orbitquant-*.whl")
    command = [sys.executable, "-c", ARTIFACT, str(tmp_path / "artifact")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": str(wheel)})
    prompt = {
        "1": node("OrbitQuantArtifactInspector", artifact_path=str(tmp_path / "artifact")),
        "2": node("ETN_LoadMaskBase64", mask=encoded((255, 0, 0))),
        "3": node("Describe", mask=["2", 0], words=["1", 0], kind="plain"),
    }

    outcome = public.run(prompt)

    lines = outcome.text("3").splitlines()
    assert lines[:3] == ["Source: tests/tiny", "Revision: main", "Bits: W4A4"]
    assert "Quantized modules: 1" in lines
    missing = {**prompt, "1": node("OrbitQuantArtifactInspector", artifact_path="")}
    assert "artifact_path must not be empty" in public.run(missing).error("1")
