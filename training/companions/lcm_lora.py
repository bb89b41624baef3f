"""Few-step sampling as a LoRA: four steps at guidance 1 instead of twenty at guidance 4.

Distillation of the teacher's own trajectories into a LoRA. The student predicts, from any point of
a guided trajectory, where it ends, as in latent consistency models (Luo et al. 2023,
arXiv:2310.04378 and arXiv:2311.05556), and stock
`LCMScheduler.from_config(pipeline.scheduler.config)` samples with it; it understands v-prediction,
and asks at 999, 759, 499, 259 for four steps. What the student should say is found by following
the trajectory to its end (as Luhman and Luhman 2021, arXiv:2101.02388, do from pure noise): the
teacher, the same network without the LoRA, takes `links` guided DDIM steps from a noised sample to
time 0. Consistency distillation takes one such step and asks the student for the rest, which is
cheaper, but with as few samples as a small machine affords the student's own errors feed on
themselves: at a rank of 4 the pictures stayed full of noise.

Guidance has one fixed strength, which the student thereby learns, so it runs without: half the
cost of a step. Times in training are not confined to a grid: any number of steps falls on trained
times.
"""

from dataclasses import dataclass

import numpy as np
import torch
from diffusers import DDIMScheduler, LCMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor

from training.companions import lora
from training.companions.job import (
    Bar,
    Job,
    finished_model,
    prompts_for,
    start,
    write_record,
)
from training.companions.latent_scenes import hits, load_judge
from training.config import FitConfig
from training.judge import background
from training.latents import load_latents
from training.pixels import Pixels, sheet
from training.sampling import sample
from training.scenes import SceneMaker
from training.scores import percent
from training.tokenizer import encode
from training.trainer import Trainer, place
from training.unet import stratified_timesteps

NAME = "lcm_lora"
BARS = (
    Bar("lcm_4_top1", least=95.0),
    Bar("lcm_4_background", least=95.0),
    Bar("lcm_8_top1", least=95.0),
)
_BASE_STEPS = (4, 8, 20)
_STEPS = (2, 4, 8)


@dataclass(frozen=True)
class LcmConfig:
    """The distillation.

    Attributes:
        fit: Training of the LoRA.
        rank: Of every layer's change.
        leave_out: Parts of the paths of layers that are not changed.
        links: The teacher's steps from any time to the end.
        start: Share of the samples that begin at the very last time, where sampling begins.
        guidance: Strength that the student learns to do without.
        huber: Where the loss turns from squared to absolute, in units of the latents.
        drop_caption: Share of the samples that are trained without their caption.
        prompts: How many pictures are measured.
    """

    fit: FitConfig
    rank: int = 4
    leave_out: tuple[str, ...] = ()
    links: int = 4
    start: float = 0.1
    guidance: float = 4.0
    huber: float = 0.03
    drop_caption: float = 0.05
    prompts: int = 240


class Distillation:
    """What student and teacher say of a trajectory, for one network with a LoRA on it.

    Args:
        unet: Predicts v; frozen but for the adapter's change.
        scheduler: The main model's, for its noise levels.
    """

    def __init__(
        self, unet: UNet2DConditionModel, adapter: lora.Adapter, scheduler: DDIMScheduler
    ) -> None:
        self.unet, self.adapter = unet, adapter
        levels = scheduler.alphas_cumprod.to(unet.device)
        self._signal, self._noise = levels.sqrt(), (1.0 - levels).sqrt()
        self._bounds = LCMScheduler.from_config(scheduler.config)

    def _levels(self, times: Tensor) -> tuple[Tensor, Tensor]:
        """Shares of signal and noise at `times`, each (n, 1, 1, 1)."""
        return self._signal[times].view(-1, 1, 1, 1), self._noise[times].view(-1, 1, 1, 1)

    def noised(self, clean: Tensor, times: Tensor) -> Tensor:
        """Latents with fresh noise, (n, channels, h, w)."""
        signal, noise = self._levels(times)
        return signal * clean + noise * torch.randn_like(clean)

    def end(self, noisy: Tensor, times: Tensor, states: Tensor) -> Tensor:
        """Where the student says that the trajectory through `noisy` ends."""
        signal, noise = self._levels(times)
        clean = signal * noisy - noise * self.unet(noisy, times, states).sample.float()
        # Exactly the scheduler's, so that time 0 gives back its input here and there.
        keep, take = self._bounds.get_scalings_for_boundary_condition_discrete(times.float())
        ended: Tensor = take.view(-1, 1, 1, 1) * clean + keep.view(-1, 1, 1, 1) * noisy
        return ended

    @torch.no_grad()
    def followed(
        self,
        noisy: Tensor,
        times: Tensor,
        states: tuple[Tensor, Tensor],
        scale: float,
        links: int,
    ) -> Tensor:
        """Where the teacher's trajectory from `times` ends, after so many guided DDIM steps.

        Args:
            states: Of the captions and of the empty one, each (n, length, width).
            scale: Guidance; 1 is none.
        """
        with self.adapter.weighing(0.0):
            for left in range(links, 0, -1):
                here, to = times * left // links, times * (left - 1) // links
                clean, rest = self._guess(noisy, here, states, scale)
                signal, noise = self._levels(to)
                noisy = signal * clean + noise * rest
        return clean

    def _guess(
        self, noisy: Tensor, times: Tensor, states: tuple[Tensor, Tensor], scale: float
    ) -> tuple[Tensor, Tensor]:
        """Signal and noise that the guided teacher sees in `noisy`."""
        both = self.unet(noisy.repeat(2, 1, 1, 1), times.repeat(2), torch.cat(states)).sample
        told, untold = both.float().chunk(2)
        v = untold + scale * (told - untold)
        signal, noise = self._levels(times)
        return signal * noisy - noise * v, signal * v + noise * noisy

    def loss(
        self, clean: Tensor, times: Tensor, states: tuple[Tensor, Tensor], settings: LcmConfig
    ) -> Tensor:
        """Pseudo-Huber distance of the student's end from the teacher's."""
        noisy = self.noised(clean, times)
        target = self.followed(noisy, times, states, settings.guidance, settings.links)
        off = self.end(noisy, times, states[0]) - target
        bend = settings.huber
        return ((off.square() + bend**2).sqrt() - bend).mean()


