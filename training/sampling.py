"""Pictures from an exported folder, by the stock diffusers pipeline."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from training.pixels import Pixels


def load_pipeline(folder: Path) -> StableDiffusionPipeline:
    """The stock pipeline, float32 on the CPU, from local files only."""
    pipeline = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def sample(
    pipeline: StableDiffusionPipeline,
    prompts: Sequence[str],
    seeds: Sequence[int],
    *,
    steps: int = 20,
    guidance: float = 4.0,
    batch: int = 60,
) -> Pixels:
    """One picture per prompt, (n, size, size, 3); each has a seed of its own."""
    parts = []
    for start in range(0, len(prompts), batch):
        part = slice(start, start + batch)
        generators = [torch.Generator().manual_seed(seed) for seed in seeds[part]]
        output = pipeline(
            list(prompts[part]),
            num_inference_steps=steps,
            guidance_scale=guidance,
            generator=generators,
            output_type="np",
        )
        parts.append((output.images * 255.0).round().astype(np.uint8))
    return np.concatenate(parts)
