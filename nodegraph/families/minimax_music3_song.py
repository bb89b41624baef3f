"""How MiniMax Music 3 composes: a language model writes audio codes, frame by frame. No torch.

A language model picks the first code of each frame, and a depth decoder the other seven. Their
hidden states, not the codes, condition the diffusion model.

Source: diffusers, ``modular_pipelines/minimax_music3/encoders.py``, by the MiniMax team.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from inspect import signature
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.minimax_music3_files import AUDIO_END, CODE_OFFSET, CODES
from nodegraph.families.prompts import MusicPrompt
from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.families.components import TextModel

FRAMES_PER_SECOND = 25
"""Frames per second that the language model composes."""
MAX_FRAMES = 9_000
"""Longest song, six minutes."""
_MAX_TOKENS = 5_000
_NO_PROMPT = 151_654
"""Token in the place of the words, for guidance."""

_MARK = re.compile(r"<\|([^|]*)\|>")
_SECTIONS = re.compile(r"[ \t]*((?:\[[^\]]+\][ \t]*)+)")
_LINE_STARTS = (r"^\s{0,3}#{1,6}\s+", r"^\s*[*+-]\s+", r"^\s*\*\s+")
"""Markdown headings and list items."""
_BOLD, _ITALIC = r"\*\*([^*]+)\*\*", r"(?<!\*)\*([^*\n]+)\*(?!\*)"
_RULE = re.compile(r"^\s*[-*_]{3,}\s*$", re.MULTILINE)


def song_frames(seconds: float) -> int:
    """Frames of a song of a length, rounded down; from 1 to `MAX_FRAMES`."""
    return min(max(1, int(seconds * FRAMES_PER_SECOND)), MAX_FRAMES)


def plain_caption(caption: str) -> str:
    """A caption without Markdown and marks of special tokens, as the model was trained."""

    def spelled(match: re.Match[str]) -> str:
        words = match[1].strip().split(None, 1)
        return " is ".join(words) if len(words) == 2 else match[1].strip()

    lines = [_plain_line(line) for line in _MARK.sub(spelled, caption).splitlines()]
    text = _RULE.sub("", "\n".join(lines))
    for dropped in ("• ", "    "):
        text = text.replace(dropped, "")
    return re.sub(r"\n{2,}", "\n", text)


def _plain_line(line: str) -> str:
    for pattern in _LINE_STARTS:
        line = re.sub(pattern, "", line)
    changed = True
    while changed and "**" in line:
        plain = re.sub(_BOLD, r"\1", line)
        line, changed = plain, plain != line
    return re.sub(_ITALIC, r"\1", line).rstrip()


def plain_lyrics(lyrics: str) -> str:
    """Lyrics with section marks in lower case on lines of their own.

    Text behind marks at the start of a line is dropped, as the model was trained.
    """
    lines = []
    for line in lyrics.split("\n"):
        match = _SECTIONS.match(line)
        lines.append(match[1].strip() if match else line)
    text = "\n".join(lines)
    for before, after in (("] ", "]\n"), (" [", "\n["), (" ^ ", "\n")):
        text = text.replace(before, after)
    return "[start]\n" + re.sub(r"\[[^\]]+\]", lambda match: match[0].lower(), text)


def check_text(port: str, text: str) -> None:
    """Refuse empty tags or lyrics; see `SongReader.check_song_text`."""
    if not text.strip():
        raise InvalidValue(
            f"MiniMax Music 3 needs {'a caption' if port == 'tags' else 'lyrics'}",
            port=port,
            given="an empty text",
            hint="For music without words, write sections such as [intro] and [inst]."
            if port == "lyrics"
            else "Describe genre, mood, voice and instruments.",
        )


def song_tokens(tokenizer: Any, prompt: MusicPrompt) -> Tensor:
    """Token ids of a prompt, and those without its words for guidance; int64, (2, tokens).

    Raises:
        InvalidValue: Tags or lyrics are empty, or both together are too long.
    """
    check_text("tags", prompt.tags)
    check_text("lyrics", prompt.lyrics)
    text = (
        f"<|im_start|><|caption_start|>{plain_caption(prompt.tags)}<|caption_end|>"
        f"<|lyrics_start|>{plain_lyrics(prompt.lyrics)}<|lyrics_end|><|im_end|><|audio_start|>"
    )
    ids: Tensor = tokenizer(text, return_tensors="pt")["input_ids"]
    if ids.shape[1] > _MAX_TOKENS:
        raise InvalidValue(
            "tags and lyrics are too long",
            port="lyrics",
            given=f"{ids.shape[1]} tokens",
            expected=f"at most {_MAX_TOKENS}",
        )
    wordless = ids.clone()
    wordless[:, 1:-2] = _NO_PROMPT
    return torch.cat([ids, wordless])


@dataclass(frozen=True, slots=True)
class CodeSampling:
    """How audio codes are drawn.

    Attributes:
        generator: Of the CPU, so that a seed gives the same song on every device.
        cfg: Guidance scale, between a prompt and one without words.
        top_k: How many of the likeliest codes to draw from.
    """

    generator: torch.Generator
    cfg: float
    top_k: int

    def guide(self, logits: Tensor) -> Tensor:
        """Logits with guidance, (1, codes), of those for both prompts, (2, codes)."""
        towards, away = logits[:1], logits[1:2]
        return away + (towards - away) * self.cfg

    def keep_likeliest(self, logits: Tensor, by: Tensor) -> Tensor:
        """Keep the logits of the codes that other logits rank highest; set all others to -inf."""
        count = min(self.top_k, by.shape[-1])
        least = torch.topk(by, count, dim=-1).values[..., -1, None]
        return logits.masked_fill(by < least, -float("inf"))

    def draw(self, logits: Tensor) -> Tensor:
        """A code by its probability; int64, (1,)."""
        values = torch.nan_to_num(logits.float(), nan=-1e9, posinf=1e9, neginf=-1e9)
        shares = torch.softmax(self.keep_likeliest(values, values), dim=-1)
        shares = torch.nan_to_num(shares, nan=0.0)
        shares = shares / shares.sum(dim=-1, keepdim=True).clamp_min(1e-12)
        drawn = torch.multinomial(shares.cpu(), 1, generator=self.generator)
        return drawn.squeeze(-1).to(logits.device)


def compose(model: TextModel, ids: Tensor, prompt: MusicPrompt) -> Tensor:
    """Compose a song: the hidden states of its frames, shape (1, frames, codebooks · width).

    Args:
        ids: As of `song_tokens`.
    Raises:
        InvalidValue: The model ends the song before its first frame.
    """
    language, depth = (model.modules[role] for role in ("language_model", "rvq_depth_decoder"))
    sampling = CodeSampling(torch.Generator().manual_seed(prompt.seed), prompt.cfg, prompt.top_k)
    most = song_frames(prompt.seconds)
    frames = _frame_states(language, depth, ids.to(language.device), most, sampling, prompt.on_step)
    if not frames:
        raise InvalidValue(
            "the model ended the song before its first frame",
            port="seed",
            given=str(prompt.seed),
            hint="Use another seed, or more lyrics.",
        )
    return torch.stack(frames, dim=1)


def _frame_states(
    language: Any,
    depth: Any,
    ids: Tensor,
    most: int,
    sampling: CodeSampling,
    on_step: Callable[[int, int], None] | None,
) -> list[Tensor]:
    """Hidden states of frames, each of shape (1, codebooks · width)."""
    words, known = language.model.embed_tokens, _cache(language)
    output = language.model(inputs_embeds=words(ids), use_cache=True, **known)
    barred = _barred_tokens(language)
    frames: list[Tensor] = []
    # What is drawn first only leads past the prompt, and is no frame.
    for step in range(most + 1):
        if on_step is not None:
            on_step(len(frames), most)
        last = output.last_hidden_state[:, -1]
        logits = language.lm_head(last).float().masked_fill(barred, -float("inf"))
        guided = sampling.keep_likeliest(sampling.guide(logits), logits[:1])
        # Between two infinities, guidance gives NaN.
        token = sampling.draw(guided.masked_fill(barred, -float("inf")))
        if int(token) == AUDIO_END:
            break
        token = token.repeat(2)
        codes, states = _depth_codes(depth, last, words(token), sampling)
        if step:
            frames.append(torch.cat([last[:1], states], -1))
            if len(frames) == most:
                break
        heard = _embedded_frame(depth, words(token[:, None]), codes)
        output = language.model(inputs_embeds=heard, use_cache=True, **known)
    return frames


def _cache(language: Any) -> dict[str, Any]:
    """A cache of keys and values, by the name that the version of transformers has for it."""
    from transformers import DynamicCache

    names = signature(language.model.forward).parameters
    name = "cache" if "cache" in names else "past_key_values"
    return {name: DynamicCache(config=language.config)}


def _barred_tokens(language: Any) -> Tensor:
    """Which tokens a song has not; bool, (tokens,)."""
    count = int(language.config.vocab_size)
    barred = torch.ones(count, dtype=torch.bool, device=language.device)
    barred[CODE_OFFSET : CODE_OFFSET + CODES] = False
    barred[AUDIO_END] = False
    return barred


def _depth_codes(
    depth: Any, last: Tensor, first: Tensor, sampling: CodeSampling
) -> tuple[Tensor, Tensor]:
    """The codes of a frame behind the first, (2, codebooks - 1), and the states that gave them.

    Args:
        last: State of the language model, (2, width).
        first: Embedding of the first code, (2, width).
    Returns:
        States of shape (1, (codebooks - 1) · width).
    """
    size, count = int(depth.config.audio_vocab_size), int(depth.config.num_codebooks)
    sequence = [depth.projection(item).unsqueeze(1) for item in (last, first)]
    codes: list[Tensor] = []
    states: list[Tensor] = []
    for at in range(count - 1):
        state = depth(torch.cat(sequence, 1))[:, -1]
        states.append(state[:1])
        code = sampling.draw(sampling.guide(depth.audio_heads[at](state).float())).repeat(2)
        codes.append(code)
        if at < count - 2:
            embedded = depth.audio_embeddings(code + at * size)
            sequence.append(depth.projection(embedded).unsqueeze(1))
    return torch.stack(codes, 1), torch.cat(states, -1)


def _embedded_frame(depth: Any, first: Tensor, codes: Tensor) -> Tensor:
    """What the language model hears of a frame, (2, 1, width).

    Args:
        first: Embedding of the first code, (2, 1, width).
        codes: The others, (2, codebooks - 1).
    """
    size, count = int(depth.config.audio_vocab_size), int(depth.config.num_codebooks)
    offsets = torch.arange(count - 1, device=codes.device) * size
    others = depth.audio_embeddings(codes + offsets).sum(dim=1, keepdim=True)
    heard: Tensor = (first + others.to(first.dtype)) * count**-0.5
    return heard
