"""Shap-E: solids from a text or an image. Imports no torch.

A transformer denoises a latent of 1024 tokens, which a renderer reads as the weights of a network
of densities, colors and distances. CLIP reads the text or the image.

Source: Jun & Nichol 2023, arXiv:2305.02463; diffusers, ``pipelines/shap_e``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Config, Family, Part, Warn, encoded
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN, LoraSign
from nodegraph.families.model_step import Batch, Moment
from nodegraph.families.prompt_media import ImagePromptReader
from nodegraph.families.shap_e_renderer import OnProgress, extract_mesh, render_views
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import StepMemory

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.spatial_values import Mesh
    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

TOKENS, FEATURES = 1024, 1024
"""Of a latent."""
_HELD = 16
"""Numbers that a step holds for each token and unit of the transformer's width."""
_PREFIX = 257
"""Tokens before those of the latent: the image's, and the time's."""
_PADDING = 0
"""Token behind a text, whatever the tokenizer's files say."""


@dataclass(frozen=True)
class ShapEFormat(LatentFormat):
    """Latents of solids, as an image of one channel: a row for each token.

    In this layout, noise has the order of diffusers' pipelines.
    """

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        """Refused: the renderer encodes nothing."""
        raise InvalidValue(
            "the VAE renders solids, and encodes no images",
            port="vae",
            given=f"one of format {self.name}",
            hint="To generate a solid from an image, use EncodeImagePrompt.",
        )

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """Refused: a solid has many views."""
        raise InvalidValue(
            "the VAE renders solids, which have more than one view",
            port="vae",
            given=f"one of format {self.name}",
            hint="Use VAEDecodeViews or VAEDecodeMesh instead.",
        )

    def decode_views(
        self, vae: Any, latent: Tensor, views: int, size: int, on_progress: OnProgress
    ) -> Tensor:
        """See `LatentFormat.decode_views`."""
        return render_views(vae, latent[0], views=views, size=size, on_progress=on_progress)

    def decode_mesh(
        self, vae: Any, latent: Tensor, grid: int, on_progress: OnProgress
    ) -> Mesh | None:
        """See `LatentFormat.decode_mesh`."""
        if not bool(vae.mesh_decoder.masks.any()):
            raise InvalidValue(
                "the VAE has no table for marching cubes, so it makes no meshes",
                port="vae",
                expected="tensors mesh_decoder.cases and mesh_decoder.masks with other numbers "
                "than 0",
                hint="Use the folder shap_e_renderer of openai/shap-e.",
            )
        return extract_mesh(vae, latent[0], grid=grid, on_progress=on_progress)


SHAP_E_LATENTS = ShapEFormat(
    "shap-e",
    1,
    spatial=1,
    autoencoders=("ShapERenderer",),
    only_size=(FEATURES, TOKENS),
)
"""Shap-E, of texts and of images."""


