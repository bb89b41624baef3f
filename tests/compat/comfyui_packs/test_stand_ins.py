"""ComfyUI's modules: what they offer, what is refused by name, and what the docs say of them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph.core.context import Environment
from nodegraph.errors import Cancelled, PackError
from nodegraph.interop.comfyui.packs import stand_ins

DOCS = Path(__file__).parents[3] / "docs"


@pytest.fixture
def finder(tmp_path: Path) -> Iterator[stand_ins.StandInFinder]:
    folder = tmp_path / "here"
    environment = Environment(models=(), inputs=folder, outputs=folder, temporary=folder)
    with stand_ins.installed(environment) as made:
        yield made


def run(code: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(code, names)
    return names


@pytest.mark.usefixtures("finder")
def test_every_offered_module_imports_with_its_names() -> None:
    for name in stand_ins.OFFERED:
        module = import_module(name)
        assert module.__name__ == name
        assert sys.modules[name] is module


@pytest.mark.usefixtures("finder")
def test_imports_of_popular_packs_work() -> None:
    run(
        """
import comfy
import comfy.utils, comfy.model_management as mm
import comfy.samplers, comfy.sample, comfy.sd, comfy.controlnet, comfy.clip_vision
import folder_paths, latent_preview, node_helpers, nodes, execution
from comfy.cli_args import args
from comfy.comfy_types import IO, ComfyNodeABC, InputTypeDict
from comfy.k_diffusion.sampling import sample_euler
from comfy_api.latest import ComfyExtension, io, ui
from comfy_execution.graph import ExecutionBlocker
from comfy_execution.graph_utils import GraphBuilder, is_link
from comfy_extras.nodes_mask import MaskToImage
from nodes import MAX_RESOLUTION, CLIPTextEncode, LoraLoader, SaveImage, common_ksampler
from server import PromptServer

@PromptServer.instance.routes.get("/mine")
async def mine(request):
    return None

assert comfy.model_management.get_torch_device().type == "cpu"
assert MAX_RESOLUTION == 16384
assert args.preview_method and not args.disable_metadata
assert ("GET", "/mine") in PromptServer.instance.routes.declared
"""
    )


@pytest.mark.usefixtures("finder")
def test_a_missing_module_is_named() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"ComfyUI's module `comfy\.no_such`"):
        import_module("comfy.no_such")
    with pytest.raises(ImportError, match="does not offer `no_such` of ComfyUI's module `nodes`"):
        run("from nodes import no_such")
    with pytest.raises(AttributeError, match=r"does not offer ComfyUI's `comfy\.utils\.no_such`"):
        run("import comfy.utils; comfy.utils.no_such")
    assert run("import comfy.utils; has = hasattr(comfy.utils, 'no_such')")["has"] is False


@pytest.mark.usefixtures("finder")
def test_internals_do_no_harm_until_they_are_used() -> None:
    names = run(
        """
import comfy.ops
from comfy.ldm.modules.attention import optimized_attention
from comfy.model_patcher import ModelPatcher
from comfy.controlnet import ControlLora, ControlNet

class Mine(ModelPatcher):
    layer: comfy.ops.manual_cast.Linear

def annotated(model: ModelPatcher) -> comfy.ops.disable_weight_init:
    return optimized_attention(model)
"""
    )
    with pytest.raises(PackError, match=r"`comfy\.ldm\.modules\.attention\.optimized_attention`"):
        names["annotated"](None)
    with pytest.raises(PackError, match="Mine"):
        names["Mine"]()
    with pytest.raises(PackError, match=r"`comfy\.controlnet\.ControlLora`"):
        names["ControlLora"]()
    with pytest.raises(PackError, match=r"`comfy\.ops\.manual_cast\.Linear`"):
        run("import comfy.ops; comfy.ops.manual_cast.Linear(1, 2)")


@pytest.mark.usefixtures("finder")
def test_types_compare_as_links_of_comfyui_do() -> None:
    io = import_module("comfy.comfy_types").IO
    # What packs and ComfyUI compare by is this operator alone.
    assert not io.ANY.__ne__("IMAGE")
    assert not io.NUMBER.__ne__("INT")
    assert io.IMAGE != "MASK"
    assert io.IMAGE == "IMAGE"


@pytest.mark.usefixtures("finder")
def test_an_interrupt_of_the_pack_cancels_once() -> None:
    management = import_module("comfy.model_management")
    import_module("nodes").interrupt_processing()
    with pytest.raises(management.InterruptProcessingException):
        management.throw_exception_if_processing_interrupted()
    management.throw_exception_if_processing_interrupted()
    assert management.InterruptProcessingException is Cancelled
    assert str(management.InterruptProcessingException()) == "the run was cancelled"


@pytest.mark.usefixtures("finder")
def test_core_nodes_declare_what_comfyui_declares() -> None:
    nodes = import_module("nodes")
    inputs = nodes.KSampler.INPUT_TYPES()["required"]
    assert inputs["model"][0] == "MODEL"
    assert inputs["steps"][1]["max"] == 10000
    assert "euler" in inputs["sampler_name"][0]
    assert nodes.KSampler.RETURN_TYPES == ("LATENT",)
    assert nodes.NODE_CLASS_MAPPINGS["CLIPTextEncode"].FUNCTION == "encode"

    class Own(nodes.SaveImage):
        RETURN_TYPES = ("IMAGE",)

    assert Own.RETURN_TYPES == ("IMAGE",)
    assert Own.FUNCTION == "save_images"


def test_pictures_are_written_into_the_outputs_folder(
    finder: stand_ins.StandInFinder, tmp_path: Path
) -> None:
    nodes = import_module("nodes")
    image = torch.full((2, 4, 6, 3), 0.5)
    shown = nodes.SaveImage().save_images(image, "mine/p", prompt={"1": {}})
    assert [item["filename"] for item in shown["ui"]["images"]] == ["p_00001_.png", "p_00002_.png"]
    assert (finder.environment.outputs / "mine" / "p_00002_.png").is_file()
    loaded, mask = nodes.LoadImage().load_image("mine/p_00001_.png [output]")
    assert torch.equal(loaded[0], torch.full((4, 6, 3), 127 / 255))
    assert mask.shape == (1, 64, 64)


def test_modules_go_when_they_are_no_longer_installed(tmp_path: Path) -> None:
    environment = Environment(models=(), inputs=tmp_path, outputs=tmp_path, temporary=tmp_path)
    before = sys.modules.get("nodes")
    with stand_ins.installed(environment):
        assert hasattr(import_module("nodes"), "NODE_CLASS_MAPPINGS")
    assert sys.modules.get("nodes") is before
    assert "folder_paths" not in sys.modules


def test_the_table_of_the_docs_is_that_of_the_modules(finder: stand_ins.StandInFinder) -> None:
    page = (DOCS / "comfyui.md").read_text("utf-8")
    rows = stand_ins.offered_rows(finder)
    missing = [row for row in rows if row not in page]
    assert not missing, "the table in docs/comfyui.md needs:\n" + "\n".join(rows)
    listed = page.split("## Modules that packs import")[1].split("\n## ")[0]
    assert [line for line in listed.splitlines() if line.startswith("| `")] == rows
