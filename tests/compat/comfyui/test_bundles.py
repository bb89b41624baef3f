"""Pipes, contexts and stacks of packs are resolved: pictures are those of core nodes alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import export_documents
from nodegraph.interop.comfyui.foreign_workflow import (
    BLOCK,
    ForeignBlock,
    ForeignGraph,
    ForeignNode,
    ForeignPort,
    ForeignWorkflow,
    Source,
)
from nodegraph.interop.comfyui.importer import (
    ImportedWorkflow,
    import_document,
    node_table,
    translate,
)
from nodegraph.session.settings import Settings
from tests.cases import case
from tests.compat.comfyui.supplied import SUPPLIERS, TABLE
from tests.compat.comfyui.test_exporting import catalog

Nodes = dict[str, dict[str, Any]]
SETTINGS: dict[str, Any] = {"seed": 5, "steps": 3, "cfg": 3.0}
SETTINGS |= {"sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
SIZE = {"empty_latent_width": 64, "empty_latent_height": 64, "batch_size": 1}
TEXTS = {"positive": "a red circle", "negative": "blue"}
LOADER = {"ckpt_name": "tiny", "vae_name": "Baked VAE", "clip_skip": -1, "lora_name": "None"}
CUSTOM = "width x height (custom)"


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def parts() -> Nodes:
    """What core nodes make of a checkpoint, two prompts and a size."""
    return {
        "c": node("CheckpointLoaderSimple", ckpt_name="tiny"),
        "skip": node("CLIPSetLastLayer", clip=["c", 1], stop_at_clip_layer=-1),
        "p": node("CLIPTextEncode", clip=["skip", 0], text=TEXTS["positive"]),
        "n": node("CLIPTextEncode", clip=["skip", 0], text=TEXTS["negative"]),
        "l": node("EmptyLatentImage", width=64, height=64, batch_size=1),
    }


BUNDLED = {
    "model": ["c", 0],
    "clip": ["skip", 0],
    "vae": ["c", 2],
    "positive": ["p", 0],
    "negative": ["n", 0],
}


def sampled(
    model: Any, positive: Any, negative: Any, vae: Any, latent: Any = ("l", 0), **settings: Any
) -> Nodes:
    led = {"model": model, "positive": positive, "negative": negative}
    return {
        "k": node("KSampler", **led, latent_image=list(latent), **{**SETTINGS, **settings}),
        "d": node("VAEDecode", samples=["k", 0], vae=vae),
        "s": node("PreviewImage", images=["d", 0]),
    }


def plain() -> Nodes:
    return parts() | sampled(["c", 0], ["p", 0], ["n", 0], ["c", 2])


def basic_pipe() -> Nodes:
    """A pipe that is made with one prompt, and edited."""
    wrong = {**BUNDLED, "positive": ["n", 0]}
    return (
        parts()
        | {
            "to": node("ToBasicPipe", **wrong),
            "edit": node("EditBasicPipe", basic_pipe=["to", 0], positive=["p", 0]),
            "again": node("FromBasicPipe_v2", basic_pipe=["edit", 0]),
            "of": node("FromBasicPipe", basic_pipe=["again", 0]),
        }
        | sampled(["of", 0], ["of", 3], ["of", 4], ["of", 2])
    )


def detailer_pipe() -> Nodes:
    """To a pipe for details and back, by way of the one for the refiner."""
    return (
        parts()
        | {
            "to": node("ToBasicPipe", **BUNDLED),
            "pair": node(
                "BasicPipeToDetailerPipeSDXL",
                base_basic_pipe=["to", 0],
                refiner_basic_pipe=["to", 0],
                wildcard="a face",
            ),
            "edit": node("EditDetailerPipe", detailer_pipe=["pair", 0], wildcard=""),
            "back": node("DetailerPipeToBasicPipe", detailer_pipe=["edit", 0]),
            "of": node("FromBasicPipe", basic_pipe=["back", 1]),
        }
        | sampled(["of", 0], ["of", 3], ["of", 4], ["of", 2])
    )


def context() -> Nodes:
    """Two contexts, of which the merged one has the prompts of the second."""
    return (
        parts()
        | {
            "seed": node("Seed (rgthree)", seed=5),
            "how": node(
                "KSampler Config (rgthree)",
                steps_total=3,
                refiner_step=1,
                cfg=3.0,
                sampler_name="euler",
                scheduler="normal",
            ),
            "first": node("Context (rgthree)", **{**BUNDLED, "positive": ["n", 0]}),
            "second": node(
                "Context Big (rgthree)",
                positive=["p", 0],
                seed=["seed", 0],
                steps=["how", 0],
                cfg=["how", 2],
                sampler=["how", 3],
                scheduler=["how", 4],
            ),
            "all": node("Context Merge Big (rgthree)", ctx_01=["first", 0], ctx_02=["second", 0]),
        }
        | sampled(
            ["all", 1],
            ["all", 4],
            ["all", 5],
            ["all", 3],
            seed=["all", 8],
            steps=["all", 9],
            cfg=["all", 11],
            sampler_name=["all", 13],
            scheduler=["all", 14],
        )
    )


def easy() -> Nodes:
    return {
        "a": node("easy comfyLoader", **LOADER, resolution=CUSTOM, **SIZE, **TEXTS),
        "b": node("easy preSampling", pipe=["a", 0], **SETTINGS),
        "k": node("easy kSampler", pipe=["b", 0], image_output="Preview"),
    }


def easy_advanced() -> Nodes:
    """All steps of the advanced sampler, of a pipe that is taken apart and put together."""
    settings = {name: value for name, value in SETTINGS.items() if name != "denoise"}
    links = {"model": 1, "pos": 2, "neg": 3, "latent": 4, "vae": 5, "clip": 6}
    return {
        "a": node("easy a1111Loader", **LOADER, resolution="64 x 64", batch_size=1, **TEXTS),
        "o": node("easy pipeOut", pipe=["a", 0]),
        "i": node("easy pipeIn", **{name: ["o", slot] for name, slot in links.items()}),
        "b": node("easy preSamplingAdvanced", pipe=["i", 0], **settings),
        "k": node("easy kSampler", pipe=["b", 0], image_output="Preview"),
    }


def easy_full() -> Nodes:
    """Other prompts by an edited pipe, and a sampler with settings of its own."""
    wrong = {"positive": "wrong", "negative": "wrong"}
    return {
        "a": node("easy fullLoader", **LOADER, resolution=CUSTOM, **SIZE, **wrong),
        "e": node("easy pipeEditPrompt", pipe=["a", 0], positive="wrong", negative="blue"),
        "f": node("easy pipeEdit", pipe=["e", 0], optional_positive="a red circle"),
        "k": node("easy fullkSampler", pipe=["f", 0], **SETTINGS, image_output="Preview"),
    }


def efficient() -> Nodes:
    return {
        "a": node("Efficient Loader", **LOADER, **TEXTS, **SIZE),
        "k": node(
            "KSampler (Efficient)",
            model=["a", 0],
            positive=["a", 1],
            negative=["a", 2],
            latent_image=["a", 3],
            optional_vae=["a", 4],
            **SETTINGS,
        ),
    }


def efficient_tuple() -> Nodes:
    """Stable Diffusion XL's tuple without a refiner."""
    settings = {name: value for name, value in SETTINGS.items() if name not in ("denoise", "seed")}
    return {
        "a": node("Eff. Loader SDXL", base_ckpt_name="tiny", base_clip_skip=-1, **TEXTS, **SIZE),
        "k": node(
            "KSampler SDXL (Eff.)",
            sdxl_tuple=["a", 0],
            latent_image=["a", 1],
            optional_vae=["a", 2],
            noise_seed=5,
            **settings,
        ),
    }


