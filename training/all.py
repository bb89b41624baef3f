"""The whole chain in order; a stage that is done is not done again."""

import multiprocessing
import os
import runpy
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

    Training forks its workers, which is safe only before autograd has run in the process. The
    libraries, which take seconds, are imported once for all stages, in a server that does nothing
    else.

    Raises:
        RuntimeError: it failed; why, it has printed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["training.models"])
    process = context.Process(target=_be_stage, args=(stage, arguments))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"{stage} ended with {process.exitcode}")


def _be_stage(stage: str, arguments: list[str]) -> None:
    """As `python -m training.STAGE ARGUMENTS` would be."""
    os.chdir(ROOT)
    sys.argv = [stage, *arguments]
    runpy.run_module(f"training.{stage}", run_name="__main__", alter_sys=True)


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
