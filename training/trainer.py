"""The training loop, once for all models: resumable, repeatable, on CPU workers or one GPU."""

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from training.config import FitConfig
from training.flat import FlatWeights
from training.memory import keep_freed_memory
from training.models import hasten, in_half
from training.optimiser import Optimiser
from training.plots import plot_loss
from training.team import Team

LossFunction = Callable[[int, np.random.Generator], Tensor]
"""Given a number of samples and the source of all randomness, the mean loss (a scalar)."""


def pick_device() -> torch.device:
    """CUDA where there is any, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _threads() -> int:
    """As many as the environment asks for, else one a processor."""
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


def place(model: nn.Module, fit: FitConfig) -> torch.device:
    """Move a model to where it is trained, in the memory format it is trained in."""
    device = pick_device()
    model.to(device)
    if device.type == "cpu":
        hasten(model)
    if fit.channels_last:
        model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return device


@dataclass
class Progress:
    """What a run has done so far."""

    step: int = 0
    samples: int = 0
    seconds: float = 0.0
    loss: float = 0.0

    def share(self, fit: FitConfig) -> float:
        """How much of the run is over, 0 to 1: by samples or by time, whichever is further."""
        done = self.samples / fit.samples
        return max(done, self.seconds / (60 * fit.minutes)) if fit.minutes else done


def learning_rate(fit: FitConfig, step: int, share: float) -> float:
    """Rate at a step, `share` (0 to 1) of the run being over."""
    warm = min(1.0, (step + 1) / max(1, fit.warmup))
    left = min(1.0, (1.0 - share) / fit.tail)
    fall = 0.5 - 0.5 * math.cos(math.pi * left) if fit.shape == "cosine" else left
    return fit.lr * warm * max(0.0, fall)


class Trainer:
    """Fits a model and keeps an exponential moving average of its weights.

    Randomness is a function of seed, worker and step alone, and the checkpoint holds weights,
    average, optimiser and counters, so an interrupted run ends where an unbroken one would have.

    Args:
        model: Its trainable parameters are fitted; must not be moved afterwards.
        loss: Called on every worker with its share of the batch.
        seed: Start of all randomness.
        folder: Where `checkpoint.pt`, `log.jsonl` and `loss.png` are kept.
    """

    def __init__(
        self, model: nn.Module, loss: LossFunction, fit: FitConfig, *, seed: int, folder: Path
    ) -> None:
        self.model, self.fit, self._loss, self._seed = model, fit, loss, seed
        self.device = next(model.parameters()).device
        self.progress = Progress()
        folder.mkdir(parents=True, exist_ok=True)
        self._checkpoint, self._log = folder / "checkpoint.pt", folder / "log.jsonl"
        self._flat = FlatWeights(model)
        self._average = self._flat.values.detach().clone()
        self._optimiser = Optimiser(self._flat, fit)
        self._saved_at = 0.0
        if self._checkpoint.exists():
            self._restore()

    def run(self) -> Progress:
        """Train to the end; the model is left with the averaged weights."""
        workers = self.fit.workers if self.device.type == "cpu" else 1
        if self.device.type == "cpu":
            keep_freed_memory()
            torch.set_num_threads(1 if workers > 1 else _threads())
        if self.progress.share(self.fit) < 1.0:
            team = Team(workers, self._flat.count)
            team.run(lambda: self._work(team))
        self.use_average()
        return self.progress

    def use_average(self) -> None:
        """Give the model the averaged weights, for sampling or export."""
        self._flat.load(self._average)

    def _work(self, team: Team) -> None:
        torch.manual_seed(self._seed + team.rank)
        size = max(1, self.fit.batch // team.size)
        started = time.monotonic() - self.progress.seconds
        self._saved_at = time.monotonic()
        losses: list[float] = []
        while True:
            loss = self._backward(team.rank, size)
            share = team.average(self._flat.gradient, self.progress.share(self.fit))
            if share >= 1.0:
                break
            self._update(share, team)
            losses.append(loss)
            self.progress.step += 1
            self.progress.samples += size * team.size
            self.progress.seconds = time.monotonic() - started
            if team.rank == 0:
                self._report(losses, share)
        if team.rank == 0:
            self._save()

    def _backward(self, rank: int, size: int) -> float:
        rng = np.random.default_rng((self._seed, rank, self.progress.step))
        torch.manual_seed(int(rng.integers(2**31)))
        self._flat.zero()
        with in_half(self.device, wanted=self.fit.bf16):
            loss = self._loss(size, rng)
        loss.backward()  # type: ignore[no-untyped-call]
        value = float(loss.detach())
        if not math.isfinite(value):
            raise FloatingPointError(f"loss is {value} at step {self.progress.step}")
        return value

    def _update(self, share: float, team: Team) -> None:
        step, fit = self.progress.step, self.fit
        norm = self._flat.gradient.norm()
        self._flat.gradient.mul_((fit.clip / (norm + 1e-6)).clamp(max=1.0))
        self._optimiser.advance(learning_rate(fit, step, share), team)
        decay = min(fit.ema, (1 + step) / (10 + step))
        self._average.lerp_(self._flat.values.detach(), 1.0 - decay)

    def _report(self, losses: list[float], share: float) -> None:
        done = self.progress
        if done.step % 50 == 0:
            done.loss = sum(losses) / len(losses)
            losses.clear()
            line: dict[str, float] = {
                "step": done.step,
                "samples": done.samples,
                "seconds": round(done.seconds),
            }
            line |= {"loss": round(done.loss, 5)}
            with self._log.open("a") as log:
                log.write(json.dumps(line) + "\n")
            left = done.seconds * (1 - share) / max(share, 1e-9)
            rate = done.samples / max(done.seconds, 1e-9)
            print(
                f"step {done.step}  {100 * share:.1f} %  loss {done.loss:.4f}  "
                f"{rate:.0f} samples/s  {left / 60:.1f} min left",
                flush=True,
            )
        if time.monotonic() - self._saved_at > self.fit.checkpoint_seconds:
            self._save()

    def _save(self) -> None:
        moments = self._optimiser.moments
        state = {
            "values": self._flat.split(self._flat.values.detach()),
            "average": self._flat.split(self._average),
            "moments": {name: self._flat.split(moment) for name, moment in moments.items()},
            "progress": vars(self.progress),
        }
        # A kill while writing must not cost the last good checkpoint.
        partial = self._checkpoint.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(self._checkpoint)
        plot_loss(self._log, self._log.with_name("loss.png"))
        self._saved_at = time.monotonic()

    def _restore(self) -> None:
        state = torch.load(self._checkpoint, map_location=self.device, weights_only=True)
        self._flat.load(self._flat.join(state["values"]))
        self._average.copy_(self._flat.join(state["average"]))
        self.progress = Progress(**state["progress"])
        for name, moments in state.get("moments", {}).items():
            self._optimiser.moments[name].copy_(self._flat.join(moments))
        self._optimiser.step = self.progress.step
        print(f"resumed at step {self.progress.step}", flush=True)


def load_average(model: nn.Module, folder: Path) -> None:
    """Give `model` the averaged weights of the checkpoint in `folder`."""
    state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
    model.load_state_dict(state["average"])