def pick_times(count: int, total: int, at_start: float, rng: np.random.Generator) -> Tensor:
    """Times from 1 to `total` - 1, evenly spread but for a share at the last; int64 (count,)."""
    times = stratified_timesteps(count, total - 1, rng) + 1
    late = torch.from_numpy(rng.random(count) < at_start)
    return torch.where(late, total - 1, times)


def train(job: Job[LcmConfig]) -> dict[str, float]:
    """Distil, write the LoRA's file; gives the run's progress."""
    pipeline, settings = finished_model(job.work), job.settings
    latents, tokens = load_latents(job.work)[0]
    torch.manual_seed(job.config.seed)
    adapter = lora.Adapter(pipeline.unet, settings.rank, settings.leave_out)
    device = place(pipeline.unet, settings.fit)
    place(adapter, settings.fit)
    text = pipeline.text_encoder.to(device)
    latents, tokens = latents.to(device), tokens.to(device)
    empty = torch.tensor(encode(pipeline.tokenizer, [""]), device=device)
    total = pipeline.scheduler.config.num_train_timesteps
    distillation = Distillation(pipeline.unet, adapter, pipeline.scheduler)

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        rows = torch.from_numpy(rng.integers(len(latents), size=count)).to(device)
        dropped = torch.from_numpy(rng.random(count) < settings.drop_caption).to(device)
        words = torch.where(dropped[:, None], empty, tokens[rows])
        with torch.no_grad():
            states = text(torch.cat([words, empty]))[0].float()
        told, untold = states[:-1], states[-1:].expand(count, -1, -1)
        times = pick_times(count, total, settings.start, rng).to(device)
        return distillation.loss(latents[rows].float(), times, (told, untold), settings)

    trainer = Trainer(adapter, loss, settings.fit, seed=job.config.seed, folder=job.scratch)
    progress = trainer.run()
    lora.save(adapter, pipeline.unet, job.folder)
    return vars(progress)


def few_step_pipeline(job: Job[LcmConfig]) -> StableDiffusionPipeline:
    """The main model with the LoRA merged and the scheduler that samples with it."""
    pipeline = finished_model(job.work)
    lora.merge(pipeline.unet, job.folder / lora.FILE_NAME)
    pipeline.scheduler = LCMScheduler.from_config(pipeline.scheduler.config)
    return pipeline


def evaluate(job: Job[LcmConfig]) -> dict[str, float]:
    """The main model by DDIM with guidance, and the LoRA by LCM without, by number of steps."""
    objects = SceneMaker.from_config(job.config).objects
    asked = prompts_for(objects, job.settings.prompts, job.config.seed)
    judge = load_judge(job.work)
    figures: dict[str, float] = {}
    rows: list[Pixels] = []
    runs = [("ddim", finished_model(job.work), n, job.settings.guidance) for n in _BASE_STEPS]
    runs += [("lcm", few_step_pipeline(job), n, 1.0) for n in _STEPS]
    for name, pipeline, steps, guidance in runs:
        prompts, seeds = [words for words, _, _ in asked], list(range(len(asked)))
        pictures = sample(pipeline, prompts, seeds, steps=steps, guidance=guidance)
        names = [item[1] for item in asked]
        right = [background(p) == item[2] for p, item in zip(pictures, asked, strict=True)]
        figures[f"{name}_{steps}_top1"] = percent(hits(judge, pictures, names))
        figures[f"{name}_{steps}_background"] = percent(right)
        rows.append(pictures[:12])
    sheet(np.concatenate(rows), len(rows[0])).save(job.scratch / "sheet.png")
    return figures


def main() -> None:
    """Distil the few-step LoRA, measure it and write it to `companions/lcm_lora`."""
    job = start(NAME, LcmConfig, main.__doc__, {"rank": 1, "prompts": 12})
    progress = train(job)
    write_record(job, evaluate(job), BARS, progress)


if __name__ == "__main__":
    main()
