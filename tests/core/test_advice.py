"""What is advised for common wrong names and links: scripts and checks say the same."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Graph, Session, Settings
from nodegraph.core.catalog import ExtendedCatalog, loaded_node_types
from nodegraph.core.spec import NodeSpec
from nodegraph.core.suggestions import NodeAliases
from nodegraph.core.workflow import Workflow
from nodegraph.errors import NodegraphError

ROOT = Path(__file__).parents[2]

TYPES = [
    # ComfyUI's
    ("CheckpointLoaderSimple", "LoadModel"),
    ("CLIPTextEncode", "EncodePrompt"),
    ("LoraLoader", "LoadLora"),
    ("UNETLoader", "LoadDiffusionModel"),
    ("DualCLIPLoader", "LoadTextEncoder"),
    ("VAELoader", "LoadVae"),
    ("EmptyLatentImage", "EmptyLatent"),
    ("ControlNetApply", "ApplyControlNet"),
    ("ImageScale", "ResizeImage"),
    ("SamplerCustomAdvanced", "SampleCustom"),
    ("FluxGuidance", "GuidanceConditioning"),
    ("ClipTextEncode", "EncodePrompt"),
    # Other spellings
    ("Ksampler", "KSampler"),
    ("VaeDecode", "VAEDecode"),
    ("load_model", "LoadModel"),
    ("SavImage", "SaveImage"),
    # Words, of which the one that is used most is meant
    ("LoadCheckpoint", "LoadModel"),
    ("Checkpoint", "LoadModel"),
    ("Save", "SaveImage"),
    ("Loader", "LoadModel"),
    ("Sampler", "KSampler"),
    ("Decode", "VAEDecode"),
    ("upscale", "UpscaleImage"),
    ("ControlNet", "ApplyControlNet"),
    ("ForLoop", "ForEach"),
    ("SavePng", "SaveImage"),
    ("clip_text_encode", "EncodePrompt"),
    ("LoadTurboFluxModel0", "LoadModel"),
    ("SavePictureImageToFolder", "SaveImage"),
    # diffusers' and the web UI's
    ("StableDiffusionPipeline", "LoadModel"),
    ("FluxImg2ImgPipeline", "LoadModel"),
    ("UNet2DConditionModel", "LoadDiffusionModel"),
    ("AutoencoderKL", "LoadVae"),
    ("ControlNetModel", "LoadControlNet"),
    ("EulerDiscreteScheduler", "KSampler"),
    ("DDIMScheduler", "KSampler"),
    ("FlowMatchEulerDiscreteScheduler", "KSampler"),
    ("txt2img", "LoadModel"),
    ("img2img", "VAEEncode"),
    # Nothing is near: those that are used most
    ("Xyzzy", "SaveImage"),
]
INPUTS = [
    ("EncodePrompt", "clip", "encoder"),
    ("EncodePrompt", "prompt", "text"),
    ("KSampler", "cfg_scale", "cfg"),
    ("KSampler", "guidance_scale", "cfg"),
    ("KSampler", "latent_image", "latent"),
    ("KSampler", "samples", "latent"),
    ("KSampler", "sampler_name", "sampler"),
    ("KSampler", "scheduler", "schedule"),
    ("KSampler", "noise_seed", "seed"),
    ("KSampler", "num_inference_steps", "steps"),
    ("KSampler", "denoising_strength", "denoise"),
    ("KSampler", "negative_prompt", "negative"),
    ("LoadModel", "ckpt_name", "model"),
    ("LoadVae", "vae_name", "vae"),
    ("LoadLora", "clip", "text_encoder"),
    ("LoadLora", "strength_clip", "strength_encoder"),
    ("VAEDecode", "samples", "latent"),
    ("VAEEncode", "pixels", "image"),
    ("SaveImage", "filename_prefix", "name"),
    ("LoadImage", "image", "path"),
    ("LoadImages", "folder", "path"),
    ("LoadVideo", "frames", "count"),
]
OUTPUTS = [
    ("clip", "text_encoder"),
    ("CLIP", "text_encoder"),
    ("MODEL", "model"),
    ("VAE", "vae"),
    ("unet", "model"),
    ("vea", "vae"),
]
LINKS = [
    ("EncodePrompt", "encoder", "load.model", "load.text_encoder"),
    ("VAEDecode", "vae", "load.model", "load.vae"),
    ("KSampler", "model", "load.vae", "load.model"),
    ("SaveImage", "image", "empty.latent", "VAEDecode"),
    ("VAEEncode", "image", "empty.latent", "VAEDecode"),
]


OTHERS = ["AllegroTransformer3DModel", "AutoencoderKLAllegro", "DiffusionPipeline"]
"""Classes of diffusers that no native family is of, though names of others are much alike."""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Any:
    home = tmp_path_factory.mktemp("home")
    with Session(Settings(home=home, device="cpu")) as session:
        yield session


@pytest.fixture
def g(session: Session) -> Graph:
    graph = Graph(session=session)
    graph.LoadModel("load")
    graph.EmptyLatent("empty")
    return graph


def first_advised(error: NodegraphError) -> str:
    """The first name that the hint of the first problem has."""
    names = re.findall(r"`([\w.]+)`|an? (\w+) between", str(error.problems[0].hint))
    return next(name for found in names for name in found if name and name != "nodegraph nodes")


def checked(session: Session, nodes: dict[str, Any], code: str) -> str:
    """What the check of a file advises first for a fault."""
    problems = session.check(Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes}))
    problem = next(problem for problem in problems if problem.code == code)
    return first_advised(NodegraphError(problem.message, hint=problem.hint))


def node(node_type: str, **inputs: Any) -> dict[str, Any]:
    return {"type": node_type, "inputs": inputs}


@pytest.mark.parametrize(("name", "meant"), TYPES)
def test_a_node_type(session: Session, g: Graph, name: str, meant: str) -> None:
    for add in (lambda: getattr(g, name), lambda: g.node(name)):
        with pytest.raises(NodegraphError) as caught:
            add()
        assert first_advised(caught.value) == meant
    assert checked(session, {"a": node(name)}, "unknown-node-type") == meant


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Reroute", "Links need no reroute"),
        ("Note", "A note is no node"),
        ("PNGInfo", "`nodegraph show PICTURE`"),
    ],
)
def test_what_is_no_node_here(session: Session, name: str, told: str) -> None:
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": {"a": node(name)}})
    (problem,) = (each for each in session.check(workflow) if each.code == "unknown-node-type")
    assert told in str(problem.hint)


@pytest.mark.parametrize("name", OTHERS)
def test_a_class_of_which_there_is_none_here_is_not_taken_for_another(
    session: Session, name: str
) -> None:
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": {"a": node(name)}})
    (problem,) = (each for each in session.check(workflow) if each.code == "unknown-node-type")
    assert "diffusers" not in str(problem.hint)


class _Counting(ExtendedCatalog):
    """Counts how often it is asked for what a node type declares."""

    asked = 0

    def spec(self, node_type: str) -> NodeSpec | None:
        self.asked += 1
        return super().spec(node_type)


def test_what_names_are_compared_with_is_made_once(session: Session) -> None:
    catalog = _Counting(session.registry, {})
    stand_ins = NodeAliases(catalog)
    stand_ins.hint("Xyzzy")
    first, catalog.asked = catalog.asked, 0
    for name in ("Plugh", "WAS_Frotz_2_Advanced", "LoadFrotzModel0"):
        stand_ins.hint(name)
    assert first >= len(loaded_node_types(catalog))
    assert catalog.asked == 0


@pytest.mark.parametrize(("node_type", "name", "meant"), INPUTS)
def test_an_input(session: Session, g: Graph, node_type: str, name: str, meant: str) -> None:
    with pytest.raises(NodegraphError) as caught:
        g.node(node_type, **{name: 1})
    assert first_advised(caught.value) == meant
    assert checked(session, {"a": node(node_type, **{name: 1})}, "unknown-input") == meant


@pytest.mark.parametrize(("name", "meant"), OUTPUTS)
def test_an_output(session: Session, g: Graph, name: str, meant: str) -> None:
    with pytest.raises(NodegraphError) as caught:
        getattr(g["load"], name)
    assert first_advised(caught.value) == meant
    nodes = {"load": node("LoadModel"), "a": node("ShowValue", value={"from": f"load.{name}"})}
    assert checked(session, nodes, "unknown-output") == meant


@pytest.mark.parametrize(("node_type", "port", "source", "meant"), LINKS)
def test_a_link_that_does_not_fit(
    session: Session, g: Graph, node_type: str, port: str, source: str, meant: str
) -> None:
    name, _, output = source.partition(".")
    with pytest.raises(NodegraphError) as caught:
        g.node(node_type, **{port: g[name][output]})
    assert first_advised(caught.value) == meant
    nodes = {
        "load": node("LoadModel"),
        "empty": node("EmptyLatent"),
        "a": node(node_type, **{port: {"from": source}}),
    }
    assert checked(session, nodes, "wrong-type") == meant


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("laod", "Did you mean `load`?"),
        ("save", "Valid: empty, load."),  # the node itself is called so
        ("show", "Valid: empty, load."),  # it gives nothing that could be linked
        ("xyzzy", "Valid: empty, load."),
    ],
)
def test_a_link_to_no_node(session: Session, name: str, hint: str) -> None:
    nodes = {
        "load": node("LoadModel"),
        "empty": node("EmptyImage"),
        "shown": node("SaveImage", image={"from": "empty"}),
        "saved": node("SaveImage", image={"from": name}),
    }
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    problem = next(each for each in session.check(workflow) if each.code == "unknown-node")
    assert problem.hint == hint


@pytest.mark.parametrize(
    ("last", "meant"),
    [
        (node("EmptyImage"), "SaveImage"),
        (node("LoadAudio", path="a.wav"), "SaveAudio"),
        (node("EmptyLatent"), "SaveLatent"),
        (node("LoadModel"), "SaveImage"),
    ],
)
def test_a_workflow_without_results(session: Session, last: dict[str, Any], meant: str) -> None:
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": {"last": last}})
    problem = next(each for each in session.check(workflow) if each.code == "no-output")
    assert str(problem.hint).startswith(f"Add a node such as {meant}")


def test_what_comfyuis_types_are_here_is_as_imports_have_it() -> None:
    sys.path.insert(0, str(ROOT / "docs"))
    try:
        from generate_other_names import TARGET, other_names, text
    finally:
        sys.path.remove(str(ROOT / "docs"))
    assert TARGET.read_text("utf-8") == text(other_names()), "run docs/generate_other_names.py"
    assert json.loads(TARGET.read_text("utf-8"))["ComfyUI"]["CLIPTextEncode"] == ["EncodePrompt"]
