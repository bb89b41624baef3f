"""Model patches: guidance, prediction type, IP-Adapter, speed-ups."""

from __future__ import annotations

from typing import Any

from nodegraph.families.index import INDEX
from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry, same
from nodegraph.interop.comfyui.table.carried_values import (
    FAMILY,
    GRADUAL,
    GUIDE,
    NOISE_SCALE,
    guide_of,
    only_back,
    patch,
    patched,
    put_on_model,
    refuse_unsupported,
)
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable


def _wrap_back(there: str, **names: str) -> Translate:
    """The way back of a guider around another one: a patch of the model.

    Args:
        names: The patch's inputs, and what they are called here.
    """

    def backward(node: Passage) -> None:
        refuse_unsupported(node, "guider", *names.values())
        taken = {their: node.inputs[our] for their, our in names.items()}
        node.give("guider", Signal(None, {GUIDE: guide_of(node).patched(node, there, **taken)}))

    return backward


def _rescale_back(node: Passage) -> None:
    refuse_unsupported(node, "guider", "rescale", "of")
    if node.literal("of") != "velocity":
        node.tell(
            "ComfyUI uses the standard deviation of velocities: results of models that "
            "predict noise differ"
        )
    guide = guide_of(node).patched(node, "RescaleCFG", multiplier=node.inputs["rescale"])
    node.give("guider", Signal(None, {GUIDE: guide}))


def _renormalize_back(node: Passage) -> None:
    guide, limit = guide_of(node), node.inputs["limit"]
    guide = guide.patched(node, "RenormCFG", cfg_trunc=100.0, renorm_cfg=limit)
    node.give("guider", Signal(None, {GUIDE: guide}))


def _operation_back(there: str, **names: str) -> Translate:
    """The way back of an operation on the difference of two predictions.

    Args:
        names: Inputs of the operation there, and what they are called here.
    """

    def backward(node: Passage) -> None:
        operation = node.imply(there, **{their: node.inputs[our] for their, our in names.items()})
        made = MadeOutput(operation, "LATENT_OPERATION")
        guide = guide_of(node).patched(node, "LatentApplyOperationCFG", operation=made)
        node.give("guider", Signal(None, {GUIDE: guide}))

    return backward


def _changing_back(node: Passage) -> None:
    if node.literal("law") != "within":
        raise Untranslatable("ComfyUI has no scale that changes from step to step")
    names = {"cfg": "cfg", "start_percent": "start", "end_percent": "end"}
    taken = {their: node.inputs[our] for their, our in names.items()}
    node.give("guider", Signal(None, {GUIDE: guide_of(node).patched(node, "CFGOverride", **taken)}))


def _limit_back(node: Passage) -> None:
    """A part of the sampling that is guided: the rest there has a scale of 1."""
    guide, start, end = guide_of(node), node.literal("start"), node.literal("end")
    for first, last in ((0.0, start), (end, 1.0)):
        if first < last:
            taken = {"cfg": 1.0, "start_percent": first, "end_percent": last}
            guide = guide.patched(node, "CFGOverride", **taken)
    node.give("guider", Signal(None, {GUIDE: guide}))


def _skip_back(node: Passage) -> None:
    parts = [part.strip() for part in str(node.literal("layers")).split(",") if part.strip()]
    single = [part.removeprefix("single.") for part in parts if part.startswith("single.")]
    double = [part for part in parts if not part.startswith("single.")]
    if not parts or not all(part.isdigit() for part in (*single, *double)):
        raise Untranslatable("ComfyUI takes only block numbers as layers")
    names = {"start_percent": "start", "end_percent": "end"}
    taken: dict[str, Any] = {their: node.inputs[our] for their, our in names.items()}
    taken |= {"double_layers": ", ".join(double), "single_layers": ", ".join(single)}
    prompt = node.inputs.get("prompt")
    kind = "SkipLayerGuidanceDiTSimple"
    if prompt is None or prompt.content != "negative":
        kind, taken["scale"] = "SkipLayerGuidanceDiT", node.inputs["scale"]
    node.give("guider", Signal(None, {GUIDE: guide_of(node).patched(node, kind, **taken)}))


