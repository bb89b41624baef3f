"""Did you mean: the nearest of some valid names, or what other tools call a port.

Sources of these: https://docs.comfy.org/built-in-nodes/overview (ComfyUI),
https://huggingface.co/docs/diffusers/api/pipelines/stable_diffusion/text2img (diffusers) and
https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API (Stable Diffusion web UI).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property, lru_cache

_MOST_COMPARED = 2000
_LEAST_SHARE = 0.35
"""Of a name's letters that an abbreviation has at least: `vae` is as far from `VAEDecode` as from
`VAEEncode`."""
_LEAST_START = 3
"""Letters of an abbreviation that is just the start of a name of one word."""
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+[a-z]*")
"""A word in a name: `dpmpp` and `2m` in dpmpp_2m, `VAE` and `Decode` in VAEDecode."""


def split_words(name: str) -> list[str]:
    """The words of a name, without case: ``vae`` and ``decode`` of ``VAEDecode``."""
    return list(_words(name))


@lru_cache(maxsize=4096)  # each unknown name is compared with all that there are
def _words(name: str) -> tuple[str, ...]:
    return tuple(word.casefold() for word in _WORD.findall(name))


def nearest(name: str, names: Iterable[str], *, cutoff: float = 0.6) -> str | None:
    """The valid name most like `name`, compared without case; None if nothing is near.

    Abbreviations come before names with a similar spelling: `dpm2m` is dpmpp_2m, not dpm_2. Among
    very many names, only one that differs in nothing but case is found.

    Args:
        cutoff: How alike the spelling of two names has to be, 0 to 1.
    """
    return ValidNames(names).nearest(name, cutoff=cutoff)


class ValidNames:
    """Names that others are compared with, one after the other."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_folded = {candidate.casefold(): candidate for candidate in names}

    def nearest(self, name: str, *, cutoff: float = 0.6) -> str | None:
        """As the function says."""
        folded = name.casefold()
        if folded in self._by_folded or len(self._by_folded) > _MOST_COMPARED:
            return self._by_folded.get(folded)
        return self._abbreviated(folded) or next(iter(self.similar(folded, 1, cutoff)), None)

    def similar(self, folded: str, most: int, cutoff: float) -> list[str]:
        """Those of a similar spelling, the likest first."""
        own, length = _letters(folded), len(folded)
        # Nearly all are told apart by the letters that one of the two lacks: that is quick.
        near = []
        for each, letters in self._letters.items():
            theirs = len(each) - (letters & ~own).bit_count()
            most_same = min(length - (own & ~letters).bit_count(), theirs)
            if 2.0 * most_same / (length + len(each) or 1) >= cutoff:
                near.append(each)
        return [self._by_folded[each] for each in get_close_matches(folded, near, most, cutoff)]

    @cached_property
    def _letters(self) -> dict[str, int]:
        return {folded: _letters(folded) for folded in self._by_folded}

    @cached_property
    def _by_start(self) -> dict[str, list[tuple[str, list[str], int]]]:
        """By its first letter: a name, its words, and how many letters they have."""
        starts: dict[str, list[tuple[str, list[str], int]]] = {}
        for candidate in sorted(self._by_folded.values()):
            words = split_words(candidate)
            if words:
                starts.setdefault(words[0][0], []).append((candidate, words, sum(map(len, words))))
        return starts

    def _abbreviated(self, name: str) -> str | None:
        """The name that `name` shortens by leaving out ends of its words; the shortest of
        several."""
        letters = "".join(sign for sign in name if sign.isalnum())
        best, most = None, 0.0
        for candidate, words, length in self._by_start.get(letters[:1], ()):
            share = len(letters) / length
            is_enough = share >= _LEAST_SHARE or (len(words) == 1 and len(letters) >= _LEAST_START)
            if most < share <= 1 and is_enough and _shortens(letters, words):
                best, most = candidate, share
        return best


