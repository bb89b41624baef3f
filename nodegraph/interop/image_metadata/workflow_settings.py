"""The settings of a workflow of the usual nodes, as text in A1111's form.

It is the reverse of `generation_workflow`: it follows the nodes of an image upwards.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from nodegraph.core.links import is_link, read_link, read_literal
from nodegraph.core.parts import NodeEntry
from nodegraph.core.version import VERSION
from nodegraph.core.workflow import Workflow
from nodegraph.families.sampler_names import ELSEWHERE, SAMPLER_NAMES, SCHEDULE_NAMES
from nodegraph.interop.image_metadata.generation import (
    Generation,
    HiresPass,
    LoraReference,
    ModelReference,
    escape_markup,
)
from nodegraph.interop.image_metadata.infotext import format_infotext
from nodegraph.interop.image_metadata.model_finder import plain_name

HashOf = Callable[[str], str]
"""Returns the SHA-256 of a model file by its name in a workflow; empty if there is none."""

_SCHEDULES = {
    "sgm_uniform": "SGM Uniform",
    "kl_optimal": "KL Optimal",
    "ddim_uniform": "DDIM",
    "gits": "Align Your Steps GITS",
}
_SAMPLERS = {here: there for there, here in ELSEWHERE["A1111 and Forge"].items()}
_PLAIN_SAMPLERS = {"euler": "Euler", "ddim": "DDIM", "lcm": "LCM", "restart": "Restart"}
_MAX_NODES = 500
_MOST_SEEDS = 1 << 64
_ITEM = re.compile(r"(\[\d+\])+$")
"""After the name of a node that runs once for each item of a list."""


def read_settings(document: Mapping[str, Any], node: str, index: int = 0) -> Generation | None:
    """Return the settings that made the image that a node receives; None if there is no sampling.

    Args:
        document: A workflow as JSON.
        node: Name of the node, with an input `image`; with ``[n]`` for an item of a list.
        index: Which image of the batch.
    """
    workflow = Workflow.from_dict(dict(document))
    reader = _Reader(workflow.nodes)
    sample = reader.find(_ITEM.sub("", node), "image", ("KSampler",))
    return None if sample is None else reader.read(sample, index)


class _Reader:
    """Follows links of one graph upwards."""

    def __init__(self, nodes: Mapping[str, NodeEntry]) -> None:
        self._nodes = nodes

    def read(self, name: str, index: int) -> Generation:
        generation = Generation("nodegraph")
        again = self.find(name, "latent", ("KSampler",))
        first = again or name
        if again is not None:
            generation.hires = self._hires(name, first)
        self._read_sampling(generation, first, index)
        generation.prompt = self._prompt(first, "positive")
        generation.negative = self._prompt(first, "negative")
        if generation.hires is not None:
            second = [self._prompt(name, port) for port in ("positive", "negative")]
            generation.hires.prompt, generation.hires.negative = second
        guidance = self.find(first, "positive", ("GuidanceConditioning",))
        if guidance is not None:
            generation.guidance = self._value(guidance, "guidance", 3.5)
        size = self.find(first, "latent", ("EmptyLatent",))
        if size is not None:
            generation.width = self._value(size, "width", 512)
            generation.height = self._value(size, "height", 512)
        self._read_models(generation, first, name)
        return generation

    def _read_sampling(self, generation: Generation, name: str, index: int) -> None:
        seed = self._value(name, "seed", 0)
        generation.draw = self._value(name, "draw", "per item")
        if isinstance(seed, int):
            own = seed + (index if generation.draw == "per item" else 0)
            # There is no larger one, so such an item cannot be made alone.
            generation.seed = own if own < _MOST_SEEDS else None
        generation.steps = self._value(name, "steps", 20)
        generation.cfg = self._value(name, "cfg", 7.0)
        generation.sampler = self._value(name, "sampler", "dpmpp_2m") or ""
        generation.schedule = self._value(name, "schedule", "karras") or ""
        generation.convention = self._value(name, "convention", "diffusers")

    def _read_models(self, generation: Generation, first: str, last: str) -> None:
        for name, _ in self._chain(first, "model"):
            entry = self._nodes[name]
            if entry.type == "LoadLora":
                weights = [
                    self._value(name, each, 1.0) for each in ("strength_model", "strength_encoder")
                ]
                lora = self._value(name, "lora", "tiny/lcm_lora")
                if lora and None not in weights:
                    generation.loras.insert(0, LoraReference(ModelReference(lora), *weights))
            elif entry.type in ("LoadModel", "LoadDiffusionModel"):
                generation.model = ModelReference(self._value(name, "model", "tiny") or "")
        skip = self.find(first, "positive", ("ClipSkip",))
        if skip is not None:
            generation.clip_skip = self._value(skip, "skip", 2)
        decode = next((each for each in self._users(last) if self._is(each, "VAEDecode")), None)
        vae = None if decode is None else self.find(decode, "vae", ("LoadVae",))
        if vae is not None:
            generation.vae = ModelReference(self._value(vae, "vae", "") or "")

    def _hires(self, name: str, first: str) -> HiresPass:
        hires = HiresPass(steps_are_share=False)
        hires.denoise = self._value(name, "denoise", 1.0)
        steps = self._value(name, "steps", 20)
        is_share = self._value(name, "denoise_steps", "share") == "share"
        if not is_share:
            hires.steps = steps
        elif steps and hires.denoise is not None:
            hires.steps = int(steps * hires.denoise)
        for attribute, default in (("cfg", 7.0), ("sampler", "dpmpp_2m"), ("schedule", "karras")):
            value = self._value(name, attribute, default)
            if value != self._value(first, attribute, default):
                setattr(hires, attribute, value)
        for node, _ in self._chain(name, "latent"):
            if node == first:
                break
            self._read_enlargement(hires, node)
        return hires

    def _read_enlargement(self, hires: HiresPass, name: str) -> None:
        kind = self._nodes[name].type
        if kind == "ResizeLatent":
            method = self._value(name, "method", "bislerp")
            hires.upscaler = "Latent" if method == "bilinear" else f"Latent ({method})"
            hires.scale = self._value(name, "factor", 1.5)
        elif kind == "UpscaleImage":
            model = self.find(name, "model", ("LoadUpscaleModel",))
            hires.upscaler = str(model and self._value(model, "model", "tiny/upscaler"))
            hires.scale = self._value(name, "factor", 0.0)
        elif kind == "ResizeImage":
            hires.upscaler = hires.upscaler or str(self._value(name, "method", "lanczos")).title()
        if kind in ("ResizeLatent", "ResizeImage"):
            hires.width = self._value(name, "width", 0) or hires.width
            hires.height = self._value(name, "height", 0) or hires.height

    def _prompt(self, name: str, port: str) -> str:
        encode = self.find(name, port, ("EncodePrompt",))
        if encode is None:
            return ""
        text = self._value(encode, "text", "") or ""
        return escape_markup(text) if self._value(encode, "syntax", "auto") == "off" else text

    def find(self, name: str, port: str, types: Sequence[str]) -> str | None:
        """Return the nearest node of some types above an input; None if there is none."""
        return next(
            (each for each, _ in self._chain(name, port) if self._nodes[each].type in types), None
        )

    def _is(self, name: str, kind: str) -> bool:
        return self._nodes[name].type == kind

    def _users(self, name: str) -> Iterator[str]:
        """Nodes that a node's output leads to."""
        for each, entry in self._nodes.items():
            if any(_source(value) == name for value in entry.inputs.values()):
                yield each

    def _chain(self, name: str, port: str) -> Iterator[tuple[str, str]]:
        """Nodes above an input, the nearest first, and the input that each was reached by."""
        waiting = [(name, port)]
        reached: set[str] = set()
        while waiting and len(reached) < _MAX_NODES:
            user, input_port = waiting.pop(0)
            entry = self._nodes.get(user)
            source = _source(entry.inputs.get(input_port)) if entry is not None else ""
            if not source or source in reached or source not in self._nodes:
                continue
            reached.add(source)
            yield source, input_port
            ports = self._nodes[source].inputs
            waiting += [(source, each) for each in ports if _source(ports[each])]

    def _value(self, name: str, port: str, default: Any) -> Any:
        """A literal input; the default if it has none, None if a link gives it."""
        inputs = self._nodes[name].inputs
        value = inputs.get(port, default)
        return None if _source(value) else read_literal(value)


