"""Values that a pack lends to native nodes, if the pack or the run misbehaves."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import pytest
import torch

from nodegraph import Session, Settings
from nodegraph.core.events import Event
from nodegraph.core.foreign_value import LentModel
from nodegraph.core.workflow import Workflow
from nodegraph.engine import node_context
from nodegraph.engine.options import CancelToken
from nodegraph.engine.result import RunResult
from nodegraph.errors import InvalidWorkflow
from nodegraph.interop.comfyui.exporter import export_documents
from nodegraph.interop.comfyui.importer import import_document, node_table
from nodegraph.isolation.pack_calls import Loan
from tests.compat.comfyui_packs.conftest import comfy_pack, node
from tests.compat.comfyui_packs.test_stand_ins_sampling import native
from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.test_ltx2 import ltx2
from tests.nodes.conftest import link
from tests.nodes.test_video_latent import graph as video_graph

PACK = """
import os
import time
from pathlib import Path

import comfy.model_patcher
import comfy.sample
import comfy.samplers
import torch


def wait_for_ever(file):
    Path(file).write_text(str(os.getpid()))
    while True:
        time.sleep(0.02)


class Patch:
    @classmethod
    def INPUT_TYPES(cls):
        texts = {"kind": ("STRING", {}), "file": ("STRING", {"default": ""})}
        return {"required": {"model": ("MODEL",), **texts}}

    RETURN_TYPES = ("MODEL", "*", "*")
    RETURN_NAMES = ("patched", "anything", "other")
    FUNCTION = "run"

    def run(self, model, kind, file):
        patched = model.clone()

        def post(args):
            if kind == "wait":
                wait_for_ever(file)
            if kind == "slow":
                Path(file).write_text(str(os.getpid()))
                time.sleep(0.1)
            return args["denoised"] * (float("nan") if kind == "nan" else 0.5)

        patched.set_model_sampler_post_cfg_function(post)
        return patched, patched, {"a": post}


def euler(model, x, sigmas, extra_args=None, callback=None, disable=None):
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones([len(x)]), **extra_args)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "denoised": denoised})
        x = x + (x - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i])
    return x


def with_unguided(model, x, sigmas, extra_args=None, callback=None, disable=None):
    seen = []

    def post(args):
        seen[:] = [args["uncond_denoised"]]
        return args["denoised"]

    options = comfy.model_patcher.set_model_options_post_cfg_function(
        dict(extra_args["model_options"]), post, disable_cfg1_optimization=True
    )
    extra_args = {**extra_args, "model_options": options}
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones([len(x)]), **extra_args)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "denoised": denoised})
        x = denoised + (x - seen[0]) / sigmas[i] * sigmas[i + 1]
    return x


def nothing(model, x, sigmas, extra_args=None, callback=None, disable=None):
    return None


def levels(model, x, sigmas, extra_args=None, callback=None, disable=None):
    return model(x, torch.arange(1.0, 1.0 + len(x)), **extra_args)


class Stubborn:
    def __init__(self, file):
        self.file = file

    def __call__(self, model, x, sigmas, extra_args=None, callback=None, disable=None):
        while True:
            try:
                model(x, sigmas[0] * x.new_ones([len(x)]), **extra_args)
                Path(self.file).write_text("")
            except Exception:
                time.sleep(0.02)


class Noise:
    def __init__(self, kind):
        self.kind, self.seed = kind, None

    def generate_noise(self, latent):
        noise = comfy.sample.prepare_noise(latent["samples"], 5)
        return {
            "nan": noise * float("nan"), "complex": noise.to(torch.complex64), "nothing": None
        }.get(self.kind, noise.double())


class Parts:
    @classmethod
    def INPUT_TYPES(cls):
        texts = {"sampler": ("STRING", {}), "noise": ("STRING", {}), "file": ("STRING", {})}
        return {"required": texts}

    RETURN_TYPES = ("SAMPLER", "NOISE")
    FUNCTION = "run"

    def run(self, sampler, noise, file):
        function = Stubborn(file) if sampler == "stubborn" else globals()[sampler]
        return comfy.samplers.KSAMPLER(function), Noise(noise)


