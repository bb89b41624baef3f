"""Samplings on their way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nodegraph.interop.comfyui.table.methods import exported_sampler
from nodegraph.interop.comfyui.table.returning import (
    GRADUAL,
    NOISE_SCALE,
    guide_of,
    negative_or_empty,
    refuse_unsupported,
    warn_conventions,
)
from nodegraph.interop.comfyui.table.schedules import sigmas_for
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal


def ksampler_back(node: Passage) -> None:
    settings = ("model", "positive", "negative", "latent", "seed", "steps", "cfg", "sampler")
    conventions = ("convention", "draw", "denoise_steps")
    refuse_unsupported(node, *settings, "schedule", "denoise", *conventions)
    _sampled(node, "KSampler", seed=node.inputs["seed"], denoise=node.inputs["denoise"])


def advanced_back(node: Passage) -> None:
    adds, leaves = node.literal("add_noise"), node.literal("leave_noise")
    last = node.inputs.get("end_step")
    end = (
        last if last is not None and last.given is not None else node.kept.get("end_at_step", 10000)
    )
    _sampled(
        node,
        "KSamplerAdvanced",
        add_noise="enable" if adds else "disable",
        noise_seed=node.inputs["seed"],
        start_at_step=node.inputs["start_step"],
        end_at_step=end,
        return_with_leftover_noise="enable" if leaves else "disable",
    )


def _sampled(node: Passage, there: str, **own: Any) -> None:
    """One of ComfyUI's two nodes that sample at once, with what both are told."""
    warn_conventions(node)
    positive, cfg = node.inputs["positive"], node.inputs["cfg"]
    name = node.add(
        there,
        model=node.inputs["model"],
        steps=node.inputs["steps"],
        cfg=cfg,
        sampler_name=exported_sampler(node),
        scheduler=node.inputs["schedule"],
        positive=positive,
        negative=negative_or_empty(node, positive, cfg.given),
        latent_image=node.inputs["latent"],
        **own,
    )
    node.give("latent", MadeOutput(name, "LATENT"))


def custom_back(node: Passage) -> None:
    """SampleCustom, with the guider and the schedule that come along."""
    warn_conventions(node)
    guide = guide_of(node)
    model: Signal | MadeOutput = node.inputs["model"]
    for home, patch, inputs in (*guide.patches, *_beginning(node)):
        output = "patched_model" if patch in _PATCHED_MODEL else "MODEL"
        model = MadeOutput(home.add(patch, model=model, **inputs), output)
    guider = guide.home.add(guide.type, model=model, **guide.inputs)
    name = node.add(
        "SamplerCustomAdvanced",
        noise=node.inputs["noise"],
        guider=MadeOutput(guider, "GUIDER"),
        sampler=node.inputs["sampler"],
        sigmas=sigmas_for(node.inputs["schedule"], model),
        latent_image=node.inputs["latent"],
    )
    node.give("latent", MadeOutput(name, "output"))
    node.give("denoised", MadeOutput(name, "denoised_output"))


_PATCHED_MODEL = ("CFGNorm", "CFGZeroStar", "TCFG")


def _beginning(node: Passage) -> tuple[tuple[Passage, str, Mapping[str, Any]], ...]:
    """Patches that stand for what noise and latent say here."""
    patches: list[tuple[Passage, str, Mapping[str, Any]]] = []
    if NOISE_SCALE in (noise := node.inputs["noise"].carried):
        home, scale = noise[NOISE_SCALE]
        patches.append((home, "ModelNoiseScale", {"noise_scale": scale}))
    if GRADUAL in (latent := node.inputs["latent"].carried):
        home, strength = latent[GRADUAL]
        patches.append((home, "DifferentialDiffusion", {"strength": strength}))
    return tuple(patches)


def random_noise_back(node: Passage) -> None:
    warn_conventions(node)
    name = node.add("RandomNoise", noise_seed=node.inputs["seed"])
    node.give("noise", MadeOutput(name, "NOISE"))
