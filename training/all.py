"""The whole chain in order; a stage that is done is not done again."""

import subprocess
import sys
from pathlib import Path

from training.config import ROOT, command_line

STAGES = (
    "scenes",
    "tokenizer",
    "vae",
    "latents",
    "unet",
    "decoder",
    "classifier",
    "export",
    "evaluate",
)


def run_stage(stage: str, arguments: list[str]) -> None:
    """Run one stage in a process of its own.

    Training forks its workers, which is safe only before autograd has run in the process.
    """
    command = [sys.executable, "-m", f"training.{stage}", *arguments]
    subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603  our own modules, no shell


def run_all(arguments: list[str], work: Path) -> None:
    """Run all stages that have not left their mark in `work`."""
    for stage in STAGES:
        mark = work / f"{stage}.done"
        if mark.exists():
            print(f"== {stage}: done before", flush=True)
            continue
        print(f"== {stage}", flush=True)
        run_stage(stage, arguments)
        mark.touch()


def main() -> None:
    """Make the model from nothing: all stages but `publish`, resuming where it stopped."""
    _, work = command_line(main.__doc__)
    arguments = list(sys.argv[1:])
    for flag in ("--config", "--work"):
        place = arguments.index(flag) + 1
        arguments[place] = str(Path(arguments[place]).resolve())
    run_all(arguments, work)


if __name__ == "__main__":
    main()
