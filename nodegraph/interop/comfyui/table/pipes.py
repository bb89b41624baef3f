"""Pipes of packs: bundles of links, resolved where they are unpacked.

A pipe there is one value that holds several: a model, its text encoder and VAE, prompts, settings.
Here each of these has its own link. So a pipe becomes no node: what it holds goes along with its
link under `PIPE`, to the node that unpacks it or samples with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry, type_entry
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

PIPE = "pipe"


@dataclass(frozen=True, slots=True)
class Pipe:
    """What a pipe holds.

    Attributes:
        members: By name; what isn't there is None in ComfyUI.
    """

    members: Mapping[str, Signal]

    def get(self, name: str) -> Signal | None:
        return self.members.get(name)

    def with_members(self, **signals: Any) -> Pipe:
        """The same with other members; those that are None stay as they are."""
        present = {name: value for name, value in signals.items() if _is_there(value)}
        return Pipe({**self.members, **{name: _signal(value) for name, value in present.items()}})


def _is_there(value: Any) -> bool:
    """Whether something is given: a value, or what goes along without one."""
    return value is not None and (
        not isinstance(value, Signal) or value.content is not None or bool(value.carried)
    )


def _signal(value: Any) -> Signal:
    return value if isinstance(value, Signal) else Signal(value)


def pipe_of(node: Passage, name: str) -> Pipe:
    """What the pipe holds that an input is given.

    Raises:
        Untranslatable: It isn't connected, or what made it isn't translated.
    """
    if name not in node.inputs:
        raise Untranslatable(f"its input `{name}` is not connected")
    pipe = node.inputs[name].carried.get(PIPE)
    if not isinstance(pipe, Pipe):
        raise Untranslatable(f"what the pipe at its input `{name}` holds is not known")
    return pipe


def give_pipe(node: Passage, output: str, pipe: Pipe) -> None:
    """Give a pipe on."""
    node.give(output, Signal(None, {PIPE: pipe}))


def give_members(node: Passage, pipe: Pipe, outputs: Mapping[str, str]) -> None:
    """Unpack a pipe; what it doesn't hold is given to nothing.

    Args:
        outputs: Names of the node's outputs, and of members.
    """
    for output, name in outputs.items():
        member = pipe.get(name)
        if member is not None:
            node.give(output, member)


def linked_members(node: Passage, names: Mapping[str, str]) -> dict[str, Signal]:
    """What a node's inputs are given, as members of a pipe.

    Args:
        names: Of inputs, and of members.
    """
    signals = {member: node.inputs[name] for name, member in names.items() if name in node.inputs}
    return {member: signal for member, signal in signals.items() if _is_there(signal)}


def _itself(*names: str) -> dict[str, str]:
    return {name: name for name in names}


_BASIC = _itself("model", "clip", "vae", "positive", "negative")
_REFINER = _itself("refiner_model", "refiner_clip", "refiner_positive", "refiner_negative")
_OPTIONAL = _itself("sam_model_opt", "segm_detector_opt", "detailer_hook")
_DETAILER = _BASIC | _itself("bbox_detector", "wildcard") | _OPTIONAL
_EDITED = {"sam_model": "sam_model_opt", "segm_detector": "segm_detector_opt"}
_BRANCHES = {"base_basic_pipe": _itself(*_BASIC)} | {
    "refiner_basic_pipe": {
        **{name: f"refiner_{name}" for name in ("model", "clip", "positive", "negative")},
        "vae": "vae",
    }
}


def _pack(output: str, names: Mapping[str, str]) -> Translate:
    """The way here of a node that makes a pipe."""

    def forward(node: Passage) -> None:
        give_pipe(node, output, Pipe(linked_members(node, names)))

    return forward


def _unpack(source: str, names: Mapping[str, str], *, again: str = "") -> Translate:
    """The way here of a node that gives what a pipe holds.

    Args:
        again: The output that gives the pipe itself, if there is one.
    """

    def forward(node: Passage) -> None:
        pipe = pipe_of(node, source)
        if again:
            give_pipe(node, again, pipe)
        # What may lack there is None there, too.
        lacking = {name: Signal(None) for name in (*_OPTIONAL, *_REFINER) if name in names.values()}
        give_members(node, Pipe({**lacking, **pipe.members}), names)

    return forward


def _edit(source: str, output: str, names: Mapping[str, str]) -> Translate:
    """The way here of a node that puts other members into a pipe."""

    def forward(node: Passage) -> None:
        new = linked_members(node, names)
        if "wildcard" in new and new["wildcard"].content == "":
            del new["wildcard"]
        give_pipe(node, output, pipe_of(node, source).with_members(**new))

    return forward


def _to_detailer(node: Passage) -> None:
    """One or two basic pipes, and what finds what is to be detailed."""
    is_alone = node.type == "BasicPipeToDetailerPipe"
    base = pipe_of(node, "basic_pipe" if is_alone else "base_basic_pipe")
    members = {name: base.members[name] for name in _BASIC if name in base.members}
    if not is_alone:
        refiner = pipe_of(node, "refiner_basic_pipe")
        for name, member in _BRANCHES["refiner_basic_pipe"].items():
            if name != "vae" and name in refiner.members:
                members[member] = refiner.members[name]
    own = linked_members(node, _itself("bbox_detector", "wildcard") | _OPTIONAL)
    give_pipe(node, "detailer_pipe", Pipe({**members, **own}))


def _to_basic(node: Passage) -> None:
    pipe = pipe_of(node, "detailer_pipe")
    for output, names in _BRANCHES.items():
        held = {name: pipe.members[of] for name, of in names.items() if of in pipe.members}
        give_pipe(node, output, Pipe(held))


_WILDCARD = (
    'wildcard: STRING = "", Select to add LoRA: COMBO = "Select the LoRA to add to the text", '
    'Select to add Wildcard: COMBO = "Select the Wildcard to add to the text"'
)
_SELECTS = ("Select to add LoRA", "Select to add Wildcard")
"""Choices that only write into the text beside them."""
_MODELS = (
    "model: MODEL{0}, clip: CLIP{0}, vae: VAE{0}, positive: CONDITIONING{0}, "
    "negative: CONDITIONING{0}"
)
_REFINERS = (
    "refiner_model: MODEL{0}, refiner_clip: CLIP{0}, refiner_positive: CONDITIONING{0}, "
    "refiner_negative: CONDITIONING{0}"
)
_FINDERS = (
    "sam_model_opt: SAM_MODEL?, segm_detector_opt: SEGM_DETECTOR?, detailer_hook: DETAILER_HOOK?"
)
_HELD = _MODELS.format("")
_DETECTED = (
    "bbox_detector: BBOX_DETECTOR, sam_model_opt: SAM_MODEL, segm_detector_opt: SEGM_DETECTOR, "
    "detailer_hook: DETAILER_HOOK"
)
_BBOX = "bbox_detector: BBOX_DETECTOR"
_EDITORS = (
    "bbox_detector: BBOX_DETECTOR?, sam_model: SAM_MODEL?, segm_detector: SEGM_DETECTOR?, "
    "detailer_hook: DETAILER_HOOK?"
)
_OUT = "-> detailer_pipe: DETAILER_PIPE"
_IN = "detailer_pipe: DETAILER_PIPE"
_GIVEN_ON = {name: name for name in _DETAILER if name != "wildcard"}

IMPACT_ENTRIES: tuple[TableEntry, ...] = (
    entry(f"ToBasicPipe({_HELD}) -> basic_pipe: BASIC_PIPE", _pack("basic_pipe", _BASIC)),
    entry(f"FromBasicPipe(basic_pipe: BASIC_PIPE) -> {_HELD}", _unpack("basic_pipe", _BASIC)),
    entry(
        f"FromBasicPipe_v2(basic_pipe: BASIC_PIPE) -> basic_pipe: BASIC_PIPE, {_HELD}",
        _unpack("basic_pipe", _BASIC, again="basic_pipe"),
    ),
    entry(
        f"EditBasicPipe(basic_pipe: BASIC_PIPE, {_MODELS.format('?')}) -> basic_pipe: BASIC_PIPE",
        _edit("basic_pipe", "basic_pipe", _BASIC),
    ),
    type_entry(
        "ToDetailerPipe",
        f"({_HELD}, {_BBOX}, {_WILDCARD}, {_FINDERS}) {_OUT}",
        _pack("detailer_pipe", _DETAILER),
        _SELECTS,
    ),
    type_entry(
        "ToDetailerPipeSDXL",
        f"({_HELD}, {_REFINERS.format('')}, {_BBOX}, {_WILDCARD}, {_FINDERS}) {_OUT}",
        _pack("detailer_pipe", _DETAILER | _REFINER),
        _SELECTS,
    ),
    entry(f"FromDetailerPipe({_IN}) -> {_HELD}, {_DETECTED}", _unpack("detailer_pipe", _GIVEN_ON)),
    entry(
        f"FromDetailerPipe_v2({_IN}) {_OUT}, {_HELD}, {_DETECTED}",
        _unpack("detailer_pipe", _GIVEN_ON, again="detailer_pipe"),
    ),
    entry(
        f"FromDetailerPipeSDXL({_IN}) {_OUT}, {_HELD}, {_DETECTED}, {_REFINERS.format('')}",
        _unpack("detailer_pipe", _GIVEN_ON | _REFINER, again="detailer_pipe"),
    ),
    type_entry(
        "EditDetailerPipe",
        f"({_IN}, {_WILDCARD}, {_MODELS.format('?')}, {_EDITORS}) {_OUT}",
        _edit("detailer_pipe", "detailer_pipe", _DETAILER | _EDITED),
        _SELECTS,
    ),
    type_entry(
        "EditDetailerPipeSDXL",
        f"({_IN}, {_WILDCARD}, {_MODELS.format('?')}, {_REFINERS.format('?')}, {_EDITORS}) {_OUT}",
        _edit("detailer_pipe", "detailer_pipe", _DETAILER | _EDITED | _REFINER),
        _SELECTS,
    ),
    type_entry(
        "BasicPipeToDetailerPipe",
        f"(basic_pipe: BASIC_PIPE, {_BBOX}, {_WILDCARD}, {_FINDERS}) {_OUT}",
        _to_detailer,
        _SELECTS,
    ),
    type_entry(
        "BasicPipeToDetailerPipeSDXL",
        "(base_basic_pipe: BASIC_PIPE, refiner_basic_pipe: BASIC_PIPE, "
        f"{_BBOX}, {_WILDCARD}, {_FINDERS}) {_OUT}",
        _to_detailer,
        _SELECTS,
    ),
    entry(
        f"DetailerPipeToBasicPipe({_IN}) -> base_basic_pipe: BASIC_PIPE, "
        "refiner_basic_pipe: BASIC_PIPE",
        _to_basic,
    ),
)

_CONTEXT: tuple[tuple[str, str, str], ...] = (
    ("model", "MODEL", "MODEL"),
    ("clip", "CLIP", "CLIP"),
    ("vae", "VAE", "VAE"),
    ("positive", "CONDITIONING", "POSITIVE"),
    ("negative", "CONDITIONING", "NEGATIVE"),
    ("latent", "LATENT", "LATENT"),
    ("images", "IMAGE", "IMAGE"),
    ("seed", "INT", "SEED"),
    ("steps", "INT", "STEPS"),
    ("step_refiner", "INT", "STEP_REFINER"),
    ("cfg", "FLOAT", "CFG"),
    ("ckpt_name", "COMBO", "CKPT_NAME"),
    ("sampler", "COMBO", "SAMPLER"),
    ("scheduler", "COMBO", "SCHEDULER"),
    ("clip_width", "INT", "CLIP_WIDTH"),
    ("clip_height", "INT", "CLIP_HEIGHT"),
    ("text_pos_g", "STRING", "TEXT_POS_G"),
    ("text_pos_l", "STRING", "TEXT_POS_L"),
    ("text_neg_g", "STRING", "TEXT_NEG_G"),
    ("text_neg_l", "STRING", "TEXT_NEG_L"),
    ("mask", "MASK", "MASK"),
    ("control_net", "CONTROL_NET", "CONTROL_NET"),
)
"""Members of rgthree's contexts, with their types and the names of outputs."""
_SMALL = _CONTEXT[:8]
_ORDER = ("ctx_01", "ctx_02", "ctx_03", "ctx_04", "ctx_05")


