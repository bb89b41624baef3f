"""Language models that see and hear, in a graph: they answer as transformers does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from diffusers.modular_pipelines.flux3 import prompt_upsampler
from safetensors.torch import load_file, save_file
from torch import Tensor

from nodegraph.core.values import Audio, PipelineComponent
from nodegraph.families.building import build_tokenizer
from nodegraph.families.components import Component
from nodegraph.families.vocabulary import VOCABULARIES
from nodegraph.interop.pipelines.assembly import load_part
from nodegraph.media.audio.codec import encode_audio
from nodegraph.media.audio.transforms import resample
from nodegraph.media.images.images import to_pil
from nodegraph.models.language.token_sampling import generate_text
from nodegraph.perception.language_model import open_language_model
from nodegraph.weights.precision.quantized_weights import quantized_shape
from tests.diffusion.language.seeing_models import gemma4_file, gemma4_words, qwen35_folder
from tests.diffusion.language.test_qwen35_files import stored
from tests.diffusion.language.test_qwen35_files import tiny as tiny_qwen35
from tests.nodes.conftest import Bench, link

SAID, SYSTEM = "a red cat", "be kind"


@pytest.fixture(scope="module")
def gemma(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    path = tmp_path_factory.mktemp("gemma") / "gemma4_e4b_it.safetensors"
    return path, gemma4_file(path)


@pytest.fixture(scope="module")
def qwen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    path = tmp_path_factory.mktemp("qwen") / "qwen35"
    return path, qwen35_folder(path)


def asking(model: Path, **inputs: Any) -> dict[str, Any]:
    more = {"prompt": SAID, "system": SYSTEM, "sampling": False, "max_tokens": 8, **inputs}
    return {
        "load": {"type": "LoadLanguageModel", "inputs": {"model": str(model), "dtype": "float32"}},
        "ask": {"type": "GenerateText", "inputs": {"encoder": link("load"), **more}},
    }


def pictures(bench: Bench, nodes: dict[str, Any], **size: int) -> list[Tensor]:
    nodes["picture"] = {"type": "Picture", "inputs": {"width": 96, "height": 64, **size}}
    nodes["ask"]["inputs"]["images"] = link("picture")
    return list(bench.value({"picture": nodes["picture"]}, "picture.image"))


def sound(bench: Bench, nodes: dict[str, Any], seconds: float = 1.3) -> Audio:
    generator = torch.Generator().manual_seed(2)
    wave = torch.rand(2, int(44_100 * seconds), generator=generator) - 0.5
    file = bench.folder / "inputs" / "sound.wav"
    file.write_bytes(encode_audio(Audio(wave, 44_100), "wav"))
    nodes["sound"] = {"type": "LoadAudio", "inputs": {"path": "sound.wav"}}
    nodes["ask"]["inputs"]["audio"] = link("sound")
    audio: Audio = bench.value({"sound": nodes["sound"]}, "sound.audio")
    return audio


class GemmaProcessor(tf.Gemma4Processor):
    """That of transformers without its processor of videos, which needs torchvision."""

    def check_argument_for_proper_class(self, *_: Any) -> Any:
        return None


def gemma_processor() -> Any:
    marks = {"image": "<|image|>", "boi": "<|image>", "eoi": "<image|>"}
    marks |= {"audio": "<|audio|>", "boa": "<|audio>", "eoa": "<audio|>"}
    words = tf.PreTrainedTokenizerFast(
        tokenizer_object=gemma4_words(),
        pad_token="<pad>",
        extra_special_tokens={f"{name}_token": mark for name, mark in marks.items()},
    )
    parts = (tf.Gemma4AudioFeatureExtractor(), tf.Gemma4ImageProcessorPil(), words, None)
    return GemmaProcessor(*parts)


def by_gemma(
    model: Any, text: str, images: list[Tensor], audio: Audio | None = None, system: str = SYSTEM
) -> str:
    """What transformers answers."""
    processor = gemma_processor()
    said = f"<bos><|turn>system\n{system}<turn|>\n<|turn>user\n{text}<turn|>\n<|turn>model\n"
    media: dict[str, Any] = {}
    if images:
        media["images"] = [[to_pil(image) for image in images]]
    if audio is not None:
        mono = Audio(audio.waveform.mean(0, keepdim=True), audio.rate)
        media["audio"] = [resample(mono, 16_000).waveform[0].numpy()]
    inputs = processor(text=[said], **media, return_tensors="pt", add_special_tokens=False)
    inputs.pop("num_soft_tokens_per_image", None)
    tokens = model.generate(
        **inputs, max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    written = tokens[0, inputs["input_ids"].shape[1] :]
    return str(processor.tokenizer.decode(written, skip_special_tokens=True)).strip()


def test_gemma_4_of_one_file_answers_as_transformers(bench: Bench, gemma: tuple[Path, Any]) -> None:
    path, stock = gemma
    found = bench.value(asking(path), "ask.text")
    assert found == by_gemma(stock, SAID, [])
    assert len(found) > 1


def test_gemma_4_sees_and_hears_as_transformers(bench: Bench, gemma: tuple[Path, Any]) -> None:
    path, stock = gemma
    nodes = asking(path)
    seen = pictures(bench, nodes, batch=2)
    only_seen = bench.value(nodes, "ask.text")
    block = "\n\n<|image|>\n\n"
    assert only_seen == by_gemma(stock, f"{block}{block}{SAID}", seen)
    heard = sound(bench, nodes)
    both = bench.value(nodes, "ask.text")
    assert both == by_gemma(stock, f"{block}{block}<|audio|>{SAID}", seen, heard)
    assert len({both, only_seen, bench.value(asking(path), "ask.text")}) == 3


def test_gemma_4_thinks_if_it_may(bench: Bench, gemma: tuple[Path, Any]) -> None:
    path, stock = gemma
    found = bench.value(asking(path, thinking=True), "ask.text")
    assert found == by_gemma(stock, SAID, [], system=f"<|think|>\n{SYSTEM}")


class Thinker:
    """A model that writes thoughts before its answer."""

    config = tf.PretrainedConfig()
    device = "cpu"

    def __init__(self, written: str) -> None:
        self._written = written

    def generate(self, input_ids: Tensor, **_: Any) -> Tensor:
        words = gemma_processor().tokenizer(self._written, return_tensors="pt")
        return torch.cat([input_ids, words["input_ids"]], 1)


@pytest.mark.parametrize(
    "written", ["<|channel>thought\nhm<channel|>a cat", "a cat"], ids=["thoughts", "none"]
)
def test_thoughts_are_not_in_the_answer(written: str) -> None:
    words = gemma_processor().tokenizer
    text = generate_text(
        Thinker(written),
        words,
        words("what is it?", return_tensors="pt"),
        stop_tokens=[],
        max_new_tokens=99,
        sampling=None,
        on_token=lambda done: None,
        thought_end=words.convert_tokens_to_ids("<channel|>"),
    )
    assert text == "a cat"


@pytest.mark.slow
def test_gemma_4_hears_30_seconds_and_says_so(bench: Bench, gemma: tuple[Path, Any]) -> None:
    path, stock = gemma
    nodes = asking(path)
    heard = sound(bench, nodes, seconds=31)
    first = Audio(heard.waveform[:, : 30 * heard.rate], heard.rate)
    found = bench.value(nodes, "ask.text")
    [said] = [event for event in bench.told("log") if "30 seconds" in str(event)]
    assert "warning" in str(said)
    assert found == by_gemma(stock, f"<|audio|>{SAID}", [], first)


@pytest.mark.slow
def test_gemma_4_of_bfloat16_sees_and_hears(bench: Bench, gemma: tuple[Path, Any]) -> None:
    nodes = asking(gemma[0])
    nodes["load"]["inputs"]["dtype"] = "bfloat16"
    pictures(bench, nodes)
    sound(bench, nodes)
    assert len(bench.value(nodes, "ask.text")) > 1


def test_names_of_transformers_are_read_from_one_file_too(
    bench: Bench, gemma: tuple[Path, Any], tmp_path: Path
) -> None:
    path, stock = gemma
    tensors = {name: item.contiguous() for name, item in stock.state_dict().items()}
    tensors["tokenizer_json"] = load_file(path)["tokenizer_json"]
    tensors["lm_head.weight"] = tensors["lm_head.weight"].clone()
    save_file(tensors, tmp_path / "other.safetensors")
    found = bench.value(asking(tmp_path / "other.safetensors"), "ask.text")
    assert found == bench.value(asking(path), "ask.text")


def test_qwen_3_5_sees_as_transformers(bench: Bench, qwen: tuple[Path, Any]) -> None:
    path, stock = qwen
    nodes = asking(path)
    [seen] = pictures(bench, nodes, width=256, height=256)
    found = bench.value(nodes, "ask.text")
    words = tf.AutoTokenizer.from_pretrained(path)
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    processor = tf.Qwen2VLImageProcessorPil(patch_size=16, **half)
    pixels = processor(images=[to_pil(seen)], return_tensors="pt")
    block = f"<|vision_start|>{'<|image_pad|>' * 64}<|vision_end|>"
    said = (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n"
        f"<|im_start|>user\n{block}{SAID}<|im_end|>\n<|im_start|>assistant\n"
    )
    inputs = words(said, return_tensors="pt")
    marks = (inputs["input_ids"] == words.convert_tokens_to_ids("<|image_pad|>")).long()
    tokens = stock.generate(
        **inputs, **pixels, mm_token_type_ids=marks, max_new_tokens=8, do_sample=False,
        eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    written = tokens[0, inputs["input_ids"].shape[1] :]
    assert found == words.decode(written, skip_special_tokens=True).strip()
    nodes["ask"]["inputs"].pop("images")
    blind = bench.value(nodes, "ask.text")
    # What it saw leaves no trace.
    alone = words(said.replace(block, ""), return_tensors="pt")
    tokens = stock.generate(
        **alone, max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    written = tokens[0, alone["input_ids"].shape[1] :]
    assert blind == words.decode(written, skip_special_tokens=True).strip() != found


def test_qwen_3_5_of_one_file_sees_and_thinks_as_transformers(bench: Bench, tmp_path: Path) -> None:
    stock = tiny_qwen35()
    save_file(stored(stock, is_tied=True), tmp_path / "qwen3.5_2b_bf16.safetensors")
    nodes = asking(tmp_path / "qwen3.5_2b_bf16.safetensors")
    [seen] = pictures(bench, nodes, width=256, height=256)
    found = bench.value(nodes, "ask.text")
    words = build_tokenizer(("Qwen3_5Tokenizer",), VOCABULARIES["qwen3.5"].files)
    half = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    processor = tf.Qwen2VLImageProcessorPil(patch_size=16, **half)
    pixels = processor(images=[to_pil(seen)], return_tensors="pt")
    block = f"<|vision_start|>{'<|image_pad|>' * 64}<|vision_end|>"
    turns = (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n"
        f"<|im_start|>user\n{{}}{SAID}<|im_end|>\n<|im_start|>assistant\n"
    )

    def answer(said: str, **features: Any) -> str:
        inputs = words(said, return_tensors="pt")
        marks = (inputs["input_ids"] == 248056).long()
        tokens = stock.generate(
            **inputs, **features, mm_token_type_ids=marks, max_new_tokens=8, do_sample=False,
            eos_token_id=None, pad_token_id=0,
        )  # fmt: skip
        written = tokens[0, inputs["input_ids"].shape[1] :]
        return str(words.decode(written, skip_special_tokens=True)).strip()

    assert found == answer(turns.format(block) + "<think>\n\n</think>\n\n", **pixels)
    nodes["ask"]["inputs"].pop("images")
    nodes["ask"]["inputs"]["thinking"] = True
    assert bench.value(nodes, "ask.text") == answer(turns.format("") + "<think>\n") != found


def test_models_without_audio_and_marks_in_texts_are_refused(
    bench: Bench, qwen: tuple[Path, Any], gemma: tuple[Path, Any]
) -> None:
    nodes = asking(qwen[0])
    sound(bench, nodes)
    assert bench.failure(nodes, "ask").problem.port == "audio"
    nodes = asking(gemma[0], prompt="<|image|>")
    pictures(bench, nodes)
    assert bench.failure(nodes, "ask").problem.port == "prompt"


def test_files_of_other_models_are_found_before_running(
    bench: Bench, gemma: tuple[Path, Any], tmp_path: Path
) -> None:
    tensors = load_file(gemma[0])
    alone = tensors.pop("tokenizer_json")
    save_file(tensors, tmp_path / "mute.safetensors")
    [problem] = bench.problems(asking(tmp_path / "mute.safetensors"), "ask")
    assert "has no tokenizer" in problem.message
    save_file({"tokenizer_json": alone}, tmp_path / "words.safetensors")
    [problem] = bench.problems(asking(tmp_path / "words.safetensors"), "ask")
    assert (problem.node, problem.port) == ("load", "model")
    assert "Gemma 4" in str(problem)


GEMMA_CHAT = (
    "{{ bos_token }}{%- for message in messages -%}{{ '<|turn>' + message.role + '\\n' }}"
    "{%- if message.content is string -%}{{ message.content }}{%- else -%}"
    "{%- for item in message.content -%}"
    "{%- if item.type == 'image' -%}{{ '\\n\\n<|image|>\\n\\n' }}"
    "{%- elif item.type == 'audio' -%}<|audio|>{%- else -%}{{ item.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}{{ '<turn|>\\n' }}{%- endfor -%}{{ '<|turn>model\\n' }}"
)


@pytest.mark.slow
def test_gemma_4_of_a_folder_answers_by_its_own_template_and_settings(
    bench: Bench, gemma: tuple[Path, Any], tmp_path: Path
) -> None:
    path, stock = gemma
    stock.save_pretrained(tmp_path / "folder")
    words = tf.PreTrainedTokenizerFast(
        tokenizer_object=gemma4_words(), bos_token="<bos>", eos_token="<eos>", pad_token="<pad>"
    )
    words.chat_template = GEMMA_CHAT
    words.save_pretrained(tmp_path / "folder")
    settings = tmp_path / "folder" / "processor_config.json"
    parts = {
        "image_processor": {"image_processor_type": "Gemma4ImageProcessor", "max_soft_tokens": 280},
        "feature_extractor": {"feature_extractor_type": "Gemma4AudioFeatureExtractor"},
    }
    settings.write_text(json.dumps(parts))
    answers = []
    for model in (path, tmp_path / "folder"):
        nodes = asking(model)
        pictures(bench, nodes)
        sound(bench, nodes)
        answers.append(bench.value(nodes, "ask.text"))
    assert answers[0] == answers[1]
    parts["image_processor"]["max_soft_tokens"] = 70
    settings.write_text(json.dumps(parts))
    assert bench.value(nodes, "ask.text") != answers[1]


def test_scaled_weights_of_8_bits_are_kept(gemma: tuple[Path, Any], tmp_path: Path) -> None:
    path, stock = gemma
    name = "layers.0.mlp.gate_proj"
    tensors = load_file(path)
    small = tensors[f"model.{name}.weight"].to(torch.float8_e4m3fn)
    form = torch.tensor(list(b'{"format": "float8_e4m3fn"}'), dtype=torch.uint8)
    tensors[f"model.{name}.weight"] = small
    tensors[f"model.{name}.weight_scale"] = torch.tensor(0.5)
    tensors[f"model.{name}.comfy_quant"] = form
    file = tmp_path / "gemma4_e4b_it_fp8_scaled.safetensors"
    save_file(tensors, file)
    recipe = open_language_model(str(file), [], dtype="float32").model
    assert isinstance(recipe, PipelineComponent)
    component = load_part(recipe, "cpu")
    assert isinstance(component, Component)
    layer = component.module.get_submodule(f"model.language_model.{name}")
    assert quantized_shape(layer) == tuple(small.shape)
    assert torch.equal(layer.weight, small.float() * 0.5)
    weights = component.module.state_dict()
    own = f"model.language_model.{name}.weight"
    wanted = {key: item for key, item in stock.state_dict().items() if key != own}
    assert weights.keys() >= wanted.keys()
    assert all(torch.equal(weights[key], item) for key, item in wanted.items())


def test_qwen35_writes_prompts_as_flux3s_pipeline(bench: Bench, qwen: tuple[Path, Any]) -> None:
    path, stock = qwen
    system = prompt_upsampler.SYSTEM_PROMPTS["t2i"][:400]
    found = bench.value(asking(path, system=system, max_tokens=40), "ask.text")
    words = tf.AutoTokenizer.from_pretrained(path)
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(prompt_upsampler.SYSTEM_PROMPTS, "t2i", system)
        expected = prompt_upsampler.upsample_prompt(stock, words, SAID, max_new_tokens=40)
    assert found == expected
    assert found != bench.value(asking(path, max_tokens=40), "ask.text")
