"""What goes along with models and prompts of ComfyUI is said where something is sampled."""

from __future__ import annotations

from typing import Any

import pytest

from nodegraph.families.fibo2_captions import NULL_CAPTION
from nodegraph.interop.comfyui.foreign_workflow import ForeignGraph, ForeignNode, Source
from tests.compat.comfyui.supplied import TABLE, imported, supplied, used

MODEL = Source("CheckpointLoaderSimple", 0)


def chained(**nodes: tuple[str, dict[str, Any]]) -> ForeignGraph:
    """Nodes, each with what its type needs; the last samples."""
    made: dict[str, ForeignNode] = {}
    for name, (kind, inputs) in nodes.items():
        graph = supplied(TABLE[kind], **inputs)
        made = {**graph.nodes, **made, name: ForeignNode(name, kind, graph.nodes["node"].inputs)}
    made.pop("node", None)
    return ForeignGraph(made)


def origin(inputs: dict[str, Any], port: str) -> str:
    """The node that an input is linked to."""
    return str(inputs[port]["from"]).partition(".")[0]


def test_without_patches_it_is_a_ksampler_by_its_conventions() -> None:
    workflow = imported(chained(sample=("KSampler", {"seed": 2**63, "denoise": 0.5}))).workflow
    (sample,) = used(workflow, "KSampler")
    assert (sample["seed"], sample["denoise"], sample["denoise_steps"]) == (2**63, 0.5, "all")
    assert (sample["convention"], sample["draw"]) == ("comfyui", "per batch")


def test_patches_of_a_model_become_guiders_around_the_ksamplers_own() -> None:
    found = imported(
        chained(
            norm=("CFGNorm", {"model": MODEL, "strength": 0.9}),
            lora=("LoraLoaderModelOnly", {"model": Source("norm", 0), "lora_name": r"a\b"}),
            soft=("DifferentialDiffusion", {"model": Source("lora", 0)}),
            scaled=("ModelNoiseScale", {"model": Source("soft", 0), "noise_scale": 2.0}),
            within=("CFGOverride", {"model": Source("scaled", 0), "end_percent": 0.5}),
            sample=("KSampler", {"model": Source("within", 0), "cfg": 3.0}),
        )
    )
    workflow = found.workflow
    assert not found.placeholders
    assert not used(workflow, "KSampler")
    (sample,) = used(workflow, "SampleCustom")
    assert origin(sample, "model") == "load_lora"
    assert used(workflow, "LoadLora")[0]["lora"] == "a/b"
    assert origin(sample, "guider") == "changing_guidance"
    (within,) = used(workflow, "ChangingGuidance")
    assert (origin(within, "guider"), within["end"]) == ("norm_guidance", 0.5)
    (norm,) = used(workflow, "NormGuidance")
    assert origin(norm, "guider").startswith("cfg_guider")
    assert norm["strength"] == 0.9
    assert 3.0 in [each["cfg"] for each in used(workflow, "CFGGuider")]
    assert origin(sample, "noise") == "scale_noise"
    assert origin(sample, "latent") == "gradual_mask"


def test_a_guider_brings_the_model_that_is_sampled() -> None:
    workflow = imported(
        chained(
            shifted=("LoraLoaderModelOnly", {"model": MODEL, "lora_name": "l"}),
            guide=("CFGGuider", {"model": Source("shifted", 0)}),
            sample=("SamplerCustomAdvanced", {"guider": Source("guide", 0)}),
        )
    ).workflow
    (sample,) = used(workflow, "SampleCustom")
    assert origin(sample, "model") == "load_lora"
    assert sample["guider"]["from"].startswith("cfg_guider")


def test_a_control_net_on_one_prompt_leads_the_other_too() -> None:
    workflow = imported(
        chained(
            lead=("ControlNetApply", {"strength": 0.7}),
            sample=("KSampler", {"positive": Source("lead", 0)}),
        )
    ).workflow
    first, second = used(workflow, "ApplyControlNet")
    assert first["strength"] == second["strength"] == 0.7
    (sample,) = used(workflow, "KSampler")
    assert sample["positive"] != sample["negative"]


def test_what_a_union_is_shown_is_told_where_it_leads() -> None:
    workflow = imported(
        chained(
            kind=("SetUnionControlNetType", {"type": "openpose"}),
            lead=("ControlNetApplyAdvanced", {"control_net": Source("kind", 0)}),
            sample=("KSampler", {"positive": Source("lead", 0), "negative": Source("lead", 1)}),
        )
    ).workflow
    assert [lead["mode"] for lead in used(workflow, "ApplyControlNet")] == ["pose"]


