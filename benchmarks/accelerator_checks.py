"""What is measured on a card, as parts of `accelerator.py`.

Equality with the CPU, speed beside diffusers, memory that ends, a server.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any

import diffusers
import merging
import rivals
import speedups
import torch
import turns
from common import Figure, taken
from parts import Action, Recorder, measuring, run_checks
from rivals import Rival
from serving import prepared, serving
from speedups import settle
from torch import Tensor

from nodegraph import Session, Settings, Workflow
from nodegraph.core.events import Event, Listener
from nodegraph.diffusion import move_component
from nodegraph.sampling.merging.merged_calls import MergeMode
from nodegraph.sampling.merging.step_batching import SIZES

MIB = 2**20
NEAR = 1e-3
"""How far latents may be from the CPU's in float32, as a share of their standard deviation."""
STEPS = {"SD 1.5": 20, "SDXL": 10, "Flux.1": 8}
"""Of a sampling whose speed is measured: about as long for each."""
TURNS = {"SD 1.5": 9, "SDXL": 5, "Flux.1": 3}
"""How often each side samples. Python holds up the small networks, which varies much."""
JOBS = 20
DTYPE = "bfloat16"


@dataclass(frozen=True)
class Scale:
    """How large everything is.

    Attributes:
        folder: For files; parts share it.
        device: Such as ``cuda:0``.
        is_small: Tiny networks in few steps.
        is_pretend: The device is one of `tests/accelerator`.
    """

    folder: Path
    device: str
    is_small: bool
    is_pretend: bool

    @property
    def side(self) -> int:
        """Of images, in pixels."""
        return 64 if self.is_small else 512

    @property
    def steps(self) -> int:
        """Of an image."""
        return 4 if self.is_small else 10

    def times(self, name: str = "") -> int:
        """How often each of what is compared is measured, of a network if it is named."""
        return 1 if self.is_small else TURNS.get(name, 3)

    @property
    def models(self) -> Path:
        """A folder with two models as large as Stable Diffusion 1.5, or two small ones."""

        def make(folder: Path) -> None:
            names = [folder / name for name in turns.NAMES]
            device = "cpu" if self.is_pretend else self.device
            turns.write(names, quick=self.is_small, device=device)

        return self._made("models", make)

    def home(self, name: str) -> Path:
        """A new home folder for sessions and servers, with the models."""
        home = self.folder / name
        shutil.copytree(self._made("fresh", prepared), home)
        (home / "models").symlink_to(self.models)
        return home

    def _made(self, name: str, make: Callable[[Path], object]) -> Path:
        """A folder that is made once; whole, as whoever made it may have been cut off."""
        folder = self.folder / name
        if not folder.exists():
            unfinished = self.folder / f"{name}-{os.getpid()}"
            make(unfinished)
            unfinished.rename(folder)
        return folder

    def session(self, home: Path, **settings: Any) -> Session:
        """A session that remembers no result, unless settings say so."""
        forgets = {"memory_cache": 0, "disk_cache": 0}
        return Session(Settings(home=home, device=self.device, **forgets | settings))

    def picture(self, model: str, number: int, **other: int) -> dict[str, Any]:
        """The workflow of an image; of another size, or in other steps, if they are given."""
        usual = {"size": self.side, "steps": self.steps}
        found: dict[str, Any] = turns.picture(model, number, DTYPE, **usual | other)
        return found


