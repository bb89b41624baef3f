"""ComfyUI's tensor functions against plain torch and Pillow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nodegraph.errors import UnsafeFile
from nodegraph.interop.comfyui.packs.stand_ins import comfy_utils as utils


def pictures(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("method", ["area", "bilinear", "bicubic", "nearest-exact"])
def test_resizing_is_torchs(method: str) -> None:
    images = pictures(2, 3, 20, 30)
    made = utils.common_upscale(images, 45, 10, method, "disabled")
    expected = torch.nn.functional.interpolate(images, size=(10, 45), mode=method)
    assert torch.equal(made, expected)


def test_lanczos_is_pillows_in_eight_bits() -> None:
    images = pictures(1, 3, 20, 30)
    made = utils.common_upscale(images, 45, 10, "lanczos", "disabled")
    pixels = (images[0].movedim(0, -1).numpy() * 255).astype(np.uint8)
    expected = np.array(Image.fromarray(pixels).resize((45, 10), Image.Resampling.LANCZOS))
    assert torch.equal(made[0].movedim(0, -1), torch.from_numpy(expected).float() / 255)


def test_center_crop_keeps_the_middle_of_the_longer_side() -> None:
    images = pictures(1, 3, 20, 60)
    made = utils.common_upscale(images, 20, 20, "nearest-exact", "center")
    assert torch.equal(made, images[..., 20:40])


def test_bislerp_keeps_lengths_on_the_arc() -> None:
    one, other = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
    latents = torch.stack([one, other], 1)[None, :, None, :]
    made = utils.common_upscale(latents, 4, 1, "bislerp", "disabled")
    assert torch.allclose(made.norm(dim=1), torch.tensor(2.0), atol=1e-6)
    angles = torch.atan2(made[0, 1, 0], made[0, 0, 0])
    assert torch.allclose(angles, torch.tensor([0, 0.25, 0.75, 1]) * torch.pi / 2, atol=1e-6)


def test_frames_of_videos_are_resized_one_by_one() -> None:
    video = pictures(1, 3, 4, 8, 8)
    made = utils.common_upscale(video, 4, 4, "area", "disabled")
    assert made.shape == (1, 3, 4, 4, 4)
    frame = torch.nn.functional.interpolate(video[:, :, 2], size=(4, 4), mode="area")
    assert torch.equal(made[:, :, 2], frame)


def test_tiles_of_a_local_function_join_to_the_whole() -> None:
    images = pictures(2, 3, 70, 50)

    def double(part: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.interpolate(part, scale_factor=2, mode="nearest")

    steps = []
    bar = type("Bar", (), {"update": lambda self, count: steps.append(count)})()
    made = utils.tiled_scale(images, double, 32, 32, 8, upscale_amount=2, pbar=bar)
    assert torch.allclose(made, double(images), atol=1e-6)
    assert len(steps) == 2 * utils.get_tiled_scale_steps(50, 70, 32, 32, 8)


def test_batches_are_cut_and_repeated() -> None:
    batch = torch.arange(3.0)[:, None]
    assert utils.repeat_to_batch_size(batch, 5)[:, 0].tolist() == [0, 1, 2, 0, 1]
    assert utils.repeat_to_batch_size(batch, 2)[:, 0].tolist() == [0, 1]


def test_attributes_are_reached_by_dotted_names() -> None:
    layer = torch.nn.Sequential(torch.nn.Linear(2, 2))
    assert utils.get_attr(layer, "0.bias") is layer[0].bias
    before = utils.set_attr(layer, "0.out_features", 7)
    assert (before, layer[0].out_features) == (2, 7)


def test_prefixes_of_state_dicts() -> None:
    sd = {"model.a": 1, "model.b": 2, "other": 3}
    assert utils.state_dict_prefix_replace(dict(sd), {"model.": "x."}, filter_keys=True) == {
        "x.a": 1,
        "x.b": 2,
    }
    assert utils.state_dict_prefix_replace(dict(sd), {"model.": ""}) == {"a": 1, "b": 2, "other": 3}


def test_files_keep_tensors_and_metadata(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    utils.save_torch_file({"w": torch.ones(2)}, str(path), {"made": "here"})
    sd, metadata = utils.load_torch_file(str(path), return_metadata=True)
    assert metadata == {"made": "here"}
    assert sd["w"].tolist() == [1, 1]
    assert sd.is_original
    sd["w"] = torch.zeros(2)
    assert not sd.is_original
    header = utils.safetensors_header(str(path))
    assert header is not None
    assert b'"made":"here"' in header


class Harm:
    """What a pickle may hold."""


def test_pickles_run_no_code(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    torch.save({"state_dict": {"w": torch.ones(2)}}, path)
    assert utils.load_torch_file(str(path))["w"].tolist() == [1, 1]
    torch.save({"w": Harm()}, path)
    with pytest.raises(UnsafeFile, match="could run code"):
        utils.load_torch_file(str(path))


def test_values_of_prompts_are_set_on_copies() -> None:
    prompts = [[torch.ones(1), {"a": [1]}]]
    changed = utils.conditioning_set_values(prompts, {"a": [2], "b": 3}, append=True)
    assert changed[0][1] == {"a": [1, 2], "b": 3}
    assert prompts[0][1] == {"a": [1]}
