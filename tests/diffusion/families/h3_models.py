"""Tiny random models of MiniMax H3, and diffusers' modular pipeline of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import diffusers as d
import torch
import transformers as tf
from diffusers.modular_pipelines import MiniMaxH3Blocks, MiniMaxH3ModularPipeline

from .language import qwen3_vl_text
from .test_qwen_image_edit import PictureProcessor
from .words import qwen_words

LAYERS = 51
"""Of Qwen3-VL: the pipeline reads the 50th, which must not be the last."""


def transformer(**more: Any) -> Any:
    options = {
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "hidden_size": 32,
        "num_layers": 2,
        "num_refiner_layers": 1,
        "ffn_dim": 48,
        "text_dim": 32,
        "freq_dim": 32,
        "time_embed_hidden_dim": 40,
        "time_embed_dim": 24,
        "rope_freq_dim": 2,
    }
    return d.MiniMaxH3Transformer3DModel(**{**options, **more})


def _statistics(channels: int) -> dict[str, list[float]]:
    return {
        "latents_mean": [0.01 * at - 0.1 for at in range(channels)],
        "latents_std": [0.5 + 0.05 * at for at in range(channels)],
    }


def video_vae() -> Any:
    return d.AutoencoderKLMiniMaxH3(
        block_out_channels=(8,) * 6,
        layers_per_block=1,
        norm_num_groups=4,
        decoder_num_layers=1,
        decoder_num_attention_heads=2,
        decoder_attention_head_dim=16,
        **_statistics(24),
    )


def sound_vae(**more: Any) -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*weight_norm", FutureWarning)
        return d.AutoencoderKLMiniMaxH3Audio(
            encoder_dim=4,
            latent_dim=64,
            decoder_dim=128,
            resblock_kernel_sizes=(3,),
            resblock_dilation_sizes=((1,),),
            **{**_statistics(32), **more},
        )


class Processor(PictureProcessor):
    """Of Qwen3-VL, without its part for videos."""

    def create_mm_token_type_ids(self, input_ids: list[list[int]]) -> list[list[int]]:
        marks = {self.image_token_id: 1, self.video_token_id: 2}
        return [[marks.get(token, 0) for token in ids] for ids in input_ids]


class ShortVideos(MiniMaxH3ModularPipeline):
    """The stock pipeline, which also makes videos of less than five seconds."""

    @property
    def min_duration(self) -> float:
        return 0.0


# The folder that it saves names the class.
ShortVideos.__name__ = MiniMaxH3ModularPipeline.__name__


class StockH3:
    """The stock pipeline, with what tests ask of pipelines."""

    def __init__(self, parts: Mapping[str, Any]) -> None:
        self.components = dict(parts)
        self.pipeline = self.built(parts)

    @staticmethod
    def built(parts: Mapping[str, Any]) -> Any:
        pipeline = ShortVideos(blocks=MiniMaxH3Blocks())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pipeline.update_components(**parts)
        pipeline.set_progress_bar_config(disable=True)
        return pipeline

    @classmethod
    def from_folder(cls, folder: Path, **own: Any) -> StockH3:
        """What diffusers loads of a folder, with some parts that tests bring."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded = MiniMaxH3ModularPipeline.from_pretrained(str(folder), local_files_only=True)
            names = [name for name in loaded.config if (folder / name).is_dir()]
            loaded.load_components(
                [name for name in names if name not in own],
                pretrained_model_name_or_path=str(folder),
            )
        return cls({**{name: getattr(loaded, name) for name in names}, **own})

    def set_progress_bar_config(self, **options: Any) -> None:
        self.pipeline.set_progress_bar_config(**options)

    def save_pretrained(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.pipeline.save_pretrained(str(folder), overwrite_modular_index=True)

    def __call__(self, **options: Any) -> Any:
        """The state of the pipeline after a run."""
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self.pipeline(**options)


def minimax_h3() -> Any:
    words = qwen_words()
    image_processor = tf.Qwen2VLImageProcessorPil(
        patch_size=16, image_mean=[0.5] * 3, image_std=[0.5] * 3, min_pixels=32 * 32
    )
    return StockH3(
        {
            "scheduler": d.MiniMaxH3Scheduler(shift=12.0),
            "audio_scheduler": d.MiniMaxH3Scheduler(shift=3.0),
            "vae": video_vae(),
            "audio_vae": sound_vae(),
            "text_encoder": qwen3_vl_text(words, layers=LAYERS),
            "tokenizer": words,
            "processor": Processor(image_processor, words),
            "transformer": transformer(),
        }
    )