FAMILIES = (
    basic_pipe, detailer_pipe, context, easy, easy_advanced, easy_full, efficient, efficient_tuple,
)  # fmt: skip


def read(nodes: Nodes) -> ImportedWorkflow:
    return import_document(nodes, node_table(), name="it")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    home: Path = tmp_path_factory.mktemp("home")
    with Session(Settings(home=home, device="cpu")) as running:
        yield running


def picture(session: Session, nodes: Nodes) -> bytes:
    imported = read(nodes)
    assert not imported.placeholders
    (name,) = (name for name, each in imported.workflow.nodes.items() if each.type == "VAEDecode")
    return session.run(imported.workflow, targets=[name]).image(name).tobytes()


@pytest.mark.slow
def test_a_picture_through_each_bundle_is_that_of_core_nodes(session: Session) -> None:
    expected = picture(session, plain())
    assert picture(session, plain() | sampled(["c", 0], ["p", 0], ["n", 0], ["c", 2], seed=6)) != (
        expected
    )
    for family in FAMILIES:
        with case(family.__name__):
            assert picture(session, family()) == expected


def test_no_pipe_is_a_value_when_it_runs() -> None:
    for family in FAMILIES:
        with case(family.__name__):
            found = read(family())
            assert not any(
                each.type.startswith("comfyui:") for each in found.workflow.nodes.values()
            )
            assert not any("pipe" in told for _, told in found.differences)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"positive": "a <lora:x:1> cat"}, "`positive` loads a LoRA"),
        ({"negative": "a {red|blue} cat"}, "`negative` draws from wildcards"),
        ({"resolution": "auto"}, "`resolution` is 'auto'"),
    ],
)
def test_what_an_easy_loader_cannot_have_here_is_named(change: dict[str, Any], reason: str) -> None:
    nodes = easy()
    nodes["a"]["inputs"] |= change
    (first, *_) = read(nodes).placeholders
    assert first.type == "easy comfyLoader"
    assert reason in first.untranslated_reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"image_output": "Preview&Choose"}, "chooses images"),
        ({"pipe": ["a", 0]}, "no settings"),
        ({"pipe": ["a", 1]}, "pipe at its input `pipe`"),
    ],
)
def test_what_an_easy_sampler_cannot_have_here_is_named(
    change: dict[str, Any], reason: str
) -> None:
    nodes = easy()
    nodes["k"]["inputs"] |= change
    (placeholder,) = read(nodes).placeholders
    assert reason in placeholder.untranslated_reason


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("a", {"weight_interpretation": "compel", "positive": "(red:1.2)"}, "'compel'"),
        ("k", {"scheduler": "AYS SDXL"}, "'AYS SDXL'"),
        ("k", {"script": ["x", 0]}, "`script`"),
    ],
)
def test_what_efficiency_alone_can_do_is_named(
    name: str, change: dict[str, Any], reason: str
) -> None:
    nodes = efficient() | {"x": node("XY Plot")}
    nodes[name]["inputs"] |= change
    found = {each.type: each.untranslated_reason for each in read(nodes).placeholders}
    assert reason in found[nodes[name]["class_type"]]
    assert "GridSweep" in found.get("XY Plot", "GridSweep")