def _along_back(output: str, key: str, value: str, through: str) -> Translate:
    """The way back of what is a patch of the model there: it goes along."""

    def backward(node: Passage) -> None:
        node.give(output, node.inputs[through].with_carried(**{key: (node, node.inputs[value])}))

    return backward


def _passed(message: str = "", *neutral: tuple[str, Any], output: str = "MODEL") -> Translate:
    """A patch that changes no result, or none with some values: the model goes through.

    Args:
        message: What is told; nothing where it is empty or the values are the neutral ones.
        neutral: Inputs with the values by which it changes nothing.
    """

    def forward(node: Passage) -> None:
        is_neutral = all(node.inputs[name].content == value for name, value in neutral)
        if message and not (neutral and is_neutral):
            node.tell(message)
        name = next((name for name in ("model", "clip", "vae") if name in node.inputs), "")
        if not name:
            raise Untranslatable("the model that it patches is not connected")
        node.give(output, node.inputs[name])

    return forward


def _prediction(node: Passage) -> None:
    kinds = {
        "eps": "epsilon",
        "v_prediction": "v_prediction",
        "x0": "sample",
        "lcm": "epsilon",
    }
    prediction = node.literal("sampling")
    if prediction not in kinds:
        raise Untranslatable(f"nodegraph has no prediction type {prediction}")
    node.keep(sampling=prediction)
    name = node.add(
        "SetPrediction",
        model=node.inputs["model"],
        prediction_type=kinds[prediction],
        zero_terminal_snr="on" if node.literal("zsnr") else "auto",
    )
    node.give("MODEL", MadeOutput(name, "model"))


def _aura_shift(node: Passage) -> None:
    prediction = node.literal("sampling")
    if prediction == "img_to_img_velocity":
        patched(node)
    elif prediction == "flow":
        _AURA.forward(node)
    else:
        raise Untranslatable(f"nodegraph has no model sampling {prediction}")


_AURA = same(
    'ModelSamplingAuraFlow(model: MODEL, shift: FLOAT = 1.73, sampling: COMBO = "flow") -> MODEL',
    "SetFlowShift",
    kept=("sampling",),
)


def _prediction_back(node: Passage) -> None:
    kinds = {"epsilon": "eps", "v_prediction": "v_prediction", "sample": "x0"}
    kind = node.literal("prediction_type")
    if kind not in kinds:
        raise Untranslatable("ComfyUI requires a prediction type")
    prediction = node.kept.get("sampling") if kind == "epsilon" else None
    name = node.add(
        "ModelSamplingDiscrete",
        model=node.inputs["model"],
        sampling=prediction or kinds[kind],
        zsnr=node.literal("zero_terminal_snr") == "on",
    )
    node.give("model", MadeOutput(name, "MODEL"))


def _adapter(node: Passage) -> None:
    """An IP-Adapter on the model; here, all prompts of a sampling go through it."""
    start = node.inputs["start_at"].content if "start_at" in node.inputs else 0
    end = node.inputs["end_at"].content if "end_at" in node.inputs else 1
    if (start, end) != (0, 1):
        node.tell("nodegraph applies the IP-Adapter to all steps")
    weight_type = node.inputs.get("weight_type")
    if weight_type is not None and weight_type.content not in ("standard", "linear", "original"):
        node.tell(
            f"nodegraph applies the IP-Adapter to all layers equally, not by {weight_type.content}"
        )
    adapter = node.inputs["ipadapter"]
    file = adapter.carried.get("adapter_file")
    if file is None:
        raise Untranslatable("the file of its IP-Adapter is not known")
    eyes = node.inputs["clip_vision"].carried if "clip_vision" in node.inputs else {}
    loaded = node.add("LoadIPAdapter", ip_adapter=file, image_encoder=eyes.get("vision_file"))
    values = {
        "type": "ApplyIPAdapter",
        "ip_adapter": MadeOutput(loaded, "ip_adapter"),
        "image": node.inputs["image"],
        "mask": node.inputs.get("attn_mask"),
        "weight": node.inputs["weight"],
    }
    put_on_model(node, values)


_MODEL = "model: MODEL"
_SPAN = "start_percent: FLOAT = {}, end_percent: FLOAT = {}"
_LAYERS = 'double_layers: STRING = "7, 8, 9", single_layers: STRING = "7, 8, 9"'

