"""Graph-wide fixes after import: encoder families, video latents, file names.

A loader of text encoders there says a kind that several families share, such as ``qwen_image`` for
Qwen-Image and those models of it that edit. Which one is meant is told where the prompts meet the
model. And ComfyUI decodes latents of videos and of images by the same node, where there are two
here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain
from typing import Any

from nodegraph.families.index import INDEX
from nodegraph.interop.comfyui.families import (
    RAW_WRITERS,
    family_of_name,
    is_language_model,
    writer_family,
)
from nodegraph.interop.comfyui.foreign_workflow import BLOCK, ForeignNode
from nodegraph.interop.comfyui.graph_builder import GraphBuilder, MadeNode
from nodegraph.interop.comfyui.literal_tags import find_referenced_node, replace_references, tag_of
from nodegraph.interop.comfyui.table.loaders import FILE_PORTS
from nodegraph.interop.comfyui.table.video_conditioning import HUNYUAN_VIDEO_FAMILIES
from nodegraph.interop.comfyui.translating import MadeOutput

_ALIKE = (
    {"qwen-image", "qwen-image-edit", "qwen-image-edit-plus", "qwen-image-layered"},
    {"wan", "wan22-5b", "wan-animate-2"},
    {"z-image", "flux2-klein", "lumina2"},
    {"longcat-image", "longcat-image-edit"},
    {"cosmos", "cosmos-predict2"},
    {"kandinsky5-image", "kandinsky5-edit"},
    {"hunyuan-video", "hunyuan-video-i2v", "hunyuan-video-i2v-v1"},
)
"""Families whose text encoders there are of one kind, or look the same."""

_PARTS_IN_MODEL = frozenset(("ace-step", "ltx25", "stable-audio", "stable-audio-3"))
"""Families whose text encoder has a part in the file of the diffusion model."""

_WRITING = frozenset(("GenerateText", "EnhancePrompt"))
"""Nodes by which language models write."""
_PROMPT_PORTS = ("positive", "guider")
_MODEL = frozenset(("model", "on_true", "on_false"))
_PROMPTS = frozenset(
    (
        "positive",
        "negative",
        "conditioning",
        "first",
        "second",
        "third",
        "fourth",
        "guider",
        *("encoder", "text_encoder", "on_true", "on_false"),
    )
)
_ENCODERS = frozenset(("encoder", "text_encoder", "on_true", "on_false"))
_READING = frozenset(("EncodePrompt", "EncodePromptApart", "EncodeEditPrompt"))
_LATENTS = frozenset(("latent", "video", "first", "second", "on_true", "on_false", "destination"))
_VIDEOS = frozenset(
    (
        *("EmptyVideoLatent", "ImageToVideoConditioning", "VAEEncodeVideo"),
        *("VaceConditioning", "ControlVideoConditioning", "TrackConditioning"),
        *("AnimationConditioning", "DrivingVideoConditioning"),
        *("CameraConditioning", "ReferenceToVideoConditioning"),
    )
)
_FIRST_FRAME = "ImageToVideoConditioning"
_PLUS = "TextEncodeQwenImageEditPlus"
_HUNYUAN_PROMPT, _HUNYUAN_IMAGE = "TextEncodeHunyuanVideo_ImageToVideo", "HunyuanImageToVideo"
_HUNYUAN_VIDEO = "hunyuan-video"


def resolve_families(graph: GraphBuilder, ask_block: Callable[[str], Any]) -> None:
    """Give text encoders and models of a graph the families that go together.

    Args:
        ask_block: Gives the value of a block's own input.
    """
    for node in list(graph.nodes.values()):
        if "model" in node.inputs and ("positive" in node.inputs or "guider" in node.inputs):
            _resolve_family(graph, node, ask_block)
    _settle_unread(graph, ask_block)


def attach_first_frames(graph: GraphBuilder) -> None:
    """Lead the prompts of samplings through the nodes that bring the first image of their latent.

    A latent of ComfyUI may bring it; here it goes along with the positive prompt.
    """
    for sampling in list(graph.nodes.values()):
        behind = list(_upstream(graph, sampling.inputs.get("latent"), _LATENTS))
        first = next((node for node in behind if node.type == _FIRST_FRAME), None)
        ports = [(sampling, "positive")]
        for guider in _upstream(graph, sampling.inputs.get("guider"), frozenset(("guider",))):
            ports += [(guider, port) for port in ("positive", "conditioning")]
        for reader, port in ports:
            prompt = reader.inputs.get(port)
            if first is None or not isinstance(prompt, MadeOutput) or prompt.node == first.name:
                continue
            if first.inputs.setdefault("conditioning", prompt) == prompt:
                reader.inputs[port] = MadeOutput(first.name, "conditioning")


def _settle_unread(graph: GraphBuilder, ask_block: Callable[[str], Any]) -> None:
    """Give encoders that nothing here reads the family of the model that is loaded beside them."""
    nodes = list(graph.nodes.values())
    encoders = [node for node in nodes if node.type == "LoadTextEncoder"]
    models = [node for node in nodes if node.type == "LoadDiffusionModel"]
    families = {_family(node, ask_block) for node in models} - {""}
    if len(families) == 1:
        for node in encoders:
            if not any(_read(graph, nodes, node)):
                _join(node, next(iter(families)))


def _join(encoder: MadeNode, family: str) -> None:
    """Give an encoder a family, if it may be of that."""
    own_family = encoder.inputs.get("family")
    if any(family in alike and own_family in alike for alike in _ALIKE):
        encoder.inputs["family"] = family


def _resolve_family(
    graph: GraphBuilder, sampling: MadeNode, ask_block: Callable[[str], Any]
) -> None:
    models = [
        node
        for node in _upstream(graph, sampling.inputs["model"], _MODEL)
        if node.type == "LoadDiffusionModel"
    ]
    prompts = [
        node
        for port in ("positive", "negative", "guider")
        for node in _upstream(graph, sampling.inputs.get(port), _PROMPTS)
    ]
    encoders = [node for node in prompts if node.type == "LoadTextEncoder"]
    families = {_family(node, ask_block) for node in models} - {""}
    edits = any(node.type == "EncodeEditPrompt" for node in prompts)
    if not families and edits and {node.inputs.get("family") for node in encoders} <= _ALIKE[0]:
        families = {_edited(graph)}
        for node in models:
            node.inputs["family"] = next(iter(families))
    if not families and {node.inputs.get("family") for node in encoders} == {_HUNYUAN_VIDEO}:
        families = _hunyuan_video_families(graph)
        for node in models if len(families) == 1 else ():
            node.inputs["family"] = next(iter(families))
    if len(families) != 1:
        return
    (family,) = families
    for node in encoders:
        own_family = node.inputs.get("family")
        if (
            own_family == "qwen-image"
            and INDEX[own_family].latent == INDEX[family].latent
            and all(_is_plain(each) for each in _read(graph, prompts, node))
        ):
            # Models that edit are led there by such prompts as they are. References of other
            # latents would not fit them.
            continue
        _join(node, family)


def _read(graph: GraphBuilder, nodes: list[MadeNode], encoder: MadeNode) -> Iterator[MadeNode]:
    """The prompts among some nodes that an encoder reads."""
    for node in nodes:
        source = node.inputs.get("encoder")
        if node.type in _READING and encoder in _upstream(graph, source, _ENCODERS):
            yield node


def _is_plain(prompt: MadeNode) -> bool:
    return prompt.origin.get("type") == "CLIPTextEncode"


def _edited(graph: GraphBuilder) -> str:
    """The family of a model that edits, by how its prompts were encoded."""
    plus = any(node.origin.get("type") == _PLUS for node in graph.nodes.values())
    return "qwen-image-edit-plus" if plus else "qwen-image-edit"


def _hunyuan_video_families(graph: GraphBuilder) -> set[str]:
    """The families of models of HunyuanVideo for first images, by how they get them."""
    if not any(node.origin.get("type") == _HUNYUAN_PROMPT for node in graph.nodes.values()):
        return set()
    choices = (
        node.origin.get("values", {}).get("guidance_type")
        for node in graph.nodes.values()
        if node.origin.get("type") == _HUNYUAN_IMAGE
    )
    return {HUNYUAN_VIDEO_FAMILIES[name] for name in choices if name in HUNYUAN_VIDEO_FAMILIES}


def add_vision_models(graph: GraphBuilder) -> None:
    """Give text encoders of HunyuanVideo I2V the file of the vision model that prompts there name.

    ComfyUI loads it by itself; here the text encoder looks at the image.
    """
    for prompt in list(graph.nodes.values()):
        file = prompt.origin.get("values", {}).get("vision_file")
        if prompt.origin.get("type") != _HUNYUAN_PROMPT or not file:
            continue
        read = [prompt] if "encoder" in prompt.inputs else _made_with(graph, prompt)
        sources = [node.inputs["encoder"] for node in read if "encoder" in node.inputs]
        for encoder in (each for source in sources for each in _upstream(graph, source, _ENCODERS)):
            known = [encoder.inputs.get(port) for port in FILE_PORTS]
            if encoder.type == "LoadTextEncoder" and file not in known and None in known:
                encoder.inputs[FILE_PORTS[known.index(None)]] = file


def _made_with(graph: GraphBuilder, node: MadeNode) -> list[MadeNode]:
    """The other nodes that were made of the same node there."""
    return [graph.nodes[name] for name in node.origin.get("with", ()) if name in graph.nodes]


def _family(node: MadeNode, ask_block: Callable[[str], Any]) -> str:
    """A model's family, if it is said or its file's name tells."""
    family = node.inputs.get("family", "auto")
    if family != "auto":
        return str(family)
    return family_of_name(_file_name(node.inputs.get("model"), ask_block))


def _file_name(value: Any, ask_block: Callable[[str], Any]) -> str:
    """The name of a file; empty if it isn't known before a run."""
    if isinstance(value, MadeOutput):
        value = ask_block(value.port) if value.node == BLOCK else None
    return value if isinstance(value, str) else ""


