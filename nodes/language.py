"""Text generation with language models."""

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
from nodegraph.perception.language_model import LanguageModel

from ._facts import log_precision
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
    """Load a language model for GenerateText: any model that transformers supports.

    Args:
        model: Name in a models folder, for example language/qwen3-4b: a folder as transformers
            saves it. Custom code in the folder is not run.
        dtype: Precision in memory, as for LoadModel.
    """
    from nodegraph.perception.language_model import open_language_model

    environment = ctx.environment
    language_model = open_language_model(
        model,
        environment.models,
        dtype=computed_dtype(dtype, environment.device),
        device=environment.device,
        allow_pickle=environment.allow_pickle,
    )
    log_precision(ctx, dtype, language_model.model)
    return language_model


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
    """Generate text with a language model: an answer, a better prompt, or an image description.

    Use it with LoadLanguageModel, or with the text encoder of Qwen-Image, Z-Image, Flux.2, Lumina
    2, Sana, HiDream or HunyuanImage if its file includes the language model head.

    Args:
        encoder: A text encoder with a language model head, or a language model.
        prompt: The prompt for the language model.
        images: Images for the model to look at, for Qwen 2.5-VL. A batch counts as several images.
        system: System prompt: how the model should answer.
        max_tokens: Maximum number of tokens of the answer. A word has one or two.
        sampling: Sample each token by its probability. If off, the most likely token is used.
        seed: Seed of the sampling.
        temperature: Low values prefer likely tokens. High values give more varied text.
        top_k: Sample from this many of the most likely tokens. 0 uses all.
        top_p: Sample from the most likely tokens whose probabilities add up to this value.
        min_p: Leave out tokens whose probability is below this share of the highest one.
        repetition_penalty: Penalty on tokens that already occur. 1 is none.
        presence_penalty: Constant penalty on tokens that already occur in the answer. 0 is none.
        thinking: Let the model think first, as Qwen 3 can. The answer does not include these
            thoughts.
        chat: Apply the chat template of the model to the prompt. If off, the model continues the
            text.
    """
    from nodegraph.models.language.text_generation import Question, generate_answer
    from nodegraph.models.language.token_sampling import TokenSampling
    from nodegraph.perception.language_answers import answer

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
