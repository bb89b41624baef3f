"""Measure a model: prompts, fixed seeds, pixels, and a judge trained on real renders."""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from training import vae
from training.classifier import load_classifier
from training.clock import Clock
from training.config import Config, load_config
from training.evaluation import GROUPS, Evaluation, Example, Subject
from training.pixels import Pixels
from training.questions import Question
from training.report import markdown
from training.sampling import (
    Way,
    assemble,
    few_step,
    find_lcm,
    load_pipeline,
    sample,
    with_sampler,
)
from training.scenes import SceneMaker
from training.sheets import Tile, captioned_sheet
from training.trainer import pick_device

_SHEET, _SHEET_WORST, _SHEET_COLUMNS = 200, 80, 20


def write_sheets(examples: dict[str, list[Example]], folder: Path, seed: int) -> None:
    """One sheet per group, wrong pictures marked, and `sheet-200.png` of all, worst first."""
    folder.mkdir(parents=True, exist_ok=True)
    for group, known in examples.items():
        tiles = [_tile(item, not item.verdict.right) for item in known]
        captioned_sheet(tiles, min(16, len(tiles))).save(folder / f"{group}.png")
    # What nothing was asked of cannot be the worst answer.
    every = [item for group, known in examples.items() if group != "empty" for item in known]
    every += examples.get("empty", [])[:8]
    if not every:
        return
    asked = [row for row, item in enumerate(every) if item.question.prompt]
    worst = sorted(asked, key=lambda row: every[row].verdict.probability)[:_SHEET_WORST]
    rest = [row for row in range(len(every)) if row not in set(worst)]
    others = np.random.default_rng(seed).permutation(rest)[: _SHEET - len(worst)].tolist()
    tiles = [_tile(every[row], True) for row in worst]
    tiles += [_tile(every[row], False) for row in others]
    captioned_sheet(tiles, min(_SHEET_COLUMNS, len(tiles))).save(folder / "sheet-200.png")


def _tile(item: Example, marked: bool) -> Tile:
    note = f" [{item.verdict.seen} {100 * item.verdict.probability:.0f}]" if marked else ""
    return Tile(item.picture, item.question.prompt + note, marked)


def subject_of(
    pipeline: StableDiffusionPipeline, config: Config, lcm: Path | None, clock: Clock
) -> Subject:
    """A diffusers pipeline as what is measured."""
    pipelines: dict[str, StableDiffusionPipeline] = {"ddim": pipeline}

    def ask(questions: Sequence[Question], way: Way) -> Pixels:
        if way.sampler not in pipelines:
            lean = lcm if way.sampler == "lcm" else None
            pipelines[way.sampler] = (
                few_step(pipeline, lean) if lean else with_sampler(pipeline, way.sampler)
            )
        return sample(
            pipelines[way.sampler],
            [question.prompt for question in questions],
            [question.seed for question in questions],
            steps=way.steps,
            guidance=way.guidance,
            batch=config.evaluate.batch,
            done=lambda count: clock.add(count * way.cost),
        )

    def reconstruct(pictures: Pixels) -> Pixels:
        return vae.reconstruct(pipeline.vae, pictures)

    return Subject(ask, reconstruct, lcm is not None)


def choose_groups(words: str) -> tuple[str, ...]:
    """The groups named in a list with commas, in the usual order; all if none is named.

    Raises:
        ValueError: one is unknown.
    """
    named = [word.strip() for word in words.split(",") if word.strip()]
    unknown = sorted(set(named) - set(GROUPS))
    if unknown:
        raise ValueError(f"no groups {unknown}, known are {list(GROUPS)}")
    return tuple(group for group in GROUPS if group in named) if named else GROUPS


def main() -> None:
    """Measure a model; writes evaluate.json, evaluate.md and contact sheets into the work folder.

    A rehearsal (--quick) or a choice of groups writes files of another name, so that what is
    published is a whole measurement.
    """
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--config", type=Path, required=True, help="TOML file of the model")
    parser.add_argument("--work", type=Path, required=True, help="folder with the model")
    parser.add_argument("--quick", action="store_true", help="a tenth of all, other seeds")
    parser.add_argument("--groups", default="", help=f"some of {','.join(GROUPS)}")
    parser.add_argument(
        "--checkpoint", action="store_true", help="the work folder's checkpoints, not its model"
    )
    arguments = parser.parse_args()
    groups = choose_groups(arguments.groups)
    config, work = load_config(arguments.config), arguments.work
    if not arguments.checkpoint and not (work / "model").is_dir():
        raise SystemExit(f"{work / 'model'} is missing: run training.export, or say --checkpoint")
    device = pick_device()
    pipeline = assemble(config, work) if arguments.checkpoint else load_pipeline(work / "model")
    model = load_classifier(work / "classifier.safetensors").to(device)
    clock = Clock()
    lcm = find_lcm(work / "model", work / "companions")
    evaluation = Evaluation(
        config,
        subject_of(pipeline.to(device), config, lcm, clock),
        model,
        SceneMaker.from_config(config),
        rehearsal=arguments.quick,
    )
    clock.start(evaluation.cost(groups))
    started = time.monotonic()
    figures = evaluation.run(groups, clock) | {
        "model": "checkpoint" if arguments.checkpoint else "export",
        "device": device.type,
        "threads": torch.get_num_threads(),
        "minutes": round((time.monotonic() - started) / 60, 1),
    }
    stem = "-".join(
        ["evaluate", *["quick"] * arguments.quick, *(groups if groups != GROUPS else ())]
    )
    (work / f"{stem}.json").write_text(json.dumps(figures, indent=2) + "\n")
    (work / f"{stem}.md").write_text(markdown(figures), encoding="utf-8")
    write_sheets(evaluation.examples, work / stem.replace("evaluate", "sheets"), config.seed)
    print(f"{work / stem}.json, .md; {figures['minutes']} minutes")


if __name__ == "__main__":
    main()
