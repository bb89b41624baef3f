"""Values that links carry to the sampler: model patches, guiders, schedules.

In ComfyUI, patches of a model say how it is guided, and guiders and schedules know their model.
Here the guider does the first, and only the sampling knows the model. So these ComfyUI nodes become
no node where they are. They travel with a value to the sampler or guider that it leads to: patches
with the MODEL under `PATCHES`, guiders under `GUIDE`, and schedules under `SCHEDULE`. What a
ComfyUI guider knows of its model travels with the GUIDER under `CONDITIONED_MODEL`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry
from nodegraph.interop.comfyui.families import ONE_STACK
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

GUIDE = "guide"
KEEPS_NORM = "keeps norm"
"""What a prompt carries whose models keep the norm before guidance without a patch."""
ENCODER = "encoder"
SCHEDULE = "laid"
NOISE_SCALE = "noise_scale"
FAMILY = "family"
GRADUAL = "gradual"

BuildSchedule = Callable[["Signal | MadeOutput"], MadeOutput]
"""Makes a schedule for a model."""


@dataclass(frozen=True, slots=True)
class GuiderSpec:
    """A guider there, but for its model.

    Attributes:
        home: The native node that it stands for, which it is made by.
        type: Such as CFGGuider.
        inputs: But for the model.
        patches: Of its model, the first first: what makes each, its type and its inputs.
    """

    home: Passage
    type: str
    inputs: Mapping[str, Any]
    patches: tuple[tuple[Passage, str, Mapping[str, Any]], ...] = ()

    def patched(self, home: Passage, patch: str, **inputs: Any) -> GuiderSpec:
        """The same, of a model with one more patch."""
        return replace(self, patches=(*self.patches, (home, patch, inputs)))


def refuse_unsupported(node: Passage, *allowed: str) -> None:
    """Refuse other values than a native node's own in inputs that can't be said there.

    Raises:
        Untranslatable: Some input that isn't in `said` has another value.
    """
    for name, signal in node.inputs.items():
        if name in allowed or signal.content == node.defaults.get(name):
            continue
        if signal.content not in (None, ""):
            raise Untranslatable(f"ComfyUI has no value {signal.content!r} for `{name}`")


def warn_conventions(node: Passage) -> None:
    """Tell people where numbers there are others than here."""
    # By its version, ComfyUI draws on the way from the seed or from the next one.
    draws = ("per batch", "per batch, one seed")
    conventions = {"convention": ("comfyui",), "draw": draws, "denoise_steps": ("all",)}
    values = {name: node.inputs[name].content for name in conventions if name in node.inputs}
    differing = [name for name, value in values.items() if value not in conventions[name]]
    # Without them it samples as it always did here.
    missing = [name for name in conventions if name in node.defaults and name not in values]
    if differing or missing:
        named = ", ".join(sorted({*differing, *missing}))
        node.tell(f"ComfyUI samples with other conventions: results differ ({named})")


def negative_or_empty(node: Passage, positive: Any, cfg: Any) -> Any:
    """The negative prompt, or anything where it isn't looked at.

    Raises:
        Untranslatable: It is the empty prompt here, and nobody knows whose encoder reads it.
    """
    if "negative" in node.inputs and node.inputs["negative"].content is not None:
        return node.inputs["negative"]
    if isinstance(cfg, (int, float)) and cfg <= 1:
        return positive
    encoder = positive.carried.get(ENCODER) if isinstance(positive, Signal) else None
    if encoder is None:
        raise Untranslatable("ComfyUI needs a linked negative prompt, which may be empty")
    empty = node.imply("CLIPTextEncode", clip=encoder, text="")
    return MadeOutput(empty, "CONDITIONING")


def guide_of(node: Passage) -> GuiderSpec:
    """The guider that a native node is given.

    Raises:
        Untranslatable: It can't be said there.
    """
    guide = node.inputs["guider"].carried.get(GUIDE)
    if not isinstance(guide, GuiderSpec):
        raise Untranslatable("its guider has no equivalent in ComfyUI")
    return guide


def only_back(native: str, backward: Translate) -> TableEntry:
    """The entry of a native node that nothing there becomes, but which goes back."""
    return entry(f"@{native}()", _nothing, native, backward)


def _nothing(node: Passage) -> None:
    raise Untranslatable("it has no equivalent in ComfyUI")


PATCHES = "patches"
CONDITIONED_MODEL = "led"
ADAPTERS = "adapters"
CONTROLS = "controls"


@dataclass(frozen=True, slots=True)
class Patch:
    """A node there that changes how a model is guided, or begun with.

    Attributes:
        home: The node, by which what stands for it is made once that is known.
        wrap: Makes it around a guider; None where the type alone says how.
    """

    type: str
    inputs: Mapping[str, Signal]
    home: Passage
    wrap: Wrap | None = None

    def value(self, name: str) -> Any:
        """An input's value.

        Raises:
            Untranslatable: It is linked.
        """
        signal = self.inputs[name]
        if signal.is_link:
            raise Untranslatable(
                f"`{name}` of {self.type} is linked, and the export needs its value"
            )
        return signal.content


@dataclass(frozen=True, slots=True)
class PatchedModel:
    """A model with what leads it, as a sampling here takes them.

    Attributes:
        negative: None where there is none.
        patches: Of the model, those first that were put on it first.
    """

    model: Signal | MadeOutput
    positive: Signal | MadeOutput
    negative: Signal | MadeOutput | None = None
    patches: tuple[Patch, ...] = ()


def patched(node: Passage, output: str = "MODEL", wrap: Wrap | None = None) -> None:
    """Give the model on, with this node among what goes along with it."""
    model = node.inputs["model"]
    inputs = {name: signal for name, signal in node.inputs.items() if name != "model"}
    patches = (*model.carried.get(PATCHES, ()), Patch(node.type, inputs, node, wrap))
    node.give(output, model.with_carried(**{PATCHES: patches}))


def patch(output: str = "MODEL") -> Translate:
    """The way here of a patch of a model."""
    return lambda node: patched(node, output)


def conditioned_model(
    node: Passage, model: Signal, positive: Signal, negative: Signal | None = None
) -> PatchedModel:
    """Make what goes along with a model and with prompts, but for the model's patches."""
    conditioned = PatchedModel(model, positive, _controlled(node, positive, negative))
    for adapter in model.carried.get(ADAPTERS, ()):
        conditioned = _adapted(node, conditioned, adapter)
    return replace(conditioned, patches=tuple(model.carried.get(PATCHES, ())))


