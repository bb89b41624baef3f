"""An edge ControlNet (Zhang et al. 2023, arXiv:2302.05543) in 2 MB: edges say what is drawn where.

Stock `ControlNetModel`, for the stock `StableDiffusionControlNetPipeline`. Its layers are a copy of
the denoiser's encoder without the attention, which the edges make dispensable; what they add to the
denoiser starts at zero. Part of the captions say little or nothing, so that it learns to read the
edges.

Its widths are the denoiser's, which in 16 bits is more than 2 MB. So the kernels of its larger
convolutions are stored in 8-bit floating point (e4m3: four significant bits), which
`from_pretrained` widens to the `torch_dtype` asked for. The rest stays in 16 bits: it is small, and
what is near zero would suffer. The figures are those of the file as written, not of the weights
before rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import (
    ControlNetModel,
    StableDiffusionControlNetPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
)
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from training.captions import with_background
from training.companions.edges import agreement, as_condition, find_edges
from training.companions.job import Bar, Job, finished_model, start, write_record
from training.companions.latent_scenes import hits, load_judge, load_stored, store
from training.config import FitConfig
from training.judge import background
from training.latents import encode_pictures
from training.pixels import Pixels, sheet, to_tensor
from training.scenes import Scene, SceneMaker
from training.scores import percent
from training.stored import Arrays
from training.tokenizer import encode
from training.trainer import Trainer, load_average, place
from training.unet import stratified_timesteps
from training.vae import reconstruct

NAME = "controlnet"
FILE_NAME = "diffusion_pytorch_model.safetensors"
BARS = (
    Bar("f1_caption", least=70.0),
    Bar("f1_gain", least=20.0),
    Bar("f1_vague", least=70.0),
    Bar("f1_vague_gain", least=30.0),
    Bar("megabytes", most=2.0),
)
"""`f1_caption`: agreement in percent of the picture's edges with the condition, the caption being
told; `f1_gain`: how much of it is the control's work. `f1_vague` and `f1_vague_gain`: the same
where the prompt says "an object" at most. What that then is, is told but no bar: lines have no
colour, and a judge trained on coloured pictures names few (5 % at first)."""
_VAGUE = ("an object", "an object", "something", "a picture", "objects")
_LARGE = 8192
"""Kernels with at least so many weights are stored in 8 bits."""
_HELD_OUT = 77
_TOY = {"channels": (4, 8, 8), "scenes": 16, "prompts": 6, "steps": 2}


@dataclass(frozen=True)
class ControlConfig:
    """The control network and its training.

    Attributes:
        fit: The training.
        channels: Of the layers that bring the edge map down to the latent's size, finest first.
        scenes: How many are drawn and encoded.
        vague, empty: Shares of the samples whose caption names no object, or says nothing.
        prompts: How many pictures are measured.
        steps, guidance: With which they are sampled.
    """

    fit: FitConfig
    channels: tuple[int, ...] = (8, 16, 32, 64)
    scenes: int = 16_000
    vague: float = 0.3
    empty: float = 0.2
    prompts: int = 120
    steps: int = 20
    guidance: float = 4.0


@dataclass(frozen=True)
class Batch:
    """Samples to train on.

    Attributes:
        clean: Scaled latents, (n, channels, h, w).
        tokens: Of the captions, int64 (n, max_length).
        condition: Edges, (n, 3, height, width), 0 or 1.
        times: Of the noise, int64 (n,).
    """

    clean: Tensor
    tokens: Tensor
    condition: Tensor
    times: Tensor


def build_control(unet: UNet2DConditionModel, channels: tuple[int, ...]) -> ControlNetModel:
    """A control network for a denoiser, begun with the weights of its encoder."""
    sizes = unet.config.block_out_channels
    control = ControlNetModel(
        in_channels=unet.config.in_channels,
        down_block_types=("DownBlock2D",) * len(sizes),
        mid_block_type="UNetMidBlock2D",
        block_out_channels=sizes,
        layers_per_block=unet.config.layers_per_block,
        norm_num_groups=unet.config.norm_num_groups,
        cross_attention_dim=unet.config.cross_attention_dim,
        attention_head_dim=unet.config.attention_head_dim,
        conditioning_embedding_out_channels=channels,
    )
    given = unet.state_dict()
    own = control.state_dict()
    shared = {k: given[k] for k, v in own.items() if k in given and given[k].shape == v.shape}
    control.load_state_dict(own | shared)
    return control


def make_scenes(job: Job[ControlConfig], pipeline: StableDiffusionPipeline) -> None:
    """Draw scenes, find their edges, encode pictures and captions."""
    maker = SceneMaker.from_config(job.config)

    def draw(count: int, rng: np.random.Generator) -> Arrays:
        pictures, scenes = maker.batch(count, rng)
        told = encode(pipeline.tokenizer, [scene.caption for scene in scenes])
        vague = encode(pipeline.tokenizer, [vague_caption(scene, rng) for scene in scenes])
        return {
            "latents": encode_pictures(pipeline.vae, pictures),
            "edges": np.packbits(edges_of(pictures).bool().numpy(), axis=3),
            "tokens": np.asarray(told, np.int32),
            "vague": np.asarray(vague, np.int32),
        }

    settings = job.settings
    folder = job.scratch / "scenes"
    store(folder, settings.scenes, draw, seed=job.config.seed, workers=settings.fit.workers)


def vague_caption(scene: Scene, rng: np.random.Generator) -> str:
    """A caption that tells the background but names no object."""
    return with_background(_VAGUE[int(rng.integers(len(_VAGUE)))], scene.colour, rng)


def edges_of(pictures: Pixels) -> Tensor:
    """Edges of (n, h, w, 3), 0..255; (n, 1, h, w), 0 or 1."""
    return find_edges((to_tensor(pictures) + 1.0) / 2.0)


def unpacked(packed: Tensor) -> Tensor:
    """Edge maps as the control network takes them, (n, 3, h, w), from their bits."""
    bits = torch.arange(7, -1, -1, device=packed.device)
    edges = (packed[..., None] >> bits & 1).flatten(-2)
    return as_condition(edges)


def control_loss(
    control: ControlNetModel, pipeline: StableDiffusionPipeline, batch: Batch
) -> Tensor:
    """Mean squared error of the v that the denoiser predicts with the control's help."""
    scheduler = pipeline.scheduler
    noise = torch.randn_like(batch.clean)
    noisy = scheduler.add_noise(batch.clean, noise, batch.times)
    with torch.no_grad():
        states = pipeline.text_encoder(batch.tokens)[0]
    down, mid = control(noisy, batch.times, states, batch.condition, return_dict=False)
    predicted = pipeline.unet(
        noisy,
        batch.times,
        states,
        down_block_additional_residuals=down,
        mid_block_additional_residual=mid,
    ).sample
    target = scheduler.get_velocity(batch.clean, noise, batch.times)
    return functional.mse_loss(predicted.float(), target)


