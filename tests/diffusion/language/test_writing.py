"""Text encoders that write: as transformers does, by their own heads or those of their files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf

from nodegraph.core.values import TextEncoder
from nodegraph.diffusion import encode_prompt, load_component, open_model
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.registry import FAMILIES, get_family
from nodegraph.media.images.images import to_pil
from nodegraph.models.language.chat_templates import CHATS, check_can_generate, writing_roles
from nodegraph.models.language.text_generation import Question, generate_answer, with_lm_head
from nodegraph.models.language.token_sampling import TokenSampling
from nodegraph.models.text_encoder_files import open_text_encoder
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.language_files import ministral3, qwen3, qwen25_vl, text_file
from tests.diffusion.families.test_ernie_image import ernie_image
from tests.diffusion.families.test_flux2 import flux2
from tests.diffusion.families.test_krea2 import krea2
from tests.diffusion.families.test_ltx2 import ltx2
from tests.diffusion.families.test_lumina2 import lumina2
from tests.diffusion.families.test_qwen_image import qwen_image
from tests.diffusion.families.test_qwen_image_21 import qwen_image_21
from tests.diffusion.families.test_z_image import z_image
from tests.diffusion.families.text_files import write
from tests.messages import raises

ModelOf = Callable[[Callable[[], Any]], Pair]
ASKED = Question("a red cat")


def recipe_of(folder: Path) -> TextEncoder:
    return open_model(str(folder), [], dtype="float32").text_encoder


def written(
    recipe: TextEncoder,
    question: Question = ASKED,
    drawing: TokenSampling | None = None,
    most: int = 6,
    told: Callable[[int], None] = lambda done: None,
) -> str:
    return generate_answer(
        load_component(recipe, "cpu"),  # type: ignore[arg-type]
        recipe,
        question,
        max_new_tokens=most,
        sampling=drawing,
        on_token=told,
    )


def by_transformers(model: Any, tokenizer: Any, said: str, **seen: Any) -> str:
    given = tokenizer(said, return_tensors="pt", add_special_tokens=False)
    found = model.generate(
        **given, max_new_tokens=6, do_sample=False, eos_token_id=None, pad_token_id=0
    )
    return str(tokenizer.decode(found[0, given["input_ids"].shape[1] :], skip_special_tokens=True))


@pytest.mark.parametrize(
    ("build", "kind"),
    [
        (z_image, "qwen3"),
        (qwen_image, "qwen2_5_vl"),
        (qwen_image_21, "qwen3_vl"),
        (flux2, "mistral"),
        (ltx2, "gemma3"),
    ],
)
def test_answers_are_those_of_transformers(
    model_of: ModelOf,  # noqa: F811
    build: Callable[[], Any],
    kind: str,
) -> None:
    pipeline, model = model_of(build)
    said = CHATS[kind].format(ASKED.text, "be kind")
    stock = pipeline.text_encoder
    words = getattr(pipeline, "tokenizer", None) or pipeline.processor.tokenizer
    expected = by_transformers(stock, words, said).strip()
    found = written(recipe_of(model.folder), Question(ASKED.text, "be kind"))
    assert found == expected
    assert len(found) > 1 or kind in ("mistral", "gemma3")


@pytest.mark.parametrize(
    ("build", "patch"), [(qwen_image, 14), (qwen_image_21, 16)], ids=["2.5-vl", "3-vl"]
)
def test_answers_on_images_are_those_of_transformers(
    model_of: ModelOf,  # noqa: F811
    build: Callable[[], Any],
    patch: int,
) -> None:
    pipeline, model = model_of(build)
    words = getattr(pipeline, "tokenizer", None) or pipeline.processor.tokenizer
    side = 16 * patch
    shown = torch.rand(side, side, 3, generator=torch.Generator().manual_seed(1))
    colors = {} if patch == 14 else {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    processor = tf.Qwen2VLImageProcessorPil(patch_size=patch, **colors)
    pixels = processor(images=[to_pil(shown)], return_tensors="pt")
    said = f"<|vision_start|>{'<|image_pad|>' * 64}<|vision_end|>{ASKED.text}"
    ids = words(CHATS["qwen3_vl"].format(said), return_tensors="pt")
    marks = (ids["input_ids"] == words.convert_tokens_to_ids("<|image_pad|>")).long()
    expected = pipeline.text_encoder.generate(
        **ids, **pixels, mm_token_type_ids=marks, max_new_tokens=6, do_sample=False,
        eos_token_id=None, pad_token_id=0,
    )  # fmt: skip
    text = words.decode(expected[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    assert written(recipe_of(model.folder), Question(ASKED.text, images=[shown])) == text.strip()


@pytest.mark.parametrize("build", [krea2, ernie_image])
def test_a_model_writes_by_the_words_that_it_reads_by(
    model_of: ModelOf,  # noqa: F811
    build: Callable[[], Any],
) -> None:
    pipeline, model = model_of(build)
    recipe = recipe_of(model.folder)
    module = load_component(recipe, "cpu").modules["text_encoder"]
    ids = torch.tensor([[5, 9, 70]])
    found = with_lm_head(module, recipe, "text_encoder")(input_ids=ids).logits
    states = pipeline.text_encoder(input_ids=ids).last_hidden_state
    assert torch.equal(found, states @ pipeline.text_encoder.get_input_embeddings().weight.T)
    assert not hasattr(module, "lm_head")


@pytest.mark.slow
def test_a_head_is_read_from_the_file_or_is_the_words(tmp_path: Path) -> None:
    stock = qwen3(tf.Qwen3ForCausalLM)
    whole = text_file(stock)
    headless = {name: item for name, item in whole.items() if name != "lm_head.weight"}
    for name, tensors, tied in (("whole", whole, False), ("tied", headless, True)):
        file = write(tmp_path / f"{name}.safetensors", tensors)
        recipe = open_text_encoder("z-image", {"file": str(file)}, [])
        module = load_component(recipe, "cpu").modules["text_encoder"]
        writer = with_lm_head(module, recipe, "text_encoder")
        ids = torch.tensor([[5, 9, 700]])
        states = stock.model(ids).last_hidden_state
        head = stock.model.embed_tokens if tied else stock.lm_head
        torch.testing.assert_close(writer(ids).logits, states @ head.weight.T)
        assert not hasattr(module, "lm_head")


def test_a_file_of_ministral_3_writes_by_the_words_that_it_reads_by(tmp_path: Path) -> None:
    """As that of ERNIE-Image's prompt enhancer."""
    stock = ministral3(tf.Ministral3ForCausalLM)
    file = write(tmp_path / "ernie-image-prompt-enhancer.safetensors", text_file(stock))
    recipe = open_text_encoder("ernie-image", {"file": str(file)}, [])
    module = load_component(recipe, "cpu").modules["text_encoder"]
    ids = torch.tensor([[5, 9, 700]])
    found = with_lm_head(module, recipe, "text_encoder")(input_ids=ids).logits
    assert torch.equal(found, stock(input_ids=ids).logits)


