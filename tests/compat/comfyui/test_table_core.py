"""Core types with a native counterpart each: both ways, and what has none is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.core.links import read_link
from nodegraph.core.workflow import Workflow
from nodegraph.interop.comfyui.exporter import export
from nodegraph.interop.comfyui.foreign_workflow import Source
from nodegraph.interop.comfyui.importer import import_document, node_table
from tests.compat.comfyui import drawing
from tests.compat.comfyui.supplied import TABLE, imported, supplied, used
from tests.compat.comfyui.test_exporting import TABLE as ENTRIES
from tests.compat.comfyui.test_exporting import catalog, meaning, there_and_back
from tests.compat.comfyui.test_table_back import node, sampled
from tests.compat.comfyui.test_table_leading import MODEL, chained, origin


def became(kind: str, native: str, **inputs: Any) -> dict[str, Any]:
    """The one native node of a type that a node becomes."""
    graph = imported(supplied(TABLE[kind], **inputs))
    [made] = used(graph.workflow, native)
    assert not graph.placeholders
    return made


def exported(node_type: str, **inputs: Any) -> dict[str, Any]:
    """What a native node is written as, by its type there."""
    nodes = dict(sampled().nodes)
    nodes |= {"picture": node("EmptyImage"), "it": node(node_type, **inputs)}
    written = export(Workflow(title="core", nodes=nodes), ENTRIES, catalog())
    assert not written.unknown
    return {each.type: each.inputs for each in written.foreign.graph.nodes.values()}


@pytest.mark.parametrize(("file", "count"), [("film_net_fp16", 0), ("rife_v4.26", 1)])
def test_rife_is_named_as_a_model_that_is_not_supported(file: str, count: int) -> None:
    kind = TABLE["FrameInterpolationModelLoader"]
    graph = imported(supplied(kind, model_name=f"{file}.safetensors"))
    assert len(used(graph.workflow, "LoadFrameInterpolationModel")) == 1
    messages = [text for each in graph.outcomes for text in each.messages if "RIFE" in text]
    assert len(messages) == count


@pytest.mark.parametrize(("dim", "axis"), [("x", "x"), ("-y", "y"), ("t", "t"), ("-t", "t")])
def test_latents_are_concatenated_in_their_order(dim: str, axis: str) -> None:
    other = chained(
        wide=("EmptySD3LatentImage", {}),
        it=("LatentConcat", {"samples2": Source("wide", 0), "dim": dim}),
    )
    [made] = used(imported(other).workflow, "ConcatLatents")
    ports = ("second", "first") if dim.startswith("-") else ("first", "second")
    assert made["axis"] == axis
    assert [origin(made, port) for port in ports] == ["empty_latent", "empty_latent_3"]


@pytest.mark.parametrize(
    ("sides", "extra"),
    [
        ((1024, 64), {}),
        ((1000, 64), {"any_size": True}),
        ((1001, 64), {"any_size": True, "multiple_of": 8}),
    ],
)
def test_an_empty_latent_takes_sizes_that_comfyui_pads(
    sides: tuple[int, int], extra: dict[str, Any]
) -> None:
    sizes = {"width": sides[0], "height": sides[1]}
    nodes = [
        drawing.node(1, "EmptyLatentImage", *sides, 1),
        drawing.node(2, "SaveLatent", "a", inputs=[drawing.linked("samples", 1, "LATENT")]),
    ]
    graph = import_document(drawing.drawn(nodes, [1, 1, 0, 2, 0]), node_table())
    [made] = used(graph.workflow, "EmptyLatent")
    assert made == {**sizes, "batch_size": 1, **extra}
    told = [text for each in graph.outcomes for text in each.messages if "whole patches" in text]
    assert len(told) == ("any_size" in extra)
    assert "any_size" not in exported("EmptyLatent", **made)["EmptyLatentImage"]


@pytest.mark.parametrize("dim", ["x", "-x"])
def test_a_bypassed_concatenation_passes_the_first_latent(dim: str) -> None:
    inputs = [drawing.linked(f"samples{at}", at, "LATENT") for at in (1, 2)]
    document = drawing.drawn(
        [
            drawing.node(1, "EmptyLatentImage", 64, 64, 1),
            drawing.node(2, "EmptyLatentImage", 128, 64, 1),
            drawing.node(3, "LatentConcat", dim, inputs=inputs, mode=4),
            drawing.node(4, "SaveLatent", "a", inputs=[drawing.linked("samples", 3, "LATENT")]),
        ],
        [1, 1, 0, 3, 0],
        [2, 2, 0, 3, 1],
        [3, 3, 0, 4, 0],
    )
    nodes = import_document(document, node_table()).workflow.nodes
    [saved] = [each for each in nodes.values() if each.type == "SaveLatent"]
    source = nodes[read_link(saved.inputs["latent"]).node]
    if source.mode == "bypass":
        source = nodes[read_link(source.inputs["first"]).node]
    assert source.inputs["width"] == 64


def test_batches_of_latents_are_split_and_joined() -> None:
    workflow = imported(supplied(TABLE["RebatchLatents"], batch_size=3)).workflow
    [chunks] = used(workflow, "ChunkList")
    assert chunks["size"] == 3
    assert origin(chunks, "items") == "latent_list"
    assert len(used(workflow, "JoinLatents")) == 1
    assert not used(imported(supplied(TABLE["RebatchLatents"])).workflow, "JoinLatents")


@pytest.mark.parametrize("count", [1, 2, 4])
def test_connected_latents_are_joined(count: int) -> None:
    links = {f"latents.latent_{index}": Source("EmptyLatentImage", 0) for index in range(count)}
    graph = supplied(TABLE["BatchLatentsNode"], **links)
    graph.nodes["node"].inputs.pop("latents.1")
    workflow = imported(graph).workflow
    [joined] = used(workflow, "JoinLatents")
    assert ("second" in joined) == (count > 1)
    if count > 2:
        [items] = used(workflow, "List")
        assert len(items) == count - 1


@pytest.mark.parametrize(("there", "here"), [("fixed", "same"), ("random", "different")])
def test_seeds_of_a_batch_keep_their_behavior(there: str, here: str) -> None:
    made = became("LatentBatchSeedBehavior", "BatchSeeds", seed_behavior=there)
    assert made["seeds"] == here
    back = exported("BatchSeeds", latent={"from": "size"}, seeds=here)
    assert back["LatentBatchSeedBehavior"]["seed_behavior"] == there


def test_noise_of_a_schedule_is_added_as_there() -> None:
    graph = chained(
        scaled=("ModelNoiseScale", {"model": MODEL, "noise_scale": 2.0}),
        it=("AddNoise", {"model": Source("scaled", 0)}),
    )
    workflow = imported(graph).workflow
    [added] = used(workflow, "AddScheduleNoise")
    assert added["convention"] == "comfyui"
    assert [each["strength"] for each in used(workflow, "ScaleNoise")] == [2.0]
    links = {"model": "load.model", "noise": "seed", "schedule": "levels", "latent": "size"}
    inputs = {port: {"from": output} for port, output in links.items()}
    back = exported("AddScheduleNoise", **inputs, convention="comfyui")["AddNoise"]
    assert set(back) == {"model", "noise", "sigmas", "latent_image"}


def test_noise_of_images_is_drawn_as_there() -> None:
    made = became("ImageAddNoise", "AddImageNoise", seed=2**64 - 1, strength=0.25)
    assert (made["seed"], made["strength"], made["draw"]) == (2**64 - 1, 0.25, "per batch")
    back = exported("AddImageNoise", image={"from": "picture"}, strength=0.25)
    assert back["ImageAddNoise"]["strength"] == 0.25


@pytest.mark.parametrize(
    ("there", "here"), [("erode", "erode"), ("top_hat", "top hat"), ("bottom_hat", "bottom hat")]
)
def test_morphology_has_a_square_of_the_same_side(there: str, here: str) -> None:
    made = became("Morphology", "MorphImage", operation=there, kernel_size=7)
    assert (made["operation"], made["radius"]) == (here, 3)
    back = exported("MorphImage", image={"from": "picture"}, operation=here, radius=3)
    assert (back["Morphology"]["operation"], back["Morphology"]["kernel_size"]) == (there, 7)


def test_a_square_with_an_even_side_is_refused() -> None:
    [fate] = imported(supplied(TABLE["Morphology"], kernel_size=4)).placeholders
    assert "odd side" in fate.untranslated_reason


def test_patches_of_guidance_are_applied_in_the_order_of_comfyui() -> None:
    """RenormCFG is the guidance itself there, so it comes before what changes its result."""
    workflow = imported(
        chained(
            biased=("Mahiro", {"model": MODEL}),
            limited=("RenormCFG", {"model": Source("biased", 0), "renorm_cfg": 0.5}),
            sample=("KSampler", {"model": Source("limited", 0)}),
        )
    ).workflow
    [limited] = used(workflow, "RenormalizeGuidance")
    [biased] = used(workflow, "PositiveBiasedGuidance")
    [sample] = used(workflow, "SampleCustom")
    assert limited["limit"] == 0.5
    assert origin(biased, "guider") == "renormalize_guidance"
    assert origin(sample, "guider") == "positive_biased_guidance"


def test_a_norm_limit_of_0_is_none_there() -> None:
    patch = ("RenormCFG", {"model": MODEL, "renorm_cfg": 0.0})
    graph = chained(patch=patch, sample=("KSampler", {"model": Source("patch", 0)}))
    workflow = imported(graph).workflow
    assert used(workflow, "CFGGuider")
    assert not used(workflow, "RenormalizeGuidance")


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        (("RenormCFG", {"cfg_trunc": 0.5}), ("Mahiro", {}), "`cfg_trunc`"),
        (("RenormCFG", {}), ("RescaleCFG", {}), "RescaleCFG"),
        (("TCFG", {}), ("RenormCFG", {}), "TCFG"),
        (("CFGNorm", {}), ("Mahiro", {}), "CFGNorm"),
        (("Mahiro", {}), ("RescaleCFG", {}), "RescaleCFG"),
    ],
)
def test_what_cannot_be_guided_so_is_refused(first: Any, second: Any, reason: str) -> None:
    graph = chained(
        first=(first[0], {"model": MODEL, **first[1]}),
        second=(second[0], {"model": Source("first", 0), **second[1]}),
        sample=("KSampler", {"model": Source("second", 0)}),
    )
    reasons = [fate.untranslated_reason for fate in imported(graph).placeholders]
    assert any(reason in each for each in reasons), reasons


def test_limits_of_guidance_go_there_and_come_back() -> None:
    workflow = sampled()
    workflow.nodes["limit"] = node("RenormalizeGuidance", guider={"from": "guide"}, limit=0.5)
    workflow.nodes["bias"] = node("PositiveBiasedGuidance", guider={"from": "limit"})
    workflow.nodes["norm"].inputs["guider"] = {"from": "bias"}
    assert meaning(there_and_back(workflow)) == meaning(workflow)


@pytest.mark.parametrize(("kind", "name"), [("Model", "model"), ("CLIP", "clip"), ("VAE", "vae")])
def test_devices_are_not_chosen_by_nodes(kind: str, name: str) -> None:
    for device, count in (("default", 0), ("cpu", 1)):
        graph = imported(supplied(TABLE[f"Select{kind}Device"], device=device))
        assert not graph.placeholders
        assert len([message for _, message in graph.differences if "devices" in message]) == count


def test_a_bypassed_lora_is_a_lora() -> None:
    inputs = {"lora_name": "a.safetensors", "strength_model": 0.5}
    for kind in ("LoraLoaderBypass", "LoraLoaderBypassModelOnly"):
        graph = chained(lora=(kind, inputs), sample=("KSampler", {"model": Source("lora", 0)}))
        [lora] = used(imported(graph).workflow, "LoadLora")
        assert lora["strength_model"] == 0.5


@pytest.mark.parametrize("layers", ["self", "cross"])
def test_attention_of_a_unet_is_scaled(layers: str) -> None:
    kind = f"UNet{layers.title()}AttentionMultiply"
    factors = {"q": 1.5, "k": 0.5, "v": 2.0, "out": 0.75}
    graph = chained(
        biased=("Mahiro", {"model": MODEL}),
        scaled=(kind, {"model": Source("biased", 0), **factors}),
        sample=("KSampler", {"model": Source("scaled", 0)}),
    )
    workflow = imported(graph).workflow
    [scaled] = used(workflow, "ScaleAttention")
    named = {name: scaled[name] for name in ("layers", "query", "key", "value", "output")}
    assert named == dict(zip(named, (layers, *factors.values()), strict=True))
    assert used(workflow, "PositiveBiasedGuidance")
    back = exported("ScaleAttention", model={"from": "load.model"}, layers=layers, key=0.5)
    assert back[kind]["k"] == 0.5


def test_attention_without_time_is_scaled_by_the_structural_factors() -> None:
    inputs = {"self_structural": 0.5, "cross_structural": 2.0, "cross_temporal": 3.0}
    found = imported(supplied(TABLE["UNetTemporalAttentionMultiply"], **inputs))
    scaled = [(each["layers"], each["output"]) for each in used(found.workflow, "ScaleAttention")]
    assert scaled == [("self", 0.5), ("cross", 2.0)]
    assert any("temporal" in message for _, message in found.differences)
    plain = imported(supplied(TABLE["UNetTemporalAttentionMultiply"]))
    assert not used(plain.workflow, "ScaleAttention")


def test_attention_of_a_text_encoder_is_scaled() -> None:
    made = became("CLIPAttentionMultiply", "ScaleEncoderAttention", q=0.5, out=2.0)
    assert (made["query"], made["key"], made["output"]) == (0.5, 1.0, 2.0)
    back = exported("ScaleEncoderAttention", encoder={"from": "load.text_encoder"}, value=3.0)
    assert back["CLIPAttentionMultiply"]["v"] == 3.0


def test_deep_shrink_is_refused_with_another_way() -> None:
    [fate] = imported(supplied(TABLE["PatchModelAddDownscale"])).placeholders
    assert "ResizeLatent" in fate.untranslated_reason
