"""Answer questions with a language model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from nodegraph.core.context import Context
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.models.language.text_generation import Question, strip_thinking
from nodegraph.models.language.token_sampling import TokenSampling, generate_text
from nodegraph.perception.language_model import LanguageModel


@torch.no_grad()
def answer(
    ctx: Context,
    model: LanguageModel,
    question: Question,
    *,
    max_new_tokens: int,
    sampling: TokenSampling | None,
    on_token: Callable[[int], None],
) -> str:
    """What a language model answers; arguments as of `generate_text`.

    Raises:
        InvalidValue: Images are given, or too much text.
        InvalidFile: Its tokenizer's template for questions is damaged.
        NumericalError: It gives NaN.
    """
    if question.images:
        raise InvalidValue(
            "a language model of LoadLanguageModel takes no images",
            port="images",
            expected="the text encoder of Qwen-Image, which takes them",
        )
    with ctx.weights(model.tokenizer) as tool, ctx.weights(model.model) as component:
        module = component.module
        with tool.lock:
            prompt, is_chat = _prompt_of(tool.value, question)
            inputs = tool.value(prompt, return_tensors="pt", add_special_tokens=not is_chat)
            names = ("input_ids", "attention_mask")
            text = generate_text(
                module,
                tool.value,
                {name: inputs[name] for name in names if name in inputs},
                stop_tokens=_eos_token_ids(module),
                max_new_tokens=max_new_tokens,
                sampling=sampling,
                on_token=on_token,
            )
    return strip_thinking(text) if question.is_chat else text


def _prompt_of(tokenizer: Any, question: Question) -> tuple[str, bool]:
    """What the model is given, and whether its template for questions is around it."""
    if not question.is_chat or not getattr(tokenizer, "chat_template", None):
        first = f"{question.system}\n\n" if question.system and question.is_chat else ""
        return first + question.text, False
    messages = [{"role": "user", "content": question.text}]
    if question.system:
        messages.insert(0, {"role": "system", "content": question.system})
    try:
        chat = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=question.thinks
        )
    except Exception as error:
        # Templates are programs of their own, and raise what they like.
        raise InvalidFile(
            f"the model's chat template fails: {error}",
            port="system" if question.system else "prompt",
            hint="Some templates have no system prompt: write it in the prompt.",
        ) from error
    return str(chat), True


def _eos_token_ids(module: Any) -> list[int]:
    """Words by which it ends, as its folder says."""
    generation_config = getattr(module, "generation_config", None)
    ends = getattr(generation_config, "eos_token_id", None)
    ends = module.config.eos_token_id if ends is None else ends
    return list(ends) if isinstance(ends, (list, tuple)) else [] if ends is None else [ends]
