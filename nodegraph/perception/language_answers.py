"""Answer questions with a language model: a local one, or one of a server.

Servers speak OpenAI's chat completions (server-sent events) or Ollama's own protocol (a JSON object
per line).
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from textwrap import wrap
from typing import Any, TypeVar

import torch

from nodegraph.core.context import Context, Preview
from nodegraph.core.values import PipelineComponent
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images.images import encode_pil, to_pil
from nodegraph.models.language.chat_templates import CHATS, ChatTemplate, kind_of
from nodegraph.models.language.media_inputs import (
    MAX_AUDIO_SECONDS,
    MediaInputs,
    media_inputs,
)
from nodegraph.models.language.text_generation import Question, forget_images, strip_thinking
from nodegraph.models.language.token_sampling import TokenSampling, generate_text
from nodegraph.models.remote.hosted_calls import SECRET_MARK, ServiceCalls, ServiceError
from nodegraph.perception.language_model import HostedModel, LanguageModel, parse_request_options


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
        InvalidValue: The model takes no images or no audio, or there is too much text.
        InvalidFile: Its tokenizer's template for questions is damaged.
        NumericalError: It gives NaN.
    """
    assert isinstance(model.model, PipelineComponent)
    assert model.tokenizer is not None
    if question.audio is not None and question.audio.seconds > MAX_AUDIO_SECONDS:
        ctx.log(f"The model hears the first {MAX_AUDIO_SECONDS} seconds of the audio.", "warning")
    with ctx.weights(model.tokenizer) as tool, ctx.weights(model.model) as component:
        module = component.module
        with tool.lock:
            tokenizer = tool.value
            media = media_inputs(
                module,
                tokenizer,
                question.system + question.text,
                question.images,
                question.audio,
                model.processor,
            )
            chat = CHATS[kind_of(type(module).__name__) or ""] if model.is_single_file else None
            prompt, is_chat = _prompt_of(tokenizer, question, media, chat)
            inputs = tokenizer(
                media.expand(prompt), return_tensors="pt", add_special_tokens=not is_chat
            )
            names = ("input_ids", "attention_mask")
            known = tokenizer.get_vocab()
            try:
                text = generate_text(
                    module,
                    tokenizer,
                    {
                        **{name: inputs[name] for name in names if name in inputs},
                        **media.token_inputs(inputs["input_ids"], tokenizer),
                    },
                    stop_tokens=_stop_token_ids(module, known, chat),
                    max_new_tokens=max_new_tokens,
                    sampling=sampling,
                    on_token=on_token,
                    thought_end=_thought_end(module, known) if is_chat else None,
                )
            finally:
                forget_images(module)
    return strip_thinking(text) if question.is_chat else text


def _prompt_of(
    tokenizer: Any, question: Question, media: MediaInputs, chat: ChatTemplate | None
) -> tuple[str, bool]:
    """What the model is given, and whether its template for questions is around it.

    Args:
        chat: The template of models of one file, whose tokenizers have none.
    """
    if not question.is_chat:
        return media.prefix + question.text, False
    if chat is not None:
        text = media.prefix + question.text
        return chat.format(text, question.system, thinks=question.thinks), True
    if not getattr(tokenizer, "chat_template", None):
        first = f"{question.system}\n\n" if question.system else ""
        return f"{first}{media.prefix}{question.text}", False
    content: Any = question.text
    if media.spans:
        kinds = ["image"] * len(question.images) + ["audio"] * (question.audio is not None)
        content = [{"type": kind} for kind in kinds]
        content.append({"type": "text", "text": question.text})
    messages = [{"role": "user", "content": content}]
    if question.system:
        messages.insert(0, {"role": "system", "content": question.system})
    try:
        prompt = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=True, enable_thinking=question.thinks
        )
    except Exception as error:
        # Templates are programs of their own, and raise what they like.
        raise InvalidFile(
            f"the model's chat template fails: {error}",
            port="system" if question.system else "prompt",
            hint="Some templates have no system prompt: write it in the prompt.",
        ) from error
    return str(prompt), True


def _thought_end(module: Any, known: Mapping[str, int]) -> int | None:
    """The token that ends the thoughts of a model of this kind."""
    chat = CHATS.get(kind_of(type(module).__name__) or "")
    return known.get(chat.thought_end) if chat is not None else None


def _stop_token_ids(module: Any, known: Mapping[str, int], chat: ChatTemplate | None) -> list[int]:
    """Words by which it ends: as its folder says, or as the template of models of one file does."""
    if chat is not None:
        return [known[mark] for mark in chat.stops if mark in known]
    generation_config = getattr(module, "generation_config", None)
    ends = getattr(generation_config, "eos_token_id", None)
    ends = getattr(module.config, "eos_token_id", None) if ends is None else ends
    return list(ends) if isinstance(ends, (list, tuple)) else [] if ends is None else [ends]