def resolve_music(graph: GraphBuilder, ask_block: Callable[[str], Any]) -> None:
    """Link prompts for music to what ComfyUI has in the diffusion model, and find the family that
    an empty latent is for.

    There, that evaluates the condition encoder, and knows the latents of silence. Here, the loader
    of the text encoder reads the former from the diffusion model's file, and the VAE encodes the
    latter.
    """
    nodes = list(graph.nodes.values())
    vaes = [node.inputs.get("vae") for node in nodes if node.type == "VAEDecodeAudio"]
    for sampling in nodes:
        if "model" not in sampling.inputs:
            continue
        models = [
            node.inputs.get("model")
            for node in _upstream(graph, sampling.inputs["model"], _MODEL)
            if node.type == "LoadDiffusionModel"
        ]
        prompts = (_upstream(graph, sampling.inputs.get(port), _PROMPTS) for port in _PROMPT_PORTS)
        for node in chain.from_iterable(prompts):
            if node.type == "EncodeMusicPrompt" and vaes and vaes.count(vaes[0]) == len(vaes):
                node.inputs.setdefault("vae", vaes[0])
            is_encoder = node.type == "LoadTextEncoder"
            if is_encoder and models and node.inputs.get("family") in _PARTS_IN_MODEL:
                node.inputs.setdefault("file_2", models[0])
        families = {family_of_name(_file_name(model, ask_block)) for model in models} - {""}
        if len(families) == 1:
            _set_music_family(graph, sampling, next(iter(families)))


