"""Merged models, and models that are saved: whole, by block, added, subtracted, as a LoRA."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry, same
from nodegraph.interop.comfyui.table.carried_values import refuse_unsupported
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_DIFFERENCE = "difference"
"""What a subtracted model carries: the two models, for a LoRA of their difference."""
_DIGITS = 6


@dataclass(frozen=True, slots=True)
class _Merged:
    """A kind of recipe that is merged.

    Attributes:
        there: Name of the type and of an output in ComfyUI.
        native: Node that merges it.
        port: Its first input and its output.
    """

    there: str
    native: str
    port: str

    @property
    def inputs(self) -> tuple[str, str]:
        name = self.there.lower()
        return f"{name}1", f"{name}2"


_MODEL = _Merged("MODEL", "MergeModels", "model")
_CLIP = _Merged("CLIP", "MergeTextEncoders", "text_encoder")


def _as_first(made: MadeOutput, first: Signal) -> Signal:
    """A merge with what the first model carries: ComfyUI ignores the patches of the second."""
    carried = {name: item for name, item in first.carried.items() if name != _DIFFERENCE}
    return Signal(made, carried)


def _mixed(merged: _Merged) -> Translate:
    def forward(node: Passage) -> None:
        first, second = (node.inputs[name] for name in merged.inputs)
        values = {merged.port: first, "second": second}
        # ComfyUI has the share of the first model, and nodegraph the weight of the second.
        values["weight"] = 1 - node.literal("ratio")
        blocks = {"blocks": ""} if merged is _MODEL else {}
        made = MadeOutput(node.add(merged.native, **values, **blocks), merged.port)
        node.give(merged.there, _as_first(made, first))

    return forward


def _added(merged: _Merged) -> Translate:
    def forward(node: Passage) -> None:
        first, second = (node.inputs[name] for name in merged.inputs)
        values = {merged.port: first, "second": second, "first_weight": 1.0, "weight": 1.0}
        made = MadeOutput(node.add(merged.native, **values), merged.port)
        node.give(merged.there, _as_first(made, first))

    return forward


def _subtracted(merged: _Merged) -> Translate:
    def forward(node: Passage) -> None:
        first, second = (node.inputs[name] for name in merged.inputs)
        multiplier = float(node.literal("multiplier"))
        values = {merged.port: first, "second": second}
        name = node.add(merged.native, **values, first_weight=multiplier, weight=-multiplier)
        made = _as_first(MadeOutput(name, merged.port), first)
        node.give(merged.there, made.with_carried(**{_DIFFERENCE: (first, second, multiplier)}))

    return forward


_Numbers = Callable[[float | None, float], dict[str, float]]
"""The numbers of a merge there, of a native one's `first_weight` and `weight`."""


def _ratio_back(first: float | None, weight: float) -> dict[str, float]:
    if first is not None:
        raise Untranslatable("ComfyUI has no merge with a weight of the first model")
    return {"ratio": 1 - weight}


def _sum_back(first: float | None, weight: float) -> dict[str, float]:
    if first != 1 or weight != 1:
        raise Untranslatable("ComfyUI has no such sum of models")
    return {}


def _difference_back(first: float | None, weight: float) -> dict[str, float]:
    if first is None or first != -weight:
        raise Untranslatable("ComfyUI has no such difference of models")
    return {"multiplier": float(first)}


def _merged_back(merged: _Merged, there: str, numbers: _Numbers) -> Translate:
    def backward(node: Passage) -> None:
        refuse_unsupported(node, merged.port, "second", "weight", "first_weight")
        first = node.literal("first_weight") if "first_weight" in node.inputs else None
        translated = numbers(first, node.literal("weight"))
        ports = zip(merged.inputs, (merged.port, "second"), strict=True)
        models = {name: node.inputs[port] for name, port in ports if port in node.inputs}
        made = node.add(there, **models, **translated)
        node.give(merged.port, MadeOutput(made, merged.there))

    return backward


_Blocks = Mapping[str, tuple[str, ...]]
"""Inputs of a merge by block, with the names of their layers here. A question mark is for layers
that some models of the family lack; an input without layers is for none that has weights."""


