"""Encode prompts: CLIP in weighted windows; T5 and language models padded to one length."""

from __future__ import annotations

import html
import logging
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Warn
from nodegraph.families.prompts import WeightedText, parse_chunks


def plain_text(text: str) -> str:
    """A prompt without broken characters, HTML entities and runs of spaces."""
    from ftfy import fix_text

    plain = html.unescape(html.unescape(fix_text(text))).strip()
    return re.sub(r"\s+", " ", plain).strip()


def tokenize_padded(
    tokenizer: Any, texts: str | Sequence[str], length: int, warn: Warn | None = None, **how: Any
) -> dict[str, Tensor]:
    """Tokens of prompts and their mask, padded and cut to a length; int64, (prompts, length)."""
    tokens = tokenizer(
        texts,
        padding="max_length",
        max_length=length,
        truncation=True,
        return_tensors="pt",
        **how,
    )
    if warn is not None and bool(tokens["attention_mask"][:, -1].all()):
        warn_of_cut(tokenizer, texts, length, warn)
    return {"input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"]}


def padded_length(tokenizer: Any, text: str, fewest: int, most: int) -> int:
    """How many tokens a prompt is padded to that is as long as it needs, between two lengths."""
    count = len(tokenizer(text, verbose=False)["input_ids"])
    return min(max(count, fewest), most)


def t5_states(model: Any, tokens: dict[str, Tensor], *, masked: bool = False) -> Tensor:
    """The last hidden states of a T5 encoder; float32 on the CPU, (1, tokens, width).

    Args:
        masked: Whether the encoder gets a mask of the padding.
    """
    ids = tokens["input_ids"].to(model.device)
    mask = tokens["attention_mask"].to(model.device) if masked else None
    hidden: Tensor = model(ids, attention_mask=mask)[0]
    return hidden.to("cpu", torch.float32)


def hidden_states(model: Any, tokens: dict[str, Tensor], layer: int) -> Tensor:
    """What a layer of a language model gives; see `layer_states`."""
    return layer_states(model, tokens, [layer])[0]


def layer_states(model: Any, tokens: dict[str, Tensor], layers: Sequence[int]) -> list[Tensor]:
    """What layers of a language model give, counted from 0, the embedded tokens, and as in Python
    back from -1, the last after its norm; each float32 on the CPU, (1, tokens, width).

    By its own number the last is as the others, without the norm: of some models those that
    nobody asks for are left out of the file.

    Args:
        tokens: All that the model takes, such as `padded` gives.
    """
    placed = {name: item.to(model.device) for name, item in tokens.items()}
    # without the head, which would say for every token how likely each word is to follow
    base = model.base_model
    with _last_as_it_is(base) as last:
        states = base(**placed, output_hidden_states=True).hidden_states
    wanted = [last[-1] if last and layer == len(states) - 1 else states[layer] for layer in layers]
    return [item.to("cpu", torch.float32) for item in wanted]


@contextmanager
def _last_as_it_is(base: Any) -> Iterator[list[Tensor]]:
    """What the last layer gives inside the `with`, before the norm; empty of unusual models."""
    states: list[Tensor] = []
    norm = getattr(getattr(base, "language_model", base), "norm", None)
    if norm is None:
        yield states
        return
    hook = norm.register_forward_pre_hook(lambda _, arguments: states.append(arguments[0]))
    try:
        yield states
    finally:
        hook.remove()


def all_hidden_states(model: Any, tokens: dict[str, Tensor]) -> Tensor:
    """What each layer of a language model gives; float32 on the CPU, (1, layers, tokens, width).

    Its attention weights are asked for, too: torch computes them by another kernel, whose last
    bits differ, and diffusers does so.
    """
    placed = {name: item.to(model.device) for name, item in tokens.items()}
    logging.getLogger("transformers.integrations.sdpa_attention").addFilter(_is_news)
    output = model.base_model(**placed, output_hidden_states=True, output_attentions=True)
    return torch.stack(output.hidden_states[1:], 1).to("cpu", torch.float32)


