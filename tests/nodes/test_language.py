"""Texts that language models write, in a graph."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from nodegraph.models.language.token_sampling import TokenSampling
from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.language import qwen3_text
from tests.diffusion.families.test_z_image import z_image
from tests.diffusion.families.words import qwen_words
from tests.nodes.conftest import Bench, link


@pytest.fixture
def nodes(bench: Bench) -> dict[str, Any]:
    folder: Path = bench.folder / "models" / "z"
    random_pipeline(z_image).save_pretrained(folder)
    return {
        "load": {"type": "LoadModel", "inputs": {"model": "z"}},
        "ask": {
            "type": "GenerateText",
            "inputs": {
                "encoder": link("load.text_encoder"),
                "prompt": "a red cat",
                "max_tokens": 4,
            },
        },
    }


def test_what_is_written_is_kept_and_another_seed_writes_another(
    bench: Bench, nodes: dict[str, Any]
) -> None:
    first = bench.value(nodes, "ask.text")
    assert bench.run(nodes, "ask").nodes["ask"].status == "cached"
    nodes["ask"]["inputs"]["seed"] = 1
    assert bench.value(nodes, "ask.text") != first


def test_encoders_that_write_nothing_are_found_before_running(bench: Bench) -> None:
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "ask": {"type": "GenerateText", "inputs": {"encoder": link("load.text_encoder")}},
    }
    [problem] = bench.problems(nodes, "ask")
    assert (problem.node, problem.port) == ("ask", "encoder")


@pytest.fixture
def alone(bench: Bench) -> dict[str, Any]:
    folder = bench.folder / "models" / "small"
    torch.manual_seed(0)
    words = qwen_words()
    qwen3_text(words).eval().save_pretrained(folder)
    words.save_pretrained(folder)
    return {
        "load": {"type": "LoadLanguageModel", "inputs": {"model": "small"}},
        "ask": {
            "type": "GenerateText",
            "inputs": {"encoder": link("load"), "prompt": "a red cat", "max_tokens": 6},
        },
    }


def test_a_language_model_by_itself_answers_as_transformers(
    bench: Bench, alone: dict[str, Any]
) -> None:
    inputs = alone["ask"]["inputs"]
    inputs |= {"sampling": False, "system": "be kind"}
    found = bench.value(alone, "ask.text")
    folder = bench.folder / "models" / "small"
    words, stock = (kind.from_pretrained(folder) for kind in (AutoTokenizer, AutoModelForCausalLM))
    messages = [{"role": "system", "content": "be kind"}, {"role": "user", "content": "a red cat"}]
    given = words.apply_chat_template(
        messages,
        add_generation_prompt=True,
        enable_thinking=False,
        return_tensors="pt",
        return_dict=True,
    )
    tokens = stock.generate(**given, max_new_tokens=6, do_sample=False)
    expected = words.decode(tokens[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
    assert found == expected.strip()
    assert len(found) > 1


def test_pictures_are_not_for_it(bench: Bench, alone: dict[str, Any]) -> None:
    alone["ask"]["inputs"]["images"] = link("picture")
    failed = bench.failure({**alone, "picture": {"type": "Picture"}}, "ask")
    assert failed.problem.port == "images"


def test_folders_of_something_else_are_told_before_running(
    bench: Bench, alone: dict[str, Any]
) -> None:
    config = bench.folder / "models" / "small" / "config.json"
    said = json.loads(config.read_text())
    for change, message in (
        ({"auto_map": {"AutoModel": "mine.Model"}}, "its own code"),
        ({"architectures": ["BertModel"]}, "is a BertModel"),
    ):
        config.write_text(json.dumps(said | change))
        [problem] = bench.problems(alone, "ask")
        assert (problem.node, problem.port) == ("load", "model")
        assert message in problem.message
    alone["load"]["inputs"]["model"] = "smal"
    assert "models/language" in str(bench.problems(alone, "ask")[0])


def test_words_that_were_written_are_less_likely() -> None:
    [step] = [
        item
        for item in TokenSampling(presence_penalty=1.5, repetition_penalty=1.0).logits_processors(2)
        if type(item).__name__ == "_Present"
    ]
    found = step(torch.tensor([[0, 1, 2, 2]]), torch.zeros(1, 4))
    assert found.tolist() == [[0, 0, -1.5, 0]]