def test_redux_is_opened_where_it_is_applied() -> None:
    workflow = imported(
        chained(style=("StyleModelApply", {"strength": 0.5}), sample=("KSampler", {}))
    ).workflow
    (redux,) = used(workflow, "LoadRedux")
    assert redux == {"redux": "none.safetensors", "image_encoder": "none.safetensors"}


def test_nothing_denoised_is_the_latent_itself() -> None:
    found = imported(
        chained(
            sample=("KSampler", {"denoise": 0.0}),
            decode=("VAEDecode", {"samples": Source("sample", 0)}),
        )
    )
    assert not used(found.workflow, "KSampler", "SampleCustom")
    assert origin(used(found.workflow, "VAEDecode")[0], "latent") == "empty_latent"


def test_samplers_go_by_what_they_do() -> None:
    for theirs, ours in {
        "ddim": "euler",
        "uni_pc": "uni_pc_bh1",
        "uni_pc_bh2": "uni_pc",
        "dpmpp_2m_sde_gpu": "dpmpp_2m_sde",
        "heun": "heun",
    }.items():
        workflow = imported(chained(sample=("KSampler", {"sampler_name": theirs}))).workflow
        assert used(workflow, "KSampler")[0]["sampler"] == ours
    found = imported(chained(sample=("KSampler", {"sampler_name": "dpm_adaptive"})))
    assert "dpm_adaptive" in found.placeholders[0].untranslated_reason


def test_text_encoders_are_of_the_family_of_the_model_that_they_lead() -> None:
    found = imported(
        chained(
            net=("UNETLoader", {"unet_name": "qwen_image_edit_2511_bf16.safetensors"}),
            clip=("CLIPLoader", {"clip_name": "qwen_2.5_vl_7b.safetensors", "type": "qwen_image"}),
            say=("TextEncodeQwenImageEditPlus", {"clip": Source("clip", 0)}),
            sample=("KSampler", {"model": Source("net", 0), "positive": Source("say", 0)}),
        )
    ).workflow
    assert used(found, "LoadTextEncoder")[0]["family"] == "qwen-image-edit-plus"
    assert used(found, "LoadDiffusionModel")[0]["family"] == "qwen-image-edit-plus"
    assert len(used(found, "ReferenceLatents")) == 3


def test_qwen_image_21_shows_its_encoder_what_it_makes_references_of() -> None:
    images = {"images.image0": Source("one", 0), "images.image1": Source("two", 0)}
    found = imported(
        chained(
            net=("UNETLoader", {"unet_name": "qwen_image_2.1_bf16.safetensors"}),
            clip=("CLIPLoader", {"clip_name": "qwen3vl_8b_bf16.safetensors", "type": "qwen_image"}),
            one=("LoadImage", {"image": "one.png"}),
            two=("LoadImage", {"image": "two.png"}),
            say=("TextEncodeQwenImage21", {"clip": Source("clip", 0), **images}),
            sample=(
                "KSampler",
                {
                    "model": Source("net", 0),
                    "positive": Source("say", 0),
                    "negative": Source("say", 1),
                    "latent_image": Source("say", 2),
                },
            ),
        )
    ).workflow
    assert used(found, "LoadTextEncoder")[0]["family"] == "qwen-image-21"
    assert {each["multiple_of"] for each in used(found, "ScaleImage")} == {32}
    scaled, encoded = used(found, "ScaleImage"), used(found, "VAEEncode")
    assert len(scaled) == len(encoded) == 3
    assert all(origin(each, "image").startswith("scale_image") for each in encoded)
    # The positive and the negative prompt.
    assert len(used(found, "EncodeEditPrompt")) == 2
    assert len(used(found, "ReferenceLatents")) == 2 * len(encoded)


@pytest.mark.parametrize(
    ("encode", "norms"), [("TextEncodeJoyImageEdit", 0), ("CLIPTextEncode", 1)]
)
def test_joyimage_keeps_the_norm_without_a_guider(encode: str, norms: int) -> None:
    found = imported(
        chained(
            clip=("CLIPLoader", {"clip_name": "mine.safetensors", "type": "joyimage"}),
            norm=("CFGNorm", {"model": MODEL, "pre_cfg": True}),
            say=(encode, {"clip": Source("clip", 0)}),
            sample=("KSampler", {"model": Source("norm", 0), "positive": Source("say", 0)}),
        )
    ).workflow
    assert len(used(found, "NormGuidance")) == norms
    assert used(found, "LoadTextEncoder")[0]["family"] == "joyimage-edit"


