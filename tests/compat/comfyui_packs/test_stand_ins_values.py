"""Values over the border: what crosses comes back the same, and what cannot is refused by name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
import torch

from nodegraph.core.values import (
    Adapter,
    Area,
    Audio,
    Conditioning,
    ConditioningEntry,
    Grounding,
    Latent,
    Leftover,
    ScheduledAdapter,
    StepSpan,
    TextBox,
    Video,
)
from nodegraph.errors import InvalidValue
from nodegraph.families.registry import get_family
from nodegraph.interop.comfyui.packs import latents
from nodegraph.interop.comfyui.packs.border import from_comfy, to_comfy


@pytest.fixture(autouse=True)
def _a_call(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    latents.forget_formats()
    monkeypatch.setattr(latents, "MEMORY", latents.LatentMemory())
    yield
    latents.forget_formats()


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(2))


def latent(**changes: Any) -> Latent:
    return replace(Latent(noise(2, 4, 4, 6), 48, 32, 2, format="sd"), **changes)


def same(one: Latent, other: Latent) -> bool:
    assert one.samples is not None
    assert other.samples is not None
    plain = replace(one, samples=None, leftover=None, noise_mask=None)
    return torch.equal(one.samples, other.samples) and plain == replace(
        other, samples=None, leftover=None, noise_mask=None
    )


@pytest.mark.parametrize("name", ["sd", "sdxl", "flux", "wan", "qwen-image", "flux2"])
def test_a_latent_that_nobody_changed_is_the_same_to_the_last_bit(name: str) -> None:
    channels = latents.get_latent_format(name).channels
    cell = latents.get_latent_format(name).spatial
    frames = (1,) if name == "wan" else ()
    value = Latent(noise(2, channels, *frames, 4, 6), 6 * cell, 4 * cell, 2, format=name)
    there = to_comfy(value, "LATENT")
    assert same(from_comfy({"samples": there["samples"].clone()}, "LATENT"), value)


def test_latents_have_the_scale_of_comfyui() -> None:
    there = to_comfy(latent(), "LATENT")
    assert torch.allclose(there["samples"] * 0.18215, noise(2, 4, 4, 6))
    flux = Latent(noise(1, 16, 4, 4), 32, 32, format="flux")
    expected = noise(1, 16, 4, 4) / 0.3611 + 0.1159
    assert torch.equal(to_comfy(flux, "LATENT")["samples"], expected)


def test_a_changed_latent_keeps_format_mask_and_places() -> None:
    mask = torch.zeros(1, 32, 48)
    mask[:, :16] = 1
    value = latent(noise_mask=mask, batch_index=(3, 5), gradual=0.5)
    there = to_comfy(value, "LATENT")
    assert there["noise_mask"].shape == (1, 1, 32, 48)
    back = from_comfy({**there, "samples": there["samples"] + 1}, "LATENT")
    assert back.samples is not None
    assert value.samples is not None
    assert torch.allclose(back.samples, value.samples + 0.18215, atol=1e-6)
    assert torch.equal(back.noise_mask, mask)
    assert (back.format, back.batch_index, back.gradual) == ("sd", (3, 5), 0.5)


def test_leftover_noise_is_known_again() -> None:
    value = latent(leftover=Leftover(2.5, "exploding"))
    back = from_comfy(to_comfy(value, "LATENT"), "LATENT")
    assert back.leftover == value.leftover


def test_an_empty_latent_is_zeros_there() -> None:
    there = to_comfy(Latent(None, 64, 32, 3), "LATENT")
    assert there["samples"].shape == (3, 4, 4, 8)
    assert from_comfy(there, "LATENT") == Latent(None, 64, 32, 3)


def test_a_latent_of_no_known_format_gets_its_scale_from_what_uses_it() -> None:
    value = from_comfy({"samples": noise(1, 4, 4, 4)}, "LATENT")
    assert (value.format, value.width) == (latents.UNKNOWN_FORMAT, 32)
    there = to_comfy(value, "LATENT")
    assert torch.equal(there["samples"], noise(1, 4, 4, 4))
    latents.note_format("sdxl")
    back = from_comfy(there, "LATENT")
    assert back.format == "sdxl"
    assert torch.allclose(back.samples, noise(1, 4, 4, 4) * 0.13025)


LAYERS = ScheduledAdapter(Adapter("gligen", "layers.safetensors", "0"), end=0.5)
EMBEDDING = torch.ones(1, 8)


def prompt(**changes: Any) -> Conditioning:
    tensors = {"embeddings": noise(1, 7, 8), "pooled": noise(1, 5)}
    entry = replace(ConditioningEntry(tensors), **changes)
    return Conditioning((entry,), "sdxl", ConditioningEntry({"embeddings": torch.zeros(1, 7, 8)}))


def alike(one: Conditioning, other: Conditioning) -> bool:
    def plain(entry: ConditioningEntry) -> ConditioningEntry:
        return replace(entry, tensors={}, mask=None)

    pairs = list(zip(one.entries, other.entries, strict=True))
    tensors = all(
        first.tensors.keys() == second.tensors.keys()
        and all(torch.equal(item, second.tensors[name]) for name, item in first.tensors.items())
        for first, second in pairs
    )
    rest = all(plain(first) == plain(second) for first, second in pairs)
    return tensors and rest and one.family == other.family


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"strength": 0.5, "start": 0.2, "end": 0.7, "steps": StepSpan(1, 3)},
        {"areas": (Area(8, 16, 64, 32, "pixels", 64.0, "area"),)},
        {"areas": (Area(0.1, 0.2, 0.5, 0.4, "shares", 64.0, "area"),)},
        {"areas": (Area(0.1, 0.2, 0.5, 0.4, "shares", 0.1, "picture"),)},
        {"adapters": (LAYERS,), "is_fallback": True},
        {"grounding": Grounding(LAYERS, (TextBox(Area(0, 0, 32, 32, "pixels"), EMBEDDING),))},
    ],
)
def test_prompts_come_back_as_they_went(changes: dict[str, Any]) -> None:
    value = prompt(**changes)
    there = to_comfy(value, "CONDITIONING")
    assert torch.equal(there[0][1]["pooled_output"], value.entries[0].tensors["pooled"])
    back = from_comfy([[tensor, dict(values)] for tensor, values in there], "CONDITIONING")
    assert alike(back, value)
    assert back.unconditional is value.unconditional


def test_keys_that_packs_set_are_read() -> None:
    [[tensor, values]] = to_comfy(prompt(), "CONDITIONING")
    changed = {
        **values,
        "width": 1024,
        "height": 512,
        "crop_w": 8,
        "crop_h": 0,
        "target_width": 768,
        "target_height": 640,
        "guidance": 3.5,
        "area": (4, 8, 1, 2),
        "mask": torch.ones(16, 16),
        "mask_strength": 0.5,
        "start_percent": 0.25,
        "uuid": "x",
    }
    entry = from_comfy([[tensor, changed]], "CONDITIONING").entries[0]
    assert entry.tensors["original_size"].tolist() == [[512, 1024]]
    assert entry.tensors["target_size"].tolist() == [[640, 768]]
    assert float(entry.tensors["guidance"]) == 3.5
    assert entry.areas == (Area(16, 8, 64, 32, "pixels", 64.0, "area"),)
    assert torch.equal(entry.mask, torch.full((1, 16, 16), 0.5))
    assert entry.start == 0.25


@pytest.mark.parametrize("key", ["hooks", "gligen", "unclip_conditioning", "my_own"])
def test_keys_that_no_prompt_has_are_refused_by_name(key: str) -> None:
    [[tensor, values]] = to_comfy(prompt(), "CONDITIONING")
    with pytest.raises(InvalidValue, match=f"have no `{key}`"):
        from_comfy([[tensor, {**values, key: object()}]], "CONDITIONING")
    assert from_comfy([[tensor, {**values, key: None}]], "CONDITIONING").family == "sdxl"


@pytest.mark.parametrize("key", ["concat_latent_image", "concat_mask"])
def test_a_masked_image_needs_its_mask(key: str) -> None:
    [[tensor, values]] = to_comfy(prompt(), "CONDITIONING")
    with pytest.raises(InvalidValue, match=f"given: {key}"):
        from_comfy([[tensor, {**values, key: noise(1, 4, 8, 8)}]], "CONDITIONING")


@pytest.mark.parametrize(("family", "channels"), [("sd1", 4), ("flux", 16)])
def test_the_mask_of_a_masked_image_is_in_pixels_there(family: str, channels: int) -> None:
    mask = (noise(1, 1, 32, 48) > 0).float()
    form = get_family(family)
    hole = {"hole": noise(1, channels, 4, 6), "hole_mask": form.inpaint_mask(mask)}
    entry = ConditioningEntry({"embeddings": noise(1, 7, 8), **hole})
    [[tensor, values]] = to_comfy(Conditioning((entry,), family), "CONDITIONING")
    shown = values["concat_mask"]
    assert shown.shape == (1, 1, 32, 48)
    cells = torch.nn.functional.interpolate(mask, size=(4, 6))
    for changed, pixels in ((1 - shown, 1 - shown), (cells, cells.repeat_interleave(8, 2))):
        back = from_comfy([[tensor, {**values, "concat_mask": changed}]], "CONDITIONING")
        whole = pixels if changed is not cells else pixels.repeat_interleave(8, 3)
        assert torch.equal(back.entries[0].tensors["hole_mask"], form.inpaint_mask(whole))


def test_audio_and_video_come_back_as_they_went() -> None:
    audio = Audio(noise(2, 100), 44100)
    there = to_comfy(audio, "AUDIO")
    assert there["waveform"].shape == (1, 2, 100)
    back = from_comfy(there, "AUDIO")
    assert torch.equal(back.waveform, audio.waveform)
    video = Video(torch.rand(5, 4, 6, 3), Fraction(24000, 1001), audio)
    component = to_comfy(video, "VIDEO")
    assert component.get_dimensions() == (6, 4)
    again = from_comfy(component, "VIDEO")
    assert (again.rate, again.frames.shape) == (video.rate, video.frames.shape)
    with pytest.raises(InvalidValue, match="several waveforms"):
        from_comfy({"waveform": noise(2, 1, 10), "sample_rate": 8}, "AUDIO")


def test_masks_may_be_one_plane() -> None:
    assert from_comfy(torch.ones(4, 6), "MASK").shape == (1, 4, 6)
    assert from_comfy(torch.ones(2, 1, 4, 6), "MASK").shape == (2, 4, 6)
    assert from_comfy(torch.ones(4, 6), "IMAGE").shape == (1, 4, 6, 3)
    assert from_comfy(torch.ones(4, 6, 3), "IMAGE").shape == (1, 4, 6, 3)
    with pytest.raises(InvalidValue, match="returned an IMAGE that is no tensor"):
        from_comfy("picture", "IMAGE")


def test_sigmas_are_listed_levels() -> None:
    schedule = from_comfy(torch.tensor([4.0, 1.0, 0.0]), "SIGMAS")
    assert to_comfy(schedule, "SIGMAS").tolist() == [4, 1, 0]
    rising = from_comfy(torch.tensor([0.25, 1.0, 4.0]), "SIGMAS")
    assert rising.rises
    assert to_comfy(rising, "SIGMAS").tolist() == [0.25, 1, 4]
    assert to_comfy(schedule.flipped(), "SIGMAS").tolist() == pytest.approx([1e-4, 1, 4])


def test_objects_of_a_pack_are_no_models() -> None:
    with pytest.raises(InvalidValue, match="own object as MODEL"):
        from_comfy(object(), "MODEL")