class ShapE(Family):
    """A transformer that predicts the clean latent by an embedding of a text.

    Without a negative prompt, guidance goes from zeros, as in diffusers' pipeline.
    """

    def context_width(self, config: Config) -> int | None:
        width = config.get("embedding_proj_dim") or config.get("embedding_dim")
        return None if width is None else int(width)

    def step_memory(self, config: Config) -> StepMemory:
        heads = int(config.get("num_attention_heads") or 16)
        held = _HELD * heads * int(config.get("attention_head_dim") or 64)
        return StepMemory(held / FEATURES, held * _PREFIX, 1 / FEATURES)

    def tokens(self, shape: Sequence[int]) -> int:
        return int(shape[-2])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        """The pooled embedding of a text, brought to a mean square of 1; (1, 1, width)."""
        from nodegraph.families.text_encoders import warn_of_cut

        tokenizer, encoder = model.tokenizers["tokenizer"], model.modules["text_encoder"]
        length = int(tokenizer.model_max_length)
        ids = tokenizer(text, truncation=True, max_length=length, return_tensors="pt")["input_ids"]
        if warn is not None and ids.shape[1] == length:
            warn_of_cut(tokenizer, text, length, warn)
        ids = torch.nn.functional.pad(ids, (0, length - ids.shape[1]), value=_PADDING)
        pooled = encoder(ids.to(encoder.device)).text_embeds
        pooled = pooled / torch.linalg.norm(pooled, dim=-1, keepdim=True)
        return _entry((math.sqrt(pooled.shape[1]) * pooled)[:, None])

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        width = int(model.modules["text_encoder"].config.projection_dim)
        return _entry(torch.zeros(1, 1, width))

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        embeddings = batch["embeddings"]
        output: Tensor = model.module(
            x[:, 0],
            timestep=moment.timestep,
            # As the pipeline passes it: a single token has no axis.
            proj_embedding=embeddings[:, 0] if embeddings.shape[1] == 1 else embeddings,
            return_dict=False,
        )[0]
        # The second half is the variance, which no sampler uses.
        return output[..., : x.shape[-1]].unsqueeze(1)


class ShapEImage(ShapE, ImagePromptReader):
    """The same by the patches of an image, as CLIP sees them."""

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        """Refused: the encoder reads an image."""
        raise self._no_text()

    def encode_edit(
        self, model: TextModel, text: str, images: Sequence[Tensor], warn: Warn | None = None
    ) -> ConditioningEntry:
        """Refused: the encoder reads no text beside the image."""
        raise self._no_text()

    def _no_text(self) -> InvalidValue:
        return InvalidValue(
            f"{self.title} reads an image, and no text",
            port="encoder",
            hint="Use an EncodeImagePrompt instead.",
        )

    def encode_image(self, model: TextModel, image: Tensor) -> ConditioningEntry:
        """See `ImagePromptReader.encode_image`; (1, patches, width)."""
        from nodegraph.media.images.images import to_pil

        processor, encoder = model.tokenizers["image_processor"], model.modules["image_encoder"]
        picture = to_pil(image[..., :3]).convert("RGB")
        pixels = processor(picture, return_tensors="pt").pixel_values[0].unsqueeze(0)
        states = encoder(pixels.to(encoder.device, encoder.dtype)).last_hidden_state
        return _entry(states[:, 1:, :].contiguous())

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        config = model.modules["image_encoder"].config
        patches = (int(config.image_size) // int(config.patch_size)) ** 2
        return _entry(torch.zeros(1, patches, int(config.hidden_size)))


def _entry(embeddings: Tensor) -> ConditioningEntry:
    return encoded({"embeddings": embeddings.detach().to("cpu", torch.float32)})


_PRIOR = (Part("prior", ("PriorTransformer",)),)
_COMMON: dict[str, Any] = {
    "latent": SHAP_E_LATENTS,
    "denoisers": _PRIOR,
    "vae": "shap_e_renderer",
    "multiple": 1,
    "size": TOKENS,
    "speedups": frozenset(),
    "perturbs_attention": False,
    "skips_blocks": False,
    "lora_signs": (
        LoraSign(r"^(embedding_proj|proj_to_clip_embeddings)$", "Shap-E"),
        CROSS_ATTENTION_SIGN,
    ),
}

SHAP_E = ShapE(
    "shap-e",
    "Shap-E",
    pipelines=("ShapEPipeline",),
    encoders=(Part("text_encoder", ("CLIPTextModelWithProjection",)),),
    tokenizers=(Part("tokenizer", ("CLIPTokenizer",)),),
    **_COMMON,
)

SHAP_E_IMAGE = ShapEImage(
    "shap-e-image",
    "Shap-E for images",
    pipelines=("ShapEImg2ImgPipeline",),
    encoders=(Part("image_encoder", ("CLIPVisionModel",)),),
    tokenizers=(Part("image_processor", ("CLIPImageProcessor",)),),
    **_COMMON,
)