def _set_music_family(graph: GraphBuilder, sampling: MadeNode, family: str) -> None:
    for node in _upstream(graph, sampling.inputs.get("latent"), _LATENTS):
        if node.type == "EmptyMusicLatent" and "family" in node.inputs:
            node.inputs["family"] = family


def resolve_language_models(
    graph: GraphBuilder, ask_block: Callable[[str], Any], shared: Collection[str]
) -> set[str]:
    """Have text encoders that only write texts loaded as what they are.

    ComfyUI's loader says a kind of image model even then.

    Args:
        shared: Nodes whose outputs leave the graph, which stay.
    Returns:
        The nodes that now load a language model by itself.
    """
    language_models: set[str] = set()
    for node in graph.nodes.values():
        if node.type != "LoadTextEncoder" or node.name in shared or "file_2" in node.inputs:
            continue
        readers = [
            (reader, port)
            for reader in graph.nodes.values()
            for port, value in reader.inputs.items()
            if isinstance(value, MadeOutput) and value.node == node.name
        ]
        if not readers or any(reader.type not in _WRITING for reader, _ in readers):
            continue
        file = _file_name(node.inputs.get("file"), ask_block)
        if is_language_model(file):
            node.type, node.inputs = "LoadLanguageModel", {"model": node.inputs["file"]}
            for reader, port in readers:
                reader.inputs[port] = MadeOutput(node.name, "language_model")
            language_models.add(node.name)
        elif family := writer_family(file):
            node.inputs["family"] = family
            for reader, _ in readers:
                if family in RAW_WRITERS and reader.type == "GenerateText":
                    reader.inputs["chat"] = False
    return language_models