def _source(value: object) -> str:
    """The node that a link names; empty for a literal."""
    return read_link(value).node if isinstance(value, dict) and is_link(value) else ""


def format_settings(generation: Generation, sha256_of: HashOf = lambda name: "") -> str:
    """Return settings as A1111 writes them.

    Args:
        sha256_of: Looks up hashes, by which others find the models.
    """
    tags = [_tag(lora) for lora in generation.loras]
    prompt = " ".join([generation.prompt, *tags]).strip()
    return format_infotext(prompt, generation.negative, dict(_fields(generation, sha256_of)))


def _tag(lora: LoraReference) -> str:
    strengths = (
        [lora.weight] if lora.weight == lora.encoder_weight else [lora.encoder_weight, lora.weight]
    )
    numbers = ":".join(f"{value:g}" for value in strengths)
    return f"<lora:{_stem(lora.model.name)}:{numbers}>"


def _stem(name: str) -> str:
    return plain_name(name).removesuffix(".safetensors").replace(":", "_").replace(">", "_")


def _schedule(name: str) -> str:
    return _SCHEDULES.get(name, name.replace("_", " ").title())


def _sampler(name: str) -> str:
    return _SAMPLERS.get(name) or _PLAIN_SAMPLERS.get(name, name)


def sampler_titles() -> dict[str, str]:
    """Return A1111's names of the samplers, by the name here."""
    return {name: _sampler(name) for name in SAMPLER_NAMES}