def test_rows_of_a_stack_are_loras_in_their_order() -> None:
    rows = {"lora_count": 2, "lora_name_1": "a.safetensors", "lora_wt_1": 0.5}
    rows |= {"lora_name_2": "None", "lora_name_3": "beyond.safetensors"}
    later = {"lora_count": 1, "lora_name_1": "b.safetensors", "input_mode": "advanced"}
    later |= {"model_str_1": 0.25, "clip_str_1": 0.75, "lora_stack": ["first", 0]}
    nodes = efficient()
    nodes["first"] = node("LoRA Stacker", **rows)
    nodes["second"] = node("LoRA Stacker", **later)
    nodes["a"]["inputs"] |= {"lora_stack": ["second", 0], "lora_name": "own.safetensors"}
    found = read(nodes).workflow.nodes.values()
    loaded = [
        (each.inputs["lora"], each.inputs["strength_model"], each.inputs["strength_encoder"])
        for each in found
        if each.type == "LoadLora"
    ]
    assert loaded == [
        ("own.safetensors", 1.0, 1.0),
        ("b.safetensors", 0.25, 0.75),
        ("a.safetensors", 0.5, 0.5),
    ]


def test_control_nets_of_a_stack_lead_both_prompts() -> None:
    nodes = efficient() | {
        "net": node("ControlNetLoader", control_net_name="tiny/controlnet"),
        "image": node("LoadImage", image="a.png"),
        "stack": node("Control Net Stacker", control_net=["net", 0], image=["image", 0]),
    }
    nodes["a"]["inputs"]["cnet_stack"] = ["stack", 0]
    found = read(nodes)
    assert not found.placeholders
    types = {each.type: each.inputs for each in found.workflow.nodes.values()}
    assert types["KSampler"]["positive"] == {"from": "apply_control_net.positive"}
    assert types["KSampler"]["negative"] == {"from": "apply_control_net.negative"}


def test_a_refiner_takes_over_at_its_step() -> None:
    nodes = efficient_tuple()
    nodes["a"]["inputs"]["refiner_ckpt_name"] = "refiner.safetensors"
    nodes["k"]["inputs"]["refine_at_step"] = 2
    found = read(nodes).workflow.nodes.values()
    (base, refined) = (each.inputs for each in found if each.type == "KSamplerAdvanced")
    assert (base["end_step"], base["leave_noise"], base["add_noise"]) == (2, True, True)
    assert (refined["start_step"], refined["add_noise"]) == (2, False)
    assert {each.inputs["model"] for each in found if each.type == "LoadModel"} == {
        "tiny",
        "refiner.safetensors",
    }