def train(job: Job[ControlConfig]) -> dict[str, float]:
    """Fit the control network and write it; gives the run's progress."""
    pipeline, settings = finished_model(job.work), job.settings
    make_scenes(job, pipeline)
    scenes = load_stored(job.scratch / "scenes")
    torch.manual_seed(job.config.seed)
    control = build_control(pipeline.unet, settings.channels).requires_grad_(True)
    device = place(pipeline.unet, settings.fit)
    place(control, settings.fit)
    pipeline.text_encoder.to(device)
    held = {name: value.to(device) for name, value in scenes.items()}
    empty = torch.tensor(encode(pipeline.tokenizer, [""]), device=device)
    total = pipeline.scheduler.config.num_train_timesteps

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        rows = torch.from_numpy(rng.integers(len(held["latents"]), size=count)).to(device)
        kind = torch.from_numpy(rng.random(count)).to(device)[:, None]
        words = torch.where(kind < settings.vague, held["vague"][rows], held["tokens"][rows])
        words = torch.where(kind > 1.0 - settings.empty, empty, words.long())
        times = stratified_timesteps(count, total, rng).to(device)
        clean, condition = held["latents"][rows].float(), unpacked(held["edges"][rows])
        return control_loss(control, pipeline, Batch(clean, words, condition, times))

    fit = settings.fit
    progress = Trainer(control, loss, fit, seed=job.config.seed, folder=job.scratch).run()
    best = build_control(finished_model(job.work).unet, settings.channels)
    load_average(best, job.scratch)
    save(best, job.folder)
    return vars(progress)


def save(control: ControlNetModel, folder: Path) -> None:
    """Write the stock folder, large kernels in 8 bits and the rest in 16."""
    control.save_pretrained(folder)
    weights = load_file(folder / FILE_NAME)
    small = {
        name: value.to(torch.float8_e4m3fn if _is_large(value) else torch.float16)
        for name, value in weights.items()
    }
    save_file(small, folder / FILE_NAME, {"format": "pt"})


