"""GGUF files: told from their headers, kept as they are, computed with as what they stand for."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import DiffusionModel
from nodegraph.diffusion import estimate_bytes, list_models, load_component
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.models.adapters.layer_matching import recipe_layers
from nodegraph.models.denoiser_files import DenoiserRequest, denoiser_bytes, open_denoiser
from nodegraph.models.loading import compact_bytes
from nodegraph.models.model_sources import locate_model
from nodegraph.residency import component_bytes
from nodegraph.weights.gguf_files import BLOCKS, TYPES, read_gguf_header
from nodegraph.weights.precision.quantized_weights import GgufBlocks
from nodegraph.weights.weight_files import read_tensors
from tests.accelerator.card import Card
from tests.diffusion.single_files import double_stream
from tests.diffusion.single_files.models import SMALL
from tests.diffusion.single_files.originals import WRITERS
from tests.messages import raises

from .conftest import scaled, widened_by_hand
from .gguf_files import everywhere, write_gguf

gguf = pytest.importorskip("gguf")

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")


def flux() -> dict[str, Tensor]:
    """A small Flux.1 in its original names, whose rows are whole blocks."""
    import diffusers

    torch.manual_seed(0)
    net: Any = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=64,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=128,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=True,
    )
    return double_stream.flux(net.state_dict())


def original(name: str) -> dict[str, Tensor]:
    if name == "flux":
        return flux()
    torch.manual_seed(0)
    return WRITERS[SMALL[name].writer](SMALL[name].build().state_dict())


def opened(path: Path, **options: Any) -> DiffusionModel:
    return open_denoiser(DenoiserRequest(str(path)), [], **options)


def assert_same_weights(found: Any, expected: Any) -> None:
    for name, item in expected.named_parameters():
        if not name.startswith("_"):
            assert torch.equal(attrgetter(name)(found), item), name


QUICK = ("wan", "sana", "qwen-image")


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("flux", "gguf"),
        ("flux", "float8"),
        *((name, "gguf") for name in QUICK),
        *(
            pytest.param(name, form, marks=pytest.mark.slow)
            for name in SMALL
            for form in ("gguf", "float8")
            if form == "float8" or name not in QUICK
        ),
    ],
)
def test_denoisers_of_every_family_are_kept_as_their_files_have_them(
    name: str, form: str, tmp_path: Path
) -> None:
    tensors = {key: item.contiguous() for key, item in original(name).items()}
    whole, narrow = tmp_path / "whole.safetensors", tmp_path / f"narrow.{form}"
    if form == "gguf":
        save_file(write_gguf(narrow, tensors, everywhere("Q8_0")), whole)
    else:
        narrow = narrow.with_suffix(".safetensors")
        save_file(scaled(tensors), narrow)
        save_file(widened_by_hand(scaled(tensors)), whole)
    recipe = opened(narrow)

    component = load_component(recipe, "cpu")

    expected = load_component(opened(whole), "cpu")
    assert_same_weights(component.module, expected.module)
    assert component.dtype == torch.float32
    # Beside tables that are computed, such as those of places.
    held = sum(item.nbytes for item in component.module.parameters())
    assert held == pytest.approx(estimate_bytes(recipe), rel=0.1)
    assert component_bytes(component) < component_bytes(expected)
    layers, usual = recipe_layers(recipe), recipe_layers(opened(whole))
    assert layers == usual


@pytest.mark.parametrize(
    "kind",
    [
        "Q8_0",
        "BF16",
        *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("Q4_0", "Q5_1", "F16", "F32")),
    ],
)
def test_flux_computes_with_what_its_file_stands_for(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "flux.gguf"
    save_file(write_gguf(path, flux(), everywhere(kind)), tmp_path / "flux.safetensors")
    inputs = {
        "hidden_states": torch.randn(1, 4, 64),
        "encoder_hidden_states": torch.randn(1, 3, 32),
        "pooled_projections": torch.randn(1, 32),
        "timestep": torch.tensor([0.5]),
        "guidance": torch.tensor([3.5]),
        "img_ids": torch.zeros(4, 3),
        "txt_ids": torch.zeros(3, 3),
    }

    found, expected = (
        load_component(opened(tmp_path / name), "cpu").module(**inputs).sample
        for name in ("flux.gguf", "flux.safetensors")
    )

    assert torch.equal(found, expected)


def test_what_it_is_opened_as(tmp_path: Path) -> None:
    path = tmp_path / "flux.gguf"
    write_gguf(path, flux(), everywhere("Q4_0"))

    there, here, full = (
        opened(path, device="cuda:0"),
        opened(path),
        opened(path, storage="full"),
    )

    assert (there.dtype, here.dtype, full.dtype) == ("bfloat16", "float32", "float32")
    assert (here.option("storage"), full.option("storage")) == ("stored", "")
    assert compact_bytes(here) is None
    assert denoiser_bytes(DenoiserRequest(str(path)), []) == estimate_bytes(here)
    assert estimate_bytes(here) < 0.2 * estimate_bytes(full)
    assert component_bytes(load_component(full, "cpu")) == estimate_bytes(full)


def test_it_is_listed_and_told_which_node_takes_it(tmp_path: Path) -> None:
    write_gguf(tmp_path / "flux.gguf", flux(), everywhere("Q8_0"))

    (found,) = [item for item in list_models([tmp_path]) if item.name == "flux.gguf"]

    assert (found.family, found.node) == ("flux", "LoadDiffusionModel")
    with raises(InvalidFile):
        locate_model("flux", [tmp_path])


@pytest.mark.parametrize("kind", BLOCKS)
def test_blocks_are_read_as_the_library_reads_them(kind: str) -> None:
    block, size = BLOCKS[kind]
    stored = drawn_blocks(kind, 64)
    expected = gguf.dequantize(stored.numpy(), gguf.GGMLQuantizationType[kind])

    found = GgufBlocks(kind).dequantize({"stored": stored}, (64, 4 * block), torch.float32)

    assert gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]] == (block, size)
    wanted = torch.from_numpy(expected.copy())
    assert wanted.isfinite().all()
    # beyond what float16 holds
    assert wanted.abs().max() > 1e5
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)


def drawn_blocks(kind: str, rows: int) -> Tensor:
    """Blocks of random bytes, (rows, 4 blocks), whose factors are any float16 number: of any size
    and sign, but neither infinite nor NaN."""
    _, size = BLOCKS[kind]
    drawing = torch.Generator().manual_seed(0)
    stored = torch.randint(0, 256, (rows, 4 * size), dtype=torch.uint8, generator=drawing)
    for at in FACTORS[kind]:
        # the upper byte of a factor; its exponent isn't all ones
        stored.view(-1, size)[:, at] &= 0xFB
    return stored


FACTORS = {
    **dict.fromkeys(("Q4_0", "Q5_0", "Q8_0", "IQ4_NL", "IQ4_XS"), (1,)),
    **dict.fromkeys(("Q4_1", "Q5_1", "Q4_K", "Q5_K"), (1, 3)),
    **dict.fromkeys(("Q3_K", "Q6_K"), (-1,)),
    "Q2_K": (-1, -3),
}


@pytest.mark.gpu
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=() if kind in ("Q8_0", "Q4_K") else pytest.mark.slow)
        for kind in BLOCKS
    ],
)
def test_an_accelerator_reads_the_same_blocks(kind: str, card: Card) -> None:
    block, _ = BLOCKS[kind]
    stored = drawn_blocks(kind, 64)
    form, shape = GgufBlocks(kind), (64, 4 * block)

    found = form.dequantize({"stored": stored.to("cuda:0")}, shape, torch.bfloat16)

    assert found.device.type == "cuda"
    assert torch.equal(found.cpu(), form.dequantize({"stored": stored}, shape, torch.bfloat16))


def test_the_types_are_those_of_the_library() -> None:
    assert {number: gguf.GGMLQuantizationType(number).name for number in TYPES} == TYPES


def test_tensors_that_were_reshaped_have_their_own_shape(tmp_path: Path) -> None:
    path, weight = tmp_path / "odd.gguf", torch.randn(4, 8, 3, 3)
    writer = gguf.GGUFWriter(str(path), "sd1")
    writer.add_array("comfy.gguf.orig_shape.conv.weight", [4, 8, 3, 3])
    stored = gguf.quantize(weight.reshape(-1, 32).numpy(), gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("conv.weight", stored, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    write(writer)

    found = read_tensors([path], "float32", as_stored=True)["conv.weight"]

    assert read_gguf_header(path).shapes == {"conv.weight": (4, 8, 3, 3)}
    assert (found - weight).abs().max() < 0.02


def write(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def small(path: Path) -> Path:
    write_gguf(path, {"a.weight": torch.randn(4, 32)}, everywhere("Q8_0"), author="someone")
    return path


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "no GGUF": (lambda data: b"GGML" + data[4:], "does not start with the GGUF"),
    "pointer": (
        lambda data: b"version https://git-lfs.github.com/spec/v1",
        "not a GGUF file, but a Git LFS pointer",
    ),
    "page": (lambda data: b"<!DOCTYPE html>", "not a GGUF file, but a web page"),
    "empty": (lambda data: b"", "truncated inside its header"),
    "cut": (lambda data: data[:-40], r"truncated before the end of a\.weight"),
    "cut in the header": (lambda data: data[:60], "truncated inside its header"),
    "old": (lambda data: data[:4] + struct.pack("<I", 1) + data[8:], "GGUF file of version 1"),
    "big-endian": (lambda data: data[:4] + struct.pack(">I", 3) + data[8:], "of version"),
    "many": (lambda data: data[:8] + struct.pack("<Q", 2**60) + data[16:], "GGUF file"),
    "iq2": (
        lambda data: data.replace(struct.pack("<QI", 4, 8), struct.pack("<QI", 4, 17)),
        r"holds a\.weight as IQ2_XS, which is not supported",
    ),
}


def entry(name: str, kind: int, content: bytes) -> Callable[[bytes], bytes]:
    """Puts one more entry before those of a file."""
    written = struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", kind) + content

    def change(data: bytes) -> bytes:
        (count,) = struct.unpack("<Q", data[16:24])
        return data[:16] + struct.pack("<Q", count + 1) + written + data[24:]

    return change


UINT32, INT32, STRING, ARRAY = 4, 5, 8, 9
WORD = struct.pack("<Q", 3) + b"abc"
DAMAGES |= {
    "deep": (
        entry("a", ARRAY, struct.pack("<IQ", ARRAY, 1) * 10_000),
        "does not follow the format",
    ),
    "parts of text": (entry("split.count", STRING, WORD), "does not follow the format"),
    "aligned to text": (entry("general.alignment", STRING, WORD), "does not follow the format"),
    "aligned to a list": (
        entry("general.alignment", ARRAY, struct.pack("<IQI", UINT32, 1, 32)),
        "does not follow the format",
    ),
    "aligned backwards": (
        entry("general.alignment", INT32, struct.pack("<i", -32)),
        "multiples of -32",
    ),
    "no rows": (
        lambda data: data.replace(struct.pack("<QQ", 32, 4), struct.pack("<QQ", 32, 0)),
        "a.weight has 0 numbers",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_is_damaged_or_not_known_is_told(damage: str, tmp_path: Path) -> None:
    path = small(tmp_path / "small.gguf")
    change, message = DAMAGES[damage]
    path.write_bytes(change(path.read_bytes()))

    with pytest.raises(InvalidFile, match=message):
        read_gguf_header(path)


def test_shapes_are_counted_upwards(tmp_path: Path) -> None:
    path = small(tmp_path / "small.gguf")
    told = entry("comfy.gguf.orig_shape.a.weight", ARRAY, struct.pack("<IQii", INT32, 2, -4, -32))
    path.write_bytes(told(path.read_bytes()))

    assert read_gguf_header(path).shapes == {"a.weight": (4, 32)}


def test_long_lists_are_not_kept(tmp_path: Path) -> None:
    path, count = small(tmp_path / "small.gguf"), 1_000_000
    for change in (
        entry("a", ARRAY, struct.pack("<IQ", UINT32, count) + bytes(4 * count)),
        entry("b", ARRAY, struct.pack("<IQ", STRING, 50_000) + WORD * 50_000),
    ):
        path.write_bytes(change(path.read_bytes()))

    tracemalloc.start()
    try:
        found = read_gguf_header(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert found.shapes == {"a.weight": (4, 32)}
    assert most < 2 * 4 * count


def test_one_of_several_parts_is_told(tmp_path: Path) -> None:
    path = tmp_path / "part.gguf"
    writer = gguf.GGUFWriter(str(path), "flux")
    writer.add_uint16("split.count", 2)
    write(writer)

    with raises(InvalidFile):
        read_gguf_header(path)


def test_the_metadata_is_what_is_short(tmp_path: Path) -> None:
    header = read_gguf_header(small(tmp_path / "small.gguf"))

    assert header.metadata["general.architecture"] == "flux"
    assert header.metadata["author"] == "someone"
    assert header.dtypes == {"a.weight": "Q8_0"}


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "flux.gguf"
    write_gguf(path, flux(), everywhere("Q8_0"))
    monkeypatch.setattr("nodegraph.weights.gguf_files.find_spec", lambda name: None)

    with raises(InvalidValue):
        opened(path)
