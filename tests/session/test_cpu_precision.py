"""What the dtype `auto` is on a CPU: by setting, by measurement, and as an image notes it."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from nodegraph import Session, Settings, Workflow
from nodegraph.cli.workflow_source import open_workflow
from nodegraph.core import context
from nodegraph.core.context import LARGE_MODEL, CpuDevice
from nodegraph.core.digests import digest_value
from nodegraph.core.events import Event
from nodegraph.core.json_schema import workflow_json_schema
from nodegraph.errors import InvalidWorkflow
from nodegraph.weights import numerics
from nodegraph.weights.numerics import cpu_has_bfloat16, decided_precision
from tests.messages import raises

NODES: dict[str, Any] = {
    "load": {"type": "LoadModel"},
    "prompt": {
        "type": "EncodePrompt",
        "inputs": {"encoder": {"from": "load.text_encoder"}, "text": "a red apple"},
    },
    "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
    "sample": {
        "type": "KSampler",
        "inputs": {
            "model": {"from": "load.model"},
            "positive": {"from": "prompt"},
            "latent": {"from": "size"},
            "steps": 2,
        },
    },
    "decode": {
        "type": "VAEDecode",
        "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "sample"}},
    },
    "save": {"type": "SaveImage", "inputs": {"image": {"from": "decode"}, "name": "apple"}},
}
WORKFLOW: dict[str, Any] = {"format": "nodegraph/1", "nodes": NODES}
PARTS = ("model", "text_encoder", "vae")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home", outputs=tmp_path / "outputs", device="cpu")


def dtypes(session: Session, workflow: dict[str, Any] = WORKFLOW) -> list[str]:
    targets = [f"load.{part}" for part in PARTS]
    result = session.run(workflow, targets=targets)
    return [result[target].dtype for target in targets]


def made(settings: Settings, workflow: dict[str, Any] | Workflow = WORKFLOW) -> tuple[Path, Any]:
    """The file that a run in a new session writes, and its image."""
    with Session(settings) as session:
        result = session.run(workflow, targets=["save", "decode"])
    [file] = result.files
    return file.path, result["decode"]


def test_small_models_are_float32_and_nothing_is_measured(settings: Settings) -> None:
    for choice in ("auto", "mixed", "float32"):
        with Session(replace(settings, cpu_precision=choice)) as session:  # type: ignore[arg-type]
            assert dtypes(session) == ["float32"] * 3
    path, _ = made(settings)
    assert not open_workflow(str(path)).workflow.cpu_precision
    assert not settings.measurements_folder.exists()


def test_a_setting_decides_except_for_the_vae(settings: Settings) -> None:
    with Session(replace(settings, cpu_precision="bfloat16")) as session:
        assert dtypes(session) == ["bfloat16", "bfloat16", "float32"]
        load = {"load": {"type": "LoadModel", "inputs": {"dtype": "float32"}}}
        assert dtypes(session, {**WORKFLOW, "nodes": load}) == ["float32"] * 3


def test_a_changed_setting_takes_no_result_of_another(settings: Settings) -> None:
    images: dict[str, Any] = {}
    for choice in ("float32", "bfloat16", "float32"):
        _, image = made(replace(settings, cpu_precision=choice))  # type: ignore[arg-type]
        assert images.setdefault(choice, image).equal(image)
    assert not images["float32"].equal(images["bfloat16"])


def test_an_image_is_made_again_as_it_was(settings: Settings, tmp_path: Path) -> None:
    path, image = made(replace(settings, cpu_precision="bfloat16"))
    opened = open_workflow(str(path)).workflow
    assert opened.cpu_precision == "bfloat16"

    elsewhere = replace(settings, home=tmp_path / "other", cpu_precision="float32")
    again, same = made(elsewhere, opened)
    assert same.equal(image)
    assert open_workflow(str(again)).workflow == opened


@pytest.mark.parametrize("choice", ["float32", "mixed"])
def test_a_large_model_notes_what_it_takes(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, choice: str
) -> None:
    monkeypatch.setattr(context, "LARGE_MODEL", 1_000_000)
    chosen = replace(settings, cpu_precision=choice)  # type: ignore[arg-type]
    with Session(chosen) as session:
        large = "float32" if choice == "float32" else "bfloat16"
        assert dtypes(session) == [large, large, "float32"]
    path, _ = made(chosen)
    assert open_workflow(str(path)).workflow.cpu_precision == choice


def test_a_log_line_says_it(settings: Settings) -> None:
    heard: list[Event] = []
    with Session(replace(settings, cpu_precision="bfloat16")) as session:
        session.run(WORKFLOW, targets=["load.model"], listener=heard.append)
    [line] = [event.data["message"] for event in heard if event.kind == "log"]
    assert line.startswith("It computes in bfloat16 on this CPU: `cpu_precision` is bfloat16")


def test_a_plan_heeds_the_workflow(settings: Settings) -> None:
    with Session(replace(settings, cpu_precision="bfloat16")) as session:
        plans = [session.plan(WORKFLOW)]
        session.run(WORKFLOW, targets=["decode"])
        plans += [session.plan(WORKFLOW), session.plan({**WORKFLOW, "cpu_precision": "float32"})]
    assert [plan.nodes["sample"].status for plan in plans] == ["run", "hit", "run"]


def test_only_a_run_measures_and_only_for_a_large_model() -> None:
    measured: list[bool] = []

    def decide(measures: bool) -> str:
        measured.append(measures)
        return "mixed" if measures else ""

    device = CpuDevice("auto", decide)
    assert device == "cpu"
    assert device.precision(LARGE_MODEL) == "float32"
    run = device.for_run("", measures=True)
    assert (run.precision(LARGE_MODEL - 1), run.taken) == ("float32", "")
    assert (run.precision(LARGE_MODEL), run.taken) == ("bfloat16", "mixed")
    assert measured == [False, True]
    noted = device.for_run("float32", measures=True)
    assert (noted.precision(LARGE_MODEL), noted.taken) == ("float32", "float32")


def test_it_is_measured_once(tmp_path: Path) -> None:
    assert decided_precision(tmp_path, measures=False) == ("" if cpu_has_bfloat16() else "float32")
    assert decided_precision(tmp_path, measures=True) in ("float32", "mixed")
    notes = list(tmp_path.iterdir())
    assert len(notes) == cpu_has_bfloat16()
    for note in notes:
        # What is noted counts, whatever another measurement would say.
        for speedup, expected in ((0.5, "float32"), (9.0, "mixed")):
            note.write_text(json.dumps({"speedup": speedup}))
            assert decided_precision(tmp_path, measures=True) == expected


def test_a_workflow_says_one_of_three() -> None:
    with raises(InvalidWorkflow):
        Workflow.from_dict({**WORKFLOW, "cpu_precision": "float16"})
    workflow = Workflow.from_dict({**WORKFLOW, "cpu_precision": "mixed"})
    assert workflow.to_dict()["cpu_precision"] == "mixed"
    assert "mixed" in workflow_json_schema()["properties"]["cpu_precision"]["enum"]


def test_the_device_of_a_run_is_a_plain_value(settings: Settings, tmp_path: Path) -> None:
    environment = replace(settings, cpu_precision="mixed").environment()
    device = environment.device
    for copied in (copy.deepcopy(environment), pickle.loads(pickle.dumps(environment))):
        assert copied == environment
        assert copied.device.precision(LARGE_MODEL) == "bfloat16"
    assert asdict(environment)["device"] == "cpu"
    assert digest_value(device) == digest_value("cpu")


@pytest.mark.parametrize(
    "content", ["{", '{"speedup": NaN}', '{"speedup": Infinity}', "[" * 100_000]
)
def test_a_damaged_note_is_measured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    monkeypatch.setattr(numerics, "cpu_has_bfloat16", lambda: True)
    monkeypatch.setattr(numerics, "bfloat16_speedup", lambda: 3.0)
    assert decided_precision(tmp_path, measures=True) == "mixed"
    (note,) = tmp_path.iterdir()
    note.write_text(content)
    monkeypatch.setattr(numerics, "bfloat16_speedup", lambda: 1.0)
    assert decided_precision(tmp_path, measures=False) == ""
    assert decided_precision(tmp_path, measures=True) == "float32"
    assert decided_precision(tmp_path, measures=False) == "float32"
    assert [*tmp_path.iterdir()] == [note]