@pytest.mark.parametrize(
    ("file", "latents"),
    [("flux2-vae.safetensors", None), ("flux_vae.safetensors", "flux"), ("ae.sft", "flux")],
)
def test_a_vae_of_flux2_is_not_taken_for_one_of_flux1(file: str, latents: str | None) -> None:
    decode = {"vae": Source("vae", 0)}
    graph = chained(vae=("VAELoader", {"vae_name": file}), show=("VAEDecode", decode))
    assert used(imported(graph).workflow, "LoadVae")[0].get("latents") == latents


@pytest.mark.parametrize(
    ("written", "read"), [("", NULL_CAPTION), ('{"a":"{b|c}"}', '{"a":"{b|c}"}')]
)
def test_fibo2_reads_images_on_the_positive_side_alone(written: str, read: str) -> None:
    found = imported(
        chained(
            clip=("CLIPLoader", {"clip_name": "qwen3vl_4b_bf16.safetensors", "type": "fibo2"}),
            vae=("VAELoader", {"vae_name": "flux2-vae.safetensors"}),
            shown=("LoadImage", {"image": "a.png"}),
            say=(
                "TextEncodeFibo2",
                {
                    "clip": Source("clip", 0),
                    "prompt": "make it blue",
                    "negative_prompt": written,
                    "vae": Source("vae", 0),
                    "images.image_1": Source("shown", 0),
                },
            ),
            sample=(
                "KSampler",
                {
                    "positive": Source("say", 0),
                    "negative": Source("say", 1),
                    "latent_image": Source("say", 2),
                },
            ),
        )
    ).workflow
    (edit,) = used(found, "EncodeEditPrompt")
    assert edit["text"] == "make it blue"
    (sampling,) = used(found, "KSampler")
    assert origin(sampling, "positive").startswith("reference_latents")
    negative = found.nodes[origin(sampling, "negative")]
    assert (negative.type, negative.inputs["text"]) == ("EncodePrompt", read)
    assert origin(sampling, "latent").startswith("empty_latent")


BOX = {"x": 128, "y": 192, "width": 512, "height": 256, "metadata": {"desc": "a dress"}}


@pytest.mark.parametrize(
    ("boxes", "table"),
    [
        ([], None),
        ([BOX], '[{"id": "obj_1", "bbox": [188, 125, 438, 625], "desc": "a dress"}]'),
    ],
)
def test_flux3_reads_boxes_behind_the_prompt(boxes: list[Any], table: str | None) -> None:
    found = imported(
        chained(
            clip=("CLIPLoader", {"clip_name": "qwen3vl_4b_bf16.safetensors", "type": "flux3"}),
            draw=("CreateBoundingBoxes", {"width": 1024, "height": 1024, "editor_state": boxes}),
            lay=("Flux3LayoutPrompt", {"prompt": "make <obj_1> red", "element": Source("draw", 2)}),
            say=("CLIPTextEncode", {"clip": Source("clip", 0), "text": Source("lay", 0)}),
            sample=("KSampler", {"positive": Source("say", 0)}),
        )
    ).workflow
    assert used(found, "LoadTextEncoder")[0]["family"] == "flux3-klein"
    (sampling,) = used(found, "KSampler")
    encode = found.nodes[origin(sampling, "positive")].inputs
    if table is None:
        assert encode["text"] == "make <obj_1> red"
        return
    (text,) = used(found, "FormatText")
    assert text["a"] == "make <obj_1> red"
    assert text["template"].format(a="A") == f"A {table}"


@pytest.mark.parametrize(
    ("settings", "scaled"),
    [
        ({"resolution": "resize", "resolution.megapixels": 2.0}, True),
        ({"resolution": "keep resolution"}, False),
    ],
)
def test_several_references_are_appended_to_both_prompts(
    settings: dict[str, Any], scaled: bool
) -> None:
    found = imported(
        chained(
            vae=("VAELoader", {"vae_name": "flux2-vae.safetensors"}),
            shown=("LoadImage", {"image": "a.png"}),
            other=("LoadImage", {"image": "b.png"}),
            good=("CLIPTextEncode", {"text": "a cat"}),
            bad=("CLIPTextEncode", {"text": ""}),
            refer=(
                "ReferenceMultiLatent",
                {
                    "positive": Source("good", 0),
                    "negative": Source("bad", 0),
                    "vae": Source("vae", 0),
                    **settings,
                    "images.image0": Source("shown", 0),
                    "images.image1": Source("other", 0),
                },
            ),
            sample=(
                "KSampler",
                {
                    "positive": Source("refer", 0),
                    "negative": Source("refer", 1),
                    "latent_image": Source("refer", 2),
                },
            ),
        )
    ).workflow
    images = len(used(found, "VAEEncode"))
    assert images > 1
    assert len(used(found, "ReferenceLatents")) == 2 * images
    scalings = [(each["amount"], each["multiple_of"]) for each in used(found, "ScaleImage")]
    assert scalings == ([(2.0, 16)] * images if scaled else [])
    (sampling,) = used(found, "KSampler")
    assert origin(sampling, "positive").startswith("reference_latents")
    assert origin(sampling, "negative").startswith("reference_latents")
    assert found.nodes[origin(sampling, "latent")].inputs["multiple_of"] == 16


