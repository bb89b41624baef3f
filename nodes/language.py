"""Texts that language models write."""

from __future__ import annotations

from typing import Annotated, Any

from nodegraph import (
    Advanced,
    Choices,
    Context,
    File,
    Image,
    Multiline,
    Range,
    Seed,
    TextEncoder,
    node,
)
from nodegraph.models.model_files import computed_dtype
from nodegraph.models.model_recipes import DTYPES
from nodegraph.perception.languages.language_model import LanguageModel

from ._language_facts import check_language_model, language_state, language_weights
from ._memory import prompt_estimate
from ._prompt_facts import check_writing


@node(
    category="models",
    lane="io",
    validate=check_language_model,
    fingerprint=language_state,
    estimate=language_weights,
    tags=("LLM", "transformers", "qwen", "gemma", "llama", "mistral", "load", "chat"),
)
def LoadLanguageModel(
    ctx: Context,
    model: Annotated[str, File("model")],
    dtype: Annotated[str, Choices(DTYPES)] = "auto",
) -> LanguageModel:
    """Open a language model, for GenerateText: any that transformers knows.

    Args:
        model: Name under a models folder, such as language/qwen3-4b: a folder as transformers saves
            it. Code that a folder brings isn't run.
        dtype: Precision in memory, as for LoadModel.
    """
    from nodegraph.perception.languages.language_model import open_language_model

    environment = ctx.environment
    return open_language_model(
        model,
        environment.models,
        dtype=computed_dtype(dtype, environment.device),
        device=environment.device,
        allow_pickle=environment.allow_pickle,
    )


@node(
    category="text",
    lane="gpu",
    numerics=True,
    validate=check_writing,
    estimate=prompt_estimate,
    tags=(
        *("TextGenerate", "LLM", "language model", "chat", "caption", "describe", "enhance prompt"),
        *("prompt upsampling", "expand prompt", "VLM", "qwen", "gemma", "llama", "ollama"),
    ),
)
def GenerateText(
    ctx: Context,
    encoder: TextEncoder | LanguageModel,
    prompt: Annotated[str, Multiline()] = "",
    images: list[Image] | None = None,
    system: Annotated[str, Multiline()] = "",
    max_tokens: Annotated[int, Range(1, 32768)] = 512,
    sampling: bool = True,
    seed: Annotated[int, Seed()] = 0,
    temperature: Annotated[float, Range(0.01, 10, step=0.05), Advanced()] = 0.7,
    top_k: Annotated[int, Range(0, 1000), Advanced()] = 64,
    top_p: Annotated[float, Range(0.01, 1, step=0.01), Advanced()] = 0.95,
    min_p: Annotated[float, Range(0, 1, step=0.01), Advanced()] = 0.05,
    repetition_penalty: Annotated[float, Range(0.01, 10, step=0.01), Advanced()] = 1.05,
    presence_penalty: Annotated[float, Range(0, 5, step=0.1), Advanced()] = 0.0,
    thinking: Annotated[bool, Advanced()] = False,
    chat: Annotated[bool, Advanced()] = True,
) -> str:
    """Let a language model write: an answer, a better prompt, what is on a picture.

    Such are the text encoders of Qwen-Image, Z-Image, Flux.2, Lumina 2, Sana, HiDream and
    HunyuanImage, where their file has the head that writes, too; and those of LoadLanguageModel.

    Args:
        encoder: Of such a model, or a language model by itself.
        prompt: What it is asked.
        images: What it looks at besides, by Qwen 2.5-VL; a batch counts as that many pictures.
        system: What it is told beforehand of how to answer.
        max_tokens: Of its answer, at most; a word has one or two.
        sampling: Draw each word by its chance; else it is always the likeliest.
        seed: Of the draws.
        temperature: Low keeps to likely words, high is more surprising.
        top_k: Draw from so many of the likeliest words; 0 for all.
        top_p: Draw from the likeliest words that together have this chance.
        min_p: Leave out words that are less likely than this beside the likeliest.
        repetition_penalty: How much less likely words become that were there; 1 for not at all.
        presence_penalty: The same for words of its answer, whatever their chance; 0 for not at all.
        thinking: Let it think first, as Qwen 3 can; what it thinks isn't in the answer.
        chat: Put around the prompt what such models were trained to be asked by; else it goes on
            with the text as it is.
    """
    from nodegraph.models.language.text_generation import Question, generate_answer
    from nodegraph.models.language.token_sampling import TokenSampling
    from nodegraph.perception.languages.answers import answer

    pictures = [picture[..., :3] for image in images or () for picture in image]
    question = Question(prompt, system, pictures, is_chat=chat, thinks=thinking)
    drawing = TokenSampling(
        temperature, top_k, top_p, min_p, repetition_penalty, presence_penalty, seed
    )
    how: dict[str, Any] = {
        "max_new_tokens": max_tokens,
        "sampling": drawing if sampling else None,
        "on_token": lambda done: ctx.progress(done, max_tokens),
    }
    if isinstance(encoder, LanguageModel):
        return answer(ctx, encoder, question, **how)
    with ctx.weights(encoder) as text_model:
        return generate_answer(text_model, encoder, question, **how)
