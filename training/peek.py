"""Pictures of chosen prompts from the checkpoints of a run, finished or not."""

import argparse
from pathlib import Path

import numpy as np

from training.config import load_config
from training.questions import REHEARSAL_SEEDS
from training.sampling import Way, assemble, sample, with_sampler
from training.sheets import Tile, captioned_sheet
from training.trainer import pick_device

_SEEDS = REHEARSAL_SEEDS + 500_000_000


def read_prompts(path: Path) -> list[str]:
    """The file's lines, one prompt each; lines that begin with # are left out.

    Raises:
        ValueError: there are none.
    """
    lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    prompts = [line for line in lines if not line.startswith("#")]
    if not any(prompts):
        raise ValueError(f"{path} has no prompts: write one per line")
    return prompts


def main() -> None:
    """Sample a contact sheet from the checkpoints in the work folder, without an export."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--config", type=Path, required=True, help="TOML file of the model")
    parser.add_argument("--work", type=Path, required=True, help="folder with vae, unet, tokenizer")
    parser.add_argument("--prompts-file", type=Path, required=True, help="one prompt a line")
    parser.add_argument("--out", type=Path, required=True, help="PNG to write")
    parser.add_argument("--live", action="store_true", help="the weights, not their average")
    parser.add_argument("--sampler", default="ddim", help="ddim, dpmpp_2m or euler")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=4.0)
    parser.add_argument("--seeds", type=int, default=1, help="pictures of each prompt")
    parser.add_argument("--columns", type=int, default=12)
    arguments = parser.parse_args()
    prompts = [
        words for words in read_prompts(arguments.prompts_file) for _ in range(arguments.seeds)
    ]
    config = load_config(arguments.config)
    way = Way(arguments.sampler, arguments.steps, arguments.guidance)
    pipeline = assemble(config, arguments.work, live=arguments.live).to(pick_device())
    pictures = sample(
        with_sampler(pipeline, way.sampler),
        prompts,
        [_SEEDS + number for number in range(len(prompts))],
        steps=way.steps,
        guidance=way.guidance,
        batch=config.evaluate.batch,
    )
    tiles = [Tile(picture, words) for picture, words in zip(pictures, prompts, strict=True)]
    captioned_sheet(tiles, min(arguments.columns, len(tiles))).save(arguments.out)
    mean = float(np.mean(pictures))
    print(f"{arguments.out}: {len(tiles)} images, mean brightness {mean:.0f} of 255")


if __name__ == "__main__":
    main()