def _controlled(
    node: Passage, positive: Signal, negative: Signal | None
) -> Signal | MadeOutput | None:
    """The negative prompt, led by what the positive one says that both are led by."""
    conditioning: Signal | MadeOutput | None = negative
    for values in positive.carried.get(CONTROLS, ()):
        if conditioning is not None:
            conditioning = MadeOutput(
                node.add("ApplyControlNet", positive=conditioning, **values), "positive"
            )
    return conditioning


def _adapted(node: Passage, conditioned: PatchedModel, adapter: Mapping[str, Any]) -> PatchedModel:
    values = dict(adapter)
    kind = values.pop("type")
    with_model = kind == "ApplyIPAdapter"
    name = node.add(
        kind,
        model=conditioned.model if with_model else None,
        positive=conditioned.positive,
        negative=conditioned.negative,
        **values,
    )
    negative = None if conditioned.negative is None else MadeOutput(name, "negative")
    model = MadeOutput(name, "model") if with_model else conditioned.model
    return PatchedModel(model, MadeOutput(name, "positive"), negative)


def guider(node: Passage, leads: PatchedModel, cfg: Any) -> MadeOutput:
    """A guider of a positive and a negative prompt, as the model's patches want it."""
    kind, values = "CFGGuider", dict[str, Any]()
    for model_patch in leads.patches:
        if model_patch.type in _GUIDERS:
            if kind != "CFGGuider":
                raise Untranslatable(
                    f"{model_patch.type} cannot be combined with another such patch"
                )
            kind, values = _GUIDERS[model_patch.type](model_patch)
    apart = [item for item in leads.patches if item.type == "PerpNeg"]
    negative = apart[-1].inputs["empty_conditioning"] if apart else leads.negative
    name = node.add(kind, positive=leads.positive, negative=negative, cfg=cfg, **values)
    made = MadeOutput(name, "guider")
    if apart:
        made = _perpendicular(node, made, leads.negative, cfg, apart[-1])
    return wrapped(node, made, leads)