def schedule_titles() -> dict[str, str]:
    """Return A1111's names of the schedules, by the name here."""
    return {name: _schedule(name) for name in SCHEDULE_NAMES}


def _fields(generation: Generation, sha256_of: HashOf) -> Iterator[tuple[str, object]]:
    """Settings by A1111's names, without those that are not known."""
    hires = generation.hires
    model, vae = generation.model.name, generation.vae.name
    if generation.steps is not None:
        yield "Steps", generation.steps
    if generation.sampler:
        yield "Sampler", _sampler(generation.sampler)
    if generation.schedule:
        yield "Schedule type", _schedule(generation.schedule)
    if generation.cfg is not None:
        yield "CFG scale", f"{generation.cfg:g}"
    if generation.guidance is not None:
        yield "Distilled CFG Scale", f"{generation.guidance:g}"
    if generation.seed is not None:
        yield "Seed", generation.seed
    if generation.width and generation.height:
        yield "Size", f"{generation.width}x{generation.height}"
    digest = sha256_of(model) if model else ""
    if digest:
        yield "Model hash", digest[:10]
    if model:
        yield "Model", _stem(model)
    if vae:
        yield "VAE", plain_name(vae)
    if generation.clip_skip is not None:
        yield "Clip skip", generation.clip_skip
    if hires is not None:
        yield from _hires_fields(hires)
        if hires.prompt not in ("", generation.prompt):
            yield "Hires prompt", hires.prompt
        if hires.negative not in ("", generation.negative):
            yield "Hires negative prompt", hires.negative
    yield "RNG", "CPU"
    if generation.convention != "diffusers":
        yield "Convention", generation.convention
    if generation.draw != "per item":
        yield "Draw", generation.draw
    yield "Version", f"nodegraph {VERSION}"


def _hires_fields(hires: HiresPass) -> Iterator[tuple[str, object]]:
    if hires.denoise is not None:
        yield "Denoising strength", f"{hires.denoise:g}"
    if hires.width or hires.height:
        yield "Hires resize", f"{hires.width}x{hires.height}"
    elif hires.scale:
        yield "Hires upscale", f"{hires.scale:g}"
    if hires.steps is not None:
        yield "Hires steps", hires.steps
    yield "Hires upscaler", hires.upscaler or "Latent"
    if hires.cfg is not None:
        yield "Hires CFG Scale", f"{hires.cfg:g}"
    if hires.sampler:
        yield "Hires sampler", _sampler(hires.sampler)
    if hires.schedule:
        yield "Hires schedule type", _schedule(hires.schedule)
