"""Embeddings in few bits: only the rows that are looked up are dequantized, to the very numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from safetensors.torch import save_file
from torch import Tensor, nn

from nodegraph.core.values import TextEncoder
from nodegraph.diffusion import encode_prompt, estimate_bytes, load_component, open_model
from nodegraph.models.adapters.adapter_files import read_inversion
from nodegraph.models.adapters.inversions import with_trainable_token
from nodegraph.models.adapters.layer_changes import LowRank, with_changes
from nodegraph.models.adapters.recipes import with_inversion
from nodegraph.models.derived_components import derive
from nodegraph.models.language.text_generation import with_lm_head
from nodegraph.models.offloading import offload_layers
from nodegraph.models.text_encoder_files import open_text_encoder
from nodegraph.residency import component_bytes
from nodegraph.weights.precision.module_quantization import apply_storage
from nodegraph.weights.precision.quantized_weights import (
    NumberFormat,
    Parts,
    dequantize,
    quantized_shape,
)
from nodegraph.weights.weight_files import read_tensors
from tests.accelerator.card import Card
from tests.diffusion.adapters import files
from tests.diffusion.families.language_files import qwen3, text_file
from tests.diffusion.families.text_files import clip, clip_file, named, t5, write

from .conftest import Rewritten, in_float8, scaled, widened_by_hand
from .gguf_files import everywhere, write_gguf
from .packed_files import FORMS, Packed, layer_tensors, pack_matrices
from .test_packed_vaes import float8, int8, packed

ROWS, COLUMNS = 130, 96
FORMATS: dict[str, Callable[[Tensor], Packed]] = {"float8": float8, "int8": int8, **FORMS}


def numbers() -> Tensor:
    return torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(0))


def table_of(weight: Tensor, kind: Any = nn.Embedding, *more: Any) -> Any:
    """A module with an embedding that is held as a file has it."""
    table = kind(ROWS, COLUMNS, *more)
    table.weight = nn.Parameter(weight, requires_grad=False)
    module = nn.ModuleDict({"table": table})
    apply_storage(module, "stored", torch.float32)
    return module["table"]


def read(folder: Path, form: str) -> Tensor:
    path = folder / "table.safetensors"
    save_file(layer_tensors("table", FORMATS[form](numbers().double())), path)
    return read_tensors([path], "float32", as_stored=True)["table.weight"]


@pytest.mark.parametrize("form", FORMATS)
def test_rows_are_those_of_the_widened_table(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weight = read(tmp_path, form)
    expected, held = dequantize(weight), table_of(weight)
    assert quantized_shape(held) == (ROWS, COLUMNS)
    shapes = watched(monkeypatch, type(held.holding.format))
    for ids in (torch.tensor([[3, 129, 3], [0, 1, 2]]), torch.tensor(7), torch.arange(ROWS)):
        shapes.clear()
        found = held(ids)
        assert torch.equal(found, nn.functional.embedding(ids, expected))
        assert shapes == [(ids.numel(), COLUMNS)]
    assert held(torch.zeros(2, 0, dtype=torch.int64)).shape == (2, 0, COLUMNS)
    # the whole table is there for whoever needs it
    assert torch.equal(nn.functional.linear(expected, held.weight), expected @ expected.T)
    held_bytes = sum(item.nbytes for name, item in held.named_parameters() if name != "pairs")
    assert held_bytes < 0.4 * expected.nbytes


def watched(monkeypatch: pytest.MonkeyPatch, kind: type[NumberFormat]) -> list[tuple[int, ...]]:
    """The shapes of all that is dequantized from now on."""
    shapes: list[tuple[int, ...]] = []
    plain = kind.dequantize

    def dequantized(self: Any, parts: Parts, shape: Any, dtype: torch.dtype) -> Tensor:
        shapes.append(tuple(shape))
        return plain(self, parts, shape, dtype)

    monkeypatch.setattr(kind, "dequantize", dequantized)
    return shapes


def test_rows_of_gguf_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "table.gguf"
    write_gguf(path, {"table.weight": numbers()}, everywhere("Q4_0"))
    weight = read_tensors([path], "float32", as_stored=True)["table.weight"]
    expected, held = dequantize(weight), table_of(weight)
    shapes = watched(monkeypatch, type(held.holding.format))
    ids = torch.tensor([5, 99, 5])
    assert torch.equal(held(ids), expected[ids])
    assert shapes == [(3, COLUMNS)]


def test_tables_that_scale_what_they_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Gemma's, which asks its weight for a type."""
    from transformers.models.gemma3.modeling_gemma3 import Gemma3TextScaledWordEmbedding

    weight = read(tmp_path, "int8")
    expected = dequantize(weight)
    held = table_of(weight, Gemma3TextScaledWordEmbedding, 0, 8.0)
    shapes = watched(monkeypatch, type(held.holding.format))
    ids = torch.tensor([1, 5])
    assert torch.equal(held(ids), expected[ids] * 8)
    assert shapes == [(2, COLUMNS)]


