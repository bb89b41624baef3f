"""Impact Pack's upscaling in steps, and samplers that sample in tiles.

Providers of upscalers and their hooks become no node: they travel with the UPSCALER under
`UPSCALER`, and with the PK_HOOK under `HOOKS`, to the node that upscales in steps. Each step
becomes nodes of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, Translate, entry
from nodegraph.interop.comfyui.table.carried_values import (
    add_mask_patches,
    conditioned_model,
    guider,
)
from nodegraph.interop.comfyui.table.parts import CROP, METHODS, compute_number, literal_flag
from nodegraph.interop.comfyui.table.pipes import Pipe, pipe_of
from nodegraph.interop.comfyui.table.regions import BASIC, held, refuse_connected
from nodegraph.interop.comfyui.table.samplers_schedules import native_sampler
from nodegraph.interop.comfyui.table.sampling import (
    CONVENTION,
    DRAW,
    guided,
    sample_in_parts,
    sample_steps_in_parts,
)
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

UPSCALER = "upscaler"
HOOKS = "hooks"


@dataclass(frozen=True, slots=True)
class LatentUpscaler:
    """What upscales a latent by one step: through an image, with a sampling after it.

    Attributes:
        home: The node that provides it.
        pipe: Model, VAE and prompts.
        hooks: What changes with the steps, and its last value, in this order.
    """

    home: Passage
    pipe: Pipe
    hooks: tuple[tuple[str, float], ...]

    @property
    def tile(self) -> dict[str, Any]:
        if _is_tiled(self.home):
            return {"tile": max(int(self.home.literal(f"tile_{side}")) for side in _SIDES)}
        if not literal_flag(self.home, "use_tiled_vae"):
            return {}
        return {"tile": self.home.inputs["tile_size"]}

    def value(self, name: str, progress: float) -> Any:
        """An input, as hooks have it at some progress, 0 to 1."""
        targets = [target for hooked, target in self.hooks if hooked == name]
        if not targets:
            return self.home.inputs[name]
        value = float(self.home.literal(name))
        for target in targets:
            value += (target - value) * progress
        return int(value) if name == "steps" else value


def _upscaler(node: Passage) -> None:
    pipe = pipe_of(node, "basic_pipe") if "basic_pipe" in node.inputs else Pipe({})
    own = {name: node.inputs[name] for name in BASIC if name in node.inputs}
    refuse_connected(node, "scheduler_func_opt", "tile_cnet_opt")
    hook = node.inputs.get("pk_hook_opt")
    if hook is not None and hook.content is not None:
        raise Untranslatable("nodegraph has nothing like the hook at its input `pk_hook_opt`")
    hooks = () if hook is None else hook.carried.get(HOOKS, ())
    made = LatentUpscaler(node, Pipe({**pipe.members, **own}), hooks)
    node.give("UPSCALER", Signal(None, {UPSCALER: made}))


def _hook(name: str) -> Translate:
    """The way here of what changes one setting with the steps."""

    def forward(node: Passage) -> None:
        target = float(node.literal(f"target_{name}"))
        node.give("PK_HOOK", Signal(None, {HOOKS: ((name, target),)}))

    return forward


def _hooks(node: Passage) -> None:
    both = [node.inputs[name].carried.get(HOOKS) for name in ("hook1", "hook2")]
    if None in both:
        raise Untranslatable("nodegraph has nothing like one of its hooks")
    node.give("PK_HOOK", Signal(None, {HOOKS: tuple(hook for part in both for hook in part or ())}))


_MOST_STEPS = 16


def _scales(node: Passage) -> list[float]:
    """The size after each step, as a multiple of the first."""
    factor, steps = float(node.literal("upscale_factor")), int(node.literal("steps"))
    if steps > _MOST_STEPS:
        raise Untranslatable(f"the import makes nodes of each step, at most {_MOST_STEPS}")
    is_geometric = node.literal("step_mode") == "geometric"
    unit = factor ** (1 / steps) if is_geometric else max(0.0, (factor - 1) / steps)
    scales, scale = [], 1.0
    for _ in range(steps - 1):
        scale = scale * unit if is_geometric else scale + unit
        scales.append(scale)
    return [*scales, factor] if scale < factor else scales


def _upscaled(node: Passage, latent: Signal | MadeOutput, upscaler: LatentUpscaler) -> Any:
    """The latent after all steps."""
    scales = _scales(node)
    vae = held(upscaler.pipe, "vae")
    size = ""
    for at, scale in enumerate(scales):
        image = MadeOutput(node.add("VAEDecode", vae=vae, latent=latent, **upscaler.tile), "image")
        size = size or node.add("ImageSize", image=image)
        sides = _scaled_sides(node, size, Signal(scale))
        larger = _enlarged(node, upscaler.home, image, sides)
        encoded = node.add("VAEEncode", vae=vae, image=larger, **CROP, **upscaler.tile)
        latent = _resampled(node, upscaler, MadeOutput(encoded, "latent"), at / len(scales))
    return latent


def _scaled_sides(node: Passage, size: str, factor: Signal) -> dict[str, Any]:
    """Width and height that an ImageSize gives, times a factor, without fractions."""
    return {
        side: compute_number(
            node, "int(a * b)", lambda a, b: int(a * b), a=MadeOutput(size, side), b=factor
        )
        for side in ("width", "height")
    }


def _enlarged(node: Passage, home: Passage, image: MadeOutput, sides: Mapping[str, Any]) -> Any:
    """An image of a size, by an upscale model if there is one."""
    model = home.inputs.get("upscale_model_opt")
    if model is not None and model.is_link:
        image = MadeOutput(node.add("UpscaleImage", model=model, image=image), "image")
    method = METHODS.ours(home.literal("scale_method"))
    return MadeOutput(node.add("ResizeImage", image=image, **sides, method=method), "image")


def _resampled(
    node: Passage, upscaler: LatentUpscaler, latent: MadeOutput, progress: float
) -> MadeOutput:
    home, pipe = upscaler.home, upscaler.pipe
    leads = conditioned_model(
        node, held(pipe, "model"), held(pipe, "positive"), held(pipe, "negative")
    )
    settings: dict[str, Any] = {
        "steps": upscaler.value("steps", progress),
        "denoise": upscaler.value("denoise", progress),
        "schedule": home.inputs["scheduler"],
        "denoise_steps": "all",
    }
    sampler, cfg = native_sampler(home), upscaler.value("cfg", progress)
    if not leads.patches and not _is_tiled(home):
        name = node.add(
            "KSampler",
            model=leads.model,
            positive=leads.positive,
            negative=leads.negative,
            latent=latent,
            seed=home.inputs["seed"],
            cfg=cfg,
            sampler=sampler,
            **settings,
            **CONVENTION,
            **DRAW,
        )
        return MadeOutput(name, "latent")
    noise = node.add("RandomNoise", seed=home.inputs["seed"], **DRAW)
    made = guider(node, leads, cfg)
    name = node.add(
        "SampleCustom",
        model=leads.model,
        noise=MadeOutput(noise, "noise"),
        guider=_tiled(node, made, home) if _is_tiled(home) else made,
        sampler=MadeOutput(node.add("SelectSampler", sampler=sampler), "sampler"),
        schedule=MadeOutput(node.add("BasicSchedule", **settings), "schedule"),
        latent=add_mask_patches(node, latent, leads.patches),
        **CONVENTION,
    )
    return MadeOutput(name, "latent")


def _upscaler_of(node: Passage) -> LatentUpscaler:
    upscaler = node.inputs["upscaler"].carried.get(UPSCALER)
    if not isinstance(upscaler, LatentUpscaler):
        raise Untranslatable("what upscales at its input `upscaler` is not known")
    node.keep(temp_prefix=node.inputs["temp_prefix"].content)
    return upscaler


def _iterative_latent(node: Passage) -> None:
    upscaler = _upscaler_of(node)
    latent = _upscaled(node, node.inputs["samples"], upscaler)
    node.give("latent", latent)
    node.give("vae", held(upscaler.pipe, "vae"))


def _iterative_image(node: Passage) -> None:
    upscaler, vae = _upscaler_of(node), node.inputs["vae"]
    encoded = node.add("VAEEncode", vae=vae, image=node.inputs["pixels"], **CROP, **upscaler.tile)
    latent = _upscaled(node, MadeOutput(encoded, "latent"), upscaler)
    decoded = node.add("VAEDecode", vae=vae, latent=latent, **upscaler.tile)
    node.give("image", MadeOutput(decoded, "image"))


def _pixel_scale(node: Passage) -> None:
    """A latent scaled as an image."""
    vae = node.inputs["vae"]
    tile = {"tile": 512} if literal_flag(node, "use_tiled_vae") else {}
    decoded = node.add("VAEDecode", vae=vae, latent=node.inputs["samples"], **tile)
    image = MadeOutput(decoded, "image")
    size = node.add("ImageSize", image=image)
    sides = _scaled_sides(node, size, node.inputs["scale_factor"])
    larger = _enlarged(node, node, image, sides)
    encoded = node.add("VAEEncode", vae=vae, image=larger, **CROP, **tile)
    node.give("LATENT", MadeOutput(encoded, "latent"))
    node.give("IMAGE", larger)


_SIDES = ("width", "height")


def _is_tiled(home: Passage) -> bool:
    """Whether a node samples tile by tile."""
    return "tiling_strategy" in home.inputs


def _tiled(node: Passage, made: MadeOutput, home: Passage) -> MadeOutput:
    """A guider in tiles.

    Args:
        home: The node that says which.
    """
    strategy = str(home.literal("tiling_strategy"))
    node.tell(
        "tiles lie at other positions than in ComfyUI, and noise during sampling is drawn for the "
        "whole image"
    )
    if strategy == "padded":
        node.tell("each tile is evaluated with its surroundings in the same step, not in passes")
    sides = {f"tile_{side}": home.inputs[f"tile_{side}"] for side in _SIDES}
    seed = home.inputs["seed" if "seed" in home.inputs else "noise_seed"]
    name = node.add("TiledGuidance", guider=made, **sides, strategy=strategy, seed=seed)
    return MadeOutput(name, "guider")


def _tiled_sampler(node: Passage) -> None:
    leads = guided(node)
    made = _tiled(node, guider(node, leads, node.inputs["cfg"]), node)
    sample_in_parts(node, leads, made)


def _tiled_steps(node: Passage) -> None:
    """Some steps. There, `return_with_leftover_noise` acts the other way round: when enabled, the
    last step removes all noise."""
    leads = guided(node)
    made = _tiled(node, guider(node, leads, node.inputs["cfg"]), node)
    adds = node.literal("add_noise") == "enable"
    leaves = node.literal("return_with_leftover_noise") == "disable"
    sample_steps_in_parts(node, leads, made, adds=adds, leaves=leaves)
    node.keep(
        end_at_step=node.inputs["end_at_step"].content, preview=node.inputs["preview"].content
    )


_PROVIDED = (
    'scale_method: COMBO = "nearest-exact", {0}seed: INT = 0 @control, steps: INT = 20, '
    'cfg: FLOAT = 8.0, sampler_name: COMBO = "euler", scheduler: COMBO = "normal", {1}'
    "denoise: FLOAT = 1.0, {2}upscale_model_opt: UPSCALE_MODEL?, pk_hook_opt: PK_HOOK?"
)
_OWN, _PIPED = (
    ("model: MODEL, vae: VAE, ", "positive: CONDITIONING, negative: CONDITIONING, "),
    ("", "basic_pipe: BASIC_PIPE, "),
)
_VAE_TILES = "use_tiled_vae: COMBO = false, tile_size: INT = 512, "
_TILES = 'tile_width: INT = 512, tile_height: INT = 512, tiling_strategy: COMBO = "random", '
_STEPPED = (
    'upscale_factor: FLOAT = 1.5, steps: INT = 3, temp_prefix: STRING = "", '
    'upscaler: UPSCALER, step_mode: COMBO = "simple"'
)
_BNK = (
    'steps: INT = 20, cfg: FLOAT = 8.0, sampler_name: COMBO = "euler", '
    'scheduler: COMBO = "normal", positive: CONDITIONING, negative: CONDITIONING, '
    "latent_image: LATENT"
)
ENTRIES: tuple[TableEntry, ...] = (
    entry(
        f"PixelKSampleUpscalerProvider({_PROVIDED.format(*_OWN, _VAE_TILES)}, "
        "scheduler_func_opt: SCHEDULER_FUNC?) -> UPSCALER",
        _upscaler,
    ),
    entry(
        f"PixelKSampleUpscalerProviderPipe({_PROVIDED.format(*_PIPED, _VAE_TILES)}, "
        "scheduler_func_opt: SCHEDULER_FUNC?) -> UPSCALER",
        _upscaler,
    ),
    entry(
        f"PixelTiledKSampleUpscalerProvider({_PROVIDED.format(*_OWN, _TILES)}, "
        "tile_cnet_opt: CONTROL_NET?) -> UPSCALER",
        _upscaler,
    ),
    entry(
        f"PixelTiledKSampleUpscalerProviderPipe({_PROVIDED.format(*_PIPED, _TILES)}, "
        "tile_cnet_opt: CONTROL_NET?) -> UPSCALER",
        _upscaler,
    ),
    *(
        entry(
            f'{kind}ScheduleHookProvider(schedule_for_iteration: COMBO = "simple", '
            f"target_{kind.lower()}: {value}) -> PK_HOOK",
            _hook(kind.lower()),
        )
        for kind, value in (
            ("Cfg", "FLOAT = 3.0"),
            ("Denoise", "FLOAT = 0.2"),
            ("Steps", "INT = 20"),
        )
    ),
    entry("PixelKSampleHookCombine(hook1: PK_HOOK, hook2: PK_HOOK) -> PK_HOOK", _hooks),
    entry(
        f"IterativeLatentUpscale(samples: LATENT, {_STEPPED}) -> latent: LATENT, vae: VAE",
        _iterative_latent,
    ),
    entry(
        f"IterativeImageUpscale(pixels: IMAGE, vae: VAE, {_STEPPED}) -> image: IMAGE",
        _iterative_image,
    ),
    entry(
        'LatentPixelScale(samples: LATENT, scale_method: COMBO = "nearest-exact", '
        "scale_factor: FLOAT = 1.5, vae: VAE, use_tiled_vae: COMBO = false, "
        "upscale_model_opt: UPSCALE_MODEL?) -> LATENT, IMAGE",
        _pixel_scale,
    ),
    entry(
        f"BNK_TiledKSampler(model: MODEL, seed: INT = 0 @control, {_TILES}{_BNK}, "
        "denoise: FLOAT = 1.0) -> LATENT",
        _tiled_sampler,
    ),
    entry(
        'BNK_TiledKSamplerAdvanced(model: MODEL, add_noise: COMBO = "enable", '
        f"noise_seed: INT = 0 @control, {_TILES}{_BNK}, start_at_step: INT = 0, "
        'end_at_step: INT = 10000, return_with_leftover_noise: COMBO = "disable", '
        'preview: COMBO = "disable") -> LATENT',
        _tiled_steps,
    ),
)