@pytest.mark.parametrize(
    ("file", "kind", "family"),
    [
        ("qwen3vl_8b_int8_convrot.safetensors", "qwen_image", "qwen-image-21"),
        ("qwen3vl_4b_fp8_scaled.safetensors", "krea2", "krea2"),
        ("ovis_2.5.safetensors", "ovis", "ovis-image"),
        ("gemma_3_12B_it.safetensors", "ltxv", "ltx2"),
        ("t5xxl_fp16.safetensors", "ltxv", "ltx"),
        ("gemma4-12b-with-proj-ltx-2.5-bf16.safetensors", "ltxv", "ltx25"),
        ("gemma4_e2b_it_int8_convrot.safetensors", "ltxv", "ltxv"),
    ],
)
def test_text_encoders_of_2026_are_of_their_family(file: str, kind: str, family: str) -> None:
    found = imported(
        chained(
            clip=("CLIPLoader", {"clip_name": file, "type": kind}),
            say=("CLIPTextEncode", {"clip": Source("clip", 0)}),
            sample=("KSampler", {"positive": Source("say", 0)}),
        )
    ).workflow
    assert used(found, "LoadTextEncoder")[0]["family"] == family


def writing(file: str, kind: str) -> ForeignGraph:
    """A text encoder that no prompt reads."""
    loader = {"clip_name": file, "type": kind}
    inputs = {"clip": Source("clip", 0), "sampling_mode.presence_penalty": 1.5}
    return ForeignGraph(
        {
            "clip": ForeignNode("clip", "CLIPLoader", loader),
            "write": ForeignNode("write", "TextGenerate", inputs),
            "show": ForeignNode("show", "PreviewAny", {"source": Source("write", 0)}),
        }
    )


@pytest.mark.parametrize(
    ("file", "kind", "family"),
    [
        ("qwen_3_4b.safetensors", "ltxv", "z-image"),
        ("qwen3vl_4b_fp8_scaled.safetensors", "ideogram4", "krea2"),
        ("mine.safetensors", "qwen_image", "qwen-image"),
    ],
)
def test_encoders_that_only_write_are_of_the_family_of_their_file(
    file: str, kind: str, family: str
) -> None:
    found = imported(writing(file, kind)).workflow
    assert used(found, "LoadTextEncoder")[0]["family"] == family
    assert used(found, "GenerateText")[0]["presence_penalty"] == 1.5


def test_ernie_images_enhancer_is_asked_without_a_template() -> None:
    """ComfyUI has none for it: templates write it into the prompt."""
    found = imported(writing("ernie-image-prompt-enhancer.safetensors", "flux2")).workflow
    assert used(found, "LoadTextEncoder")[0]["family"] == "ernie-image"
    assert used(found, "GenerateText")[0]["chat"] is False


def test_language_models_of_no_family_are_loaded_as_such() -> None:
    found = imported(writing("qwen3.5_4b_bf16.safetensors", "stable_diffusion"))
    assert used(found.workflow, "LoadLanguageModel") == [{"model": "qwen3.5_4b_bf16.safetensors"}]
    (writer,) = used(found.workflow, "GenerateText")
    assert writer["encoder"] == {"from": "load_text_encoder.language_model"}
    (told,) = [each.messages for each in found.outcomes if each.type == "CLIPLoader"]
    assert "a folder as transformers saves it" in told[0]


def test_models_that_edit_are_told_by_encoders_of_their_kind_alone() -> None:
    found = imported(
        chained(
            net=("UNETLoader", {"unet_name": "mine.safetensors"}),
            clip=("CLIPLoader", {"clip_name": "qwen3vl_4b.safetensors", "type": "krea2"}),
            show=("LoadImage", {"image": "one.png"}),
            say=(
                "TextEncodeQwenImageEditPlus",
                {"clip": Source("clip", 0), "image1": Source("show", 0)},
            ),
            sample=("KSampler", {"model": Source("net", 0), "positive": Source("say", 0)}),
        )
    ).workflow
    assert used(found, "LoadTextEncoder")[0]["family"] == "krea2"
    assert "family" not in used(found, "LoadDiffusionModel")[0]


