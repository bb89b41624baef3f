"""Loaders of ComfyUI (``comfy.sd`` and others), and its core nodes for models and prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.interop.comfyui.packs import border
from nodegraph.interop.comfyui.packs.handles import (
    ClipHandle,
    ClipVisionHandle,
    ClipVisionOutput,
    ControlNetHandle,
    VaeHandle,
)
from nodegraph.interop.comfyui.packs.model_handle import ModelHandle, ask, refused
from nodegraph.interop.comfyui.packs.stand_ins.comfy_utils import (
    StateDict,
    conditioning_set_values,
)
from nodegraph.interop.comfyui.packs.stand_ins.sampler_objects import (
    SAMPLER_LIST,
    SCHEDULER_NAMES,
)


def _file_of(sd: Any, what: str) -> str:
    """The file of a state dict that the pack did not change.

    Raises:
        PackError: It has none, or other tensors.
    """
    if isinstance(sd, StateDict) and sd.is_original:
        return sd.path
    raise refused(
        f"{what} with tensors of the pack",
        "models are opened from their files in the main worker",
        "Pass the result of comfy.utils.load_torch_file unchanged.",
    )


def load_checkpoint_guess_config(
    ckpt_path: str,
    output_vae: bool = True,
    output_clip: bool = True,
    output_clipvision: bool = False,
    embedding_directory: Any = None,
    output_model: bool = True,
    **_: Any,
) -> tuple[Any, ...]:
    """Open a checkpoint: MODEL, CLIP, VAE and CLIP_VISION, None for those that are not wanted."""
    recipes = ask("load.checkpoint", name=str(ckpt_path))
    return (
        ModelHandle(recipes["model"]) if output_model else None,
        ClipHandle(recipes["clip"]) if output_clip else None,
        VaeHandle(recipes["vae"]) if output_vae else None,
        None,
    )


def load_diffusion_model(unet_path: str, model_options: Any = None) -> ModelHandle:
    """Open a diffusion model."""
    return ModelHandle(ask("load.diffusion_model", name=str(unet_path)))


def load_clip(
    ckpt_paths: Sequence[str],
    embedding_directory: Any = None,
    clip_type: Any = "stable_diffusion",
    model_options: Any = None,
) -> ClipHandle:
    """Open a text encoder of some files."""
    kind = str(getattr(clip_type, "value", clip_type)).lower()
    names = [str(path) for path in ckpt_paths]
    return ClipHandle(ask("load.text_encoder", names=names, kind=kind))


def load_lora_for_models(
    model: ModelHandle | None,
    clip: ClipHandle | None,
    lora: Any,
    strength_model: float,
    strength_clip: float,
) -> tuple[ModelHandle | None, ClipHandle | None]:
    """Apply a LoRA file to a model and a text encoder."""
    recipes = ask(
        "load.lora",
        name=_file_of(lora, "comfy.sd.load_lora_for_models"),
        model=None if model is None else model.recipe,
        encoder=None if clip is None else clip.recipe,
        strength_model=float(strength_model),
        strength_encoder=float(strength_clip),
    )
    applied = None if model is None else model.with_recipe(recipes["model"])
    encoder = None if clip is None else ClipHandle(recipes["encoder"], clip.layer_idx)
    return applied, encoder


def VAE(sd: Any = None, device: Any = None, config: Any = None, dtype: Any = None, **_: Any) -> Any:  # noqa: N802
    """Open a VAE from the tensors of its file (``comfy.sd.VAE``)."""
    return VaeHandle(ask("load.vae", name=_file_of(sd, "comfy.sd.VAE")))


def load_controlnet(
    ckpt_path: str, model: Any = None, model_options: Any = None
) -> ControlNetHandle:
    """Open a control network."""
    return ControlNetHandle(ask("load.control", name=str(ckpt_path)))


def load_clip_vision(ckpt_path: str) -> ClipVisionHandle:
    """Open a CLIP vision model."""
    return ClipVisionHandle(ask("load.image_encoder", name=str(ckpt_path)))


class _ClipTypes:
    """ComfyUI's ``CLIPType``: names of kinds of text encoders."""

    def __getattr__(self, name: str) -> str:
        if name.startswith("_"):
            raise AttributeError(name)
        return name.lower()


class _CoreType(type):
    """Class of core nodes: what they declare is read from the import table."""

    comfy_type: str

    def __getattr__(cls, name: str) -> Any:
        reads: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "RETURN_TYPES": lambda described: tuple(described["output"]),
            "RETURN_NAMES": lambda described: tuple(described["output_name"]),
            "CATEGORY": lambda described: described["category"],
            "OUTPUT_NODE": lambda described: described["output_node"],
        }
        if name not in reads:
            raise AttributeError(name)
        return reads[name](cls.described())

    def described(cls) -> Mapping[str, Any]:
        """Return ComfyUI's description of the type."""
        from nodegraph.interop.comfyui.object_info import describe_type

        return describe_type(str(cls.comfy_type), _Lists())