def _perpendicular(
    node: Passage, made: MadeOutput, negative: Any, cfg: Any, model_patch: Patch
) -> MadeOutput:
    """A guider away from a negative prompt, of a patch that brings the empty prompt.

    Raises:
        Untranslatable: The scale is linked.
    """
    content = cfg.content if isinstance(cfg, Signal) else cfg
    if not isinstance(content, int | float):
        raise Untranslatable("`cfg` is linked, and PerpNeg needs its value")
    name = node.add(
        "AddNegative",
        guider=made,
        negative=negative,
        scale=float(content) * float(model_patch.value("neg_scale")),
        perpendicular=True,
    )
    return MadeOutput(name, "guider")


def wrapped(node: Passage, made: MadeOutput, leads: PatchedModel) -> MadeOutput:
    """A guider within what the model's patches do to its answers."""
    for model_patch in _in_order(leads.patches):
        wrap = model_patch.wrap or _WRAPS.get(model_patch.type)
        if wrap is not None:
            made = wrap(node, made, model_patch)
    return made


def scale_noise(node: Passage, noise: Signal | MadeOutput, patches: tuple[Patch, ...]) -> Any:
    """The noise that a model is begun with, as its patches want it."""
    for model_patch in patches:
        if model_patch.type == "ModelNoiseScale":
            factor = model_patch.inputs["noise_scale"]
            noise = MadeOutput(
                model_patch.home.add("ScaleNoise", noise=noise, strength=factor), "noise"
            )
    return noise


def add_mask_patches(node: Passage, latent: Signal | MadeOutput, patches: tuple[Patch, ...]) -> Any:
    """The latent, with its mask as the model's patches want it."""
    for model_patch in patches:
        if model_patch.type == "DifferentialDiffusion":
            name = model_patch.home.add(
                "GradualMask", latent=latent, strength=model_patch.inputs["strength"]
            )
            latent = MadeOutput(name, "latent")
    return latent


Wrap = Callable[[Passage, MadeOutput, Patch], MadeOutput]


def _wrap(native: str, **inputs: str) -> Wrap:
    """A native node around a guider.

    Args:
        inputs: Its inputs, and what they are called there.
    """

    def wrap(node: Passage, made: MadeOutput, model_patch: Patch) -> MadeOutput:
        taken = {
            our: model_patch.inputs[their]
            for our, their in inputs.items()
            if their in model_patch.inputs
        }
        return MadeOutput(model_patch.home.add(native, guider=made, **taken), "guider")

    return wrap


def _norm(node: Passage, made: MadeOutput, model_patch: Patch) -> MadeOutput:
    if "pre_cfg" in model_patch.inputs and model_patch.value("pre_cfg"):
        positive = node.inputs.get("positive")
        if positive is not None and positive.carried.get(KEEPS_NORM):
            return made
        node.tell("CFGNorm keeps the norm after guidance in nodegraph, not before it")
    return _wrap("NormGuidance", strength="strength")(node, made, model_patch)