_NODES = (
    same("ModelSamplingSD3(model: MODEL, shift: FLOAT = 3.0) -> MODEL", "SetFlowShift"),
    TableEntry(_AURA.signature, _aura_shift, "SetFlowShift", _AURA.backward),
    same(
        "ModelSamplingFlux(model: MODEL, max_shift: FLOAT = 1.15, base_shift: FLOAT = 0.5, "
        "width: INT = 1024, height: INT = 1024) -> MODEL",
        "SetFlowShiftBySize",
    ),
    entry(
        f'ModelSamplingDiscrete({_MODEL}, sampling: COMBO = "eps", zsnr: BOOLEAN = false) -> MODEL',
        _prediction,
        "SetPrediction",
        _prediction_back,
    ),
    same(
        f"FreeU_V2({_MODEL}, b1: FLOAT = 1.3, b2: FLOAT = 1.4, s1: FLOAT = 0.9, s2: FLOAT = 0.2)"
        " -> MODEL",
        "FreeU",
    ),
    same(
        f"FreeU({_MODEL}, b1: FLOAT = 1.1, b2: FLOAT = 1.2, s1: FLOAT = 0.9, s2: FLOAT = 0.2)"
        " -> MODEL",
        "FreeU",
        fixed={"version": "v1"},
    ),
)

_PROJECTIONS = {"q": "query", "k": "key", "v": "value", "out": "output"}
_FACTORS = ", ".join(f"{name}: FLOAT = 1.0" for name in _PROJECTIONS)
_UNET = "UNet2DConditionModel"
_TEMPORAL = ("self_temporal", "cross_temporal")


def _multiplied(layers: str) -> TableEntry:
    return same(
        f"UNet{layers.title()}AttentionMultiply({_MODEL}, {_FACTORS}) -> MODEL",
        "ScaleAttention",
        _PROJECTIONS,
        fixed={"layers": layers},
    )


def _output_multiplied(node: Passage) -> None:
    """Factors of what attention gives; those of temporal layers change no model that is here."""
    family = INDEX.get(node.inputs["model"].carried.get(FAMILY, ""))
    if family is not None and _UNET not in family.denoisers:
        # ComfyUI's transformers have no such places, so that nothing reads the factors.
        node.tell("it changes UNets only and has no effect on this model")
        node.give("MODEL", node.inputs["model"])
        return
    if any(node.inputs[name].content != 1 for name in _TEMPORAL):
        node.tell("nodegraph has no UNet with temporal attention, so its factors have no effect")
    model: Signal | MadeOutput = node.inputs["model"]
    for layers in ("self", "cross"):
        factor = node.inputs[f"{layers}_structural"]
        if factor.is_link or factor.content != 1:
            name = node.add("ScaleAttention", model=model, layers=layers, output=factor)
            model = MadeOutput(name, "model")
    carried = node.inputs["model"].carried
    node.give("MODEL", Signal(model, carried) if isinstance(model, MadeOutput) else model)


def _no_deep_shrink(node: Passage) -> None:
    raise Untranslatable(
        "nodegraph does not shrink a UNet's features in the first steps (Kohya deep shrink); "
        "sample at a lower resolution first, then scale the latent with ResizeLatent"
    )


_ATTENTION = (
    entry(
        f"PatchModelAddDownscale({_MODEL}, block_number: INT = 3, downscale_factor: FLOAT = 2.0, "
        f"{_SPAN.format('0.0', '0.35')}, downscale_after_skip: BOOLEAN = true, "
        'downscale_method: COMBO = "bicubic", upscale_method: COMBO = "bicubic") -> MODEL',
        _no_deep_shrink,
    ),
    _multiplied("self"),
    _multiplied("cross"),
    entry(
        f"UNetTemporalAttentionMultiply({_MODEL}, self_structural: FLOAT = 1.0, "
        "self_temporal: FLOAT = 1.0, cross_structural: FLOAT = 1.0, "
        "cross_temporal: FLOAT = 1.0) -> MODEL",
        _output_multiplied,
    ),
    same(
        f"CLIPAttentionMultiply(clip: CLIP, {_FACTORS}) -> CLIP",
        "ScaleEncoderAttention",
        {"clip": "encoder", **_PROJECTIONS},
    ),
)