def test_a_file_without_its_text_encoder_is_loaded_part_by_part() -> None:
    file, gemma = "ltx-2-19b-dev.safetensors", "gemma_3_12B_it.safetensors"
    found = imported(
        chained(
            model=("CheckpointLoaderSimple", {"ckpt_name": file}),
            ears=("LTXVAudioVAELoader", {"ckpt_name": file}),
            clip=("LTXAVTextEncoderLoader", {"text_encoder": gemma, "ckpt_name": file}),
            say=("CLIPTextEncode", {"clip": Source("clip", 0)}),
            sample=("KSampler", {"model": Source("model", 0), "positive": Source("say", 0)}),
            see=("VAEDecode", {"samples": Source("sample", 0), "vae": Source("model", 2)}),
            hear=(
                "LTXVAudioVAEDecode",
                {"samples": Source("sample", 0), "audio_vae": Source("ears", 0)},
            ),
        )
    ).workflow
    assert file not in [each["model"] for each in used(found, "LoadModel")]
    assert [each["model"] for each in used(found, "LoadDiffusionModel")] == [file]
    assert [each["vae"] for each in used(found, "LoadVae")] == [file, file]
    (encoder,) = used(found, "LoadTextEncoder")
    assert (encoder["family"], encoder["file"], encoder["file_2"]) == ("ltx2", gemma, file)


def test_guides_of_a_video_lie_in_its_latent() -> None:
    graph = chained(
        say=("CLIPTextEncode", {"text": "a fox"}),
        plain=("EmptyLTXVLatentVideo", {"width": 64, "height": 64, "length": 126}),
        first=("LTXVImgToVideoInplace", {"latent": Source("plain", 0), "strength": 0.7}),
        last=(
            "LTXVAddGuide",
            {"positive": Source("say", 0), "latent": Source("first", 0), "frame_idx": -1},
        ),
        sample=("KSampler", {"positive": Source("last", 0), "latent_image": Source("last", 2)}),
        crop=("LTXVCropGuides", {"positive": Source("last", 0), "latent": Source("sample", 0)}),
        see=("VAEDecode", {"samples": Source("crop", 2)}),
    )
    found = imported(graph)
    assert not found.placeholders
    workflow = found.workflow
    first, last = used(workflow, "AddFrameGuide")
    assert used(workflow, "EmptyVideoLatent")[0]["frames"] == 121
    assert (first["strength"], first.get("append", False)) == (0.7, False)
    assert (last["frame"], last["append"]) == (-1, True)
    assert origin(last, "latent") == "add_frame_guide"
    (sampled,) = used(workflow, "KSampler")
    assert origin(sampled, "positive").startswith("encode_prompt")
    assert origin(sampled, "latent") == "add_frame_guide_2"
    assert origin(used(workflow, "VAEDecodeVideo")[0], "latent") == "remove_frame_guides"
    assert any("strength below 1" in told for item in found.outcomes for told in item.messages)


@pytest.mark.parametrize("bypass", [True, Source("decide", 0)])
def test_a_guide_is_bypassed(bypass: Any) -> None:
    graph = chained(
        decide=("StringContains", {}),
        plain=("EmptyLTXVLatentVideo", {"width": 64, "height": 64}),
        first=("LTXVImgToVideoInplace", {"latent": Source("plain", 0), "bypass": bypass}),
        sample=("KSampler", {"latent_image": Source("first", 0)}),
    )
    workflow = imported(graph).workflow
    (sampled,) = used(workflow, "KSampler")
    expected = "empty_video_latent" if bypass is True else "switch"
    assert origin(sampled, "latent") == expected


def test_one_scale_guides_a_video_and_its_sound() -> None:
    graph = chained(
        guide=("LTXVDualCFGGuider", {"video_cfg": 3.0, "audio_cfg": 7.0}),
        sample=("SamplerCustomAdvanced", {"guider": Source("guide", 0)}),
    )
    found = imported(graph)
    assert not found.placeholders
    assert 3.0 in [each["cfg"] for each in used(found.workflow, "CFGGuider")]
    assert any("one scale" in told for item in found.outcomes for told in item.messages)


def test_prompts_of_videos_are_enhanced() -> None:
    graph = chained(
        write=("TextGenerateLTX2Prompt", {"prompt": "a fox", "max_length": 30_000}),
        say=("CLIPTextEncode", {"text": Source("write", 0)}),
        sample=("KSampler", {"positive": Source("say", 0)}),
    )
    (made,) = used(imported(graph).workflow, "EnhancePrompt")
    assert (made["prompt"], made["style"], made["max_tokens"]) == ("a fox", "video", 4096)