def _is_large(value: Tensor) -> bool:
    return value.ndim == 4 and value.numel() >= _LARGE


def load(folder: Path) -> ControlNetModel:
    """The written control network, float32, as any user gets it."""
    control = ControlNetModel.from_pretrained(
        folder, torch_dtype=torch.float32, local_files_only=True
    )
    return control.eval().requires_grad_(False)


def draw_with(
    pipeline: StableDiffusionPipeline, control: ControlNetModel | None, settings: ControlConfig
) -> Callable[[list[str], Tensor], Pixels]:
    """A function from prompts and edges, (n, 1, h, w), to pictures; the seed is the row's number.

    Without a control network the edges are left unused.
    """
    if control is not None:
        parts = {**pipeline.components, "controlnet": control}
        pipeline = StableDiffusionControlNetPipeline(**parts, requires_safety_checker=False)
        pipeline.set_progress_bar_config(disable=True)

    def draw(prompts: list[str], edges: Tensor) -> Pixels:
        done = []
        for first in range(0, len(prompts), 30):
            rows = slice(first, first + 30)
            given = {} if control is None else {"image": as_condition(edges[rows])}
            output = pipeline(
                prompts[rows],
                num_inference_steps=settings.steps,
                guidance_scale=settings.guidance,
                generator=[
                    torch.Generator().manual_seed(first + n) for n in range(len(edges[rows]))
                ],
                output_type="np",
                **given,
            )
            done.append((output.images * 255.0).round().astype(np.uint8))
        return np.concatenate(done)

    return draw


def unseen(job: Job[ControlConfig]) -> tuple[Pixels, list[Scene], list[str]]:
    """Pictures of one object each that no training step sees, their scenes, the objects' names."""
    maker = SceneMaker.from_config(job.config)
    rng = np.random.default_rng((job.config.seed, _HELD_OUT))
    scenes = [maker.one(rng) for _ in range(job.settings.prompts)]
    names = [maker.objects[scene.placements[0].index].name for scene in scenes]
    return np.stack([maker.draw(scene) for scene in scenes]), scenes, names


def evaluate(job: Job[ControlConfig]) -> dict[str, float]:
    """Pictures for the edges of unseen scenes, with and without the control."""
    pictures, scenes, names = unseen(job)
    edges, judge = edges_of(pictures), load_judge(job.work)
    pipeline = finished_model(job.work)
    again = edges_of(reconstruct(pipeline.vae, pictures))
    figures = {
        "top1_renders": percent(hits(judge, pictures, names)),
        "f1_reconstructed": round(100 * float(agreement(again, edges).mean()), 2),
    }
    texts = {
        "caption": [scene.caption for scene in scenes],
        "vague": [f"an object on a {scene.colour} background" for scene in scenes],
        "empty": [""] * len(scenes),
    }
    rows = [pictures[:12], (as_condition(edges[:12]) * 255).byte().permute(0, 2, 3, 1).numpy()]
    for how, control in (("", load(job.folder)), ("_without", None)):
        draw = draw_with(pipeline, control, job.settings)
        for text, prompts in texts.items():
            seen = draw(prompts, edges)
            f1 = float(agreement(edges_of(seen), edges).mean())
            figures[f"f1_{text}{how}"] = round(100 * f1, 2)
            figures[f"top1_{text}{how}"] = percent(hits(judge, seen, names))
            right = [background(p) == s.colour for p, s in zip(seen, scenes, strict=True)]
            figures[f"background_{text}{how}"] = percent(right)
            rows.append(seen[:12])
    figures["f1_gain"] = round(figures["f1_caption"] - figures["f1_caption_without"], 2)
    figures["f1_vague_gain"] = round(figures["f1_vague"] - figures["f1_vague_without"], 2)
    sizes = [path.stat().st_size for path in job.folder.glob("*.safetensors")]
    figures["megabytes"] = round(sum(sizes) / 1e6, 3)
    sheet(np.concatenate(rows), len(rows[0])).save(job.scratch / "sheet.png")
    return figures


def main() -> None:
    """Train the edge ControlNet, measure it and write it to `companions/controlnet`."""
    job = start(NAME, ControlConfig, main.__doc__, _TOY)
    progress = train(job)
    write_record(job, evaluate(job), BARS, progress)


if __name__ == "__main__":
    main()