def _by_block(blocks: _Blocks) -> Translate:
    """A merge whose first weight is for all layers that no other input is for."""

    def forward(node: Passage) -> None:
        weights = {name: round(1.0 - float(node.literal(name)), _DIGITS) for name in blocks}
        usual = next(iter(weights.values()))
        rules = [
            (layer, weight)
            for name, weight in weights.items()
            for layer in blocks[name]
            if weight != usual
        ]
        name = node.add(
            "MergeModels",
            model=node.inputs["model1"],
            second=node.inputs["model2"],
            weight=usual,
            blocks="\n".join(_written(rules)) or None,
        )
        node.give("MODEL", _as_first(MadeOutput(name, "model"), node.inputs["model1"]))

    return forward


def _written(rules: Sequence[tuple[str, float]]) -> Iterator[str]:
    """Rules as `parse_blocks` reads them, with one line for consecutive blocks of one weight."""
    index = 0
    while index < len(rules):
        first, weight = rules[index]
        last = index
        while last + 1 < len(rules) and rules[last + 1] == (_next(rules[last][0]), weight):
            last += 1
        number = re.search(r"\d+$", rules[last][0])
        span = f"{first}-{number[0]}" if last > index and number else first
        yield f"{span}: {weight:g}"
        index = last + 1


def _next(block: str) -> str:
    """The block with the next number; empty for a block without one."""
    number = re.search(r"\d+$", block)
    if number is None:
        return ""
    return f"{block[: number.start()]}{int(number[0]) + 1:0{len(number[0])}}"


def _unet(count: int) -> _Blocks:
    """Blocks of a UNet with so many on each side."""
    return {
        "time_embed.": ("time_embedding",),
        "label_emb.": ("add_embedding?", "class_embedding?"),
        **{f"input_blocks.{index}.": (f"IN{index:02}",) for index in range(count)},
        "middle_block.0.": ("mid_block.resnets.0",),
        "middle_block.1.": ("mid_block.attentions.0",),
        "middle_block.2.": ("mid_block.resnets.1",),
        **{f"output_blocks.{index}.": (f"OUT{index:02}",) for index in range(count)},
        "out.": ("conv_norm_out", "conv_out"),
    }


def _numbered(there: str, native: str, count: int) -> _Blocks:
    return {f"{there}.{index}.": (f"{native}.{index}",) for index in range(count)}


_TIME = ("time_text_embed.timestep_embedder",)
_TEXT = ("time_text_embed.text_embedder",)
_FINAL = ("norm_out", "proj_out")


def _sd3(count: int) -> _Blocks:
    return {
        "pos_embed.": ("pos_embed.pos_embed?",),
        "x_embedder.": ("pos_embed.proj",),
        "context_embedder.": ("context_embedder",),
        "y_embedder.": _TEXT,
        "t_embedder.": _TIME,
        **_numbered("joint_blocks", "transformer_blocks", count),
        "final_layer.": _FINAL,
    }