def test_plain_prompts_are_read_as_those_of_the_model_that_does_not_edit() -> None:
    found = imported(
        chained(
            net=("UNETLoader", {"unet_name": "qwen_image_edit_2511_bf16.safetensors"}),
            clip=("CLIPLoader", {"clip_name": "qwen_2.5_vl_7b.safetensors", "type": "qwen_image"}),
            say=("CLIPTextEncode", {"clip": Source("clip", 0)}),
            sample=("KSampler", {"model": Source("net", 0), "positive": Source("say", 0)}),
        )
    ).workflow
    assert used(found, "LoadTextEncoder")[0]["family"] == "qwen-image"
    assert used(found, "LoadDiffusionModel")[0]["family"] == "qwen-image-edit-plus"


@pytest.mark.parametrize(
    ("method", "says"),
    [
        ("index", {"places": "index"}),
        ("index_timestep_zero", {"places": "index", "still": True}),
        ("offset", None),
    ],
)
def test_how_pictures_are_told_apart_is_said_behind_them(
    method: str, says: dict[str, Any] | None
) -> None:
    found = imported(
        chained(
            say=("CLIPTextEncode", {}),
            show=("ReferenceLatent", {"conditioning": Source("say", 0)}),
            how=(
                "FluxKontextMultiReferenceLatentMethod",
                {"conditioning": Source("show", 0), "reference_latents_method": method},
            ),
            sample=("KSampler", {"positive": Source("how", 0)}),
        )
    ).workflow
    shown, *told = used(found, "ReferenceLatents")
    assert "places" not in shown
    assert [{k: v for k, v in each.items() if k != "conditioning"} for each in told] == (
        [] if says is None else [says]
    )


def test_kinds_of_text_encoders_are_told_by_their_files() -> None:
    for file, kind, family in (
        ("qwen_3_4b.safetensors", "lumina2", "z-image"),
        ("gemma_2_2b.safetensors", "lumina2", "lumina2"),
        ("qwen_3_8b_fp8mixed.safetensors", "flux2", "flux2-klein"),
        ("ministral-3-3b.safetensors", "flux2", "ernie-image"),
        ("mistral_3_small_flux2_fp8.safetensors", "flux2", "flux2"),
        ("mine.safetensors", "ernie_image", "ernie-image"),
        ("mine.safetensors", "ernie-image", "ernie-image"),
        ("qwen3vl_8b_fp8_scaled.safetensors", "ideogram4", "ideogram4"),
        ("qwen3vl_4b_bf16.safetensors", "fibo2", "fibo2"),
        ("qwen3vl_8b_joyimage_edit.safetensors", "joyimage", "joyimage-edit"),
        ("clip_l.safetensors", "stable_diffusion", "sd1"),
        ("qwen_3_06b_base.safetensors", "stable_diffusion", "anima"),
        ("whatever.safetensors", "anima", "anima"),
        ("whatever.safetensors", "mochi", "mochi"),
        ("whatever.safetensors", "hunyuan_video_15", "hunyuan-video-15"),
    ):
        workflow = imported(
            chained(
                clip=("CLIPLoader", {"clip_name": file, "type": kind}),
                say=("CLIPTextEncode", {"clip": Source("clip", 0)}),
                sample=("KSampler", {"positive": Source("say", 0)}),
            )
        ).workflow
        assert used(workflow, "LoadTextEncoder")[0]["family"] == family


def test_words_that_were_learnt_are_taught_to_the_encoder() -> None:
    text = "a (embedding:sub/old.pt:1.2) house"
    workflow = imported(
        chained(
            say=("CLIPTextEncode", {"text": text}),
            sample=("KSampler", {"positive": Source("say", 0)}),
        )
    ).workflow
    (taught,) = used(workflow, "LoadTextualInversion")
    assert (taught["embedding"], taught["token"]) == ("sub/old.pt", "embedding:sub/old.pt")


def cosmos(**more: Any) -> ForeignGraph:
    """A world of an image, as the template of Cosmos Predict2 has it."""
    image = {"vae": Source("vae", 0), "width": 848, "height": 480, "length": 93}
    file = "cosmos_predict2_2B_video2world_480p_16fps.safetensors"
    encoder = {"clip_name": "oldt5_xxl_fp8_e4m3fn_scaled.safetensors", "type": "cosmos"}
    graph = chained(
        net=("UNETLoader", {"unet_name": file}),
        vae=("VAELoader", {"vae_name": "wan_2.1_vae.safetensors"}),
        clip=("CLIPLoader", encoder),
        say=("CLIPTextEncode", {"clip": Source("clip", 0)}),
        show=("LoadImage", {"image": "one.png"}),
        empty=("CosmosPredict2ImageToVideoLatent", image),
        sample=(
            "KSampler",
            {
                "model": Source("net", 0),
                "positive": Source("say", 0),
                "latent_image": Source("empty", 0),
            },
        ),
    )
    empty = ForeignNode("empty", "CosmosPredict2ImageToVideoLatent", {**image, **more})
    return ForeignGraph({**graph.nodes, "empty": empty})