def test_a_table_and_a_head_of_one_weight_share_it(tmp_path: Path) -> None:
    weight = read(tmp_path, "w4a8")
    module = nn.ModuleDict({"table": nn.Embedding(ROWS, COLUMNS), "head": nn.Linear(1, 1, False)})
    shared = nn.Parameter(weight, requires_grad=False)
    module["table"].weight = module["head"].weight = shared
    apply_storage(module, "stored", torch.float32)
    table, head = module["table"], module["head"]
    assert all(head._parameters[name] is table._parameters[name] for name in head.holding.types)
    assert torch.equal(head.weight, dequantize(weight))
    assert component_bytes(module) < 0.4 * dequantize(weight).nbytes


def test_a_weight_that_another_kind_of_layer_shares_is_widened(tmp_path: Path) -> None:
    weight = read(tmp_path, "int8")
    norm = nn.LayerNorm(1)
    module = nn.ModuleDict({"table": nn.Embedding(ROWS, COLUMNS), "other": norm})
    module["table"].weight = norm.weight = nn.Parameter(weight, requires_grad=False)
    apply_storage(module, "stored", torch.float32)
    assert module["table"].weight is norm.weight
    assert torch.equal(norm.weight, dequantize(weight))


def test_a_changed_table_is_widened_alone(tmp_path: Path) -> None:
    weight = read(tmp_path, "int8")
    held, ids = table_of(weight), torch.tensor([4, 9])
    change = LowRank(torch.randn(2, COLUMNS), torch.randn(ROWS, 2))
    changed = with_changes(nn.ModuleDict({"table": held}), {"table": [change]})["table"]
    plain = nn.ModuleDict({"table": nn.Embedding.from_pretrained(dequantize(weight))})
    assert torch.equal(changed(ids), with_changes(plain, {"table": [change]})["table"](ids))
    assert quantized_shape(held) == (ROWS, COLUMNS)
    assert quantized_shape(changed) is None


@pytest.mark.gpu
def test_a_table_is_offloaded_as_it_is_stored(tmp_path: Path, card: Card) -> None:
    held, ids = table_of(read(tmp_path, "int8")), torch.tensor([4, 9])
    module = nn.Sequential(held, nn.Linear(COLUMNS, 4, bias=False)).requires_grad_(False)
    with torch.no_grad(), offload_layers({"net": module}, "cuda:0") as brought:
        card.assert_as_on_cpu(brought.modules["net"](ids.to("cuda:0")), module(ids))


Files = tuple[Mapping[str, Tensor], Mapping[str, Tensor]]


def encoders(family: str, pairs: Mapping[str, Files], folder: Path) -> tuple[Any, Any]:
    """The text encoder of packed files and that of their numbers, with their recipes."""
    found = []
    for at, name in enumerate(("narrow", "wide")):
        (folder / name).mkdir()
        chosen = {}
        for port, files_of in pairs.items():
            chosen[port] = str(write(folder / name / f"{port}.safetensors", dict(files_of[at])))
        recipe = open_text_encoder(family, chosen, [folder], dtype="float32")
        found.append((recipe, load_component(recipe, "cpu")))
    return found[0], found[1]


def embeddings(component: Any, text: str = "a red apple") -> Tensor:
    return encode_prompt(component, text).entries[0].embeddings


