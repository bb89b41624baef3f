"""Pictures by the stock diffusers pipeline, of an exported folder or of checkpoints."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerDiscreteScheduler,
    LCMScheduler,
    StableDiffusionPipeline,
)

from training import decoder, unet
from training.companions import lora
from training.config import Config
from training.models import build_scheduler
from training.pixels import Pixels
from training.tokenizer import load_tokenizer

_SCHEDULERS: dict[str, Any] = {
    "ddim": DDIMScheduler,
    "dpmpp_2m": DPMSolverMultistepScheduler,
    "euler": EulerDiscreteScheduler,
    "lcm": LCMScheduler,
}
LCM_FOLDER = "lcm_lora"
"""Name of the folder, in the model's, of the few-step variant."""


@dataclass(frozen=True)
class Way:
    """How to sample: a scheduler by its usual short name, steps, guidance scale."""

    sampler: str
    steps: int
    guidance: float

    @property
    def cost(self) -> float:
        """Evaluations of the denoiser per picture; guidance takes two a step."""
        return self.steps * (2.0 if self.guidance > 1.0 else 1.0)


def load_pipeline(folder: Path) -> StableDiffusionPipeline:
    """The stock pipeline, float32 on the CPU, from local files only."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def assemble(config: Config, work: Path, *, live: bool = False) -> StableDiffusionPipeline:
    """The stock pipeline of the checkpoints in a work folder, finished or not; float32, CPU.

    Args:
        live: Take the denoiser's weights as they are, not their average over the last steps.
    """
    denoiser = unet.load_trained(config, work)
    if live:
        state = torch.load(work / "unet" / "checkpoint.pt", map_location="cpu", weights_only=True)
        denoiser.load_state_dict(state["values"])
    pipeline = StableDiffusionPipeline(
        vae=decoder.load_polished(config, work),
        text_encoder=denoiser["text"],
        tokenizer=load_tokenizer(work / "tokenizer"),
        unet=denoiser["unet"],
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def with_sampler(pipeline: StableDiffusionPipeline, name: str) -> StableDiffusionPipeline:
    """The same pipeline with another scheduler, set up by the model's own scheduler config.

    Raises:
        ValueError: no such sampler is known.
    """
    if name not in _SCHEDULERS:
        raise ValueError(f"no sampler {name!r}, known are {sorted(_SCHEDULERS)}")
    parts = dict(pipeline.components)
    parts["scheduler"] = _SCHEDULERS[name].from_config(pipeline.scheduler.config)
    other = StableDiffusionPipeline(**parts, requires_safety_checker=False)
    other.set_progress_bar_config(disable=True)
    return other


def find_lcm(*folders: Path) -> Path | None:
    """The few-step variant's file in the first folder that has one; None if none has."""
    files = (folder / LCM_FOLDER / lora.FILE_NAME for folder in folders)
    return next((file for file in files if file.is_file()), None)


def few_step(pipeline: StableDiffusionPipeline, file: Path) -> StableDiffusionPipeline:
    """The pipeline with a few-step LoRA merged into a copy of its denoiser, sampled by LCM."""
    merged = copy.deepcopy(pipeline.unet)
    lora.merge(merged, file)
    parts = dict(pipeline.components) | {"unet": merged}
    return with_sampler(StableDiffusionPipeline(**parts, requires_safety_checker=False), "lcm")


def sample(
    pipeline: StableDiffusionPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    steps: int = 20,
    guidance: float = 4.0,
    batch: int = 60,
    done: Callable[[int], None] = lambda count: None,
) -> Pixels:
    """One picture per prompt, (n, size, size, 3); each has a seed of its own.

    Args:
        done: Told the number of pictures after each batch.
    """
    parts = []
    for start in range(0, len(prompts), batch):
        part = slice(start, start + batch)
        # On the CPU wherever the model is, so that a seed gives the same noise everywhere.
        generators = [torch.Generator().manual_seed(seed) for seed in seeds[part]]
        output = pipeline(
            list(prompts[part]),
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=generators,
            output_type="np",
        )
        parts.append((output.images * 255.0).round().astype(np.uint8))
        done(len(prompts[part]))
    return np.concatenate(parts)