def test_first_images_of_a_latent_go_to_the_positive_prompt_of_its_sampler() -> None:
    found = imported(cosmos(start_image=Source("show", 0)))
    assert not found.placeholders
    (conditioned,) = used(found.workflow, "ImageToVideoConditioning")
    assert origin(conditioned, "image") == "resize_image"
    assert conditioned["frames"] == 93
    (sampled,) = used(found.workflow, "KSampler")
    assert origin(sampled, "positive") == "image_to_video_conditioning"
    assert origin(sampled, "latent") == "image_to_video_conditioning"
    assert used(found.workflow, "LoadTextEncoder")[0]["family"] == "cosmos-predict2"


def test_worlds_without_a_first_image_begin_with_nothing() -> None:
    found = imported(cosmos())
    assert not found.placeholders
    assert not used(found.workflow, "ImageToVideoConditioning")
    last = imported(cosmos(end_image=Source("show", 0)))
    assert any("`end_image` is not used" in message for _, message in last.differences)


def hunyuan_video() -> ForeignGraph:
    """A video of an image, as the template of HunyuanVideo 1.5 has it."""
    size = {"width": 1280, "height": 720, "length": 121, "batch_size": 1}
    both = {"positive": Source("say", 0), "negative": Source("say", 0)}
    seen = {"clip_vision": Source("eyes", 0), "image": Source("show", 0)}
    start = {"start_image": Source("show", 0), "clip_vision_output": Source("look", 0)}
    files = {"clip_name1": "qwen.safetensors", "clip_name2": "byt5.safetensors"}
    sampled = {f"{name}": Source("film", at) for at, name in enumerate(both)}
    return chained(
        net=("UNETLoader", {"unet_name": "hunyuanvideo1.5_720p_i2v_fp16.safetensors"}),
        vae=("VAELoader", {"vae_name": "hunyuanvideo15_vae_fp16.safetensors"}),
        clip=("DualCLIPLoader", {**files, "type": "hunyuan_video_15"}),
        say=("CLIPTextEncode", {"clip": Source("clip", 0)}),
        show=("LoadImage", {"image": "one.png"}),
        eyes=("CLIPVisionLoader", {"clip_name": "sigclip_vision_patch14_384.safetensors"}),
        look=("CLIPVisionEncode", {**seen, "crop": "center"}),
        film=("HunyuanVideo15ImageToVideo", {"vae": Source("vae", 0), **size, **both, **start}),
        sample=(
            "KSampler",
            {"model": Source("net", 0), **sampled, "latent_image": Source("film", 2)},
        ),
    )


def test_videos_of_hunyuan_begin_with_an_image_that_siglip_sees() -> None:
    found = imported(hunyuan_video())
    assert not found.placeholders
    (conditioned,) = used(found.workflow, "ImageToVideoConditioning")
    assert origin(conditioned, "image") == "resize_image"
    assert origin(conditioned, "image_encoder") == "load_image_encoder"
    assert conditioned["frames"] == 121
    (eyes,) = used(found.workflow, "LoadImageEncoder")
    assert eyes["image_encoder"] == "sigclip_vision_patch14_384.safetensors"
    assert used(found.workflow, "LoadTextEncoder")[0]["family"] == "hunyuan-video-15"


def hunyuan_video_i2v(guidance: str, model: str) -> ForeignGraph:
    """A video of an image by HunyuanVideo 1.0, as ComfyUI's examples have it."""
    size = {"width": 720, "height": 720, "length": 53, "batch_size": 1}
    seen = {"clip_vision": Source("eyes", 0), "image": Source("show", 0)}
    files = {"clip_name1": "clip_l.safetensors", "clip_name2": "llava_llama3_fp8_scaled"}
    asked = {"prompt": "a cat", "image_interleave": 2}
    return chained(
        net=("UNETLoader", {"unet_name": model}),
        vae=("VAELoader", {"vae_name": "hunyuan_video_vae_bf16.safetensors"}),
        clip=("DualCLIPLoader", {**files, "type": "hunyuan_video"}),
        show=("LoadImage", {"image": "one.png"}),
        eyes=("CLIPVisionLoader", {"clip_name": "llava_llama3_vision.safetensors"}),
        look=("CLIPVisionEncode", {**seen, "crop": "none"}),
        say=(
            "TextEncodeHunyuanVideo_ImageToVideo",
            {"clip": Source("clip", 0), "clip_vision_output": Source("look", 0), **asked},
        ),
        led=("FluxGuidance", {"conditioning": Source("say", 0), "guidance": 6.0}),
        film=(
            "HunyuanImageToVideo",
            {
                "positive": Source("led", 0),
                "vae": Source("vae", 0),
                **size,
                "guidance_type": guidance,
                "start_image": Source("show", 0),
            },
        ),
        guide=("BasicGuider", {"model": Source("net", 0), "conditioning": Source("film", 0)}),
        sample=(
            "SamplerCustomAdvanced",
            {"guider": Source("guide", 0), "latent_image": Source("film", 1)},
        ),
    )