def every_state(model: Any, tokens: dict[str, Tensor]) -> Tensor:
    """The embedded tokens and what each layer of a language model gives, the last after its norm.

    Returns:
        In the precision of the model, on its device, shape (1, tokens, width * layers); the layers
        of a number lie one after the other.
    """
    placed = {name: item.to(model.device) for name, item in tokens.items()}
    states = model.base_model(**placed, output_hidden_states=True).hidden_states
    return torch.stack(states, -1).flatten(2, 3)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a message of transformers is more than its advice to ask for another kernel."""
    return "output_attentions" not in str(record.msg)


def clip_states(model: Any, tokens: dict[str, Tensor], layer: int = 2) -> tuple[Tensor, Tensor]:
    """Hidden states of a CLIP encoder with a projection, and the projected prompt; float32 on the
    CPU, (1, tokens, width) and (1, width).

    Args:
        layer: That they are of, counted from the last, 1.
    """
    check_layer(model, layer)
    output = model(tokens["input_ids"].to(model.device), output_hidden_states=True)
    hidden: Tensor = output.hidden_states[-layer]
    return hidden.to("cpu", torch.float32), output[0].to("cpu", torch.float32)


def check_layer(model: Any, layer: int) -> None:
    """Refuse layers that a CLIP encoder hasn't got, counted from the last, 1.

    Raises:
        InvalidValue: It has fewer.
    """
    layers = int(model.config.num_hidden_layers)
    if layer > layers:
        raise InvalidValue(
            "the text encoder does not have that many layers to skip",
            port="encoder",
            given=f"clip skip {layer}",
            expected=f"at most {layers}",
        )


def clip_pooled(model: Any, tokens: dict[str, Tensor]) -> Tensor:
    """The pooled prompt of a CLIP encoder; float32 on the CPU, (1, width)."""
    pooled: Tensor = model(tokens["input_ids"].to(model.device)).pooler_output
    return pooled.to("cpu", torch.float32)


def warn_of_cut(tokenizer: Any, texts: str | Sequence[str], length: int, warn: Warn) -> None:
    """Warn if one of the prompts has more tokens than an encoder takes."""
    every = [texts] if isinstance(texts, str) else texts
    counts = [len(tokenizer(text, verbose=False)["input_ids"]) for text in every]
    if max(counts) > length:
        warn(
            f"The prompt has {max(counts)} tokens. A text encoder takes {length} and ignores "
            "the rest."
        )


WHOLE_WORD = 8
"""Words of fewer tokens are never split between two windows; as ComfyUI's
``comfy/sd1_clip.py``, `SDTokenizer.max_word_length`."""
MAX_WINDOWS = 100
"""Longer prompts are refused: their embeddings would fill the memory for no use."""

_WORD_END = "</w>"
_INVERSION = r"embedding:[^\s,]+"
"""Begins its own word in ComfyUI's prompts."""

WeightedToken = tuple[int, float]
"""Id and weight."""
Window = list[WeightedToken]

Encoded = tuple[Tensor, Tensor]
"""Embeddings (1, tokens, width) and the pooled prompt (1, width); float32 on the CPU."""

_LEARNS: ContextVar[bool] = ContextVar("_LEARNS", default=False)

_EMPTY: WeakKeyDictionary[Any, dict[tuple[str, str, int], Encoded]] = WeakKeyDictionary()
"""Empty windows, by encoder and by its device, the layer and the length."""


@dataclass(frozen=True, slots=True)
class ClipEncoder:
    """A CLIP text encoder, and what is taken from it.

    Attributes:
        model: CLIPTextModel or CLIPTextModelWithProjection of transformers.
        tokenizer: CLIPTokenizer of transformers.
        layer: That embeddings are taken from, counted from the last, 1.
        final_norm: Whether they are by the norm that comes after the last one; else they are as
            they are.
        comfyui_windows: Whether windows are filled as ComfyUI 0.3.64 does, see `_words`; else
            CLIP's own words are never split between two.
        masked: Whether the encoder gets a mask of the padding, also where its configuration does
            not ask for one.
    """

    model: Any
    tokenizer: Any
    layer: int
    final_norm: bool = False
    comfyui_windows: bool = False
    masked: bool = False

    @property
    def length(self) -> int:
        """Tokens per window; a tokenizer that doesn't say takes what the encoder takes."""
        most = self.model.config.max_position_embeddings
        return int(min(self.tokenizer.model_max_length, most))

    def embed(self, tokens: Sequence[int]) -> Encoded:
        """One window between its begin and end token, padded as the stock pipeline pads."""
        if _LEARNS.get():
            return self._encode_uncached(tokens)
        return self._computed(tokens) if tokens else self._empty()

    def _empty(self) -> Encoded:
        """The window without tokens, which most prompts need: computed once for each encoder."""
        known = _EMPTY.setdefault(self.model, {})
        kind = f"{self.layer} {self.final_norm} {self.masked}"
        key = str(self.model.device), kind, self.length
        if key not in known:
            known[key] = self._computed(())
        hidden, pooled = known[key]
        # Copies, as somebody may write into a result.
        return hidden.clone(), pooled.clone()

    @torch.no_grad()
    def _computed(self, tokens: Sequence[int]) -> Encoded:
        return self._encode_uncached(tokens)

    def _encode_uncached(self, tokens: Sequence[int]) -> Encoded:
        tokenizer = self.tokenizer
        whole = [tokenizer.bos_token_id, *tokens, tokenizer.eos_token_id]
        padding = [tokenizer.pad_token_id] * (self.length - len(whole))
        ids = torch.tensor([whole + padding], device=self.model.device)
        mask = None
        if self.masked or getattr(self.model.config, "use_attention_mask", False):
            mask = torch.tensor([[1] * len(whole) + [0] * len(padding)], device=ids.device)
        is_last = self.layer == 1 and self.final_norm
        check_layer(self.model, self.layer)
        output = self.model(ids, attention_mask=mask, output_hidden_states=not is_last)
        # Of an encoder with a projection the first output is the projected one.
        pooled = getattr(output, "text_embeds", None)
        pooled = output.pooler_output if pooled is None else pooled
        hidden = output.last_hidden_state if is_last else output.hidden_states[-self.layer]
        if self.final_norm and not is_last:
            # Where only some layers are on the device at a time, the norm may lie elsewhere by now.
            hidden = self._norm(hidden.to(self._norm.weight.device))
        return hidden.to("cpu", torch.float32), pooled.to("cpu", torch.float32)

    @property
    def _norm(self) -> Any:
        """Wherever it lies in the versions of transformers."""
        return getattr(self.model, "text_model", self.model).final_layer_norm