@pytest.mark.slow
def test_an_encoder_without_eyes_writes(tmp_path: Path) -> None:
    stock = qwen25_vl()
    blind = {name: item for name, item in text_file(stock).items() if "visual" not in name}
    file = write(tmp_path / "blind.safetensors", blind)
    recipe = open_text_encoder("qwen-image", {"file": str(file)}, [])
    module = load_component(recipe, "cpu").modules["text_encoder"]
    ids = torch.tensor([[5, 9, 700]])
    found = with_lm_head(module, recipe, "text_encoder")(input_ids=ids).logits
    torch.testing.assert_close(found, stock(input_ids=ids).logits)
    with raises(InvalidValue, port="images"):
        written(recipe, Question("what is it?", images=[torch.rand(60, 90, 3)]))


def test_a_model_too_large_to_be_tied_needs_a_head(tmp_path: Path) -> None:
    headless = {name: t for name, t in text_file(qwen3()).items() if "lm_head" not in name}
    file = write(tmp_path / "headless.safetensors", headless)
    recipe = open_text_encoder("z-image", {"file": str(file)}, [])
    with torch.device("meta"):
        wide = tf.Qwen3Model(tf.Qwen3Config(hidden_size=4096, num_hidden_layers=1))
    with raises(InvalidFile, port="encoder"):
        with_lm_head(wide, recipe, "text_encoder")