@pytest.mark.parametrize(
    ("guidance", "model", "family", "stated"),
    [
        ("v2 (replace)", "whatever.safetensors", "hunyuan-video-i2v", "hunyuan-video-i2v"),
        ("v1 (concat)", "whatever.safetensors", *["hunyuan-video-i2v-v1"] * 2),
        (
            "v2 (replace)",
            "hunyuan_video_v2_replace_image_to_video_720p_bf16.safetensors",
            *["hunyuan-video-i2v"] * 2,
        ),
        (
            "v1 (concat)",
            "hunyuan_video_image_to_video_720p_bf16.safetensors",
            *["hunyuan-video-i2v-v1"] * 2,
        ),
    ],
)
def test_the_text_encoder_of_hunyuan_video_looks_at_the_image(
    guidance: str, model: str, family: str, stated: str
) -> None:
    found = imported(hunyuan_video_i2v(guidance, model))
    assert not found.placeholders
    (prompt,) = used(found.workflow, "EncodeEditPrompt")
    assert prompt["text"] == "a cat"
    assert origin(prompt, "images") == "load_image"
    (encoder,) = used(found.workflow, "LoadTextEncoder")
    assert encoder["family"] == family
    assert encoder["file_3"] == "llava_llama3_vision.safetensors"
    (loaded,) = used(found.workflow, "LoadDiffusionModel")
    assert loaded["family"] == stated
    (conditioned,) = used(found.workflow, "ImageToVideoConditioning")
    assert (conditioned["frames"], origin(conditioned, "image")) == (53, "resize_image")


def test_models_of_hunyuan_custom_are_refused() -> None:
    found = imported(hunyuan_video_i2v("custom", "hunyuan_video_custom_720p.safetensors"))
    assert "HunyuanCustom" in str(found)


def patched(kind: str, **inputs: Any) -> ForeignGraph:
    """A model with a control network as patches, sampled."""
    return ForeignGraph(
        {
            **chained(
                net=("UNETLoader", {"unet_name": "z_image_turbo_bf16.safetensors"}),
                patch=("ModelPatchLoader", {"name": "Z-Image-Turbo-Fun-Controlnet-Union.st"}),
                vae=("VAELoader", {"vae_name": "ae.safetensors"}),
                see=("LoadImage", {"image": "edges.png"}),
                sample=("KSampler", {"model": Source("led", 0)}),
            ).nodes,
            "led": ForeignNode(
                "led",
                kind,
                {
                    "model": Source("net", 0),
                    "model_patch": Source("patch", 0),
                    "vae": Source("vae", 0),
                    "strength": 0.8,
                    **inputs,
                },
            ),
        }
    )


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("QwenImageDiffsynthControlnet", {}),
        ("ZImageFunControlnet", {"inpaint_image": Source("see", 0)}),
    ],
)
def test_control_networks_as_patches_stand_beside_the_prompts(
    kind: str, more: dict[str, Source]
) -> None:
    found = imported(patched(kind, image=Source("see", 0), mask=Source("see", 1), **more))
    (applied,) = used(found.workflow, "ApplyControlNet")
    assert (applied["strength"], applied["crop"]) == (0.8, True)
    for port, of in (("image", "LoadImage"), ("mask", "ResizeMask"), ("vae", "LoadVae")):
        assert found.workflow.nodes[origin(applied, port)].type == of
    assert [name for name in more if origin(applied, name)] == list(more)
    assert used(found.workflow, "LoadControlNet")


@pytest.mark.parametrize("names", [("image", "inpaint_image"), ("image", "mask"), ("mask",)])
def test_a_part_of_what_fills_by_z_images_network_is_refused(names: tuple[str, ...]) -> None:
    ports = {"image": 0, "inpaint_image": 0, "mask": 1}
    inputs = {name: Source("see", ports[name]) for name in names}
    found = imported(patched("ZImageFunControlnet", **inputs))
    assert "alone or with an image to fill and its mask" in str(found)