def _context(node: Passage) -> None:
    base = pipe_of(node, "base_ctx") if "base_ctx" in node.inputs else Pipe({})
    names = {name: name for name, _, _ in _CONTEXT}
    _give_context(node, base.with_members(**linked_members(node, names)))


def _give_context(node: Passage, pipe: Pipe) -> None:
    give_pipe(node, "CONTEXT", pipe)
    give_members(node, pipe, {output: name for name, _, output in _CONTEXT})


def _switched_context(node: Passage) -> None:
    """The first context that holds something."""
    pipes = [pipe_of(node, name) for name in _ORDER if name in node.inputs]
    _give_context(node, next((pipe for pipe in pipes if pipe.members), Pipe({})))


def _merged_context(node: Passage) -> None:
    """All contexts in one: of what several hold, the last."""
    pipes = [pipe_of(node, name) for name in _ORDER if name in node.inputs]
    members = chain.from_iterable(pipe.members.items() for pipe in pipes)
    _give_context(node, Pipe(dict(members)))


def _context_entries() -> tuple[TableEntry, ...]:
    several = ", ".join(f"{name}: RGTHREE_CONTEXT?" for name in _ORDER)
    made: list[TableEntry] = []
    for size, rows in (("", _SMALL), (" Big", _CONTEXT)):
        taken = ", ".join(
            f"{name}: {kind}?{' @socket' if kind in _VALUES else ''}" for name, kind, _ in rows
        )
        outputs = ", ".join(f"{output}: {kind}" for _, kind, output in rows)
        out = f"-> CONTEXT: RGTHREE_CONTEXT, {outputs}"
        made += [
            type_entry(
                f"Context{size} (rgthree)", f"(base_ctx: RGTHREE_CONTEXT?, {taken}) {out}", _context
            ),
            type_entry(f"Context Switch{size} (rgthree)", f"({several}) {out}", _switched_context),
            type_entry(f"Context Merge{size} (rgthree)", f"({several}) {out}", _merged_context),
        ]
    return tuple(made)


_VALUES = ("INT", "FLOAT", "STRING", "COMBO")


def _sampler_settings(node: Passage) -> None:
    """Settings that are made once for several samplers."""
    for name, output in (("steps_total", "STEPS"), ("refiner_step", "REFINER_STEP")):
        made = node.add("Integer", value=node.inputs[name])
        node.give(output, MadeOutput(made, "number"))
    node.give("CFG", MadeOutput(node.add("Number", value=node.inputs["cfg"]), "number"))
    # No link gives one of an input's choices here.
    node.give("SAMPLER", Signal(node.literal("sampler_name")))
    node.give("SCHEDULER", Signal(node.literal("scheduler")))


ENTRIES: tuple[TableEntry, ...] = (
    *IMPACT_ENTRIES,
    *_context_entries(),
    type_entry(
        "KSampler Config (rgthree)",
        "(steps_total: INT = 30, refiner_step: INT = 24, cfg: FLOAT = 8.0, "
        'sampler_name: COMBO = "euler", scheduler: COMBO = "normal") '
        "-> STEPS: INT, REFINER_STEP: INT, CFG: FLOAT, SAMPLER: COMBO, SCHEDULER: COMBO",
        _sampler_settings,
    ),
)