@contextmanager
def prompt_gradients() -> Iterator[None]:
    """Inside the `with`, in this thread, what is encoded can be derived, and nothing of it is
    kept: the encoder's weights change."""
    before = _LEARNS.set(True)
    try:
        yield
    finally:
        _LEARNS.reset(before)


def encode_windows(
    clips: Sequence[ClipEncoder], texts: Sequence[str], warn: Warn | None = None
) -> Encoded:
    """A prompt by some encoders, side by side, with the weights in brackets applied.

    The prompt is cut into windows as long as the encoders take, each with its own begin and end
    token, and the windows' embeddings are joined along the tokens. Without weights, a prompt of
    one window gives the very bits of diffusers' pipelines.

    A weight moves a token's embedding away from where the empty prompt has its own at the same
    place: ``empty + (embedding - empty) * weight``.

    Args:
        clips: At least one.
        texts: One for each of them; mostly the same.
        warn: Told, in one sentence, if the prompt takes more windows than it asks for.
    Returns:
        Embeddings (1, windows · length, widths), and the last encoder's pooled first window.
    Raises:
        InvalidValue: The prompt is far too long or has an absurd weight.
    Source of the weighting: ComfyUI ``comfy/sd1_clip.py``,
        `ClipTokenWeightEncoder.encode_token_weights`.
    """
    cut = [_windows(clip, text) for clip, text in zip(clips, texts, strict=True)]
    most = max(map(len, cut))
    for clip, windows, text in zip(clips, cut, texts, strict=True):
        if warn is not None and len(windows) > len(parse_chunks(text)):
            warn(_too_long(windows, clip.length))
            break
    embeddings, pooled = [], torch.empty(0)
    for clip, windows in zip(clips, cut, strict=True):
        # One window at a time, so that a window's bits don't depend on how many there are.
        padding: list[Window] = [[]] * (most - len(windows))
        encoded = [_encode_window(clip, window) for window in windows + padding]
        embeddings.append(torch.cat([hidden for hidden, _ in encoded], dim=1))
        pooled = encoded[0][1]
    return torch.cat(embeddings, dim=-1), pooled


def pooled_phrase(clip: ClipEncoder, text: str) -> Tensor:
    """The pooled prompt of a phrase without padding, and without weights; float32, (1, width).

    diffusers pads phrases to the longest one of a call, so these are the bits of a phrase alone.

    Raises:
        InvalidValue: It is longer than one window.
    """
    windows = _windows(clip, text)
    if len(windows) > 1:
        raise InvalidValue(
            "the phrase is too long",
            port="text",
            given=f"{sum(map(len, windows))} tokens",
            expected=f"up to {clip.length - 2} tokens",
        )
    words = [token for token, _ in windows[0]]
    tokens = [clip.tokenizer.bos_token_id, *words, clip.tokenizer.eos_token_id]
    ids = torch.tensor([tokens], device=clip.model.device)
    pooled: Tensor = clip.model(ids, attention_mask=torch.ones_like(ids)).pooler_output
    return pooled.to("cpu", torch.float32)


def _encode_window(clip: ClipEncoder, window: Window) -> Encoded:
    embeddings, pooled = clip.embed([token for token, _ in window])
    weights = _pad_weights(window, clip.length)
    if all(weight == 1.0 for weight in weights):
        return embeddings, pooled
    empty, _ = clip.embed([])
    factors = torch.tensor(weights).view(1, -1, 1)
    # Tokens of weight 1 keep their bits: empty + (embedding - empty) would round.
    return torch.where(factors == 1, embeddings, empty + (embeddings - empty) * factors), pooled