def test_patches_of_a_model_go_through_a_pipe_to_the_sampler() -> None:
    nodes = basic_pipe()
    nodes["patch"] = node("RescaleCFG", model=["c", 0], multiplier=0.5)
    nodes["to"]["inputs"]["model"] = ["patch", 0]
    found = read(nodes)
    (rescaled,) = (
        each.inputs for each in found.workflow.nodes.values() if each.type == "RescaleGuidance"
    )
    assert rescaled["rescale"] == 0.5


def test_what_only_a_pipe_holds_is_made() -> None:
    """Here a VAE, whose own output nothing takes."""
    nodes = easy()
    nodes["a"]["inputs"]["vae_name"] = "other.safetensors"
    found = read(nodes)
    (decoded,) = (each for each in found.workflow.nodes.values() if each.type == "VAEDecode")
    source = found.workflow.nodes[decoded.inputs["vae"]["from"].partition(".")[0]]
    assert (source.type, source.inputs["vae"]) == ("LoadVae", "other.safetensors")


def test_members_that_a_pipe_lacks_are_not_made_up() -> None:
    nodes = context()
    del nodes["second"]["inputs"]["cfg"]
    (placeholder,) = read(nodes).placeholders
    assert "CFG" in placeholder.untranslated_reason


def test_each_widget_of_a_bundle_counts_or_is_told() -> None:
    """Of the values that loaders and samplers have of their own, in turn."""
    changes: dict[str, Any] = {
        "clip_skip": -2, "vae_name": "a.safetensors", "lora_name": "a.safetensors",
        "empty_latent_width": 128, "empty_latent_height": 128, "positive": "another",
        "negative": "another", "batch_size": 2, "steps": 4, "cfg": 2.0, "sampler_name": "heun",
        "scheduler": "karras", "denoise": 0.5, "seed": 6, "noise_seed": 6, "ckpt_name": "other",
        "image_output": "Save", "base_clip_skip": -2, "base_ckpt_name": "other",
    }  # fmt: skip
    for family in (easy, easy_full, efficient, efficient_tuple):
        base = said(read(family()))
        for name, each in family().items():
            for port in each["inputs"].keys() & changes.keys():
                if family is easy_full and (name, port) in {("a", "positive"), ("a", "negative")}:
                    continue  # the pipe gets other ones
                if family is easy_full and (name, port) == ("e", "positive"):
                    continue
                with case(family.__name__, name, port):
                    nodes = family()
                    nodes[name]["inputs"][port] = changes[port]
                    assert said(read(nodes)) != base


def said(found: ImportedWorkflow) -> Any:
    nodes = {name: each.to_dict() for name, each in found.workflow.nodes.items()}
    reasons = [each.untranslated_reason for each in found.placeholders]
    return (nodes, found.differences, reasons)


def drawn(*nodes: dict[str, Any], links: list[list[Any]]) -> dict[str, Any]:
    """A file of ComfyUI's page, whose values stand by their places."""
    return {"nodes": list(nodes), "links": links, "version": 0.4, "last_node_id": len(nodes)}


def placed(
    number: int, kind: str, values: list[Any], inputs: dict[str, int], *outputs: str
) -> dict[str, Any]:
    return {
        "id": number,
        "type": kind,
        "pos": [300 * number, 0],
        "mode": 0,
        "inputs": [{"name": name, "type": "*", "link": link} for name, link in inputs.items()],
        "outputs": [{"name": name, "type": name} for name in outputs],
        "widgets_values": values,
    }


def test_values_of_easy_use_are_read_by_their_places() -> None:
    """As its files have them, with what happens to the seed after a run."""
    loader = ["a.safetensors", "Baked VAE", -1, "None", 1, 1, "512 x 768", 512, 512, "yes", "no"]
    found = read(
        drawn(
            placed(1, "easy a1111Loader", [*loader, 1, False], {}, "pipe", "model", "vae"),
            placed(
                2,
                "easy preSampling",
                [20, 8, "dpmpp_2m", "karras", 1, 236370671715313, "randomize"],
                {"pipe": 1},
                "pipe",
            ),
            placed(3, "easy kSampler", ["Preview", 0, "ComfyUI"], {"pipe": 2}, "pipe", "image"),
            placed(4, "easy globalSeed", [236370671715313, True, "randomize", 0], {}),
            links=[[1, 1, 0, 2, 0, "PIPE_LINE"], [2, 2, 0, 3, 0, "PIPE_LINE"]],
        )
    )
    assert not found.placeholders
    types = {each.type: each.inputs for each in found.workflow.nodes.values()}
    assert (types["EmptyLatent"]["width"], types["EmptyLatent"]["height"]) == (512, 768)
    sampler = types["KSampler"]
    assert (sampler["sampler"], sampler["schedule"], sampler["steps"]) == ("dpmpp_2m", "karras", 20)
    assert sampler["seed"] == 236370671715313
    assert found.workflow.ui["seeds"] == {"ksampler.seed": "random"}