_FLUX: _Blocks = {
    "img_in.": ("x_embedder",),
    "time_in.": _TIME,
    "guidance_in": ("time_text_embed.guidance_embedder?",),
    "vector_in.": _TEXT,
    "txt_in.": ("context_embedder",),
    **_numbered("double_blocks", "transformer_blocks", 19),
    **_numbered("single_blocks", "single_transformer_blocks", 38),
    "final_layer.": _FINAL,
}
_AURAFLOW: _Blocks = {
    "init_x_linear.": ("pos_embed.proj",),
    "positional_encoding": ("pos_embed.pos_embed?",),
    "cond_seq_linear.": ("context_embedder",),
    "register_tokens": ("register_tokens",),
    "t_embedder.": ("time_step_proj",),
    **_numbered("double_layers", "joint_transformer_blocks", 4),
    **_numbered("single_layers", "single_transformer_blocks", 32),
    "modF.": ("norm_out",),
    "final_linear.": ("proj_out",),
}
_LTX: _Blocks = {
    "patchify_proj.": ("proj_in",),
    "adaln_single.": ("time_embed",),
    "caption_projection.": ("caption_projection?",),
    **_numbered("transformer_blocks", "transformer_blocks", 28),
    "scale_shift_table": ("scale_shift_table",),
    "proj_out.": ("proj_out",),
}
_MOCHI: _Blocks = {
    # No tensor there begins so, with the dot.
    "pos_frequencies.": (),
    "t_embedder.": ("time_embed.timestep_embedder",),
    "t5_y_embedder.": ("time_embed.pooler",),
    "t5_yproj.": ("time_embed.caption_proj",),
    **_numbered("blocks", "transformer_blocks", 48),
    "final_layer.": _FINAL,
}
_WAN: _Blocks = {
    "patch_embedding.": ("patch_embedding",),
    "time_embedding.": ("condition_embedder.time_embedder",),
    "time_projection.": ("condition_embedder.time_proj",),
    "text_embedding.": ("condition_embedder.text_embedder",),
    "img_emb.": ("condition_embedder.image_embedder?",),
    **_numbered("blocks", "blocks", 40),
    "head.": ("proj_out", "scale_shift_table"),
}
_QWEN: _Blocks = {
    "pos_embeds.": (),
    "img_in.": ("img_in",),
    "txt_norm.": ("txt_norm",),
    "txt_in.": ("txt_in",),
    "time_text_embed.": ("time_text_embed",),
    **_numbered("transformer_blocks", "transformer_blocks", 60),
    "proj_out.": ("proj_out",),
}


def _cosmos(count: int) -> _Blocks:
    return {
        "pos_embedder.": (),
        "extra_pos_embedder.": ("learnable_pos_embed",),
        "x_embedder.": ("patch_embed",),
        "t_embedder.": ("time_embed.t_embedder",),
        "affline_norm.": ("time_embed.norm",),
        **{f"blocks.block{index}.": (f"transformer_blocks.{index}",) for index in range(count)},
        "final_layer.": _FINAL,
    }


def _cosmos_predict2(count: int) -> _Blocks:
    return {
        "pos_embedder.": (),
        "x_embedder.": ("patch_embed",),
        "t_embedder.": ("time_embed.t_embedder",),
        "t_embedding_norm.": ("time_embed.norm",),
        **_numbered("blocks", "transformer_blocks", count),
        "final_layer.": _FINAL,
    }


_PARTS: _Blocks = {
    "input": ("time_embedding",),
    "middle": ("mid_block",),
    "out": ("up_blocks", "conv_norm_out", "conv_out"),
}
"""The first is for all that the others are not."""

BLOCKS: Mapping[str, _Blocks] = {
    "ModelMergeBlocks": _PARTS,
    "ModelMergeSD1": _unet(12),
    "ModelMergeSD2": _unet(12),
    "ModelMergeSDXL": _unet(9),
    "ModelMergeSD3_2B": _sd3(24),
    "ModelMergeSD35_Large": _sd3(38),
    "ModelMergeFlux1": _FLUX,
    "ModelMergeAuraflow": _AURAFLOW,
    "ModelMergeMochiPreview": _MOCHI,
    "ModelMergeLTXV": _LTX,
    "ModelMergeCosmos7B": _cosmos(28),
    "ModelMergeCosmos14B": _cosmos(36),
    "ModelMergeCosmosPredict2_2B": _cosmos_predict2(28),
    "ModelMergeCosmosPredict2_14B": _cosmos_predict2(36),
    "ModelMergeWAN2_1": _WAN,
    "ModelMergeQwenImage": _QWEN,
}
"""The types that merge by block."""


def _block_entries() -> Iterator[TableEntry]:
    for there, blocks in BLOCKS.items():
        weights = ", ".join(f"{name}: FLOAT = 1.0" for name in blocks)
        yield entry(f"{there}(model1: MODEL, model2: MODEL, {weights}) -> MODEL", _by_block(blocks))