def remove_idle_loaders(
    graph: GraphBuilder, names: Collection[str], shared: Collection[str]
) -> dict[str, str]:
    """Remove loaders of vision models, for which nodes here have a loader of their own.

    There, a checkpoint or a diffusion model may be SAM 3, and its text encoder reads the words to
    search for. Here, the words are an input of the node that searches.

    Args:
        names: Nodes to look at.
        shared: Nodes whose outputs leave the graph, which stay.
    Returns:
        The node that loads the file, by each that is gone.
    """
    vision = {
        _plain(node.inputs.get("model")): node.name
        for node in graph.nodes.values()
        if node.type == "LoadVisionModel"
    }
    if not vision:
        return {}
    readers: dict[str, set[str]] = {}
    for node in graph.nodes.values():
        for value in node.inputs.values():
            if isinstance(value, MadeOutput):
                readers.setdefault(value.node, set()).add(node.name)
    removed: dict[str, str] = {}
    for name in names:
        loader = graph.nodes[name]
        if loader.type not in _MODEL_LOADERS:
            continue
        loads = vision.get(_plain(loader.inputs.get("model")))
        idle = {name, *readers.get(name, ())}
        is_idle = all(
            each not in shared
            and each in names
            and (each == name or _is_idle_prompt(graph, each, readers))
            for each in idle
        )
        if loads is not None and is_idle:
            removed |= dict.fromkeys(idle, loads)
    for name in removed:
        graph.remove(name)
    return removed


_MODEL_LOADERS = frozenset(("LoadModel", "LoadDiffusionModel"))


def _is_idle_prompt(graph: GraphBuilder, name: str, readers: Mapping[str, Collection[str]]) -> bool:
    return graph.nodes[name].type in _READING and not readers.get(name)


def _plain(value: Any) -> Any:
    """A value that equals another one if both are the same link or the same block's input."""
    if isinstance(value, MadeOutput):
        return value
    return tag_of(value).block_input, str(value)


def _upstream(graph: GraphBuilder, value: Any, ports: frozenset[str]) -> Iterator[MadeNode]:
    """Nodes that a value comes from by inputs of these names."""
    waiting, visited = [value], set[str]()
    while waiting:
        source = waiting.pop()
        if not isinstance(source, MadeOutput) or source.node in visited:
            continue
        visited.add(source.node)
        node = graph.nodes.get(source.node)
        if node is not None:
            yield node
            waiting += [each for port, each in node.inputs.items() if port in ports]


def resolve_video_decoders(graph: GraphBuilder) -> set[str]:
    """Have latents that are videos decoded as such.

    Returns:
        The nodes that now give the frames, as one output of several: ``image``.
    """
    decoding = [node for node in graph.nodes.values() if node.type == "VAEDecode"]
    video_decoders = {node.name for node in decoding if _is_video(graph, node)}
    for name in video_decoders:
        node = graph.nodes[name]
        made = graph.add("vae_decode_video", "VAEDecodeVideo", dict(node.inputs), like=name)
        made.mode = node.mode
        graph.canvas.put_beside(made.name, name)
        node.type, node.inputs = "ImagesFromVideo", {"video": MadeOutput(made.name, "video")}
    for node in graph.nodes.values():
        for port, value in node.inputs.items():
            if isinstance(value, MadeOutput) and value.node in video_decoders:
                node.inputs[port] = MadeOutput(value.node, "image")
    return video_decoders


def _is_video(graph: GraphBuilder, decoding: MadeNode) -> bool:
    behind = list(_upstream(graph, decoding.inputs.get("latent"), _LATENTS))
    return any(node.type in _VIDEOS and node.inputs.get("frames") != 1 for node in behind)


def resolve_file_names(
    made: Collection[str], graph: GraphBuilder, originals: Mapping[str, ForeignNode]
) -> None:
    """Have names of files say inputs by the nodes' names here.

    Args:
        made: The nodes that the originals became.
    """
    nodes = [graph.nodes[name] for name in made]
    places = {
        tag_of(value).referenced_at: f"{node.name}.{port}"
        for node in nodes
        for port, value in node.inputs.items()
    }
    for node in nodes:
        name = node.inputs.get("name")
        if isinstance(name, str) and not tag_of(name).block_input:
            node.inputs["name"] = replace_references(
                name,
                lambda word, port: places.get((find_referenced_node(word, originals), port), ""),
            )
