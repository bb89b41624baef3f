"""Readers of foreign metadata bear any text, and read what writers write."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from nodegraph.errors import InvalidFile, NodegraphError
from nodegraph.families.prompts import parse_prompt
from nodegraph.families.sampler_names import SAMPLER_NAMES, SCHEDULE_NAMES
from nodegraph.interop.image_metadata import Generation, find_generation
from nodegraph.interop.image_metadata.generation import HiresPass, LoraReference, ModelReference
from nodegraph.interop.image_metadata.generation_workflow import import_generation
from nodegraph.interop.image_metadata.infotext import format_infotext, parse_fields, parse_infotext
from nodegraph.interop.image_metadata.invokeai import convert_compel
from nodegraph.interop.image_metadata.json_forms import convert_weights
from nodegraph.interop.image_metadata.model_finder import ModelFinder, plain_name
from nodegraph.interop.image_metadata.workflow_settings import format_settings
from nodegraph.media.images.embedded_texts import read_metadata
from tests.compat.image_metadata.samples import (
    DRAW_THINGS,
    FOOOCUS,
    INVOKE,
    NOVELAI,
    SWARM,
    exif,
    png,
    stealth,
    xmp,
)

ANY_JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9 ]{0,20}[a-z]", fullmatch=True)
LINES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=60)


@given(
    st.dictionaries(
        NAMES,
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")),
        max_size=8,
    )
)
def test_fields_are_read_as_they_were_written(fields: dict[str, str]) -> None:
    written = format_infotext("", "", fields)

    assert parse_fields(written) == fields


@given(
    prompt=LINES.map(str.strip).filter(
        lambda text: not text.startswith(("Negative prompt:", "Steps:"))
    ),
    negative=LINES.map(str.strip).filter(lambda text: not text.startswith("Steps:")),
)
def test_prompts_are_read_as_they_were_written(prompt: str, negative: str) -> None:
    parsed = parse_infotext(format_infotext(prompt, negative, {"Steps": 20, "Seed": 1}))

    assert (parsed.prompt, parsed.negative) == (prompt, negative)
    assert parsed.fields == {"Steps": "20", "Seed": "1"}


SETTINGS = st.builds(
    Generation,
    tool=st.just("nodegraph"),
    prompt=st.from_regex(r"[a-z][a-z(),.: ]{0,30}[a-z]", fullmatch=True),
    negative=st.from_regex(r"([a-z][a-z(),.: ]{0,30}[a-z])?", fullmatch=True),
    seed=st.integers(0, 2**64 - 1),
    sampler=st.sampled_from(SAMPLER_NAMES),
    schedule=st.sampled_from(SCHEDULE_NAMES),
    steps=st.integers(1, 10_000),
    cfg=st.integers(0, 200).map(lambda half: half / 2),
    guidance=st.none() | st.integers(0, 20).map(float),
    clip_skip=st.none() | st.integers(2, 12),
    width=st.integers(1, 400).map(lambda cells: cells * 8),
    height=st.integers(1, 400).map(lambda cells: cells * 8),
    model=st.builds(ModelReference, st.from_regex(r"[a-z][a-z0-9_.,-]{0,20}[a-z]", fullmatch=True)),
    loras=st.lists(
        st.builds(
            LoraReference,
            st.builds(
                ModelReference, st.from_regex(r"[a-z][a-z0-9_. -]{0,12}[a-z]", fullmatch=True)
            ),
            st.integers(-40, 40).map(lambda quarter: quarter / 4),
            st.integers(-40, 40).map(lambda quarter: quarter / 4),
        ),
        max_size=3,
        unique_by=lambda lora: lora.model.name,
    ),
    hires=st.none()
    | st.builds(
        HiresPass,
        upscaler=st.sampled_from(("Latent", "Latent (bicubic)", "4x-UltraSharp", "Lanczos")),
        scale=st.integers(2, 8).map(float),
        steps=st.none() | st.integers(1, 100),
        denoise=st.integers(1, 99).map(lambda percent: percent / 100),
        cfg=st.none() | st.integers(1, 30).map(float),
    ),
    convention=st.sampled_from(("diffusers", "comfyui")),
    draw=st.sampled_from(("per item", "per batch", "per batch, one seed")),
)


@given(SETTINGS)
def test_settings_are_read_as_they_were_written(settings: Generation) -> None:
    assert find_generation({"parameters": format_settings(settings)}) == settings


KNOWN: Mapping[str, Mapping[str, Any]] = {
    "invokeai_metadata": INVOKE,
    "sd-metadata": {"image": INVOKE},
    "Comment": NOVELAI,
    "parameters": FOOOCUS,
}


@given(
    name=st.sampled_from(sorted(KNOWN)),
    changes=st.dictionaries(
        st.sampled_from(sorted({*INVOKE, *NOVELAI, *FOOOCUS, "image"})), ANY_JSON, max_size=6
    ),
)
def test_fields_of_any_type_are_borne(name: str, changes: dict[str, Any]) -> None:
    texts = {name: json.dumps({**KNOWN[name], **changes}), "Software": "NovelAI"}

    builds_or_refuses(texts)


@given(
    changes=st.dictionaries(st.sampled_from(sorted(SWARM)), ANY_JSON, max_size=6), models=ANY_JSON
)
def test_fields_of_swarmui_of_any_type_are_borne(changes: dict[str, Any], models: Any) -> None:
    document = {"sui_image_params": {**SWARM, **changes}, "sui_models": models}

    builds_or_refuses({"parameters": json.dumps(document)})


@given(changes=st.dictionaries(st.sampled_from([*DRAW_THINGS, "v2"]), ANY_JSON, max_size=6))
def test_fields_of_draw_things_of_any_type_are_borne(changes: dict[str, Any]) -> None:
    builds_or_refuses({"parameters": json.dumps({**DRAW_THINGS, **changes})})


@given(st.text(max_size=300))
def test_any_text_is_borne(text: str) -> None:
    parse_infotext(text)
    for name in ("parameters", "invokeai_metadata", "sd-metadata", "Dream", "Comment", "xmp"):
        builds_or_refuses({name: text, "Software": "NovelAI", "Description": text})
    builds_or_refuses({"parameters": f"{text}\nSteps: 20, Sampler: {text}, Size: {text}, Seed: 1"})


def builds_or_refuses(texts: Mapping[str, str]) -> None:
    """Either there is a workflow of these texts, or an error of ours."""
    with suppress(NodegraphError):
        generation = find_generation(texts)
        if generation is not None:
            import_generation(generation, ModelFinder((), None)).workflow.to_json()


PLAIN = st.text(st.sampled_from("ab ,.{}[]()+-:1|\\AND BREAK"), max_size=40)


@given(PLAIN)
def test_converted_prompts_have_no_markup_but_weights(prompt: str) -> None:
    for convert in (convert_weights, convert_compel):
        parse_prompt(convert(prompt))


def test_prompts_of_thousands_of_brackets_take_no_time() -> None:
    for text in ("(" * 50_000, "{" * 50_000, "(a" * 25_000 + ")" * 25_000, "a+ " * 30_000):
        assert convert_compel(text)
        assert convert_weights(text)
    line = "Steps: 1, " + "a: [" * 20_000
    assert parse_infotext(line).fields["Steps"] == "1"
    assert parse_infotext("a" * 200_000 + ":" * 1000 + ", " * 20_000)


def test_long_names_and_comments_in_comments_take_no_time() -> None:
    """Each of these took minutes: a time that grows with the square of the length."""
    name = f"a{' ' * 99_000}b"
    for field in ("Refiner", "Model", "VAE"):
        text = f"a cat\nSteps: 20, Sampler: Euler, Size: 64x64, {field}: {name}"
        generation = find_generation({"parameters": text})
        assert generation is not None
        assert import_generation(generation, ModelFinder([], None)).workflow.nodes
    novel = find_generation({"Software": "NovelAI", "Comment": "{}", "Source": name})
    assert novel is not None
    assert novel.model.name == name
    assert convert_compel("+" * 99_000 + "x")
    tag, space = "a:UserComment", 'xmlns:a="http://ns.adobe.com/exif/1.0/"'
    nested = f"<{tag}>" * 100_000 + f"</{tag}>" * 100_000
    assert find_generation({"xmp": f"<x {space}>{nested}</x>"}) is None


@given(st.text(max_size=50))
def test_names_of_models_lead_nowhere(name: str) -> None:
    plain = plain_name(name)
    assert "/" not in plain
    assert not plain.startswith(".")


# Files


def texts_of(path: Path) -> dict[str, str]:
    return read_metadata(path)


def test_too_much_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    png({"parameters": "a" * (5 << 20) + "\nSteps: 20, Seed: 1, Size: 8x8"})(path)
    with pytest.raises(InvalidFile, match="too much text"):
        find_generation(texts_of(path))
    png({"parameters": "a" * 200_000 + "\nSteps: 20, Seed: 1, Size: 8x8"}, kind="ztxt")(path)
    with pytest.raises(InvalidFile, match="too much text in `prompt`"):
        find_generation(texts_of(path))


def test_damaged_metadata_are_refused() -> None:
    with pytest.raises(InvalidFile, match="metadata of InvokeAI in this image are damaged"):
        find_generation({"invokeai_metadata": "{"})
    with pytest.raises(InvalidFile, match="metadata of NovelAI in this image are damaged"):
        find_generation({"Comment": "[" * 100_000, "Software": "NovelAI"})


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    info = PngImagePlugin.PngInfo()
    packed = zlib.compress(b"a" * (200 << 20), 9)
    info.add(b"zTXt", b"parameters\0\0" + packed)
    Image.new("RGB", (8, 8)).save(path, pnginfo=info)

    with pytest.raises(InvalidFile, match="cannot be decoded"):
        texts_of(path)


def test_hidden_texts_that_lie_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    stealth("x", length=0xFFFFFFFF)(path)
    assert texts_of(path) == {}
    stealth("Steps: 1", length=64)(path)  # cut within the packed text
    assert texts_of(path) == {}
    stealth("a" * (20 << 20))(path)  # unpacks to more than anybody writes
    assert texts_of(path) == {}
    noise = np.random.default_rng(1).integers(0, 256, (40, 40, 4), np.uint8)
    Image.fromarray(noise).save(path)
    assert texts_of(path) == {}


def test_entities_in_xmp_are_not_expanded(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    packet = f'{bomb}<x:xmpmeta xmlns:x="adobe:ns:meta/"><UserComment>&b;</UserComment></x:xmpmeta>'
    xmp(packet, "JPEG")(path)

    assert find_generation(texts_of(path)) is None


def test_a_comment_of_a_camera_is_no_settings(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    exif("Holiday: Steps to the sea, 2024")(path)

    assert texts_of(path) == {}
    assert find_generation({"parameters": "Steps: 3 to the sea"}) is None
    assert find_generation({"parameters": "a picture of mine"}) is None


def test_a_field_that_is_repeated_without_end_ends_the_reading() -> None:
    """Else each of a million fields would cost the length of the text before it."""
    assert parse_fields("a: [, " * 600 + "b: 2") == {"a": "["}


def test_numbers_of_novelai_may_be_texts() -> None:
    content = {"prompt": "a fox", "steps": 2, "sampler": "k_euler", "cfg_rescale": "0.2"}
    texts = {"Software": "NovelAI", "Comment": json.dumps(content)}
    generation = find_generation(texts)
    assert generation is not None
    assert any("rescaled (0.2)" in line for line in generation.findings)