def _letters(text: str) -> int:
    """Which letters a text has: a bit for each, of which some may share one."""
    bits = 0
    for sign in text:
        bits |= 1 << (ord(sign) & 127)
    return bits


def _shortens(letters: str, words: Sequence[str]) -> bool:
    """Whether the letters are the starts of all words, one after the other."""
    # Where the letters of the words so far may end: trying all ways apart takes exponential time.
    ends = {0}
    for word in words:
        ends = {
            start + length
            for start in ends
            for length in range(1, len(word) + 1)
            if letters[start : start + length] == word[:length]
        }
    return len(letters) in ends


def did_you_mean(name: str, names: Iterable[str], *, listed: int = 8) -> str:
    """A hint: the nearest name, or the valid ones where none is near.

    Args:
        listed: How many valid names to list at most.
    """
    candidates = sorted(set(names))
    close = nearest(name, candidates)
    if close is not None:
        return f"Did you mean `{close}`?"
    if not candidates:
        return ""
    shown = ", ".join(candidates[:listed])
    more = f" and {len(candidates) - listed} more" if len(candidates) > listed else ""
    return f"Valid: {shown}{more}."


_MOST_LISTED = 16
"""Ports are listed where nothing is near: nearly all node types have fewer."""
_PORT_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    # ComfyUI
    "ckpt_name": ("model",),
    "unet_name": ("model",),
    "model_name": ("model",),
    "upscale_model": ("model",),
    "vae_name": ("vae",),
    "lora_name": ("lora",),
    "control_net_name": ("control_net", "control", "model"),
    "clip": ("encoder", "text_encoder"),
    "clip_name": ("file",),
    "clip_name1": ("file",),
    "clip_name2": ("file_2",),
    "clip_name3": ("file_3",),
    "clip_name4": ("file_4",),
    "strength_clip": ("strength_encoder",),
    "conditioning": ("positive", "prompt"),
    "samples": ("latent", "latents"),
    "latent_image": ("latent",),
    "pixels": ("image",),
    "images": ("image",),
    "sampler_name": ("sampler",),
    "scheduler": ("schedule",),
    "sigmas": ("schedule",),
    "noise_seed": ("seed",),
    "filename_prefix": ("name",),
    # diffusers
    "guidance_scale": ("cfg", "guidance"),
    "num_inference_steps": ("steps",),
    "num_images_per_prompt": ("batch_size",),
    "generator": ("seed",),
    "prompt": ("text", "positive"),
    "prompt_embeds": ("positive",),
    "negative_prompt": ("negative",),
    "negative_prompt_embeds": ("negative",),
    "mask_image": ("mask",),
    "latents": ("latent",),
    "unet": ("model",),
    "transformer": ("model",),
    "denoiser": ("model",),
    "text_encoder": ("encoder",),
    "autoencoder": ("vae",),
    "strength": ("strength_model", "denoise"),
    # Stable Diffusion web UI
    "cfg_scale": ("cfg", "guidance"),
    "denoising_strength": ("denoise",),
    "checkpoint": ("model",),
    "n_iter": ("batch_size",),
    # All of them
    "file": ("path",),
    "folder": ("path",),
    "frames": ("count", "length"),
    "filename": ("name", "path"),
    "image": ("path",),
}
"""Ports here, the likeliest first, by a port's name elsewhere."""


def port_hint(name: object, names: Iterable[str]) -> str:
    """A hint for an input or output that there is none of; empty where there are none at all.

    Args:
        names: Those that there are.
    """
    text, known = str(name), list(names)
    elsewhere = port_synonym(text, known)
    if elsewhere is not None:
        return f"Did you mean `{elsewhere}`?"
    return did_you_mean(text, known, listed=_MOST_LISTED)


def port_synonym(name: str, names: Collection[str]) -> str | None:
    """The one of some ports that other tools call so; None if that isn't known."""
    folded = name.casefold()
    if any(folded == known.casefold() for known in names):
        return None
    return next((port for port in _PORT_SYNONYMS.get(folded, ()) if port in names), None)