def _within(node: Passage, made: MadeOutput, model_patch: Patch) -> MadeOutput:
    taken = {"cfg": model_patch.inputs["cfg"], "law": "within"}
    taken |= {
        "start": model_patch.inputs["start_percent"],
        "end": model_patch.inputs["end_percent"],
    }
    return MadeOutput(model_patch.home.add("ChangingGuidance", guider=made, **taken), "guider")


def layers(model_patch: Patch) -> str:
    """Numbers of layers as they are written here."""
    double = [part.strip() for part in str(model_patch.value("double_layers")).split(",")]
    single = [part.strip() for part in str(model_patch.value("single_layers")).split(",")]
    if model_patch.home.inputs["model"].carried.get(FAMILY) in ONE_STACK and any(single):
        model_patch.home.tell("`single_layers` has no effect on this model")
        single = []
    return ", ".join([part for part in double if part] + [f"single.{p}" for p in single if p])


def _skipping(node: Passage, made: MadeOutput, model_patch: Patch) -> MadeOutput:
    skipped = (
        layers(model_patch)
        if "double_layers" in model_patch.inputs
        else model_patch.inputs["layers"]
    )
    if not skipped:
        return made
    simple = model_patch.type == "SkipLayerGuidanceDiTSimple"
    name = model_patch.home.add(
        "SkipLayerGuidance",
        guider=made,
        layers=skipped,
        scale=model_patch.inputs.get("scale"),
        start=model_patch.inputs["start_percent"],
        end=model_patch.inputs["end_percent"],
        prompt="negative" if simple else None,
    )
    made = MadeOutput(name, "guider")
    if "rescaling_scale" in model_patch.inputs and model_patch.inputs["rescaling_scale"].content:
        rescale = model_patch.inputs["rescaling_scale"]
        made = MadeOutput(
            model_patch.home.add("RescaleGuidance", guider=made, rescale=rescale), "guider"
        )
    return made


def _renormalized(node: Passage, made: MadeOutput, model_patch: Patch) -> MadeOutput:
    if float(model_patch.value("cfg_trunc")) < _ALL_LEVELS:
        raise Untranslatable(
            "nodegraph limits guidance to a share of the sampling (LimitGuidance), not to noise "
            "levels below `cfg_trunc`"
        )
    limit = model_patch.inputs["renorm_cfg"]
    if not limit.is_link and not limit.content:
        return made
    return _wrap("RenormalizeGuidance", limit="renorm_cfg")(node, made, model_patch)


_ALL_LEVELS = 100.0
"""`cfg_trunc` of RenormCFG above the noise levels of all models."""


def _in_order(patches: tuple[Patch, ...]) -> tuple[Patch, ...]:
    """Patches in the order in which ComfyUI applies them to a prediction.

    RenormCFG replaces classifier-free guidance itself, and the others change its result.

    Raises:
        Untranslatable: nodegraph applies two of them in the reverse order, or ComfyUI only one.
    """
    types = [model_patch.type for model_patch in patches]
    if "RenormCFG" in types:
        others = {"RescaleCFG", *_GUIDERS}.intersection(types)
        if others or types.count("RenormCFG") > 1:
            raise Untranslatable(
                f"RenormCFG cannot be combined with {min(others, default='another')}"
            )
    if "Mahiro" in types:
        before = types[: len(types) - types[::-1].index("Mahiro")]
        early = {"RescaleCFG"}.intersection(types) | {"CFGNorm"}.intersection(before)
        if early:
            raise Untranslatable(f"Mahiro cannot change what {min(early)} results in")
    return tuple(sorted(patches, key=lambda model_patch: model_patch.type != "RenormCFG"))


def _rescaling(node: Passage, made: MadeOutput, model_patch: Patch) -> MadeOutput:
    rescale = model_patch.inputs["multiplier"]
    name = model_patch.home.add("RescaleGuidance", guider=made, rescale=rescale, of="velocity")
    return MadeOutput(name, "guider")