class _Lists(Mapping[str, Sequence[str]]):
    """Files of each kind of models, as they are now."""

    def __getitem__(self, kind: str) -> Sequence[str]:
        folder_paths = folders()
        if kind == "input":
            folder = Path(folder_paths.get_input_directory())
            return sorted(path.name for path in folder.iterdir() if path.is_file())
        return folder_paths.get_filename_list(kind)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[str]:
        yield from folders().folder_names_and_paths

    def __len__(self) -> int:
        return sum(1 for _ in self)


class CoreNode(metaclass=_CoreType):
    """A node of ComfyUI itself, as packs call it: as an object, without a graph."""

    FUNCTION = ""
    comfy_type = ""

    def __init_subclass__(cls, function: str = "") -> None:
        # Packs inherit from these classes, and declare what differs.
        if function:
            cls.FUNCTION, cls.comfy_type = function, cls.__name__

    @classmethod
    def INPUT_TYPES(cls) -> dict[str, Any]:  # noqa: N802 - ComfyUI's name
        """Return the inputs in ComfyUI's form."""
        # Packs add their own to these lists.
        lists = {"sampler_name": SAMPLER_LIST, "scheduler": SCHEDULER_NAMES}
        return {
            group: {
                name: (lists.get(name, each[0]), *each[1:]) if isinstance(each, list) else each
                for name, each in names.items()
            }
            for group, names in cls.described()["input"].items()
        }


def folders() -> Any:
    """Return the module ``folder_paths`` of this process."""
    return import_module("folder_paths")


def _path(kind: str, name: str) -> str:
    path = folders().get_full_path(kind, name)
    # Models that are no file there, for example the embedded one, are known by name.
    return name if path is None else str(path)


class CheckpointLoaderSimple(CoreNode, function="load_checkpoint"):
    """Open a checkpoint."""

    def load_checkpoint(self, ckpt_name: str) -> tuple[Any, ...]:
        return load_checkpoint_guess_config(_path("checkpoints", ckpt_name))[:3]


class UNETLoader(CoreNode, function="load_unet"):
    """Open a diffusion model."""

    def load_unet(self, unet_name: str, weight_dtype: str = "default") -> tuple[Any, ...]:
        return (load_diffusion_model(_path("diffusion_models", unet_name)),)


class CLIPLoader(CoreNode, function="load_clip"):
    """Open a text encoder."""

    def load_clip(
        self, clip_name: str, type: str = "stable_diffusion", device: str = "default"
    ) -> tuple[Any, ...]:
        return (load_clip([_path("text_encoders", clip_name)], clip_type=type),)


class DualCLIPLoader(CoreNode, function="load_clip"):
    """Open a text encoder of two files."""

    def load_clip(
        self, clip_name1: str, clip_name2: str, type: str, device: str = "default"
    ) -> tuple[Any, ...]:
        paths = [_path("text_encoders", name) for name in (clip_name1, clip_name2)]
        return (load_clip(paths, clip_type=type),)


class VAELoader(CoreNode, function="load_vae"):
    """Open a VAE."""

    def load_vae(self, vae_name: str) -> tuple[Any, ...]:
        return (VaeHandle(ask("load.vae", name=_path("vae", vae_name))),)


class LoraLoader(CoreNode, function="load_lora"):
    """Apply a LoRA."""

    def load_lora(
        self, model: Any, clip: Any, lora_name: str, strength_model: float, strength_clip: float
    ) -> tuple[Any, ...]:
        if strength_model == 0 and strength_clip == 0:
            return model, clip
        sd = StateDict({}, _path("loras", lora_name))
        return load_lora_for_models(model, clip, sd, strength_model, strength_clip)


class LoraLoaderModelOnly(LoraLoader, function="load_lora_model_only"):
    """Apply a LoRA to a model alone."""

    def load_lora_model_only(
        self, model: Any, lora_name: str, strength_model: float
    ) -> tuple[Any, ...]:
        return (self.load_lora(model, None, lora_name, strength_model, 0.0)[0],)


class ControlNetLoader(CoreNode, function="load_controlnet"):
    """Open a control network."""

    def load_controlnet(self, control_net_name: str) -> tuple[Any, ...]:
        return (load_controlnet(_path("controlnet", control_net_name)),)


class CLIPVisionLoader(CoreNode, function="load_clip"):
    """Open a CLIP vision model."""

    def load_clip(self, clip_name: str) -> tuple[Any, ...]:
        return (load_clip_vision(_path("clip_vision", clip_name)),)


