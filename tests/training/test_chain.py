"""The whole of training in small, as a user runs it."""

import json
import os
import subprocess
import sys

import pytest

from training.all import STAGES
from training.config import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("font")]


def run(work):
    arguments = ["--config", "training/configs/smoke.toml", "--work", str(work)]
    # Other tests have the other cores: threads that wait for one another would take minutes.
    alone = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "training.all", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_the_chain_runs_and_what_is_done_is_not_done_again(tmp_path):
    run(tmp_path)
    record = json.loads((tmp_path / "model/train.json").read_text())
    figures = json.loads((tmp_path / "evaluate.json").read_text())
    assert record["stages"]["unet"]["samples"] == 240
    assert figures["single"]["n"] == 24
    assert (tmp_path / "model/unet/diffusion_pytorch_model.safetensors").stat().st_size > 100_000
    assert run(tmp_path).count("done before") == len(STAGES)
