"""A generative adversarial network: a generator, and a critic that it learns to deceive.

Sources: Goodfellow et al. 2014, arXiv:1406.2661; hinge loss and spectral norm: Miyato et al. 2018,
arXiv:1802.05957; spread over the batch as a feature: Karras et al. 2017, arXiv:1710.10196.
"""

import copy
import json
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from nodegraph.families.vector_decoders import VectorDecoder
from training.history.scenes import Pool
from training.models import hasten, in_half

SAMPLES, BATCH, KEPT = 640_000, 32, 0.999
_RATES = {"generator": 2e-4, "critic": 4e-4}
_BETAS = (0.0, 0.99)
_TOLD, _SAVED_SECONDS = 100, 60.0


class Critic(nn.Module):
    """How real latents look, (batch,), of (batch, 8, 16, 16)."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        wide = 8
        for count, kernel, stride in ((48, 3, 1), (96, 4, 2), (160, 4, 2)):
            conv = nn.Conv2d(wide, count, kernel, stride, 1)
            layers += [spectral_norm(conv), nn.LeakyReLU(0.2)]
            wide = count
        self.body = nn.Sequential(*layers)
        self.head = spectral_norm(nn.Linear(wide * 16 + 1, 1))

    def forward(self, latents: Tensor) -> Tensor:
        features = self.body(latents).flatten(1)
        # A generator that makes one thing again and again is found out by it.
        spread = features.std(0).mean().expand(len(features), 1)
        told: Tensor = self.head(torch.cat((features, spread), 1))[:, 0]
        return told


class Contest:
    """Both networks, their optimisers, and the generator's averaged weights; saved and resumed.

    What a step draws is a function of its number, so a run that was stopped goes on as it would.
    """

    def __init__(self, work: Path) -> None:
        torch.manual_seed(2)
        self.generator, self.critic, self.step = VectorDecoder(), Critic(), 0
        for network in (self.generator, self.critic):
            hasten(network)
            network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        self.optimisers = {
            name: torch.optim.Adam(getattr(self, name).parameters(), lr, betas=_BETAS)
            for name, lr in _RATES.items()
        }
        self._pool, self._folder = Pool(work), work / "gan"
        self._folder.mkdir(parents=True, exist_ok=True)
        if (self._folder / "checkpoint.pt").exists():
            self._restore()

    def advance(self, rate: float) -> dict[str, float]:
        """One step of each network, with learning rates times `rate`; their losses."""
        rng = np.random.default_rng((2, self.step))
        for name, optimiser in self.optimisers.items():
            optimiser.param_groups[0]["lr"] = _RATES[name] * rate
        real = self._pool.batch(BATCH, rng).contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), in_half(torch.device("cpu")):
            false = self.generator(self._vectors(rng)).float()
        with in_half(torch.device("cpu")):
            # Apart, as the spread over a batch would else be of both.
            margins = (
                functional.relu(1 - self.critic(real)),
                functional.relu(1 + self.critic(false)),
            )
        caught = margins[0].float().mean() + margins[1].float().mean()
        self._step("critic", caught)
        self.critic.requires_grad_(False)
        with in_half(torch.device("cpu")):
            deceived = -self.critic(self.generator(self._vectors(rng))).float().mean()
        self._step("generator", deceived)
        self.critic.requires_grad_(True)
        kept = min(KEPT, (1 + self.step) / (10 + self.step))
        for old, new in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            old.lerp_(new.detach(), 1 - kept)
        self.step += 1
        return {"critic": float(caught.detach()), "generator": float(deceived.detach())}

    def _vectors(self, rng: np.random.Generator) -> Tensor:
        shape = (BATCH, self.generator.latent)
        return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))

    def _step(self, name: str, loss: Tensor) -> None:
        self.optimisers[name].zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimisers[name].step()

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        parts = ("generator", "critic", "average")
        state = {name: getattr(self, name).state_dict() for name in parts}
        state |= {f"{name}_rule": item.state_dict() for name, item in self.optimisers.items()}
        partial = self._folder / "checkpoint.partial"
        torch.save({**state, "step": self.step}, partial)
        partial.replace(self._folder / "checkpoint.pt")

    def _restore(self) -> None:
        state = torch.load(self._folder / "checkpoint.pt", map_location="cpu", weights_only=True)
        for name in ("generator", "critic", "average"):
            getattr(self, name).load_state_dict(state[name])
        for name, item in self.optimisers.items():
            item.load_state_dict(state[f"{name}_rule"])
        self.step = state["step"]

    def log(self, line: dict[str, float]) -> None:
        """Add a line to log.jsonl, and print it."""
        with (self._folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        print(f"gan: {line}", flush=True)


def train(work: Path, samples: int = SAMPLES) -> VectorDecoder:
    """Go on from the folder's checkpoint to the end; the generator with averaged weights."""
    contest = Contest(work)
    steps, saved = samples // BATCH, time.monotonic()
    while contest.step < steps:
        # The last third ends at no rate at all, which settles what goes round in circles.
        rate = min(1.0, 3 * (steps - contest.step) / steps)
        losses = contest.advance(rate)
        if contest.step % _TOLD == 0:
            contest.log({"step": contest.step, **losses})
        if time.monotonic() - saved > _SAVED_SECONDS:
            contest.save()
            saved = time.monotonic()
    contest.save()
    return decoder(work)


def decoder(work: Path) -> VectorDecoder:
    """With the averaged weights of a checkpoint, of a run that still goes on, too."""
    state = torch.load(work / "gan" / "checkpoint.pt", map_location="cpu", weights_only=True)
    model = VectorDecoder()
    model.load_state_dict(state["average"])
    return model.eval()


def learned(work: Path) -> int:
    """Latents that a checkpoint has learned from, each counted as often as it came."""
    state = torch.load(work / "gan" / "checkpoint.pt", map_location="cpu", weights_only=True)
    return int(state["step"]) * BATCH