class CLIPVisionEncode(CoreNode, function="encode"):
    """Encode images with a CLIP vision model."""

    def encode(self, clip_vision: Any, image: Tensor, crop: str = "center") -> tuple[Any, ...]:
        return (clip_vision.encode_image(image, crop=crop == "center"),)


class CLIPTextEncode(CoreNode, function="encode"):
    """Encode a prompt."""

    def encode(self, clip: ClipHandle, text: str) -> tuple[Any, ...]:
        if clip is None:
            raise InvalidValue("there is no text encoder", expected="a CLIP")
        return (clip.encode_from_tokens_scheduled(clip.tokenize(text)),)


class CLIPSetLastLayer(CoreNode, function="set_last_layer"):
    """Set the CLIP layer of prompts."""

    def set_last_layer(self, clip: ClipHandle, stop_at_clip_layer: int) -> tuple[Any, ...]:
        other = clip.clone()
        other.clip_layer(stop_at_clip_layer)
        return (other,)


class ConditioningCombine(CoreNode, function="combine"):
    """Apply two prompts together."""

    def combine(self, conditioning_1: Any, conditioning_2: Any) -> tuple[Any, ...]:
        return (conditioning_1 + conditioning_2,)


class ConditioningConcat(CoreNode, function="concat"):
    """Append the tokens of one prompt to those of another."""

    def concat(self, conditioning_to: Any, conditioning_from: Any) -> tuple[Any, ...]:
        added = conditioning_from[0][0]
        return ([[torch.cat((tensor, added), 1), dict(v)] for tensor, v in conditioning_to],)


class ConditioningAverage(CoreNode, function="addWeighted"):
    """Interpolate between two prompts."""

    def addWeighted(  # noqa: N802 - ComfyUI's name
        self, conditioning_to: Any, conditioning_from: Any, conditioning_to_strength: float
    ) -> tuple[Any, ...]:
        from nodegraph.families.conditionings import average

        first = border.from_comfy_conditioning(conditioning_to)
        second = border.from_comfy_conditioning(conditioning_from[:1])
        share = round(1.0 - conditioning_to_strength, 6)
        return (border.to_comfy_conditioning(average(first, second, share)),)