class Sample:
    @classmethod
    def INPUT_TYPES(cls):
        kinds = {"model": "MODEL", "positive": "CONDITIONING", "negative": "CONDITIONING"}
        kinds |= {"latent": "LATENT", "sampler": "SAMPLER"}
        return {"required": {name: (kind,) for name, kind in kinds.items()}}

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "run"

    def run(self, model, positive, negative, latent, sampler):
        sigmas = comfy.samplers.calculate_sigmas(model.model_sampling, "normal", 4)
        samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"])
        noise = comfy.sample.prepare_noise(samples, 5)
        samples = comfy.sample.sample_custom(
            model, noise, 6.0, sampler, sigmas, positive, negative, samples, seed=5
        )
        return ({**latent, "samples": samples},)


class HalfGuider(comfy.samplers.CFGGuider):
    def predict_noise(self, x, timestep, model_options={}, seed=None):
        return super().predict_noise(x, timestep, model_options, seed) / 2


class Guide:
    @classmethod
    def INPUT_TYPES(cls):
        kinds = {"model": "MODEL", "positive": "CONDITIONING", "negative": "CONDITIONING"}
        kinds["own"] = "BOOLEAN"
        return {"required": {name: (kind,) for name, kind in kinds.items()}}

    RETURN_TYPES = ("GUIDER",)
    FUNCTION = "run"

    def run(self, model, positive, negative, own):
        guider = (HalfGuider if own else comfy.samplers.CFGGuider)(model)
        guider.set_conds(positive, negative)
        guider.set_cfg(6.0)
        return (guider,)


class SampleGuided:
    @classmethod
    def INPUT_TYPES(cls):
        kinds = {"guider": "GUIDER", "sampler": "SAMPLER", "latent": "LATENT"}
        return {"required": {name: (kind,) for name, kind in kinds.items()}}

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "run"

    def run(self, guider, sampler, latent):
        model = guider.model_patcher
        sigmas = comfy.samplers.calculate_sigmas(model.model_sampling, "normal", 4)
        samples = comfy.sample.fix_empty_latent_channels(model, latent["samples"])
        noise, mask = comfy.sample.prepare_noise(samples, 5), latent.get("noise_mask")
        samples = guider.sample(noise, samples, sampler, sigmas, mask, None, True, 5)
        return ({**latent, "samples": samples},)


class Number:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"number": ("INT", {"default": 0})}}

    RETURN_TYPES = ("INT",)
    FUNCTION = "run"

    def run(self, number):
        return (number,)