def machine() -> dict[str, Any]:
    """What is measured on, and with what."""
    properties = torch.cuda.get_device_properties(0)
    cudnn: Any = torch.backends.cudnn
    names = ("torch", "diffusers", "transformers", "accelerate", "safetensors", "numpy")
    return {
        "card": properties.name,
        "memory_mib": properties.total_memory // MIB,
        "capability": ".".join(map(str, torch.cuda.get_device_capability())),
        "cuda": torch.version.cuda,
        "cudnn": cudnn.version(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **{name: version(name) for name in names},
    }


# Equality


def equality(scale: Scale) -> Mapping[str, Action]:
    """Latents in float32 on the card against the CPU's."""
    steps = 2 if scale.is_small else 8
    makes = {
        "embedded model": partial(rivals.embedded, steps),
        "small Flux": partial(rivals.small_flux, steps),
        "small SDXL": partial(rivals.small_sdxl, steps),
    }
    return {
        name: measuring(partial(_apart, make, name, scale.device)) for name, make in makes.items()
    }


def _apart(make: Callable[[], Rival], name: str, device: str) -> Iterator[Figure]:
    rival = make()
    expected = rival.sample(rival.denoiser, 7).cpu()
    deviation = float(expected.std())
    # The CPU's numbers went into it, so that both compute with the same weights.
    move_component(rival.denoiser, device)
    for how, is_on in (("off", False), ("as torch has it", torch.backends.cudnn.allow_tf32)):
        with _tf32(is_on):
            found = rival.sample(rival.denoiser, 7).cpu()
        apart = float((found - expected).abs().max())
        aim = None if is_on else NEAR * deviation
        what = f"{name}: latents, TF32 {how}: largest difference"
        yield Figure(what, apart, "", aim, deviation, "their standard deviation")


@contextmanager
def _tf32(is_on: bool) -> Iterator[None]:
    """Whether convolutions may round factors to ten bits; products of matrices don't."""
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32
    cudnn.allow_tf32, matmul.allow_tf32 = is_on, False
    try:
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32 = before


# Speed


class Speed:
    """Samplings beside diffusers' pipelines: eager of all networks, then compiled."""

    def __init__(self, scale: Scale) -> None:
        self._scale = scale

    def checks(self) -> Mapping[str, Action]:
        """Each makes its network anew, so that no other one's memory counts."""
        names = list(self._makes)
        found = {"peak": measuring(self._stated_peak)}
        found |= {f"{name}, eager": measuring(partial(self._eager, name)) for name in names}
        if not self._scale.is_pretend:
            # The largest first, as its share of the peak is what is aimed at.
            compiled = {f"{name}, compiled": partial(self._compiled, name) for name in names[::-1]}
            found |= {name: measuring(figures) for name, figures in compiled.items()}
        return found

    @property
    def _makes(self) -> Mapping[str, Callable[[], Rival]]:
        device = self._scale.device
        if self._scale.is_small:
            embedded = partial(rivals.embedded, self._steps("embedded"), device, size=64)
            flux = partial(rivals.small_flux, self._steps("small Flux"), device, size=64)
            return {"embedded": embedded, "small Flux": flux}
        return {name: speedups.rivals(device, steps)[name] for name, steps in STEPS.items()}

    def _steps(self, name: str) -> int:
        return STEPS.get(name, 2)

    @cached_property
    def _peak(self) -> float:
        side = {"side": 128, "times": 1} if self._scale.is_small else {}
        return speedups.peak_operations(self._scale.device, **side)

    def _stated_peak(self) -> Iterator[Figure]:
        yield speedups.peak_figure(self._peak)

    def _eager(self, name: str) -> Iterator[Figure]:
        return self._measured(speedups.eager_speed, name)

    def _compiled(self, name: str) -> Iterator[Figure]:
        yield from self._measured(speedups.compiled_speed, name)
        torch._dynamo.reset()

    def _measured(self, measure: Callable[..., Iterator[Figure]], name: str) -> Iterator[Figure]:
        scale, peak = self._scale, self._peak
        rival = self._makes[name]()
        yield from measure(rival, scale.device, self._steps(name), scale.times(name), peak)
        del rival
        _emptied()


def _emptied() -> None:
    """Give back what nobody needs any more on the card."""
    gc.collect()
    torch.cuda.empty_cache()


# Memory


def memory(scale: Scale) -> Mapping[str, Action]:
    """Weights and work where there is room for one model, for less, and after a process died."""
    return {
        "two models by turns": measuring(partial(by_turns, scale)),
        "out of memory": partial(out_of_memory, scale),
        "killed and resumed": measuring(partial(killed, scale)),
    }


def decoded(
    session: Session, workflow: Mapping[str, Any], listener: Listener | None = None
) -> Tensor:
    """The image that a workflow makes."""
    found: Tensor = _output(session, workflow, "decode", listener)
    return found


def _output(
    session: Session,
    workflow: Mapping[str, Any],
    node: str,
    listener: Listener | None = None,
) -> Any:
    result = session.run(Workflow.from_dict(workflow), targets=[node], listener=listener)
    for error in result.errors:
        raise error
    return result[node]


def _difference(one: Tensor, other: Tensor) -> float:
    return float((one - other).abs().max())


def weight_bytes(folder: Path, pattern: str = "**/*.safetensors") -> int:
    """Of a model's files, in which numbers take as many bytes as in memory here."""
    return sum(path.stat().st_size for path in folder.glob(pattern))


def by_turns(scale: Scale) -> Iterator[Figure]:
    """A budget for the weights of one and a third of two models, which take turns."""
    many = 2 if scale.is_small else 4
    yield Figure("two models written", taken(lambda: scale.models), "s")
    budget = weight_bytes(scale.models / turns.NAMES[0]) * 4 // 3
    held: list[int] = []
    with scale.session(scale.home("turns"), weights_budget=budget) as session:

        def made(number: int, model: str) -> Tensor:
            found = decoded(session, scale.picture(model, number))
            weights = session._weights.resident()
            held.append(sum(item.bytes for item in weights if item.device == scale.device))
            return found

        # Reads them, and imports libraries.
        start = time.perf_counter()
        first = [made(0, name) for name in turns.NAMES]
        yield Figure("the first image of each", time.perf_counter() - start, "s")
        changes = [
            taken(partial(made, number, turns.NAMES[number % 2])) for number in range(2, 2 + many)
        ]
        made(10, turns.NAMES[0])
        stays = [taken(partial(made, number, turns.NAMES[0])) for number in range(11, 11 + many)]
        again = [made(0, name) for name in turns.NAMES]
    apart = max(map(_difference, first, again))
    change, stay = median(changes), median(stays)
    what = "an image after a change of models"
    yield Figure(what, change, "s", None, stay, "the model was there")
    yield Figure("… weights on the card at most", max(held) / MIB, "MiB", budget / MIB)
    yield Figure("… largest difference of images made once more", apart, "", 0)


def out_of_memory(scale: Scale, records: Recorder) -> None:
    """Work that fails for lack of memory, which nobody could foresee, is done to the same bits."""
    size = 3 * scale.side  # such that the work takes more than what is lost between tensors
    name = turns.NAMES[0]
    unet = weight_bytes(scale.models / name, "unet/*.safetensors")
    total = torch.cuda.get_device_properties(0).total_memory
    events: list[Event] = []
    with scale.session(scale.home("short")) as session:
        sampled = partial(
            _output, session, scale.picture(name, 1, size=size), "sample", events.append
        )
        sampled()  # loads the weights
        settle(scale.device)
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        start = time.perf_counter()
        expected = sampled().samples
        whole = time.perf_counter() - start
        work = torch.cuda.max_memory_allocated() - before
        session._weights.release_all()
        _emptied()
        # What is asked how much is free knows nothing of it.
        allowed = torch.cuda.memory_reserved() + unet + work // 2
        torch.cuda.set_per_process_memory_fraction(allowed / total)
        events.clear()
        try:
            start = time.perf_counter()
            found = sampled().samples
            seconds = time.perf_counter() - start
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
            tries = [event.data["measure"] for event in events if event.kind == "node.retried"]
            records.note(
                f"{unet / MIB:.1f} MiB of weights, {work / MIB:.1f} MiB of work; "
                f"{allowed / MIB:.1f} MiB allowed; tried again: {tries}"
            )
    parts = sum("offloaded weights:" in measure for measure in tries)
    records.figure(Figure("tries with weights in parts", parts, "", 1, more_is_better=True))
    records.figure(Figure("… largest difference of latents", _difference(found, expected), "", 0))
    records.figure(
        Figure("… seconds with those that failed", seconds, "s", None, whole, "with room")
    )


def killed(scale: Scale) -> Iterator[Figure]:
    """A run whose process is killed at half, and what comes of it in another process."""
    # It is over before anybody hears of a step, if these are few.
    home, steps = scale.home("killed"), 4 if scale.is_small else 30
    document = scale.picture(turns.NAMES[0], 1, steps=steps)
    (home / "picture.json").write_text(json.dumps(document))
    reached = _killed_at(home, steps // 2, scale.device)
    events: list[Event] = []
    settings = {"disk_cache": 2**30, "checkpoint_seconds": 0}
    with scale.session(home, **settings) as session:
        found = decoded(session, document, events.append)
    with scale.session(scale.home("whole")) as session:
        expected = decoded(session, document)
    restored = [int(event.data["step"]) for event in events if event.kind == "node.restored"]
    what = f"killed at step {reached} of {steps}: step that it went on from"
    yield Figure(what, max(restored, default=0), "", 1, more_is_better=True)
    yield Figure("… largest difference to one in one go", _difference(found, expected), "", 0)


def _killed_at(home: Path, step: int, device: str) -> int:
    """Kill `nodegraph run` once it has said that a step is done; gives the last such step."""
    command = [sys.executable, "-m", "nodegraph", "--home", str(home), "run"]
    command += [str(home / "picture.json"), "--to", "decode", "--events"]
    environment = {
        **os.environ,
        "NODEGRAPH_DEVICE": device,
        "NODEGRAPH_CHECKPOINT_SECONDS": "0",
        "NODEGRAPH_DISK_CACHE": str(2**30),
    }
    reached = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        for line in process.stdout:
            event = json.loads(line)
            if event["kind"] == "node.progress" and event["node"] == "sample":
                reached = int(event["data"]["step"])
                if reached >= step:
                    process.kill()
    if process.returncode == 0 or reached < step:
        raise RuntimeError(f"it ended with {process.returncode}, at step {reached}")
    return reached


# A server


def server(scale: Scale) -> Mapping[str, Action]:
    """Jobs of a server with one worker on the card, and steps that samplings share."""
    modes: tuple[MergeMode, ...] = ("exact", "tolerance")
    merged = {f"merged steps, {mode}": measuring(partial(_merged, scale, mode)) for mode in modes}
    return {"jobs of three models": measuring(partial(jobs, scale)), **merged}


def jobs(scale: Scale) -> Iterator[Figure]:
    """Seconds for some jobs, submitted at once: once as models are loaded, and once more."""
    many = 6 if scale.is_small else JOBS
    names = ("tiny", *turns.NAMES)
    home = scale.home("server")
    (home / "config.toml").write_text(f'device = "{scale.device}"\n')
    with serving(home) as running:
        worker = running.worker().pid
        for at, what in enumerate(("models to load", "models there")):
            numbers = range(at * many, (at + 1) * many)
            documents = [scale.picture(names[number % 3], number) for number in numbers]
            start = time.perf_counter()
            ids = [running.submit({"workflow": each, "targets": ["decode"]}) for each in documents]
            for job in ids:
                running.until(job, "finished")
            rate = many / (time.perf_counter() - start)
            yield Figure(f"{many} jobs of 3 models, {what}", rate, "/s")
        yield Figure("… times that the worker died", int(running.worker().pid != worker), "", 0)


def _merged(scale: Scale, mode: MergeMode) -> Iterator[Figure]:
    steps = 2 if scale.is_small else 5
    if scale.is_small:
        case = merging.embedded(64, steps, scale.device)
    else:
        case = merging.as_large_as_sd15(scale.device, steps)
    yield from merging.compared(case, mode, scale.times(), SIZES[:1] if scale.is_small else SIZES)


PARTS: Mapping[str, Callable[[Scale], Mapping[str, Action]]] = {
    "equality": equality,
    "speed": lambda scale: Speed(scale).checks(),
    "memory": memory,
    "server": server,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=list(PARTS), required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--pretend", action="store_true")
    parser.add_argument("--skip", action="append", default=[])
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    diffusers.utils.logging.set_verbosity_error()
    scale = Scale(given.folder, given.device, given.quick or given.pretend, given.pretend)
    with torch.no_grad():
        run_checks(lambda: PARTS[given.part](scale), given.skip, machine)


if __name__ == "__main__":
    main()