_T = TypeVar("_T")
_SEEDS = 1 << 31
"""Seeds of servers are signed, and of 32 bits in some."""
_PREVIEW_LINES, _PREVIEW_COLUMNS, _LINE_PIXELS = 16, 64, 18


def parse_schema(text: str) -> dict[str, Any] | None:
    """Return the JSON Schema of an answer; None for an empty text.

    Raises:
        InvalidValue: It is not a JSON object.
    """
    return parse_request_options(text, "schema") or None


def hosted_answer(
    ctx: Context,
    model: HostedModel,
    question: Question,
    *,
    max_new_tokens: int,
    sampling: TokenSampling | None,
    schema: Mapping[str, Any] | None = None,
    seconds: float = 600.0,
) -> str:
    """Return what the model of a server answers. The text is shown while it comes.

    Args:
        sampling: None for temperature 0. Servers get its seed modulo 2**31.
        schema: JSON Schema of the answer.
        seconds: Time limit.

    Raises:
        InvalidValue: The server may not be called, or the question is not a chat.
        ServiceError: The server fails.
    """
    if not question.is_chat:
        raise InvalidValue(
            "a hosted model answers chats only", port="chat", given="false", expected="true"
        )
    calls = ServiceCalls(ctx, model.address, model.secret, seconds=seconds)
    if model.kind == "openai":
        body = _openai_request(model, question, max_new_tokens, sampling, schema)
        headers = {"Authorization": f"Bearer {SECRET_MARK}"}
        lines = calls.lines(f"{model.address}/chat/completions", headers=headers, body=body)
        parts = _openai_parts(lines, calls)
    else:
        body = _ollama_request(model, question, max_new_tokens, sampling, schema)
        headers = {"Authorization": f"Bearer {SECRET_MARK}"}
        lines = calls.lines(f"{model.address}/api/chat", headers=headers, body=body)
        parts = _ollama_parts(lines, calls)
    text, end = "", ""
    for number, part in enumerate(parts):
        text += part.text
        end = part.end or end
        preview = partial(text_preview, calls.redact(text))
        step = min(number, max_new_tokens - 1)
        ctx.progress(step, max_new_tokens, preview=preview)
    text = calls.redact(text)
    if not end:
        raise ServiceError(
            f"the connection to {calls.address.host} ended before the answer", hint="Try again."
        )
    answered = strip_thinking(text)
    if schema is not None:
        _check_json(answered, end)
    elif end == "length":
        ctx.log(f"The answer was cut after max_tokens = {max_new_tokens}.", "warning")
    elif end not in ("stop", "end_turn"):
        ctx.log(f"The model ended with `{end}`.", "warning")
    ctx.progress(max_new_tokens, max_new_tokens)
    ctx.preview(text_preview(answered))
    return answered