NODE_CLASS_MAPPINGS = {
    kind.__name__: kind for kind in (Patch, Parts, Sample, Guide, SampleGuided, Number)
}
"""


def test_loans_within_each_other_keep_models_of_equal_files_apart() -> None:
    first, second = (LentModel("sd1", (), "float32", patches=object()) for _ in range(2))
    inner = Loan(lambda model: (first, model))

    def run(model: LentModel) -> Any:
        assert inner(second) == [second.plain]
        return inner.settle("two", ["of two"])

    outer = Loan(run)
    assert outer(first) == [first.plain]
    assert outer.settle("one", ["of one"]) == ("of one", "of two")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("packs") / "odd"
    folder.mkdir()
    (folder / "__init__.py").write_text(PACK)
    home: Path = tmp_path_factory.mktemp("home")
    with Session(Settings(home=home, device="cpu"), packs=[comfy_pack(folder)]) as session:
        yield session


def patched(kind: str = "halve", file: object = "", **settings: Any) -> dict[str, Any]:
    """A native sampling of a patched model."""
    nodes = native(sampler="euler", **settings)
    inputs = {"model": link("load.model"), "kind": kind, "file": str(file)}
    nodes["patch"] = {"type": "odd:Patch", "inputs": inputs}
    nodes["sample"]["inputs"]["model"] = link("patch.patched")
    return nodes


def in_parts(
    sampler: str = "euler", noise: str = "right", file: object = "", **inputs: Any
) -> dict[str, Any]:
    """A native sampling from parts, with a pack's sampler, and the pack's own."""
    nodes = patched()
    values = {"sampler": sampler, "noise": noise, "file": str(file)}
    nodes["parts"] = {"type": "odd:Parts", "inputs": values}
    guided = {name: link(name) for name in ("positive", "negative")}
    nodes["guider"] = {"type": "CFGGuider", "inputs": guided | {"cfg": 6.0}}
    nodes["noise"] = {"type": "RandomNoise", "inputs": {"seed": 5, "draw": "per batch"}}
    nodes["sampler"] = {"type": "SelectSampler", "inputs": {"sampler": "euler"}}
    nodes["schedule"] = {
        "type": "BasicSchedule",
        "inputs": {"schedule": "normal", "steps": 4},
    }
    parts = {name: link(name) for name in ("noise", "guider", "schedule")}
    shared = {"model": link("load.model"), "latent": link("empty")}
    shared |= {"sampler": link("parts.sampler")} | inputs
    parts |= {"convention": "comfyui"}
    nodes["custom"] = {"type": "SampleCustom", "inputs": parts | shared}
    own = {name: shared[name] for name in ("model", "latent", "sampler")}
    nodes["own"] = {"type": "odd:Sample", "inputs": guided | own}
    return nodes


def run(session: Session, nodes: dict[str, Any], *targets: str, **options: Any) -> RunResult:
    return session.run({"format": "nodegraph/1", "nodes": nodes}, targets=[*targets], **options)


def begin(
    session: Session, nodes: dict[str, Any], target: str, cancel: CancelToken
) -> tuple[Thread, list[RunResult]]:
    results: list[RunResult] = []
    thread = Thread(target=lambda: results.append(run(session, nodes, target, cancel=cancel)))
    thread.start()
    return thread, results


def wait_for(file: Path) -> None:
    while not file.exists():
        sleep(0.02)


slow = pytest.mark.slow


@slow
@pytest.mark.parametrize("model", ["load.model", "patch.patched"])
def test_a_sampler_sees_what_it_asks_for_with_a_function_of_its_own(
    session: Session, model: str
) -> None:
    nodes = in_parts("with_unguided", model=link(model))
    result = run(session, nodes, "custom", "own")
    assert not result.errors
    assert torch.allclose(result["custom.latent"].samples, result["own"].samples, atol=1e-4)
    plain = run(session, in_parts(model=link(model)), "custom")["custom.latent"].samples
    assert not torch.allclose(result["own"].samples, plain, atol=1e-2)


@slow
def test_each_step_of_a_pack_s_sampler_has_a_preview(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node_context, "LEAST", 0.0)
    monkeypatch.setattr(node_context, "SHARE", 1.0)
    events: list[Event] = []
    nodes = in_parts()
    nodes["noise"]["inputs"]["seed"] = 8
    options = {"listener": events.append, "previews": True}
    assert not run(session, nodes, "custom", **options).errors
    shown = [event for event in events if event.kind == "node.preview"]
    assert len(shown) >= 4


@slow
@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"sampler": "nothing"}, "a SAMPLER of a pack returns no latent of its size"),
        ({"sampler": "levels"}, "all items of a batch have one noise level here"),
        ({"noise": "nan"}, "returns no noise for this latent (given: NaN or infinity"),
        ({"noise": "complex"}, "returns no noise for this latent (given: torch.complex64"),
        ({"noise": "nothing"}, "returns no noise for this latent (given: NoneType"),
    ],
)
def test_a_sampler_or_noise_that_returns_something_else_is_named(
    session: Session, parts: dict[str, str], message: str
) -> None:
    own = {"noise": link("parts.noise")} if "noise" in parts else {}
    nodes = in_parts(**parts)
    nodes["custom"]["inputs"] |= own
    [error] = run(session, nodes, "custom").errors
    assert "node `custom`" in str(error)
    assert message in str(error)


@slow
def test_a_function_that_returns_nan_is_named(session: Session) -> None:
    [error] = run(session, patched("nan"), "sample").errors
    assert "`Patch.run.<locals>.post`" in str(error)
    assert "returned NaN or infinity" in str(error)


@slow
def test_noise_of_a_pack_needs_no_seed_and_is_added_to_a_latent(session: Session) -> None:
    nodes = in_parts()
    inputs = {"model": link("patch.patched"), "schedule": link("schedule")}
    inputs |= {"latent": link("sample.latent"), "convention": "comfyui"}
    for name, noise in (("native", "noise"), ("own", "parts.noise")):
        nodes[name] = {"type": "AddScheduleNoise", "inputs": inputs | {"noise": link(noise)}}
    result = run(session, nodes, "native", "own")
    assert not result.errors
    assert torch.equal(result["native"].samples, result["own"].samples)


@slow
@pytest.mark.parametrize(
    ("node_type", "inputs"),
    [
        ("ScaleNoise", {"noise": link("parts.noise")}),
        ("MixNoise", {"noise": link("parts.noise")}),
        ("NegativeModel", {"guider": link("guider"), "model": link("patch.patched")}),
    ],
)
def test_a_node_that_would_keep_what_is_lent_refuses_it(
    session: Session, node_type: str, inputs: dict[str, Any]
) -> None:
    nodes = in_parts()
    nodes["keeps"] = {"type": node_type, "inputs": inputs}
    [error] = run(session, nodes, "keeps").errors
    assert "cannot use a model, sampler or noise of a pack" in str(error)


@slow
def test_an_output_of_any_type_lends_its_model(session: Session) -> None:
    nodes = patched()
    expected = run(session, nodes, "sample")["sample"].samples
    nodes["sample"]["inputs"]["model"] = link("patch.anything")
    result = run(session, nodes, "sample")
    assert not result.errors
    assert torch.equal(result["sample"].samples, expected)


@slow
def test_a_value_that_is_no_model_is_refused_by_its_port(session: Session) -> None:
    nodes = patched()
    nodes["sample"]["inputs"]["model"] = link("patch.other")
    [error] = run(session, nodes, "sample").errors
    assert "node `sample` (KSampler), input `model`: the value does not fit" in str(error)


@slow
def test_functions_do_not_change_the_guidance_of_three_prompts(session: Session) -> None:
    nodes = in_parts(model=link("patch.patched"))
    nodes["custom"]["inputs"]["sampler"] = link("sampler")
    inputs = {name: link(name) for name in ("positive", "negative")}
    nodes["guider"] = {"type": "DualCFGGuider", "inputs": inputs | {"second": link("positive")}}
    [error] = run(session, nodes, "custom").errors
    assert "functions of a pack know a positive and a negative prompt" in str(error)


@slow
def test_cancelling_ends_a_function_that_does_not_return(session: Session, tmp_path: Path) -> None:
    file, cancel = tmp_path / "began", CancelToken()
    thread, results = begin(session, patched("wait", file), "sample", cancel)
    wait_for(file)
    cancel.cancel()
    thread.join()
    assert results[0].status == "cancelled"


@slow
def test_cancelling_ends_a_sampler_that_ignores_errors(session: Session, tmp_path: Path) -> None:
    file, cancel = tmp_path / "began", CancelToken()
    thread, results = begin(session, in_parts("stubborn", file=file), "custom", cancel)
    wait_for(file)
    cancel.cancel()
    thread.join()
    assert results[0].status == "cancelled"


@slow
def test_cancelling_a_call_that_waits_leaves_the_sampling_alone(
    session: Session, tmp_path: Path
) -> None:
    file, cancel, other = tmp_path / "began", CancelToken(), CancelToken()
    number = {"number": {"type": "odd:Number", "inputs": {"number": 3}}}

    def begin_both(nodes: dict[str, Any], token: CancelToken) -> asyncio.Task[RunResult]:
        document = {"format": "nodegraph/1", "nodes": nodes}
        targets = [next(name for name in ("sample", "number") if name in nodes)]
        return asyncio.create_task(session.run_async(document, targets=targets, cancel=token))

    async def run_both() -> tuple[RunResult, bool, RunResult]:
        sampling = begin_both(patched("slow", file, steps=1000), cancel)
        while not file.exists():
            await asyncio.sleep(0.02)
        waiting = begin_both(number, other)
        await asyncio.sleep(0.5)
        other.cancel()
        ended = await waiting
        is_alone = not sampling.done()
        cancel.cancel()
        return ended, is_alone, await sampling

    ended, is_alone, sampled = asyncio.run(run_both())
    assert ended.status == "cancelled"
    assert is_alone
    assert sampled.status == "cancelled"


@slow
def test_a_model_whose_process_was_killed_is_patched_again(
    session: Session, tmp_path: Path
) -> None:
    file, cancel = tmp_path / "began", CancelToken()
    nodes = patched("slow", file, steps=2, seed=6)
    assert not run(session, nodes, "sample").errors
    os.kill(int(file.read_text()), signal.SIGKILL)
    nodes["sample"]["inputs"]["seed"] = 7
    result = run(session, nodes, "sample", cancel=cancel)
    assert not result.errors
    assert result.nodes["patch"].status == "ran"


def guided(model: str = "load.model", *, own: bool, **inputs: Any) -> dict[str, Any]:
    """A native sampling with the guider of a pack, and the pack's own."""
    nodes = in_parts()
    prompts = {name: link(name) for name in ("positive", "negative")}
    inputs_of_guider = prompts | {"model": link(model), "own": own}
    nodes["guide"] = {"type": "odd:Guide", "inputs": inputs_of_guider}
    nodes["mask"] = {"type": "SolidMask", "inputs": {"width": 64, "height": 64, "value": 0.5}}
    masked = {"latent": link("sample"), "mask": link("mask")}
    nodes["masked"] = {"type": "SetNoiseMask", "inputs": masked}
    nodes["native"] = {**nodes["custom"], "inputs": {**nodes["custom"]["inputs"]}}
    nodes["native"]["inputs"] |= {"model": link(model), **inputs}
    del nodes["custom"]["inputs"]["model"]
    nodes["custom"]["inputs"] |= {"guider": link("guide"), **inputs}
    shared = nodes["custom"]["inputs"]
    own_inputs = {name: shared[name] for name in ("guider", "sampler", "latent")}
    nodes["own"] = {"type": "odd:SampleGuided", "inputs": own_inputs}
    return nodes