_GUIDING = (
    entry(
        f"CFGNorm({_MODEL}, strength: FLOAT = 1.0, pre_cfg: BOOLEAN? = false)"
        " -> patched_model: MODEL",
        patch("patched_model"),
        "NormGuidance",
        _wrap_back("CFGNorm", strength="strength"),
    ),
    entry(
        f"RescaleCFG({_MODEL}, multiplier: FLOAT = 0.7) -> MODEL",
        patch(),
        "RescaleGuidance",
        _rescale_back,
    ),
    entry(
        f"RenormCFG({_MODEL}, cfg_trunc: FLOAT = 100.0, renorm_cfg: FLOAT = 1.0) -> MODEL",
        patch(),
        "RenormalizeGuidance",
        _renormalize_back,
    ),
    entry(
        f"Mahiro({_MODEL}) -> patched_model: MODEL",
        patch("patched_model"),
        "PositiveBiasedGuidance",
        _wrap_back("Mahiro"),
    ),
    entry(f"CFGZeroStar({_MODEL}) -> patched_model: MODEL", patch("patched_model")),
    entry(f"TCFG({_MODEL}) -> patched_model: MODEL", patch("patched_model")),
    entry(
        f"APG({_MODEL}, eta: FLOAT = 1.0, norm_threshold: FLOAT = 5.0, momentum: FLOAT = 0.0)"
        " -> MODEL",
        patch(),
    ),
    entry(
        f"CFGOverride({_MODEL}, cfg: FLOAT = 1.0, {_SPAN.format('0.0', '1.0')}) -> MODEL",
        patch(),
        "ChangingGuidance",
        _changing_back,
    ),
    entry(
        f"SkipLayerGuidanceDiT({_MODEL}, {_LAYERS}, scale: FLOAT = 3.0, "
        f"{_SPAN.format('0.01', '0.15')}, rescaling_scale: FLOAT = 0.0) -> MODEL",
        patch(),
        "SkipLayerGuidance",
        _skip_back,
    ),
    entry(
        f"SkipLayerGuidanceDiTSimple({_MODEL}, {_LAYERS}, {_SPAN.format('0.0', '1.0')}) -> MODEL",
        patch(),
    ),
    entry(
        f'SkipLayerGuidanceSD3({_MODEL}, layers: STRING = "7, 8, 9", scale: FLOAT = 3.0, '
        f"{_SPAN.format('0.01', '0.15')}) -> MODEL",
        patch(),
    ),
    entry(
        f"PerturbedAttentionGuidance({_MODEL}, scale: FLOAT = 3.0) -> MODEL",
        patch(),
        "PerturbedAttentionGuidance",
        _wrap_back("PerturbedAttentionGuidance", scale="scale"),
    ),
    entry(
        f"SelfAttentionGuidance({_MODEL}, scale: FLOAT = 0.5, blur_sigma: FLOAT = 2.0) -> MODEL",
        patch(),
        "SelfAttentionGuidance",
        _wrap_back("SelfAttentionGuidance", scale="scale", blur_sigma="blur"),
    ),
    entry(
        f"DifferentialDiffusion({_MODEL}, strength: FLOAT? = 1.0) -> MODEL",
        patch(),
        "GradualMask",
        _along_back("latent", GRADUAL, "strength", "latent"),
    ),
    entry(
        f"ModelNoiseScale({_MODEL}, noise_scale: FLOAT = 1.0) -> MODEL",
        patch(),
        "ScaleNoise",
        _along_back("noise", NOISE_SCALE, "strength", "noise"),
    ),
    entry(
        f"LatentApplyOperationCFG({_MODEL}, operation: LATENT_OPERATION) -> MODEL",
        patch(),
        "ToneMapGuidance",
        _operation_back("LatentOperationTonemapReinhard", multiplier="multiplier"),
    ),
    only_back(
        "SharpenGuidance",
        _operation_back(
            "LatentOperationSharpen", sharpen_radius="radius", sigma="sigma", alpha="amount"
        ),
    ),
    entry(
        f"PerpNeg({_MODEL}, empty_conditioning: CONDITIONING, neg_scale: FLOAT = 1.0) -> MODEL",
        patch(),
    ),
    only_back("LimitGuidance", _limit_back),
)