def _check_json(text: str, end: str) -> None:
    try:
        json.loads(text)
    except ValueError:
        is_cut = end == "length"
        raise ServiceError(
            "the answer is not JSON, although a schema was given",
            given=text[:120] or "an empty text",
            hint="Raise max_tokens." if is_cut else "Use a server that supports JSON Schema.",
        ) from None


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an answer; `end` is the reason why it ended, at its last part."""

    text: str
    end: str = ""


def _openai_request(
    model: HostedModel,
    question: Question,
    max_new_tokens: int,
    sampling: TokenSampling | None,
    schema: Mapping[str, Any] | None,
) -> dict[str, Any]:
    content: Any = question.text
    if question.images:
        content = [{"type": "text", "text": question.text}]
        for image in question.images:
            url = f"data:image/png;base64,{_png(image)}"
            content.append({"type": "image_url", "image_url": {"url": url}})
    messages = [{"role": "user", "content": content}]
    if question.system:
        messages.insert(0, {"role": "system", "content": question.system})
    # OpenAI's own server refuses `max_tokens` for its newer models, most others know no other name.
    limit = "max_completion_tokens" if "api.openai.com" in model.address else "max_tokens"
    body: dict[str, Any] = {
        "model": model.name,
        "messages": messages,
        "stream": True,
        limit: max_new_tokens,
        "temperature": sampling.temperature if sampling else 0,
    }
    if sampling is not None:
        body |= {"top_p": sampling.top_p, "seed": sampling.seed % _SEEDS}
        if sampling.presence_penalty:
            body["presence_penalty"] = min(sampling.presence_penalty, 2.0)
    if schema is not None:
        # Strict schemas must forbid further properties; OpenAI refuses others.
        strict = schema.get("additionalProperties") is False
        form = {"name": "answer", "schema": schema, "strict": strict}
        body["response_format"] = {"type": "json_schema", "json_schema": form}
    return _with_options(body, model)


def _ollama_request(
    model: HostedModel,
    question: Question,
    max_new_tokens: int,
    sampling: TokenSampling | None,
    schema: Mapping[str, Any] | None,
) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "user", "content": question.text}
    if question.images:
        message["images"] = [_png(image) for image in question.images]
    messages = [message]
    if question.system:
        messages.insert(0, {"role": "system", "content": question.system})
    options: dict[str, Any] = {"num_predict": max_new_tokens, "temperature": 0.0}
    if sampling is not None:
        options |= {
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "min_p": sampling.min_p,
            "repeat_penalty": sampling.repetition_penalty,
            "presence_penalty": sampling.presence_penalty,
            "seed": sampling.seed % _SEEDS,
        }
    body: dict[str, Any] = {
        "model": model.name,
        "messages": messages,
        "stream": True,
        "think": question.thinks,
        "options": options,
    }
    if schema is not None:
        body["format"] = schema
    return _with_options(body, model)


def _with_options(body: dict[str, Any], model: HostedModel) -> dict[str, Any]:
    """Add the further fields of a model: null removes a field, objects are merged."""
    for name, value in parse_request_options(model.options).items():
        if value is None:
            body.pop(name, None)
        elif isinstance(value, dict) and isinstance(body.get(name), dict):
            body[name] = {**body[name], **value}
        else:
            body[name] = value
    body["stream"] = True
    return body


def _png(image: Any) -> str:
    return b64encode(encode_pil(to_pil(image))).decode()


def _openai_parts(lines: Iterable[str], calls: ServiceCalls) -> Iterator[_Part]:
    """Yield the parts of server-sent events; a whole answer without a stream is one part."""
    plain: list[str] = []
    ended = False
    for line in lines:
        if not line.startswith("data:"):
            # Comments keep the connection open; servers that do not stream send plain JSON.
            if line and not line.startswith((":", "event:", "id:", "retry:")):
                plain.append(line)
            continue
        data = line.removeprefix("data:").strip()
        if data == "[DONE]":
            if not ended:
                yield _Part("", "stop")
            return
        for part in _openai_choices(data, calls):
            ended = ended or bool(part.end)
            yield part
    if plain:
        yield from _openai_choices("\n".join(plain), calls)


def _openai_choices(text: str, calls: ServiceCalls) -> Iterator[_Part]:
    document = _Fields.parse(text, calls)
    error = document.values.get("error")
    if error:
        raise _failure(calls, error.get("message") if isinstance(error, dict) else error)
    for item in document.get("choices", list):
        choice = document.inner(item)
        message = choice.inner(choice.get("delta", dict) or choice.get("message", dict))
        if refusal := message.get("refusal", str):
            raise _failure(calls, refusal)
        yield _Part(message.get("content", str), choice.get("finish_reason", str))


def _ollama_parts(lines: Iterable[str], calls: ServiceCalls) -> Iterator[_Part]:
    for line in lines:
        if not line.strip():
            continue
        document = _Fields.parse(line, calls)
        if document.values.get("error"):
            raise _failure(calls, document.values["error"])
        text = document.inner(document.get("message", dict)).get("content", str)
        is_done = document.values.get("done")
        yield _Part(text, (document.get("done_reason", str) or "stop") if is_done else "")


@dataclass(frozen=True, slots=True)
class _Fields:
    """A JSON object of a server's answer, whose fields have the expected types or are missing."""

    values: Mapping[str, Any]
    host: str
    text: str

    @classmethod
    def parse(cls, text: str, calls: ServiceCalls) -> _Fields:
        shown = calls.redact(text)
        try:
            document = calls.parse(text)
            shown = json.dumps(document)
        except (ValueError, RecursionError):
            document = None
        return cls({}, calls.address.host, shown).inner(document)

    def inner(self, value: object) -> _Fields:
        if not isinstance(value, dict):
            raise self._wrong_form()
        return _Fields(value, self.host, self.text)

    def get(self, name: str, kind: type[_T]) -> _T:
        value = self.values.get(name)
        if value is None:
            return kind()
        if not isinstance(value, kind):
            raise self._wrong_form()
        return value

    def _wrong_form(self) -> ServiceError:
        return ServiceError(
            f"{self.host} answers in another form than expected",
            given=self.text[:80],
            hint="Check the address and the kind of the server.",
        )


def _failure(calls: ServiceCalls, reason: object) -> ServiceError:
    message = f"{calls.address.host} refuses: {str(reason)[:300]}"
    return ServiceError(message, hint="Check the model and prompt.")


def text_preview(text: str) -> Preview:
    """Draw the last lines of a text, for a preview."""
    from PIL import Image, ImageDraw, ImageFont

    lines = [part for line in text.splitlines() for part in wrap(line, _PREVIEW_COLUMNS) or [""]][
        -_PREVIEW_LINES:
    ]
    page = Image.new("RGB", (512, max(1, len(lines)) * _LINE_PIXELS + 16), "#ffffff")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    for row, line in enumerate(lines):
        draw.text((8, 8 + row * _LINE_PIXELS), line, fill="#1f2328", font=font)
    buffer = BytesIO()
    page.save(buffer, "PNG")
    return Preview(buffer.getvalue())
