"""A signature of a node type, written as text."""

from __future__ import annotations

import pytest

from nodegraph.interop.comfyui.entries import parse_signature


def test_inputs_defaults_and_outputs_are_read():
    signature = parse_signature(
        'KSampler(model: MODEL, seed: INT = 0 @control, name: COMBO = "a, b", vae: VAE?) -> LATENT'
    )
    assert signature.type == "KSampler"
    assert [taken.name for taken in signature.inputs] == ["model", "seed", "name", "vae"]
    assert [taken.name for taken in signature.widgets] == ["seed", "name"]
    assert signature.by_name["seed"].extra == "control"
    assert signature.by_name["name"].default == "a, b"
    assert signature.by_name["vae"].is_optional
    assert signature.outputs == (("LATENT", "LATENT"),)


def test_outputs_have_names_or_are_named_by_their_types():
    signature = parse_signature("Sizes(image: IMAGE) -> width: INT, height: INT, IMAGE")
    assert signature.outputs == (("width", "INT"), ("height", "INT"), ("IMAGE", "IMAGE"))
    assert signature.slot("height") == 1


def test_nothing_taken_or_given():
    assert parse_signature("DisableNoise() -> NOISE").inputs == ()
    assert parse_signature("SaveImage(images: IMAGE)").outputs == ()


@pytest.mark.parametrize("line", ["", "KSampler", "K(model MODEL)", "K(seed: INT = x)"])
def test_what_is_no_signature_is_refused(line: str):
    with pytest.raises(ValueError, match=r"signature|Expecting"):
        parse_signature(line)