def _pad_weights(window: Window, length: int) -> list[float]:
    weights = [1.0, *(weight for _, weight in window)]
    return weights + [1.0] * (length - len(weights))


def _windows(clip: ClipEncoder, text: str) -> list[Window]:
    """The prompt's tokens in windows that leave room for the begin and end token.

    A ``BREAK`` begins another one; between two of them without words there is none.
    """
    room = clip.length - 2
    windows: list[Window] = []
    for chunk in parse_chunks(text):
        words = _words(clip.tokenizer, chunk, by_spans=clip.comfyui_windows)
        cut = _cut(words, room, MAX_WINDOWS - len(windows))
        windows += [window for window in cut if window]
    return windows or [[]]


def token_windows(model: Any, tokenizer: Any, prompt: str, text: str) -> list[Window]:
    """The tokens that an encoder reads of a prompt in ComfyUI's form, with their weights.

    Args:
        model: The encoder.
        prompt: Prompt with weights, for CLIP.
        text: The prompt as it was written, for other encoders, which read it whole.
    Returns:
        For CLIP, windows with their begin and end token and padding; else one window.
    """
    if "CLIP" not in type(model).__name__:
        return [[(token, 1.0) for token in tokenizer(text, verbose=False)["input_ids"]]]
    clip = ClipEncoder(model, tokenizer, 1, comfyui_windows=True)
    begin, end, padding = (
        (token, 1.0)
        for token in (tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id)
    )
    whole = [[begin, *window, end] for window in _windows(clip, prompt)]
    return [window + [padding] * (clip.length - len(window)) for window in whole]


def _cut(words: Iterator[Window], room: int, most: int) -> list[Window]:
    windows: list[Window] = [[]]
    for word in words:
        if len(word) < min(WHOLE_WORD, room + 1) and len(windows[-1]) + len(word) > room:
            windows.append([])
        for token in word:
            if len(windows[-1]) == room:
                windows.append([])
            windows[-1].append(token)
        if len(windows) > most:
            raise InvalidValue(
                "the prompt is too long",
                port="text",
                given=f"more than {MAX_WINDOWS} parts",
                expected=f"at most {MAX_WINDOWS} parts of {room} tokens",
            )
    return windows


def _words(
    tokenizer: Any, spans: Sequence[WeightedText], *, by_spans: bool = False
) -> Iterator[Window]:
    """A prompt's tokens, word by word; a word's last token is marked in CLIP's vocabulary.

    Args:
        by_spans: What has one weight counts as one word, up to a textual inversion: of fewer than
            `WHOLE_WORD` tokens it begins the next window whole, and a longer one is split at any
            token. Source: ComfyUI 0.3.64 ``comfy/sd1_clip.py``, `tokenize_with_weights`.
    """
    for span in spans:
        if by_spans:
            for piece in _pieces(span.text, getattr(tokenizer, "words", ())):
                ids = tokenizer(piece, add_special_tokens=False, verbose=False).input_ids
                yield [(token, span.weight) for token in ids]
            continue
        ids = tokenizer(span.text, add_special_tokens=False, verbose=False).input_ids
        word: Window = []
        for token, name in zip(ids, tokenizer.convert_ids_to_tokens(ids), strict=True):
            word.append((token, span.weight))
            if name.endswith(_WORD_END):
                yield word
                word = []
        if word:
            yield word


def _pieces(text: str, words: Iterable[str]) -> list[str]:
    """A text cut before and after the words of textual inversions, which begin ``embedding:``.

    Args:
        words: Those that are known, which may hold blanks.
    """
    known = sorted((word for word in words if word.startswith("embedding:")), key=len)
    begun = "|".join([*map(re.escape, reversed(known)), _INVERSION])
    return [piece for piece in re.split(rf"(?<![^ \n])({begun})", text) if piece]


def word_token_indices(clip: ClipEncoder, text: str) -> list[tuple[str, tuple[int, ...]]]:
    """A prompt's words in their order, each with the places of its tokens in the embeddings."""
    words: list[tuple[str, tuple[int, ...]]] = []
    for number, window in enumerate(_windows(clip, text)):
        word, places = "", []
        names = clip.tokenizer.convert_ids_to_tokens([token for token, _ in window])
        for at, name in enumerate(names):
            word += name.removesuffix(_WORD_END)
            places.append(number * clip.length + 1 + at)
            if name.endswith(_WORD_END) or at == len(names) - 1:
                words.append((word, tuple(places)))
                word, places = "", []
    return words


def _too_long(windows: Sequence[Window], length: int) -> str:
    tokens = sum(map(len, windows))
    return (
        f"The prompt has {tokens} tokens, more than the {length - 2} that the text encoder "
        f"takes at once. It is encoded in {len(windows)} parts."
    )
