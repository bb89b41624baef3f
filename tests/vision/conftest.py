"""Tiny random models that see, of the true classes, in folders as transformers saves them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from safetensors.torch import save_file

from tests.nodes.conftest import Bench

SIDE = 64
Save = Callable[[Path], Any]


def _preparation(folder: Path, kind: str, **settings: Any) -> None:
    text = json.dumps({"image_processor_type": kind, **settings})
    (folder / "preprocessor_config.json").write_text(text)


def _saved(model: Any, folder: Path, scale: float = 8.0) -> Any:
    with torch.no_grad():
        for weight in model.parameters():
            # Weights as they are drawn answer nearly the same everywhere.
            if weight.ndim > 1:
                weight.mul_(scale)
    model.eval().save_pretrained(folder)
    return model


def sam(folder: Path) -> Any:
    vision = tf.SamVisionConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=SIDE, patch_size=8,
        output_channels=16, mlp_dim=32, global_attn_indexes=[1], window_size=4, num_pos_feats=8,
    )  # fmt: skip
    prompts = tf.SamPromptEncoderConfig(hidden_size=16, image_size=SIDE, patch_size=8)
    decoder = tf.SamMaskDecoderConfig(
        hidden_size=16, mlp_dim=16, num_attention_heads=2, iou_head_hidden_dim=16
    )
    config = tf.SamConfig(
        vision_config=vision.to_dict(),
        prompt_encoder_config=prompts.to_dict(),
        mask_decoder_config=decoder.to_dict(),
    )
    model = _saved(tf.SamModel(config), folder)
    sizes = {"size": {"longest_edge": SIDE}, "pad_size": {"height": SIDE, "width": SIDE}}
    masks = {"mask_size": {"longest_edge": 16}, "mask_pad_size": {"height": 16, "width": 16}}
    _preparation(folder, "SamImageProcessor", **sizes, **masks)
    return model


def sam2(folder: Path) -> Any:
    backbone = tf.Sam2HieraDetConfig(
        hidden_size=8, num_attention_heads=1, image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 1, 2, 1], embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 2, 4, 8],
        window_size_per_stage=[8, 4, 4, 2], global_attention_blocks=[3],
        window_positional_embedding_background_size=[4, 4],
    )  # fmt: skip
    vision = tf.Sam2VisionConfig(
        backbone_config=backbone, backbone_channel_list=[64, 32, 16, 8], fpn_hidden_size=16,
        backbone_feature_sizes=[[16, 16], [8, 8], [4, 4]],
    )  # fmt: skip
    prompts = tf.Sam2PromptEncoderConfig(hidden_size=16, image_size=SIDE, patch_size=16)
    decoder = tf.Sam2MaskDecoderConfig(
        hidden_size=16, mlp_dim=16, num_attention_heads=2, iou_head_hidden_dim=16
    )
    config = tf.Sam2Config(
        vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=decoder
    )
    model = _saved(tf.Sam2Model(config), folder)
    _preparation(folder, "Sam2ImageProcessorFast", size={"height": SIDE, "width": SIDE})
    return model


def clipseg(folder: Path) -> Any:
    from nodegraph.families.building import clip_tokenizer
    from nodegraph.families.vocabulary import MERGES

    tokenizer = clip_tokenizer(MERGES, "<|endoftext|>")
    small = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    config = tf.CLIPSegConfig(
        text_config={**small, "num_hidden_layers": 1, "vocab_size": len(tokenizer),
                     "eos_token_id": tokenizer.eos_token_id},
        vision_config={**small, "num_hidden_layers": 3, "image_size": 32, "patch_size": 8},
        projection_dim=16, extract_layers=[0, 1, 2], reduce_dim=8, decoder_num_attention_heads=2,
        decoder_intermediate_size=16, use_complex_transposed_convolution=False,
    )  # fmt: skip
    model = _saved(tf.CLIPSegForImageSegmentation(config), folder)
    tokenizer.save_pretrained(folder)
    _preparation(folder, "ViTFeatureExtractor", size={"height": 32, "width": 32})
    return model


def sam3(folder: Path) -> Any:
    """As it is published: within the model for videos."""
    from nodegraph.families.building import clip_tokenizer
    from nodegraph.families.vocabulary import MERGES

    tokenizer = clip_tokenizer(MERGES, "<|endoftext|>")
    head = {"hidden_size": 16, "num_attention_heads": 2}
    small = {**head, "num_layers": 1, "intermediate_size": 16}
    backbone = {
        **head, "model_type": "sam3_vit_model", "intermediate_size": 16, "num_hidden_layers": 2,
        "image_size": 56, "patch_size": 14, "window_size": 2, "pretrain_image_size": 28,
        "global_attn_indexes": [1],
    }  # fmt: skip
    text = {
        **head, "model_type": "clip_text_model", "vocab_size": len(tokenizer),
        "intermediate_size": 16, "projection_dim": 16, "num_hidden_layers": 1,
        "max_position_embeddings": 32, "eos_token_id": tokenizer.eos_token_id,
    }  # fmt: skip
    sizes = [[16, 16], [8, 8], [4, 4]]
    config = tf.Sam3Config(
        vision_config={"backbone_config": backbone, "fpn_hidden_size": 16,
                       "backbone_feature_sizes": sizes},
        text_config=text, geometry_encoder_config=small, detr_encoder_config=small,
        detr_decoder_config={**small, "num_queries": 5}, mask_decoder_config=head,
    )  # fmt: skip
    model = tf.Sam3Model(config).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.startswith(("mask_decoder.", "dot_product_scoring.", "detr_decoder.")):
                weight.add_(0.3 * torch.randn_like(weight))
    tensors = {f"detector_model.{name}": item for name, item in model.state_dict().items()}
    tensors["tracker_model.no_memory_embedding"] = torch.zeros(1, 1, 16)
    save_file(tensors, str(folder / "model.safetensors"))
    whole = {"architectures": ["Sam3VideoModel"], "model_type": "sam3_video",
             "detector_config": config.to_dict()}  # fmt: skip
    (folder / "config.json").write_text(json.dumps(whole))
    tokenizer.save_pretrained(folder)
    _preparation(folder, "Sam3ImageProcessor", size={"height": 56, "width": 56})
    return model


LABELS = {0: "wall", 1: "sky", 2: "tree"}


def segformer(folder: Path) -> Any:
    config = tf.SegformerConfig(
        hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16, id2label=LABELS,
    )  # fmt: skip
    model = _saved(tf.SegformerForSemanticSegmentation(config), folder)
    _preparation(folder, "SegformerFeatureExtractor", size={"height": SIDE, "width": SIDE})
    return model


def mask2former(folder: Path) -> Any:
    backbone = tf.SwinConfig(
        embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = tf.Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32,
        encoder_feedforward_dim=16, encoder_layers=1, decoder_layers=2, num_attention_heads=2,
        dim_feedforward=16, num_queries=5, id2label=LABELS,
    )  # fmt: skip
    model = _saved(tf.Mask2FormerForUniversalSegmentation(config), folder)
    _preparation(folder, "Mask2FormerImageProcessor", size={"height": SIDE, "width": SIDE})
    return model


def vitmatte(folder: Path) -> Any:
    backbone = tf.VitDetConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, num_channels=4,
        image_size=SIDE, patch_size=16, window_block_indices=[0], window_size=2,
        residual_block_indices=[1], out_features=["stage2"],
    )  # fmt: skip
    config = tf.VitMatteConfig(
        backbone_config=backbone, hidden_size=16, convstream_hidden_sizes=[8, 8, 8],
        fusion_hidden_sizes=[16, 8, 8, 8],
    )  # fmt: skip
    model = _saved(tf.VitMatteForImageMatting(config), folder)
    _preparation(folder, "VitMatteImageProcessor")
    return model


def depth_anything(folder: Path) -> Any:
    backbone = tf.Dinov2Config(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=1, image_size=56, patch_size=14,
        out_features=["stage1", "stage2", "stage3", "stage4"], reshape_hidden_states=False,
    )  # fmt: skip
    config = tf.DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=16, neck_hidden_sizes=[8, 8, 16, 16],
        fusion_hidden_size=8, head_hidden_size=4, head_in_index=-1,
    )  # fmt: skip
    model = _saved(tf.DepthAnythingForDepthEstimation(config), folder)
    settings = {"size": {"height": 56, "width": 56}, "keep_aspect_ratio": True}
    _preparation(folder, "DPTImageProcessor", ensure_multiple_of=14, **settings)
    return model


def vitpose(folder: Path) -> Any:
    backbone = tf.VitPoseBackboneConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, image_size=[64, 48],
        patch_size=[16, 16], mlp_ratio=1, out_features=["stage2"],
    )  # fmt: skip
    config = tf.VitPoseConfig(backbone_config=backbone, num_labels=17)
    model = _saved(tf.VitPoseForPoseEstimation(config), folder)
    _preparation(folder, "VitPoseImageProcessor", size={"height": 64, "width": 48})
    return model


NAMES = {0: "person", 1: "dog", 2: "hat"}


def yolos(folder: Path) -> Any:
    config = tf.YolosConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16,
        image_size=[SIDE, SIDE], patch_size=16, num_detection_tokens=6, id2label=NAMES,
    )  # fmt: skip
    model = _saved(tf.YolosForObjectDetection(config), folder, scale=4.0)
    _preparation(folder, "YolosFeatureExtractor", size={"height": SIDE, "width": SIDE})
    return model


def rtdetr(folder: Path) -> Any:
    backbone = tf.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = tf.RTDetrConfig(
        backbone_config=backbone, encoder_hidden_dim=16, encoder_in_channels=[8, 16, 16],
        encoder_ffn_dim=16, encoder_attention_heads=2, d_model=16, num_queries=6,
        decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, decoder_layers=1,
        decoder_attention_heads=2, num_denoising=0, id2label=NAMES,
    )  # fmt: skip
    model = _saved(tf.RTDetrForObjectDetection(config), folder, scale=1.0)
    _preparation(folder, "RTDetrImageProcessor", size={"height": SIDE, "width": SIDE})
    return model


def detr(folder: Path) -> Any:
    backbone = tf.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 8, 8], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage4"],
    )  # fmt: skip
    config = tf.DetrConfig(
        backbone_config=backbone, use_timm_backbone=False, use_pretrained_backbone=False,
        backbone=None, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, num_queries=6,
        id2label=NAMES,
    )  # fmt: skip
    model = _saved(tf.DetrForObjectDetection(config), folder, scale=1.0)
    _preparation(folder, "DetrImageProcessor", size={"height": SIDE, "width": SIDE})
    return model


def _caption_words(marks: list[str]) -> Any:
    """A tokenizer of bytes with the marks of a model."""
    from tests.diffusion.families.words import byte_characters

    words = ["<s>", "<pad>", "</s>", "<unk>", *marks, *byte_characters()]
    vocabulary = {word: place for place, word in enumerate(words)}
    tokenizer = tf.RobertaTokenizer(vocab=vocabulary, merges=[], pad_token="<pad>")
    tokenizer.add_special_tokens({"additional_special_tokens": marks})
    return tokenizer


def blip(folder: Path) -> Any:
    words = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        "[DEC]",
        "[ENC]",
        "a",
        "red",
        "cat",
        "of",
    ]
    tokenizer = tf.BertTokenizer(vocab={word: place for place, word in enumerate(words)})
    tokenizer.add_special_tokens({"bos_token": "[DEC]"})
    small = {"hidden_size": 16, "intermediate_size": 16, "num_attention_heads": 2}
    config = tf.BlipConfig(
        text_config={
            **small, "num_hidden_layers": 1, "vocab_size": len(tokenizer), "bos_token_id": 5,
            "eos_token_id": 2, "sep_token_id": 3, "pad_token_id": 0, "encoder_hidden_size": 16,
            "projection_dim": 16, "max_position_embeddings": 64,
        },
        vision_config={**small, "num_hidden_layers": 1, "image_size": SIDE, "patch_size": 16},
        projection_dim=16, image_text_hidden_size=16,
    )  # fmt: skip
    model = _saved(tf.BlipForConditionalGeneration(config), folder, scale=4.0)
    tokenizer.save_pretrained(folder)
    _preparation(folder, "BlipImageProcessor", size={"height": SIDE, "width": SIDE})
    return model


def florence(folder: Path) -> Any:
    tokenizer = _caption_words(["<image>"])
    vision = {
        "depths": [1, 1], "patch_size": [7, 3], "patch_stride": [4, 2], "patch_padding": [3, 1],
        "patch_prenorm": [False, True], "embed_dim": [16, 16], "num_heads": [2, 2],
        "num_groups": [2, 2], "window_size": 4, "projection_dim": 16, "drop_path_rate": 0.0,
    }  # fmt: skip
    text = {
        "model_type": "bart", "d_model": 16, "encoder_layers": 1, "decoder_layers": 1,
        "encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 16,
        "decoder_ffn_dim": 16, "vocab_size": len(tokenizer), "max_position_embeddings": 256,
        "bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 2,
    }  # fmt: skip
    mark = tokenizer.convert_tokens_to_ids("<image>")
    config = tf.Florence2Config(vision_config=vision, text_config=text, image_token_id=mark)
    model = _saved(tf.Florence2ForConditionalGeneration(config), folder, scale=4.0)
    tokenizer.save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    _preparation(folder, "CLIPImageProcessor", size=size, crop_size=size)
    return model


MAKERS: dict[str, Save] = {
    "sam": sam, "sam2": sam2, "clipseg": clipseg, "sam3": sam3, "segformer": segformer,
    "mask2former": mask2former, "vitmatte": vitmatte, "depth": depth_anything,
    "vitpose": vitpose, "yolos": yolos, "rtdetr": rtdetr, "detr": detr, "blip": blip,
    "florence": florence,
}  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(tmp_path_factory.mktemp("vision"))
    yield made
    made.session.close()


@pytest.fixture(scope="module")
def models(bench: Bench) -> Callable[[str], Any]:
    """Saves a model under the models folder, once, and gives it."""

    @cache
    def make(name: str) -> Any:
        folder = bench.folder / "models" / name
        folder.mkdir(parents=True)
        torch.manual_seed(0)
        return MAKERS[name](folder)

    return make