@slow
@pytest.mark.parametrize("model", ["load.model", "patch.patched"])
def test_a_native_node_samples_with_a_guider_of_the_pack(session: Session, model: str) -> None:
    nodes = guided(model, own=False, sampler=link("sampler"))
    result = run(session, nodes, "custom", "native")
    assert not result.errors
    for output in ("latent", "denoised"):
        sampled, expected = result[f"custom.{output}"], result[f"native.{output}"]
        assert torch.allclose(sampled.samples, expected.samples, atol=1e-5)


@slow
@pytest.mark.parametrize("latent", ["empty", "masked"])
@pytest.mark.parametrize("sampler", ["sampler", "parts.sampler"])
def test_a_guider_class_of_the_pack_samples_as_in_its_own_nodes(
    session: Session, sampler: str, latent: str
) -> None:
    nodes = guided(own=True, sampler=link(sampler), latent=link(latent))
    result = run(session, nodes, "custom", "own")
    assert not result.errors
    assert torch.allclose(result["custom.latent"].samples, result["own"].samples, atol=1e-4)
    plain = run(session, nodes, "native")["native.latent"].samples
    assert not torch.allclose(result["own"].samples, plain, atol=1e-2)


@slow
def test_a_guider_of_a_pack_samples_its_own_model_alone(session: Session) -> None:
    nodes = guided(own=True, sampler=link("sampler"))
    numbers = {"b1": 1.3, "b2": 1.4, "s1": 0.9, "s2": 0.2}
    nodes["freeu"] = {"type": "FreeU", "inputs": {"model": link("load.model"), **numbers}}
    nodes["custom"]["inputs"]["model"] = link("freeu")
    [error] = run(session, nodes, "custom").errors
    assert "the guider of a pack samples another model" in str(error)