def _lora(node: Passage) -> None:
    """A difference of models as a LoRA; here, the models themselves are compared."""
    values: dict[str, Any] = {}
    for name, port in (("model_diff", "model"), ("text_encoder_diff", "text_encoder")):
        if name in node.inputs:
            values |= _compared(node.inputs[name], name, port)
    if "model" not in values:
        raise Untranslatable("nodegraph extracts a LoRA of a diffusion model, and none is linked")
    if node.literal("lora_type") != "standard":
        node.tell("nodegraph saves a LoRA, not the full difference")
    if node.literal("bias_diff"):
        node.tell("changes of biases and norms are not part of the LoRA that nodegraph extracts")
    made = node.add("ExtractLora", **values, rank=node.inputs["rank"])
    node.keep(lora_type=node.literal("lora_type"), bias_diff=node.literal("bias_diff"))
    node.add(
        "SaveWeights", weights=MadeOutput(made, "weights"), name=node.inputs["filename_prefix"]
    )


def _compared(signal: Signal, name: str, port: str) -> dict[str, Any]:
    """A model and the one that it is compared with.

    Raises:
        Untranslatable: The input is no plain difference of two.
    """
    first, second, multiplier = signal.carried.get(_DIFFERENCE, (None, None, 0.0))
    if multiplier != 1:
        raise Untranslatable(f"`{name}` is not the difference of two models, times 1")
    base = "base" if port == "model" else "base_text_encoder"
    return {port: first, base: second}


def _no_image_only(node: Passage) -> None:
    raise Untranslatable("nodegraph has no models that take only an image, such as SVD")


def _signature(there: str, merged: _Merged, more: str = "") -> str:
    first_name, second_name = merged.inputs
    kind = merged.there
    return f"{there}({first_name}: {kind}, {second_name}: {kind}{more}) -> {kind}"


def _sums(merged: _Merged, prefix: str) -> tuple[TableEntry, ...]:
    """The entries that merge one kind of recipe without blocks."""
    kinds: tuple[tuple[str, str, Callable[[_Merged], Translate], _Numbers], ...] = (
        ("Simple", ", ratio: FLOAT = 1.0", _mixed, _ratio_back),
        ("Add", "", _added, _sum_back),
        ("Subtract", ", multiplier: FLOAT = 1.0", _subtracted, _difference_back),
    )
    return tuple(
        entry(
            _signature(f"{prefix}{name}", merged, more),
            forward(merged),
            merged.native,
            _merged_back(merged, f"{prefix}{name}", numbers),
        )
        for name, more, forward, numbers in kinds
    )


def _prefix(folder: str) -> str:
    return f'filename_prefix: STRING = "{folder}"'


_SAVED = (
    same(
        f"CheckpointSave(model: MODEL, clip: CLIP, vae: VAE, {_prefix('checkpoints/ComfyUI')})",
        "SaveModel",
        {"clip": "text_encoder", "filename_prefix": "name"},
        fixed={"layout": "single file"},
    ),
    same(
        f"ModelSave(model: MODEL, {_prefix('diffusion_models/ComfyUI')})",
        "SaveModel",
        {"filename_prefix": "name"},
        fixed={"layout": "single file"},
    ),
    same(
        f"CLIPSave(clip: CLIP, {_prefix('clip/ComfyUI')})",
        "SaveTextEncoder",
        {"clip": "text_encoder", "filename_prefix": "name"},
    ),
    same(
        f"VAESave(vae: VAE, {_prefix('vae/ComfyUI_vae')})",
        "SaveVae",
        {"filename_prefix": "name"},
    ),
    entry(
        f"LoraSave({_prefix('loras/ComfyUI_extracted_lora')}, rank: INT = 8, "
        'lora_type: COMBO = "standard", bias_diff: BOOLEAN = true, model_diff: MODEL?, '
        "text_encoder_diff: CLIP?)",
        _lora,
    ),
    entry(
        "ImageOnlyCheckpointSave(model: MODEL, clip_vision: CLIP_VISION, vae: VAE, "
        f"{_prefix('checkpoints/ComfyUI')})",
        _no_image_only,
    ),
)

ENTRIES: tuple[TableEntry, ...] = (
    *_sums(_MODEL, "ModelMerge"),
    *_sums(_CLIP, "CLIPMerge"),
    *_block_entries(),
    *_SAVED,
)