def test_draws_follow_the_seed_and_nobody_else_s(model_of: ModelOf) -> None:  # noqa: F811
    recipe = recipe_of(model_of(z_image)[1].folder)
    state = torch.get_rng_state()
    one, again, other = (
        written(recipe, drawing=TokenSampling(temperature=2.0, seed=seed), most=12)
        for seed in (3, 3, 4)
    )
    assert one == again != other
    assert torch.equal(torch.get_rng_state(), state)
    likeliest = written(recipe, drawing=TokenSampling(top_k=1, repetition_penalty=1.0, seed=9))
    assert likeliest == written(recipe)


def test_pictures_are_looked_at_and_leave_no_trace(tmp_path: Path) -> None:
    file = write(tmp_path / "seeing.safetensors", text_file(qwen25_vl()))
    recipe = open_text_encoder("qwen-image", {"file": str(file)}, [])
    generator = torch.Generator().manual_seed(1)
    pictures = [torch.rand(40, 90, 3, generator=generator) for _ in range(2)]
    model = load_component(recipe, "cpu")
    before = encode_prompt(model, "a red cat").entries[0].embeddings  # type: ignore[arg-type]

    def answer(*seen: torch.Tensor, asked: str = "what is it?") -> str:
        question = Question(asked, images=seen)
        return generate_answer(
            model,  # type: ignore[arg-type]
            recipe,
            question,
            max_new_tokens=8,
            sampling=TokenSampling(temperature=1.0, seed=1),
            on_token=lambda done: None,
        )

    one, other = answer(pictures[0]), answer(*pictures)
    assert one != other
    assert answer(pictures[0]) == one
    after = encode_prompt(model, "a red cat").entries[0].embeddings  # type: ignore[arg-type]
    assert torch.equal(before, after)
    with raises(InvalidValue, port="prompt", given="<|image_pad|>"):
        answer(*pictures, asked="<|image_pad|>")


def test_it_is_told_of_each_word_and_can_be_stopped(model_of: ModelOf) -> None:  # noqa: F811
    recipe = recipe_of(model_of(lumina2)[1].folder)
    told: list[int] = []

    def stop(done: int) -> None:
        told.append(done)
        if done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        written(recipe, told=stop)
    assert told == [0, 1, 2, 3]


def test_what_is_too_long_or_empty_is_refused(model_of: ModelOf) -> None:  # noqa: F811
    recipe = recipe_of(model_of(z_image)[1].folder)
    for text in ("", "a" * 5000):
        with raises(InvalidValue, port="prompt"):
            written(recipe, Question(text, is_chat=False))


def test_chats_hold_what_is_said() -> None:
    assert CHATS["qwen3"].format("{}", "s").startswith("<|im_start|>system\ns<|im_end|>\n")
    assert CHATS["qwen3"].format("x").endswith("assistant\n<think>\n\n</think>\n\n")
    assert CHATS["qwen3"].format("x", thinks=True).endswith("assistant\n")
    assert CHATS["gemma2"].format("x", "s").startswith("<bos><start_of_turn>user\ns\n\nx<end_of")
    assert CHATS["mistral"].format("{}") == "<s>[INST]{}[/INST]"


def test_families_without_a_language_model_are_told() -> None:
    assert writing_roles(FAMILIES["hidream"]) == ("text_encoder_4", "tokenizer_4")
    for name in ("sd1", "flux", "wan"):
        with raises(InvalidValue, port="encoder"):
            check_can_generate(get_family(name))