OPERATION = "operation"
"""What a LATENT_OPERATION carries: a `CarriedOperation`."""


@dataclass(frozen=True, slots=True)
class CarriedOperation:
    """An operation on latents.

    Attributes:
        name: What native nodes for it begin with: ``ToneMap`` or ``Sharpen``.
        inputs: Of these nodes.
    """

    name: str
    inputs: Mapping[str, Any]


def operation_of(signal: Signal) -> CarriedOperation:
    """The operation that an input is linked to.

    Raises:
        Untranslatable: It is of a node that is none of ComfyUI's own.
    """
    operation = signal.carried.get(OPERATION)
    if not isinstance(operation, CarriedOperation):
        raise Untranslatable("the linked operation on latents is not known")
    return operation


def _operated(node: Passage, made: MadeOutput, model_patch: Patch) -> MadeOutput:
    operation = operation_of(model_patch.inputs["operation"])
    name = model_patch.home.add(f"{operation.name}Guidance", guider=made, **operation.inputs)
    return MadeOutput(name, "guider")


_PREDICTS_IMAGES = "ModelSamplingAuraFlow"


def predict_image(node: Passage, leads: PatchedModel) -> bool:
    """Predict an image of an image in one step, if the model's patches want it.

    There it is a sampling without noise, whose model takes the latent as it is.

    Args:
        node: A SamplerCustomAdvanced.
    """
    if all(item.type != _PREDICTS_IMAGES for item in leads.patches):
        return False
    if node.behind("noise")[0] != "NoNoise" or node.behind("guider")[0] != "BasicGuider":
        raise Untranslatable("nodegraph predicts an image of an image without noise and guidance")
    name = node.add(
        "PredictImage",
        model=leads.model,
        conditioning=leads.positive,
        latent=node.inputs["latent_image"],
        schedule=node.inputs["sigmas"],
    )
    for output in ("output", "denoised_output"):
        node.give(output, MadeOutput(name, "latent"))
    return True


def _only_in_one_step(node: Passage, made: MadeOutput, model_patch: Patch) -> MadeOutput:
    raise Untranslatable("nodegraph predicts an image of an image only with SamplerCustomAdvanced")


_WRAPS: Mapping[str, Wrap] = {
    _PREDICTS_IMAGES: _only_in_one_step,
    "LatentApplyOperationCFG": _operated,
    "CFGNorm": _norm,
    "Mahiro": _wrap("PositiveBiasedGuidance"),
    "RenormCFG": _renormalized,
    "RescaleCFG": _rescaling,
    "CFGOverride": _within,
    "SkipLayerGuidanceDiT": _skipping,
    "SkipLayerGuidanceDiTSimple": _skipping,
    "SkipLayerGuidanceSD3": _skipping,
    "PerturbedAttentionGuidance": _wrap("PerturbedAttentionGuidance", scale="scale"),
    "SelfAttentionGuidance": _wrap("SelfAttentionGuidance", scale="scale", blur="blur_sigma"),
}


def _projected(model_patch: Patch) -> tuple[str, dict[str, Any]]:
    names = {"along": "eta", "longest": "norm_threshold", "momentum": "momentum"}
    return "ProjectedGuider", {our: model_patch.inputs[their] for our, their in names.items()}


_GUIDERS: Mapping[str, Callable[[Patch], tuple[str, dict[str, Any]]]] = {
    # There, nothing is left out at the beginning.
    "CFGZeroStar": lambda _: ("ZeroStarGuider", {"zero_steps": 0}),
    "TCFG": lambda _: ("TangentialGuider", {}),
    "APG": _projected,
}


def put_on_model(node: Passage, values: dict[str, Any]) -> None:
    """Let what leads a model go along with it."""
    model = node.inputs["model"]
    adapters = (*model.carried.get(ADAPTERS, ()), values)
    node.give("MODEL", model.with_carried(**{ADAPTERS: adapters}))