def assert_small(found: tuple[TextEncoder, Any], expected: tuple[TextEncoder, Any]) -> None:
    """Its bytes are those that were estimated, and about those of the file."""
    (recipe, component), (_, wide) = found, expected
    assert component_bytes(component) == pytest.approx(estimate_bytes(recipe), rel=0.12)
    assert component_bytes(component) < 0.35 * component_bytes(wide)


def test_the_words_of_clip_and_t5_stay_packed(tmp_path: Path) -> None:
    plain = {"clip_l": clip_file(clip()), "t5xxl": named(t5())}
    pairs = {
        "clip_l": pack_matrices(plain["clip_l"], FORMS["int8 with convrot"]),
        "t5xxl": (scaled(plain["t5xxl"]), widened_by_hand(scaled(plain["t5xxl"]))),
    }
    found, expected = encoders("flux", pairs, tmp_path)

    assert torch.equal(embeddings(found[1]), embeddings(expected[1]))
    assert_small(found, expected)
    for module in found[1].modules.values():
        assert quantized_shape(module.get_input_embeddings())


@pytest.mark.slow
def test_a_head_writes_by_packed_words(tmp_path: Path) -> None:
    files_of = packed(text_file(qwen3(tf.Qwen3Model)), int8)
    found, expected = encoders("anima", {"qwen": files_of}, tmp_path)
    heads = [
        with_lm_head(component.modules["text_encoder"], recipe, "text_encoder")
        for recipe, component in (found, expected)
    ]
    table = heads[0].get_input_embeddings()
    assert quantized_shape(table)
    assert heads[0].lm_head.stored is table.stored
    ids = torch.tensor([[1, 5, 9]])
    with torch.no_grad():
        assert torch.equal(heads[0](ids).logits, heads[1](ids).logits)


def test_a_word_of_an_inversion_is_known_beside_packed_ones(
    sd1_folder: Path, rewritten: Rewritten, tmp_path: Path
) -> None:
    torch.manual_seed(3)
    path = files.saved({"<cat>": torch.randn(2, 32)}, tmp_path / "cat.safetensors")
    folder = rewritten(sd1_folder, in_float8)
    wide = rewritten(folder, widened_by_hand)
    found = []
    for source in (folder, wide):
        recipe = open_model(str(source), []).text_encoder
        base: Any = load_component(recipe, "cpu")
        named_recipe = with_inversion(recipe, read_inversion(path), "<cat>")
        component = derive(base, named_recipe)
        learning, learnt = with_trainable_token(
            component, "<dog>", {"text_encoder": torch.ones(1, 32)}
        )
        found.append(
            [
                embeddings(component, "a <cat>"),
                embeddings(component, "a cat"),
                embeddings(learning, "a <dog> and <cat>"),
            ]
        )
        held = quantized_shape(component.modules["text_encoder"].get_input_embeddings())
        assert bool(held) == (source == folder)
        assert learnt["text_encoder"].requires_grad
    assert all(map(torch.equal, *found))
    assert not torch.equal(found[0][0], found[0][1])


def test_packed_words_with_an_added_one_are_changed_as_plain_ones_are(
    sd1_folder: Path, rewritten: Rewritten
) -> None:
    folder = rewritten(sd1_folder, in_float8)
    found = []
    for source in (folder, rewritten(folder, widened_by_hand)):
        base: Any = load_component(open_model(str(source), []).text_encoder, "cpu")
        learning, _ = with_trainable_token(base, "<dog>", {"text_encoder": torch.ones(1, 32)})
        module = learning.modules["text_encoder"]
        table = module.get_input_embeddings()
        path = next(name for name, layer in module.named_modules() if layer is table)
        torch.manual_seed(1)
        change = LowRank(torch.randn(2, 32), torch.randn(table.num_embeddings, 2))
        changed: Any = with_changes(module, {path: [change]}).get_input_embeddings()
        ids = torch.tensor([[4, 9, table.first]])
        with torch.no_grad():
            found.append(changed(ids))
            assert not torch.equal(found[-1], table(ids))
        assert torch.equal(found[-1][0, 2], torch.ones(32))
    assert torch.equal(*found)