class ConditioningSetArea(CoreNode, function="append"):
    """Limit a prompt to a rectangle, in pixels."""

    def append(
        self, conditioning: Any, width: int, height: int, x: int, y: int, strength: float
    ) -> tuple[Any, ...]:
        area = (height // 8, width // 8, y // 8, x // 8)
        values = {"area": area, "strength": strength, "set_area_to_bounds": False}
        return (conditioning_set_values(conditioning, values),)


class ConditioningSetMask(CoreNode, function="append"):
    """Limit a prompt to a mask."""

    def append(
        self, conditioning: Any, mask: Tensor, set_cond_area: str, strength: float
    ) -> tuple[Any, ...]:
        plane = mask if mask.ndim == 3 else mask[None]
        values = {"mask": plane, "mask_strength": strength, "set_area_to_bounds": False}
        return (conditioning_set_values(conditioning, values),)


class ConditioningSetTimestepRange(CoreNode, function="set_range"):
    """Limit a prompt to a part of the sampling."""

    def set_range(self, conditioning: Any, start: float, end: float) -> tuple[Any, ...]:
        values = {"start_percent": start, "end_percent": end}
        return (conditioning_set_values(conditioning, values),)


class ConditioningZeroOut(CoreNode, function="zero_out"):
    """Replace a prompt by zeros."""

    def zero_out(self, conditioning: Any) -> tuple[Any, ...]:
        zeroed = []
        for tensor, before in conditioning:
            values = dict(before)
            if values.get("pooled_output") is not None:
                values["pooled_output"] = torch.zeros_like(values["pooled_output"])
            zeroed.append([torch.zeros_like(tensor), values])
        return (zeroed,)


class ControlNetApplyAdvanced(CoreNode, function="apply_controlnet"):
    """Control prompts by an image."""

    def apply_controlnet(
        self,
        positive: Any,
        negative: Any,
        control_net: ControlNetHandle,
        image: Tensor,
        strength: float,
        start_percent: float,
        end_percent: float,
        vae: Any = None,
        extra_concat: Any = (),
    ) -> tuple[Any, ...]:
        if strength == 0:
            return positive, negative
        span = (start_percent, end_percent)
        controlled_prompts = []
        for prompts in (positive, negative):
            controlled = []
            for tensor, before in prompts:
                net = control_net.copy()
                net.set_cond_hint(image.movedim(-1, 1), strength, span, vae, extra_concat)
                net.set_previous_controlnet(before.get("control"))
                extra = {"control": net, "control_apply_to_uncond": False}
                controlled.append([tensor, {**before, **extra}])
            controlled_prompts.append(controlled)
        return tuple(controlled_prompts)


class RescaleCFG(CoreNode, function="patch"):
    """Bring the guided prediction to the spread of the positive one."""

    def patch(self, model: ModelHandle, multiplier: float) -> tuple[Any, ...]:
        return (model.with_guidance("RescaleCFG", multiplier=float(multiplier)),)


class DifferentialDiffusion(CoreNode, function="apply"):
    """Use the noise mask as a threshold for the steps."""

    def apply(self, model: ModelHandle, strength: float = 1.0) -> tuple[Any, ...]:
        return (model.with_guidance("DifferentialDiffusion", strength=float(strength)),)

    execute = apply


class FreeU_V2(CoreNode, function="patch"):  # noqa: N801 - ComfyUI's name
    """Scale a UNet's backbone and skip features."""

    version = "v2"

    def patch(
        self, model: ModelHandle, b1: float, b2: float, s1: float, s2: float
    ) -> tuple[Any, ...]:
        numbers = {"b1": b1, "b2": b2, "s1": s1, "s2": s2, "version": self.version}
        return (_changed(model, "freeu", **numbers),)


class ModelSamplingSD3(CoreNode, function="patch"):
    """Set the shift of a flow model."""

    def patch(self, model: ModelHandle, shift: float, multiplier: float = 1000) -> tuple[Any, ...]:
        return (_changed(model, "flow_shift", shift=float(shift)),)


class ModelSamplingAuraFlow(ModelSamplingSD3, function="patch_aura"):
    """Set the shift of a flow model."""

    def patch_aura(self, model: ModelHandle, shift: float) -> tuple[Any, ...]:
        return self.patch(model, shift, multiplier=1.0)


class ModelSamplingFlux(CoreNode, function="patch"):
    """Set the shift of a flow model by the size of the image."""

    def patch(
        self, model: ModelHandle, max_shift: float, base_shift: float, width: int, height: int
    ) -> tuple[Any, ...]:
        sizes = {"width": width, "height": height, "base_shift": base_shift}
        return (_changed(model, "shift_by_size", **sizes, max_shift=max_shift),)


class ModelSamplingDiscrete(CoreNode, function="patch"):
    """Set what a model predicts."""

    def patch(self, model: ModelHandle, sampling: str, zsnr: bool) -> tuple[Any, ...]:
        types = {"eps": "epsilon", "v_prediction": "v_prediction", "x0": "sample"}
        if sampling not in types:
            raise refused(f"ModelSamplingDiscrete({sampling})", "no model here predicts that")
        snr = "on" if zsnr else "off"
        kind = {"prediction_type": types[sampling], "zero_terminal_snr": snr}
        return (_changed(model, "prediction", **kind),)


def _changed(model: ModelHandle, kind: str, **numbers: Any) -> ModelHandle:
    return model.with_recipe(ask("model.change", model=model.recipe, kind=kind, **numbers))


class FluxGuidance(CoreNode, function="append"):
    """Set the guidance scale that a model reads."""

    def append(self, conditioning: Any, guidance: float) -> tuple[Any, ...]:
        return (conditioning_set_values(conditioning, {"guidance": guidance}),)

    execute = append


class CLIPTextEncodeSDXL(CoreNode, function="encode"):
    """Encode a prompt for each encoder of Stable Diffusion XL, with sizes."""

    def encode(
        self,
        clip: Any,
        width: int,
        height: int,
        crop_w: int,
        crop_h: int,
        target_width: int,
        target_height: int,
        text_g: str,
        text_l: str,
    ) -> tuple[Any, ...]:
        tokens = clip.tokenize(text_g)
        tokens["l"] = clip.tokenize(text_l)["l"]
        sizes = {"width": width, "height": height, "crop_w": crop_w, "crop_h": crop_h}
        sizes |= {"target_width": target_width, "target_height": target_height}
        return (clip.encode_from_tokens_scheduled(tokens, add_dict=sizes),)

    execute = encode


def loaders() -> dict[str, dict[str, Any]]:
    """The names of ``comfy.sd``, ``comfy.controlnet`` and ``comfy.clip_vision``."""
    return {
        "comfy.sd": {
            "load_checkpoint_guess_config": load_checkpoint_guess_config,
            "load_diffusion_model": load_diffusion_model,
            "load_unet": load_diffusion_model,
            "load_clip": load_clip,
            "load_lora_for_models": load_lora_for_models,
            "VAE": VAE,
            "CLIP": ClipHandle,
            "CLIPType": _ClipTypes(),
        },
        "comfy.controlnet": {
            "load_controlnet": load_controlnet,
            "ControlNet": ControlNetHandle,
            "ControlBase": ControlNetHandle,
        },
        "comfy.clip_vision": {
            "load": load_clip_vision,
            "Output": ClipVisionOutput,
            "ClipVisionModel": ClipVisionHandle,
        },
    }