_PASSED = (
    entry(
        f'ModelAttentionBackend({_MODEL}, attention: COMBO = "pytorch attention") -> model: MODEL',
        _passed(
            "nodegraph computes attention with torch: SpeedUp chooses another kernel",
            ("attention", "pytorch attention"),
            output="model",
        ),
    ),
    entry(
        f"ChromaRadianceOptions({_MODEL}, preserve_wrapper: BOOLEAN = true, "
        "start_sigma: FLOAT = 1.0, end_sigma: FLOAT = 0.0, nerf_tile_size: INT = -1) -> MODEL",
        _passed(),
    ),
    entry(
        "T5TokenizerOptions(clip: CLIP, min_padding: INT = 0, min_length: INT = 0) -> CLIP",
        _passed(
            "nodegraph pads prompts as the model was trained and ignores these settings",
            ("min_padding", 0),
            ("min_length", 0),
            output="CLIP",
        ),
    ),
    entry(
        f'ModelComputeDtype({_MODEL}, dtype: COMBO = "default") -> MODEL',
        _passed(
            "nodegraph computes in the precision that the loader chooses: set its dtype",
            ("dtype", "default"),
        ),
    ),
    entry(
        f"TomePatchModel({_MODEL}, ratio: FLOAT = 0.3) -> MODEL",
        _passed(
            "nodegraph does not merge tokens: it is slower, and details may differ", ("ratio", 0)
        ),
    ),
    entry(
        f"HyperTile({_MODEL}, tile_size: INT = 256, swap_size: INT = 2, max_depth: INT = 0, "
        "scale_depth: BOOLEAN = false) -> MODEL",
        _passed("nodegraph does not tile attention: it is slower, and details may differ"),
    ),
)

_DEVICES = tuple(
    entry(
        f'Select{kind}Device({name}: {kind.upper()}, device: COMBO = "default")'
        f" -> {name}: {kind.upper()}",
        _passed(
            "nodegraph chooses devices itself: `--device` of `nodegraph run` sets one for all",
            ("device", "default"),
            output=name,
        ),
    )
    for kind, name in (("Model", "model"), ("CLIP", "clip"), ("VAE", "vae"))
)

_SCALES = ", ".join(
    f"scale_{axis}: FLOAT = 1.0, shift_{axis}: FLOAT = 0.0" for axis in ("x", "y", "t")
)
_UNSCALED = tuple(
    (f"{kind}_{axis}", float(kind == "scale")) for kind in ("scale", "shift") for axis in "xyt"
)

_LEFT_OUT = (
    entry(
        f"ScaleROPE({_MODEL}, {_SCALES}) -> MODEL",
        _passed("nodegraph does not scale positions: the image differs", *_UNSCALED),
    ),
    entry(
        f"TemporalScoreRescaling({_MODEL}, tsr_k: FLOAT = 0.95, tsr_sigma: FLOAT = 1.0)"
        " -> patched_model: MODEL",
        _passed(
            "nodegraph does not rescale scores: the image differs",
            ("tsr_k", 1.0),
            output="patched_model",
        ),
    ),
)

_ADAPTERS = (
    entry(
        f"IPAdapter({_MODEL}, ipadapter: IPADAPTER, image: IMAGE, weight: FLOAT = 1.0, "
        'start_at: FLOAT = 0.0, end_at: FLOAT = 1.0, weight_type: COMBO = "standard", '
        "attn_mask: MASK?) -> MODEL",
        _adapter,
    ),
    entry(
        f"IPAdapterAdvanced({_MODEL}, ipadapter: IPADAPTER, image: IMAGE, weight: FLOAT = 1.0, "
        'weight_type: COMBO = "linear", combine_embeds: COMBO = "concat", '
        'start_at: FLOAT = 0.0, end_at: FLOAT = 1.0, embeds_scaling: COMBO = "V only", '
        "image_negative: IMAGE?, attn_mask: MASK?, clip_vision: CLIP_VISION?) -> MODEL",
        _adapter,
    ),
)

ENTRIES: tuple[TableEntry, ...] = (
    *_NODES,
    *_ATTENTION,
    *_GUIDING,
    *_PASSED,
    *_DEVICES,
    *_LEFT_OUT,
    *_ADAPTERS,
)