def test_a_changed_value_goes_back_to_the_widget_that_it_came_from() -> None:
    loader = ["tiny", "Baked VAE", -1, "None", 1, 1, "512 x 768", 512, 512, "yes", "no"]
    settings = [20, 8, "euler", "normal", 1, 5, "fixed"]
    document = drawn(
        placed(1, "easy comfyLoader", [*loader, 1], {}, "pipe", "model", "vae"),
        placed(2, "easy preSampling", settings, {"pipe": 1}, "pipe"),
        placed(3, "easy kSampler", ["Preview", 0, "ComfyUI"], {"pipe": 2}, "pipe", "image"),
        links=[[1, 1, 0, 2, 0, "PIPE_LINE"], [2, 2, 0, 3, 0, "PIPE_LINE"]],
    )
    workflow = Workflow.from_json(read(document).workflow.to_json())
    assert widgets_back(workflow) == [each["widgets_values"] for each in document["nodes"]]
    (sampler,) = (each for each in workflow.nodes.values() if each.type == "KSampler")
    sampler.inputs["steps"] = 9
    assert widgets_back(workflow)[1] == [9, *settings[1:]]


def widgets_back(workflow: Workflow) -> list[Any]:
    """Values of the nodes that a workflow goes back to ComfyUI as."""
    _, written = export_documents(workflow, node_table().entries.values(), catalog())
    return [each["widgets_values"] for each in json.loads(json.dumps(written["ui"]))["nodes"]]


def test_a_sub_graph_that_takes_a_pipe_is_put_in_its_place() -> None:
    sources = {"model": 0, "positive": 3, "negative": 4}
    inner = ForeignGraph(
        {
            "of": ForeignNode("of", "FromBasicPipe", {"basic_pipe": Source(BLOCK, 0)}),
            "k": ForeignNode(
                "k",
                "KSampler",
                {name: Source("of", slot) for name, slot in sources.items()}
                | {"latent_image": Source(BLOCK, 1)},
            ),
        }
    )
    ports = (ForeignPort("basic_pipe", "BASIC_PIPE"), ForeignPort("latent", "LATENT"))
    outputs = ((ForeignPort("LATENT", "LATENT"), Source("k", 0)),)
    block = ForeignBlock("B", "Sampled", inner, ports, outputs)
    nodes = {kind: ForeignNode(kind, kind, inputs=linked) for kind, _, linked in SUPPLIERS.values()}
    taken = {"basic_pipe": Source("ToBasicPipe", 0), "latent": Source("EmptyLatentImage", 0)}
    nodes["use"] = ForeignNode("use", "B", taken)
    decoded = {"samples": Source("use", 0), "vae": Source("CheckpointLoaderSimple", 2)}
    nodes["d"] = ForeignNode("d", "VAEDecode", decoded)
    nodes["s"] = ForeignNode("s", "SaveImage", {"images": Source("d", 0)})
    found = translate(ForeignWorkflow(ForeignGraph(nodes), blocks={"B": block}), TABLE)
    assert not found.placeholders
    assert not found.workflow.subgraphs
    (sampler,) = (each for each in found.workflow.nodes.values() if each.type == "KSampler")
    assert sampler.inputs["model"] == {"from": "load_model.model"}


def test_the_button_behind_efficiencys_seed_is_no_value() -> None:
    loader = ["tiny", "Baked VAE", -1, "None", 1, 1, "yes", "no", "none", "comfy", 64, 64, 1]
    sampler = [7, None, 3, 2.5, "euler", "normal", 1, "auto", "true"]
    links = [[at, 1, at - 1, 2, at - 1, "*"] for at in range(1, 6)]
    names = ("model", "positive", "negative", "latent_image", "optional_vae")
    found = read(
        drawn(
            placed(1, "Efficient Loader", loader, {}, *"abcdefg"),
            placed(
                2,
                "KSampler (Efficient)",
                sampler,
                {name: at for at, name in enumerate(names, 1)},
                *"abcdef",
            ),
            links=links,
        )
    )
    assert not found.placeholders
    types = {each.type: each.inputs for each in found.workflow.nodes.values()}
    assert (types["KSampler"]["seed"], types["KSampler"]["steps"]) == (7, 3)
    assert (types["KSampler"]["cfg"], types["KSampler"]["sampler"]) == (2.5, "euler")
    assert "PreviewImage" in types
