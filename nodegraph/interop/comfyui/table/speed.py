"""Model patches that make sampling faster: compiling, step caches, caches of keys and values."""

from __future__ import annotations

from nodegraph.interop.comfyui.entries import TableEntry, entry
from nodegraph.interop.comfyui.table.carried_values import refuse_unsupported
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Untranslatable

_CACHE_MEMORY = {"auto": "device", "gpu": "device", "cpu": "host"}
"""Memory of `KeyValueCache`, by the device of `QwenImage21Cache`, which has no cache if it is off.

Source: https://github.com/Comfy-Org/ComfyUI, comfy_extras/nodes_qwen.py.
"""


def _easy_cache(node: Passage) -> None:
    node.tell("FirstBlockCache replaces it, which chooses the skipped steps by another rule")
    name = node.add("FirstBlockCache", model=node.inputs["model"])
    node.give("MODEL", MadeOutput(name, "model"))


def _qwen_cache(node: Passage) -> None:
    device, dtype = node.literal("device"), node.literal("dtype")
    if device == "off":
        node.give("MODEL", node.inputs["model"])
        return
    if dtype != "default":
        node.tell(f"nodegraph keeps keys and values in the model's precision, not in {dtype}")
    memory = _CACHE_MEMORY.get(device)
    if memory is None:
        raise Untranslatable(f"nodegraph has no device {device!r} for keys and values")
    name = node.add("KeyValueCache", model=node.inputs["model"], memory=memory)
    node.keep(device=device, dtype=dtype)
    node.give("MODEL", MadeOutput(name, "model"))


def _flux_cache(node: Passage) -> None:
    node.tell(
        "reference images attend to themselves only, as in diffusers: in ComfyUI, they also attend "
        "to the prompt and the image of the first step"
    )
    name = node.add("KeyValueCache", model=node.inputs["model"])
    node.keep(type=node.type)
    node.give("MODEL", MadeOutput(name, "model"))


def _cache_back(node: Passage) -> None:
    model, memory = node.inputs["model"], node.literal("memory")
    if node.kept.get("type") == "FluxKVCache":
        name = node.add("FluxKVCache", model=model)
    else:
        device = "cpu" if memory == "host" else node.kept.get("device", "auto")
        if _CACHE_MEMORY[device] != memory:
            device = "auto"
        dtype = node.kept.get("dtype", "default")
        name = node.add("QwenImage21Cache", model=model, device=device, dtype=dtype)
    node.give("model", MadeOutput(name, "MODEL"))


def _compiled(node: Passage) -> None:
    name = node.add("SpeedUp", model=node.inputs["model"], compiled=True)
    node.keep(backend=node.inputs["backend"].content)
    node.give("MODEL", MadeOutput(name, "model"))


def _compiled_back(node: Passage) -> None:
    refuse_unsupported(node, "model", "compiled")
    if not node.literal("compiled"):
        raise Untranslatable("it changes nothing")
    backend = node.kept.get("backend", "inductor")
    name = node.add("TorchCompileModel", model=node.inputs["model"], backend=backend)
    node.give("model", MadeOutput(name, "MODEL"))


_MODEL = "model: MODEL"

ENTRIES: tuple[TableEntry, ...] = (
    entry(
        f'TorchCompileModel({_MODEL}, backend: COMBO = "inductor") -> MODEL',
        _compiled,
        "SpeedUp",
        _compiled_back,
    ),
    entry(
        f"LazyCache({_MODEL}, reuse_threshold: FLOAT = 0.2, start_percent: FLOAT = 0.15, "
        "end_percent: FLOAT = 0.95, verbose: BOOLEAN = false) -> MODEL",
        _easy_cache,
    ),
    entry(
        f"EasyCache({_MODEL}, reuse_threshold: FLOAT = 0.2, start_percent: FLOAT = 0.15, "
        "end_percent: FLOAT = 0.95, verbose: BOOLEAN = false) -> MODEL",
        _easy_cache,
    ),
    entry(f"FluxKVCache({_MODEL}) -> MODEL", _flux_cache),
    entry(
        f'QwenImage21Cache({_MODEL}, device: COMBO = "auto", dtype: COMBO = "default") -> MODEL',
        _qwen_cache,
        "KeyValueCache",
        _cache_back,
    ),
)
