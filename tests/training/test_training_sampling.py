"""Sampling and measuring a model of random weights, from checkpoints, without an export."""

import json
import sys

import numpy as np
import pytest
import torch

from training import evaluate, peek
from training.classifier import build_classifier, save_classifier
from training.companions import lora
from training.config import ROOT, load_config
from training.models import build_vae
from training.objects import load_objects
from training.sampling import Way, assemble, few_step, find_lcm, sample, with_sampler
from training.tokenizer import load_tokenizer, write_tokenizer
from training.unet import build_denoiser

CONFIG = load_config(ROOT / "training/configs/smoke.toml")
SETTINGS = str(ROOT / "training/configs/smoke.toml")

pytestmark = [
    pytest.mark.usefixtures("font"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A work folder as training leaves it, but for the training."""
    folder = tmp_path_factory.mktemp("work")
    write_tokenizer(folder / "tokenizer", [], CONFIG.text.max_length)
    denoiser = build_denoiser(CONFIG, load_tokenizer(folder / "tokenizer"))
    torch.manual_seed(0)
    for name, model in (("vae", build_vae(CONFIG)), ("unet", denoiser)):
        average = model.state_dict()
        values = {key: 1.2 * value for key, value in average.items()}
        (folder / name).mkdir()
        state = {"average": average, "values": values, "progress": {"samples": 1}}
        torch.save(state, folder / name / "checkpoint.pt")
    judge = build_classifier(CONFIG, load_objects(ROOT / CONFIG.data.objects, CONFIG.data.count))
    save_classifier(judge, folder / "classifier.safetensors")
    return folder


@pytest.fixture(scope="module")
def pipeline(work):
    return assemble(CONFIG, work)


def test_checkpoints_make_a_pipeline_and_live_weights_another(pipeline, work):
    live = assemble(CONFIG, work, live=True)
    one, other = (sample(pipe, ["a cat"], [1], steps=2) for pipe in (pipeline, live))
    assert one.shape == (1, 32, 32, 3)
    assert (one != other).any()


@pytest.mark.parametrize("name", ["ddim", "dpmpp_2m", "euler", "lcm"])
def test_every_sampler_takes_the_models_own_noise_levels(pipeline, name):
    other = with_sampler(pipeline, name)
    counts = []
    prompts = ["a cat", "", "a dog"]
    pictures = sample(other, prompts, [1, 2, 3], steps=4, batch=2, done=counts.append)
    assert pictures.shape == (3, 32, 32, 3)
    assert counts == [2, 1]
    assert other.scheduler.config.prediction_type == "v_prediction"
    assert (sample(other, prompts[2:], [3], steps=4)[0] == pictures[2]).mean() > 0.95


def test_an_unknown_sampler_is_refused(pipeline):
    with pytest.raises(ValueError, match="dpmpp_2m"):
        with_sampler(pipeline, "magic")


def test_guidance_costs_a_second_evaluation():
    assert Way("ddim", 20, 4.0).cost == 40.0
    assert Way("lcm", 4, 1.0).cost == 4.0


def test_a_few_step_variant_is_found_and_leaves_the_model_alone(pipeline, tmp_path, work):
    assert find_lcm(tmp_path) is None
    (tmp_path / "lcm_lora").mkdir()
    other = assemble(CONFIG, work).unet.requires_grad_(False)
    adapter = lora.Adapter(other, 2)
    for number, pair in enumerate(adapter.pairs.values()):
        torch.nn.init.normal_(pair.b, std=0.1 + 0.01 * number)
    lora.save(adapter, other, tmp_path / "lcm_lora")
    file = find_lcm(work, tmp_path)
    assert file is not None
    before = {name: value.clone() for name, value in pipeline.unet.state_dict().items()}
    fast = few_step(pipeline, file)
    after = pipeline.unet.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert any((value != before[name]).any() for name, value in fast.unet.state_dict().items())
    assert sample(fast, ["a cat"], [1], steps=4, guidance=1.0).shape == (1, 32, 32, 3)


def call(monkeypatch, command, *arguments):
    monkeypatch.setattr(sys, "argv", ["training", "--config", SETTINGS, *map(str, arguments)])
    command.main()


def test_a_peek_writes_a_sheet(work, tmp_path, monkeypatch, capsys):
    words, out = tmp_path / "prompts.txt", tmp_path / "sheet.png"
    words.write_text("# what to look at\na red apple\na cat on blue\n")
    call(
        monkeypatch, peek, "--work", work, "--prompts-file", words, "--out", out, "--steps", 2,
        "--live",
    )  # fmt: skip
    assert out.stat().st_size > 500
    assert "2 images" in capsys.readouterr().out


def test_a_file_without_prompts_is_refused(tmp_path):
    path = tmp_path / "prompts.txt"
    path.write_text("# nothing\n\n")
    with pytest.raises(ValueError, match="one per line"):
        peek.read_prompts(path)


def test_a_rehearsal_of_some_groups_is_written_apart(work, monkeypatch):
    call(monkeypatch, evaluate, "--work", work, "--quick", "--checkpoint", "--groups", "single,vae")
    figures = json.loads((work / "evaluate-quick-single-vae.json").read_text())
    assert figures["rehearsal"]
    assert figures["model"] == "checkpoint"
    assert 0 < figures["single"]["n"] < 60
    assert np.isfinite(figures["vae"]["psnr"])
    assert (work / "evaluate-quick-single-vae.md").read_text().startswith("DDIM, 2 steps")
    assert (work / "sheets-quick-single-vae" / "sheet-200.png").exists()
    assert not (work / "evaluate.json").exists()


def test_without_an_exported_model_it_says_what_to_do(work, monkeypatch):
    with pytest.raises(SystemExit, match=r"training\.export"):
        call(monkeypatch, evaluate, "--work", work)