@slow
def test_a_native_guider_needs_a_model(session: Session) -> None:
    nodes = in_parts()
    del nodes["custom"]["inputs"]["model"]
    with pytest.raises(InvalidWorkflow, match="is not linked"):
        run(session, nodes, "custom")


@slow
def test_a_workflow_with_the_guider_of_a_pack_is_imported_and_exported(session: Session) -> None:
    table = node_table([], session.registry)
    prompt = {
        "1": node("CheckpointLoaderSimple", ckpt_name="tiny"),
        "2": node("CLIPTextEncode", clip=["1", 1], text="a fox"),
        "3": node("Guide", model=["1", 0], positive=["2", 0], negative=["2", 0], own=True),
        "4": node("RandomNoise", noise_seed=5),
        "5": node("KSamplerSelect", sampler_name="euler"),
        "6": node("ManualSigmas", sigmas="14.6, 5.0, 1.0, 0.0"),
        "7": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "8": node(
            "SamplerCustomAdvanced",
            noise=["4", 0],
            guider=["3", 0],
            sampler=["5", 0],
            sigmas=["6", 0],
            latent_image=["7", 0],
        ),
        "9": node("VAEDecode", samples=["8", 0], vae=["1", 2]),
        "10": node("PreviewImage", images=["9", 0]),
    }
    imported = import_document(prompt, table)
    nodes = imported.workflow.nodes
    [sampled] = [each for each in nodes.values() if each.type == "SampleCustom"]
    assert "model" not in sampled.inputs
    workflow = Workflow.from_dict({**imported.workflow.to_dict(), "ui": {}})
    _, written = export_documents(workflow, table.entries.values(), session.registry)
    exported = written["api"]
    [there] = [each for each in exported.values() if each["class_type"] == "SamplerCustomAdvanced"]
    assert exported[there["inputs"]["guider"][0]]["class_type"] == "Guide"
    assert not session.run(imported.workflow).errors


