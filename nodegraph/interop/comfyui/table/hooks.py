"""Hooks: LoRAs and models of single prompts over parts of the sampling, and pairs of prompts.

In ComfyUI, hooks, keyframes and timestep ranges are values of links. Here they become no nodes:
they travel with the link to the prompt that they are set on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nodegraph.errors import NodegraphError
from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry
from nodegraph.interop.comfyui.table.carried_values import refuse_unsupported
from nodegraph.interop.comfyui.table.parts import file_input
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable
from nodegraph.models.adapters.recipes import parse_keyframes

HOOKS = "hooks"
"""What HOOKS carry, and a CLIP whose prompts get them: a tuple of `Hook`."""
_KEYFRAMES = "keyframes"
_RANGE = "timesteps"
_CHECKPOINT = "CheckpointLoaderSimple"
_DIGITS = 6

Keyframes = tuple[tuple[float, float], ...]
"""Start and factor of each."""
Prompt = Signal | MadeOutput


@dataclass(frozen=True, slots=True)
class Hook:
    """A LoRA, or a model to mix in, that applies while a prompt is evaluated.

    Attributes:
        lora: The file of the LoRA; None for a model.
        loader: The node that loads the model; empty for a LoRA.
        strength_model, strength_clip: Its strengths, which may be links.
        keyframes: Factors of the strengths during the sampling.
    """

    lora: Any
    strength_model: Signal
    strength_clip: Signal | None = None
    keyframes: Keyframes = ()
    loader: str = ""

    @property
    def schedule(self) -> str | None:
        """Its keyframes as LoraConditioning and ModelConditioning read them."""
        # The last one of several with one start counts.
        factors = {round(start, _DIGITS): factor for start, factor in self.keyframes}
        lines = [f"{at:g}: {round(factor, _DIGITS):g}" for at, factor in sorted(factors.items())]
        return "\n".join(lines) or None


def give_prompt(node: Passage, output: str, prompt: MadeOutput) -> None:
    """Give an encoded prompt, with the hooks that its text encoder has for prompts."""
    hooks = node.inputs["clip"].carried.get(HOOKS, ())
    node.give(output, hooked(node, prompt, hooks))


def hooked(node: Passage, prompt: Prompt, hooks: Sequence[Hook]) -> Prompt:
    """A prompt with the LoRAs and models of hooks."""
    carried = prompt.carried if isinstance(prompt, Signal) else None
    for hook in hooks:
        if hook.strength_model.content == 0:
            continue
        is_model = bool(hook.loader)
        added = {"model": MadeOutput(hook.loader, "model")} if is_model else {"lora": hook.lora}
        name = node.add(
            "ModelConditioning" if is_model else "LoraConditioning",
            conditioning=prompt,
            **added,
            strength=hook.strength_model,
            schedule=hook.schedule,
        )
        prompt = MadeOutput(name, "conditioning")
    return prompt if carried is None or isinstance(prompt, Signal) else Signal(prompt, carried)


def _hooks_of(node: Passage, name: str = "hooks") -> tuple[Hook, ...]:
    """The hooks that are linked to an input.

    Raises:
        Untranslatable: They come from a node that is none of ComfyUI's own.
    """
    if name not in node.inputs:
        return ()
    hooks = node.inputs[name].carried.get(HOOKS)
    if hooks is None:
        raise Untranslatable(f"the hooks linked to its input `{name}` are not known")
    return tuple(hooks)


def _lora_hook(node: Passage) -> None:
    clip = node.inputs.get("strength_clip")
    hook = Hook(file_input(node, "lora_name"), node.inputs["strength_model"], clip)
    node.give("HOOKS", Signal(None, {HOOKS: (*_hooks_of(node, "prev_hooks"), hook)}))


def _model_hook(node: Passage) -> None:
    """A whole model in place of a LoRA: what it differs in from the model is added."""
    loader = node.add("LoadModel", model=file_input(node, "ckpt_name"))
    clip = node.inputs.get("strength_clip")
    hook = Hook(None, node.inputs["strength_model"], clip, loader=loader)
    node.give("HOOKS", Signal(None, {HOOKS: (*_hooks_of(node, "prev_hooks"), hook)}))


def _combined_hooks(node: Passage) -> None:
    names = [f"hooks_{letter}" for letter in "ABCDEFGH"]
    hooks = tuple(hook for name in names for hook in _hooks_of(node, name))
    node.give("HOOKS", Signal(None, {HOOKS: hooks}))


def _with_keyframes(node: Passage) -> None:
    hooks = _hooks_of(node)
    if "hook_kf" in node.inputs:
        keyframes = _previous(node, "hook_kf")
        hooks = tuple(replace(hook, keyframes=keyframes) for hook in hooks)
    node.give("HOOKS", Signal(None, {HOOKS: hooks}))


def _previous(node: Passage, name: str = "prev_hook_kf") -> Keyframes:
    if name not in node.inputs:
        return ()
    keyframes = node.inputs[name].carried.get(_KEYFRAMES)
    if keyframes is None:
        raise Untranslatable(f"the keyframes linked to its input `{name}` are not known")
    return tuple(keyframes)


def _give_keyframes(node: Passage, added: Keyframes) -> None:
    keyframes = tuple(sorted((*_previous(node), *added), key=lambda item: item[0]))
    node.give("HOOK_KF", Signal(None, {_KEYFRAMES: keyframes}))


def _keyframe(node: Passage) -> None:
    start, factor = node.literal("start_percent"), node.literal("strength_mult")
    _give_keyframes(node, ((float(start), float(factor)),))


_CURVES: Mapping[str, Callable[[float], float]] = {
    "linear": lambda share: share,
    "ease_in": lambda share: share**2,
    "ease_out": lambda share: 1 - (1 - share) ** 2,
    "ease_in_out": lambda share: (1 - math.cos(share * math.pi)) / 2,
}
"""How a strength goes from the first to the last keyframe."""


def _interpolated(node: Passage) -> None:
    kind, count = str(node.literal("interpolation")), int(node.literal("keyframes_count"))
    if kind not in _CURVES:
        raise Untranslatable(f"nodegraph has no interpolation {kind}")
    first, last = float(node.literal("strength_start")), float(node.literal("strength_end"))
    factors = [first + (last - first) * _CURVES[kind](share) for share in _shares(count)]
    _give_keyframes(node, tuple(zip(_starts(node, count), factors, strict=True)))


def _from_numbers(node: Passage) -> None:
    value = node.literal("floats_strength")
    numbers = value if isinstance(value, list | tuple) else [value]
    factors = [float(number) for number in numbers]
    _give_keyframes(node, tuple(zip(_starts(node, len(factors)), factors, strict=True)))


def _starts(node: Passage, count: int) -> list[float]:
    """Starts of keyframes at equal distances."""
    first, last = float(node.literal("start_percent")), float(node.literal("end_percent"))
    return [first + (last - first) * share for share in _shares(count)]


def _shares(count: int) -> list[float]:
    return [index / max(1, count - 1) for index in range(count)]


def _timesteps(node: Passage) -> None:
    start, end = node.inputs["start_percent"], node.inputs["end_percent"]
    ranges = {
        "TIMESTEPS_RANGE": (start, end),
        "BEFORE_RANGE": (0.0, start),
        "AFTER_RANGE": (end, 1.0),
    }
    for output, span in ranges.items():
        node.give(output, Signal(None, {_RANGE: span}))


def _clip_hooks(node: Passage) -> None:
    """LoRAs of a text encoder, and of the model for the prompts that it encodes."""
    hooks, clip = _hooks_of(node), node.inputs["clip"]
    encoder: Prompt = clip
    for hook in hooks:
        factors = {factor for _, factor in hook.keyframes}
        if len(factors) > 1 and node.literal("schedule_clip"):
            raise Untranslatable(
                "nodegraph encodes a prompt once, and not again for each keyframe (schedule_clip)"
            )
        strength = _clip_strength(hook)
        if strength is not None:
            name = _encoder_with(node, hook, encoder, strength)
            encoder = MadeOutput(name, "text_encoder")
    content = encoder.content if isinstance(encoder, Signal) else encoder
    carried = dict(clip.carried)
    if node.literal("apply_to_conds"):
        carried[HOOKS] = hooks
    node.give("CLIP", Signal(content, carried))


def _encoder_with(node: Passage, hook: Hook, encoder: Prompt, strength: Any) -> str:
    if not hook.loader:
        return node.add("LoadEncoderLora", text_encoder=encoder, lora=hook.lora, strength=strength)
    other = MadeOutput(hook.loader, "text_encoder")
    return node.add("MergeTextEncoders", text_encoder=encoder, second=other, weight=strength)


def _clip_strength(hook: Hook) -> Any:
    """The strength on the text encoder, that of the first keyframe; None for 0.

    Raises:
        Untranslatable: It is linked, and changed by a keyframe.
    """
    first = hook.keyframes[0][1] if hook.keyframes else 1.0
    if hook.strength_clip is None or 0 in (first, hook.strength_clip.content):
        return None
    if first == 1:
        return hook.strength_clip
    if hook.strength_clip.is_link:
        raise Untranslatable("the strength of its hook is linked, and has keyframes")
    return round(float(hook.strength_clip.content) * first, _DIGITS)


def _clip_hooks_back(node: Passage) -> None:
    hook = node.imply(
        "CreateHookLora",
        lora_name=node.inputs["lora"],
        strength_model=0.0,
        strength_clip=node.inputs["strength"],
    )
    name = node.add(
        "SetClipHooks",
        clip=node.inputs["text_encoder"],
        hooks=MadeOutput(hook, "HOOKS"),
        apply_to_conds=False,
        schedule_clip=False,
    )
    node.give("text_encoder", MadeOutput(name, "CLIP"))


def _with_properties(node: Passage, prompt: Signal) -> Signal:
    """A prompt with the hooks, the mask and the timesteps of a node."""
    carried, made = prompt.carried, hooked(node, prompt, _hooks_of(node))
    if "mask" in node.inputs:
        if node.literal("set_cond_area") != "default":
            node.tell("the mask's bounds do not define an area in nodegraph: only the mask counts")
        name = node.add("MaskConditioning", conditioning=made, mask=node.inputs["mask"])
        made, strength = MadeOutput(name, "conditioning"), node.inputs["strength"]
        if strength.content != 1:
            name = node.add("StrengthConditioning", conditioning=made, strength=strength)
            made = MadeOutput(name, "conditioning")
    if "timesteps" in node.inputs:
        span = node.inputs["timesteps"].carried.get(_RANGE)
        if span is None:
            raise Untranslatable("the timesteps linked to its input `timesteps` are not known")
        name = node.add("SpanConditioning", conditioning=made, start=span[0], end=span[1])
        made = MadeOutput(name, "conditioning")
    return Signal(made.content if isinstance(made, Signal) else made, carried)


def _combined(node: Passage, first: Signal, second: Signal) -> Signal:
    """Two prompts together.

    Raises:
        Untranslatable: They carry different settings.
    """
    both = {**second.carried, **first.carried}
    for key, value in both.items():
        if second.carried.get(key, value) != value:
            raise Untranslatable(f"its inputs have different settings for the output ({key})")
    name = node.add("CombineConditioning", first=first, second=second)
    return Signal(MadeOutput(name, "conditioning"), both)


def _as_default(node: Passage, prompt: Signal) -> Signal:
    made = hooked(node, prompt, _hooks_of(node))
    name = node.add("FallbackConditioning", conditioning=made)
    return Signal(MadeOutput(name, "conditioning"), prompt.carried)


Change = Callable[[Passage, Signal], Signal]


def _each(pairs: Mapping[str, tuple[str, ...]], change: Change | None) -> Translate:
    """Change prompts, and combine them with others.

    Args:
        pairs: Inputs of each output: what is kept, and last what is changed.
        change: What is done to the last one; None to combine them alone.
    """

    def forward(node: Passage) -> None:
        for output, names in pairs.items():
            *kept, last = (node.inputs[name] for name in names)
            changed = last if change is None else change(node, last)
            node.give(output, _combined(node, kept[0], changed) if kept else changed)

    return forward


def _lora_back(node: Passage) -> None:
    """A prompt with its own LoRA: a hook with its keyframes there."""
    refuse_unsupported(node, "conditioning", "lora", "strength", "schedule")
    _hook_back(
        node,
        node.imply(
            "CreateHookLoraModelOnly",
            lora_name=node.inputs["lora"],
            strength_model=node.inputs["strength"],
        ),
    )


def _model_back(node: Passage) -> None:
    """A prompt with its own model: a hook of the checkpoint that the model is of."""
    refuse_unsupported(node, "conditioning", "model", "strength", "schedule")
    kind, inputs = node.behind("model")
    if kind != _CHECKPOINT:
        raise Untranslatable("ComfyUI mixes a model of a prompt only directly from a checkpoint")
    _hook_back(
        node,
        node.imply(
            "CreateHookModelAsLoraModelOnly",
            ckpt_name=inputs["ckpt_name"],
            strength_model=node.inputs["strength"],
        ),
    )


def _hook_back(node: Passage, hook: str) -> None:
    """Put a hook on a prompt, with the keyframes of its schedule."""
    made = MadeOutput(hook, "HOOKS")
    schedule = str(node.literal("schedule") or "") if "schedule" in node.inputs else ""
    previous: MadeOutput | None = None
    try:
        keyframes = parse_keyframes(schedule)
    except NodegraphError as error:
        raise Untranslatable(error.problem.message) from None
    for start, factor in keyframes:
        values = {"strength_mult": factor, "start_percent": start}
        frame = node.imply("CreateHookKeyframe", **values, prev_hook_kf=previous)
        previous = MadeOutput(frame, "HOOK_KF")
    if previous is not None:
        timed = node.imply("SetHookKeyframes", hooks=made, hook_kf=previous)
        made = MadeOutput(timed, "HOOKS")
    name = node.add(
        "ConditioningSetProperties",
        cond_NEW=node.inputs["conditioning"],
        hooks=made,
        strength=1.0,
        set_cond_area="default",
    )
    node.give("conditioning", MadeOutput(name, "CONDITIONING"))


_PROPERTIES = (
    'strength: FLOAT = 1.0, set_cond_area: COMBO = "default", mask: MASK?, hooks: HOOKS?, '
    "timesteps: TIMESTEPS_RANGE?"
)
_BOTH = "positive: CONDITIONING, negative: CONDITIONING"
_PAIR = f"-> {_BOTH}"


def _conditionings(*names: str) -> str:
    return ", ".join(f"{name}: CONDITIONING" for name in names)


def _paired(*suffixes: str) -> dict[str, tuple[str, ...]]:
    return {
        side: tuple(f"{side}{suffix}" for suffix in suffixes) for side in ("positive", "negative")
    }


_PAIRS = (
    entry(
        f"PairConditioningSetProperties({_conditionings('positive_NEW', 'negative_NEW')}, "
        f"{_PROPERTIES}) {_PAIR}",
        _each(_paired("_NEW"), _with_properties),
    ),
    entry(
        f"PairConditioningSetPropertiesAndCombine({_BOTH}, "
        f"{_conditionings('positive_NEW', 'negative_NEW')}, {_PROPERTIES}) {_PAIR}",
        _each(_paired("", "_NEW"), _with_properties),
    ),
    entry(
        f"ConditioningSetProperties(cond_NEW: CONDITIONING, {_PROPERTIES}) -> CONDITIONING",
        _each({"CONDITIONING": ("cond_NEW",)}, _with_properties),
        "LoraConditioning",
        _lora_back,
    ),
    entry(
        f"ConditioningSetPropertiesAndCombine({_conditionings('cond', 'cond_NEW')}, {_PROPERTIES})"
        " -> CONDITIONING",
        _each({"CONDITIONING": ("cond", "cond_NEW")}, _with_properties),
    ),
    entry(
        f"PairConditioningCombine("
        f"{_conditionings('positive_A', 'negative_A', 'positive_B', 'negative_B')}) {_PAIR}",
        _each(_paired("_A", "_B"), None),
    ),
    entry(
        f"PairConditioningSetDefaultCombine({_BOTH}, "
        f"{_conditionings('positive_DEFAULT', 'negative_DEFAULT')}, hooks: HOOKS?) {_PAIR}",
        _each(_paired("", "_DEFAULT"), _as_default),
    ),
    entry(
        f"ConditioningSetDefaultCombine({_conditionings('cond', 'cond_DEFAULT')}, hooks: HOOKS?)"
        " -> CONDITIONING",
        _each({"CONDITIONING": ("cond", "cond_DEFAULT")}, _as_default),
    ),
    entry(
        "ConditioningTimestepsRange(start_percent: FLOAT = 0.0, end_percent: FLOAT = 1.0)"
        " -> TIMESTEPS_RANGE, BEFORE_RANGE: TIMESTEPS_RANGE, AFTER_RANGE: TIMESTEPS_RANGE",
        _timesteps,
    ),
)

_STRENGTH = "strength_model: FLOAT = 1.0"
_CLIP = "strength_clip: FLOAT = 1.0"
_BEFORE = "prev_hooks: HOOKS?) -> HOOKS"
_SPAN = "start_percent: FLOAT = 0.0, end_percent: FLOAT = 1.0"
_FRAMES = "prev_hook_kf: HOOK_KEYFRAMES?) -> HOOK_KF: HOOK_KEYFRAMES"


def _combiners() -> Iterator[TableEntry]:
    for there, count in (("CombineHooks2", 2), ("CombineHooks4", 4), ("CombineHooks8", 8)):
        inputs = ", ".join(f"hooks_{letter}: HOOKS?" for letter in "ABCDEFGH"[:count])
        yield entry(f"{there}({inputs}) -> HOOKS", _combined_hooks)


_HOOKS = (
    entry(f"CreateHookLora(lora_name: COMBO, {_STRENGTH}, {_CLIP}, {_BEFORE}", _lora_hook),
    entry(f"CreateHookLoraModelOnly(lora_name: COMBO, {_STRENGTH}, {_BEFORE}", _lora_hook),
    entry(f"CreateHookModelAsLora(ckpt_name: COMBO, {_STRENGTH}, {_CLIP}, {_BEFORE}", _model_hook),
    entry(
        f"CreateHookModelAsLoraModelOnly(ckpt_name: COMBO, {_STRENGTH}, {_BEFORE}",
        _model_hook,
        "ModelConditioning",
        _model_back,
    ),
    entry("SetHookKeyframes(hooks: HOOKS, hook_kf: HOOK_KEYFRAMES?) -> HOOKS", _with_keyframes),
    entry(
        f"CreateHookKeyframe(strength_mult: FLOAT = 1.0, start_percent: FLOAT = 0.0, {_FRAMES}",
        _keyframe,
    ),
    entry(
        "CreateHookKeyframesInterpolated(strength_start: FLOAT = 1.0, strength_end: FLOAT = 1.0, "
        f'interpolation: COMBO = "linear", {_SPAN}, keyframes_count: INT = 5, '
        f"print_keyframes: BOOLEAN = false, {_FRAMES}",
        _interpolated,
    ),
    entry(
        f"CreateHookKeyframesFromFloats(floats_strength: FLOATS, {_SPAN}, "
        f"print_keyframes: BOOLEAN = false, {_FRAMES}",
        _from_numbers,
    ),
    *_combiners(),
    entry(
        "SetClipHooks(clip: CLIP, apply_to_conds: BOOLEAN = true, schedule_clip: BOOLEAN = false, "
        "hooks: HOOKS?) -> CLIP",
        _clip_hooks,
        "LoadEncoderLora",
        _clip_hooks_back,
    ),
)

ENTRIES: tuple[TableEntry, ...] = (*_PAIRS, *_HOOKS)