@slow
def test_a_video_with_sound_is_sampled_by_a_sampler_or_from_noise_of_the_pack(
    session: Session, tmp_path: Path
) -> None:
    random_pipeline(ltx2).save_pretrained(tmp_path / "model")
    nodes = video_graph(tmp_path / "model", frames=9, width=64)
    nodes["empty"]["inputs"]["height"] = 64
    parts = in_parts()
    nodes |= {name: parts[name] for name in ("parts", "noise", "sampler", "schedule", "custom")}
    nodes["guider"] = {"type": "CFGGuider", "inputs": {"positive": link("prompt"), "cfg": 3.0}}
    inputs = nodes["custom"]["inputs"]
    inputs["sampler"] = link("sampler")
    own = {"sampler": link("parts.sampler")}
    nodes["own"] = {"type": "SampleCustom", "inputs": inputs | own}
    nodes["drawn"] = {"type": "SampleCustom", "inputs": inputs | {"noise": link("parts.noise")}}
    result = run(session, nodes, "custom", "own", "drawn")
    assert not result.errors
    assert result["drawn.latent"].samples.shape == result["custom.latent"].samples.shape
    for output in ("latent", "denoised"):
        sampled, expected = result[f"own.{output}"], result[f"custom.{output}"]
        assert torch.allclose(sampled.samples, expected.samples, atol=1e-4)
        assert torch.allclose(sampled.sound, expected.sound, atol=1e-4)
