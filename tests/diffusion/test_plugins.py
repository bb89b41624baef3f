"""Packages and packs bring samplers, which are chosen by name; a broken one breaks no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import torch

from nodegraph import Session, Settings, Workflow, node
from nodegraph.core.events import Event
from nodegraph.engine.options import CancelToken
from nodegraph.engine.result import RunResult
from nodegraph.errors import InvalidWorkflow, NodegraphError
from nodegraph.families.sampler_names import SAMPLER_NAMES
from nodegraph.interop.comfyui.importer import import_document, node_table
from nodegraph.packs.pack import pack_at
from nodegraph.python.testing.workbench import check_pack, find_packs
from tests.diffusion.families.test_registry import listed
from tests.messages import raises

_PAGE = Path(__file__).parents[2] / "docs" / "samplers.md"


def shown(heading: str) -> str:
    """The module that the page shows below a heading."""
    part = _PAGE.read_text("utf-8").split(f"## {heading}\n")[1]
    return part.split("```python\n")[1].split("```")[0]


SAMPLER, CURVE = shown("Write a sampler"), shown("Write a schedule")
"""Their sampler is `ab2`, their schedule `cosine`."""
GUIDER = shown("Write a guider")
"""Its guider is `rescaled`."""
_POINTS = """[nodegraph.samplers]
broken = no_such_package:SAMPLER
mine = my_samplers:ab2
taken = my_samplers:euler
wrong = my_samplers:Tensor
"""
_RUN = """
import sys
from pathlib import Path
from nodegraph import Session, Workflow
from nodegraph.session.settings import Settings
with Session(Settings(home=Path(sys.argv[1]), device="cpu")) as session:
    workflow = Workflow.from_json(sys.argv[2])
    planned = session.plan(workflow, targets=sys.argv[3:]).nodes
    reports = session.run(workflow, targets=sys.argv[3:]).nodes
    for name in sys.argv[3:]:
        report = reports[name]
        print(planned[name].status, report.status, next(iter(report.outputs.values())))
"""


def sampled(sampler: Any, **inputs: Any) -> dict[str, Any]:
    """A node that samples in three steps."""
    links = {"model": "load.model", "positive": "words", "latent": "latent"}
    linked = {port: {"from": source} for port, source in links.items()}
    return {"type": "KSampler", "inputs": {**linked, "sampler": sampler, "steps": 3, **inputs}}


def workflow(**nodes: Any) -> dict[str, Any]:
    """Of the embedded model and some more nodes."""
    words = {"encoder": {"from": "load.text_encoder"}, "text": "a lemon"}
    common = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "words": {"type": "EncodePrompt", "inputs": words},
        "latent": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
    }
    return {"format": "nodegraph/1", "nodes": {**common, **nodes}}


PARTS = {
    "guider": {"type": "BasicGuider", "inputs": {"conditioning": {"from": "words"}}},
    "schedule": {"type": "BasicSchedule", "inputs": {"steps": 3}},
    "noise": {"type": "RandomNoise"},
    "sampler": {"type": "SelectSampler", "inputs": {"sampler": "ab2"}},
}
_CUSTOM = {"model": "load.model", **{name: name for name in ("latent", *PARTS)}}
WAYS = workflow(
    **PARTS,
    named=sampled("ab2"),
    name={"type": "CutText", "inputs": {"text": "ab2"}},
    linked=sampled({"from": "name"}),
    custom={
        "type": "SampleCustom",
        "inputs": {port: {"from": source} for port, source in _CUSTOM.items()},
    },
    other=sampled("euler"),
)
"""Ways to choose the sampler, and another one."""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with an installed package."""
    site = tmp_path / "site"
    metadata = site / "my_samplers-1.0.dist-info"
    metadata.mkdir(parents=True)
    (site / "my_samplers.py").write_text(SAMPLER + SAMPLER.replace("ab2", "euler"))
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-samplers\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(_POINTS)
    return site


def edit(module: Path) -> None:
    """Make another method of the sampler."""
    text = module.read_text()
    assert "1.5 * slope - 0.5 * before" in text
    module.write_text(text.replace("1.5 * slope - 0.5 * before", "1.0 * slope"))


def test_a_package_brings_a_sampler(site: Path) -> None:
    code = (
        "from nodegraph.families.sampler_names import *\n"
        "from nodegraph.sampling.samplers import SAMPLERS\n"
        "print(SAMPLERS['ab2'].order, *SAMPLERS)\n"
        "check_combination('ab2', 'karras', 'flow')\n"
        "print(evaluations('ab2', 5), sampler_release('ab2'))\n"
    )
    found = listed(site, code)
    names, known = found.stdout.splitlines()
    assert names.split() == ["2", *SAMPLER_NAMES, "ab2"]
    assert known.startswith("5 my-samplers 1.0 #")
    assert "the sampler broken" in found.stderr
    assert "give it another name" in found.stderr
    assert "the sampler wrong" in found.stderr


def test_a_package_brings_schedules_and_guiders(site: Path) -> None:
    """One whose arguments are wrong is left out, and harms no other."""
    (site / "my_curves.py").write_text(CURVE + "\n\n" + CURVE.replace('"cosine"', '"odd", "table"'))
    (site / "my_guiders.py").write_text(GUIDER)
    (site / "my_samplers-1.0.dist-info" / "entry_points.txt").write_text(
        "[nodegraph.schedules]\nmine = my_curves:cosine\nlist = my_curves:CURVES\n"
        "[nodegraph.guiders]\nmine = my_guiders:rescaled\n"
    )
    curves = (site / "my_curves.py").read_text()
    first, second = curves.split("\n\n@schedule")[1:]
    renamed = second.replace("def cosine", "def odd")
    (site / "my_curves.py").write_text(
        curves.split("\n\n@schedule")[0]
        + f"\n\n@schedule{first}\n\n@schedule{renamed}\n\nCURVES = [odd, cosine]\n"
    )
    code = (
        "from nodegraph.families.sampler_names import SCHEDULE_PLUGINS\n"
        "from nodegraph.families.sigma_curves import plugin_levels\n"
        "from nodegraph.sampling.guiders.methods import GUIDER_PLUGINS, named_guidance\n"
        "print(*SCHEDULE_PLUGINS, *GUIDER_PLUGINS)\n"
        "print(*plugin_levels('cosine', 2, 4.0, 1.0), named_guidance('rescaled').release)\n"
    )
    found = listed(site, code)
    names, made = found.stdout.splitlines()
    assert names == "cosine rescaled"
    assert made.startswith("4.0 ")
    assert "my-samplers 1.0 #" in made
    assert "an argument of `@schedule` is wrong" in found.stderr
    assert "give it another name" in found.stderr


@pytest.mark.slow
def test_results_count_by_the_package_of_the_sampler_that_is_chosen(
    site: Path, tmp_path: Path
) -> None:
    (site / "my_samplers.py").rename(site / "my_methods.py")
    (site / "my_samplers.py").write_text("from my_methods import *\n")
    names = ("named", "linked", "custom", "other")

    def outcomes() -> dict[str, list[str]]:
        """By node: whether it was planned to run, how it ended, and what it gave."""
        done = listed(site, _RUN, str(tmp_path / "home"), json.dumps(WAYS), *names)
        return dict(zip(names, (line.split() for line in done.stdout.splitlines()), strict=True))

    first = outcomes()
    assert [first["named"][1], first["custom"][1]] == ["ran", "ran"]
    assert first["named"][2] == first["linked"][2] != first["other"][2]
    again = outcomes()
    assert again == {name: ["hit", "cached", first[name][2]] for name in names}
    # The module beside it is of the same package.
    edit(site / "my_methods.py")
    edited = outcomes()
    assert edited["other"] == again["other"]
    for name in ("named", "linked", "custom"):
        assert edited[name][1] != "cached"
        assert edited[name][2] != first[name][2]


def test_one_that_is_not_there_is_refused_with_all_that_are(site: Path) -> None:
    code = (
        "from nodegraph.errors import InvalidValue\n"
        "from nodegraph.families.sampler_names import check_sampler\n"
        "try: check_sampler('ab3', 'flow')\n"
        "except InvalidValue as error: print(error.problem.expected, error.problem.hint)"
    )
    told = listed(site, code).stdout
    assert "ab2" in told.partition("Did you mean")[2]
    assert "tcd, ab2" in told


class Studio:
    """A session with a pack that isn't installed, of a sampler alone."""

    def __init__(self, folder: Path) -> None:
        self.module = folder / "packs" / "my_pack.py"
        self.module.parent.mkdir(parents=True)
        self.module.write_text(SAMPLER)
        settings = Settings(home=folder / "home", device="cpu", packs=(self.module.parent,))
        self.session = Session(settings)
        self.events: list[Event] = []

    def run(self, **inputs: Any) -> tuple[str, Any]:
        """How a sampling ended, and the latent."""
        self.events.clear()
        given = Workflow.from_dict(workflow(sample=sampled("ab2", **inputs)))
        result = self.session.run(given, targets=["sample"], listener=self.events.append)
        assert result.is_ok, result.errors
        return result.nodes["sample"].status, result["sample.latent"].samples

    @property
    def restored(self) -> list[int]:
        """After which steps samplings went on."""
        return [event.data["step"] for event in self.events if event.kind == "node.restored"]


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    studio = Studio(tmp_path)
    with studio.session:
        yield studio


def test_a_pack_brings_a_sampler_by_the_decorator_alone(studio: Studio) -> None:
    status, first = studio.run()
    assert status == "ran"
    assert studio.run()[0] == "cached"
    edit(studio.module)
    status, edited = studio.run()
    assert status == "ran"
    assert not torch.equal(first, edited)


def test_a_sampling_goes_on_from_its_checkpoint_unless_the_sampler_has_changed(
    studio: Studio, tmp_path: Path
) -> None:
    other = Studio(tmp_path / "other")
    with other.session:
        whole = other.run()[1]
    studio.run(end_step=2)
    resumed = studio.run()[1]
    assert studio.restored == [2]
    assert torch.equal(whole, resumed)
    edit(studio.module)
    studio.run()
    assert studio.restored == []


def test_sessions_at_work_at_once_each_use_their_own_packs(studio: Studio, tmp_path: Path) -> None:
    """Also where another one looks at its packs in the middle, in a listener or a thread."""
    expected = studio.run()[1]
    other = Studio(tmp_path / "other")
    edit(other.module)
    given = Workflow.from_dict(workflow(sample=sampled("ab2", seed=0)))

    looked: list[object] = []

    def look(event: Event) -> None:
        if event.kind == "node.started" and event.node == "words":
            looked.extend(other.session.check(given, targets=["sample"]))
            thread = Thread(target=other.run)
            thread.start()
            thread.join()
            looked.append(event)

    settings = replace(studio.session.settings, home=tmp_path / "new")
    with Session(settings) as session, other.session:
        result = session.run(given, targets=["sample"], listener=look)
        assert len(looked) == 1
        assert torch.equal(result["sample.latent"].samples, expected)
        assert session.run(given, targets=["sample"]).nodes["sample"].status == "cached"
        assert not torch.equal(other.run()[1], expected)


_STEP = """        output = yield Evaluate(x, here)
        denoised = here.denoised(output, x)
"""
FAULTS = {
    "no_generator": "    return x\n",
    "raises": "    raise ValueError('no such table')\n    yield\n",
    "ends": "    for here, after in walk.steps():\n" + _STEP + "        yield Done(x, denoised)\n"
    "        return\n",
    "unasked": "    for here, after in walk.steps():\n        x = yield Done(x, x)\n",
    "other": "    for here, after in walk.steps():\n        yield x\n",
    "small": "    for here, after in walk.steps():\n" + _STEP + "        yield Done(x[:, :1], x)\n",
    "blurred": "    for here, after in walk.steps():\n"
    + _STEP
    + "        yield Done(x, x.mean())\n",
    "remembers": "    for here, after in walk.steps():\n"
    + _STEP
    + "        walk.memory['scale'] = 3.0\n        x = yield Done(denoised, denoised)\n",
    "numbers": "    for here, after in walk.steps():\n"
    + _STEP
    + "        walk.memory[3] = x\n        x = yield Done(denoised, denoised)\n",
    "lists": "    for here, after in walk.steps():\n"
    + _STEP
    + "        walk.memory = [x]\n        x = yield Done(denoised, denoised)\n",
    "exits": "    raise SystemExit(3)\n    yield\n",
    "beyond": "    yield Evaluate(x, walk.level(walk.count))\n",
    "wraps": "    yield Evaluate(x, walk.level(-1))\n",
    "whole": "    for here, after in walk.steps():\n"
    + _STEP
    + "        x = yield Done(x.int(), denoised)\n",
    "complex": "    for here, after in walk.steps():\n"
    + _STEP
    + "        x = yield Done(x + 1j, denoised)\n",
    "nowhere": "    for here, after in walk.steps():\n"
    + _STEP
    + "        x = yield Done(x.to('meta'), denoised)\n",
    "learns": "    for here, after in walk.steps():\n"
    + _STEP
    + "        x = yield Done(x.requires_grad_(), denoised)\n",
}
"""Bodies of samplers' functions that break the contract."""
_HEAD = SAMPLER.partition("@sampler")[0]


def faulty_samplers() -> str:
    """A module of samplers with `FAULTS`."""
    made = "@sampler({0!r}, STRAIGHT, CONTINUOUS)\ndef {0}(walk, x):\n{1}\n\n"
    bodies = "".join(made.format(name, body) for name, body in FAULTS.items())
    return f"{_HEAD}{bodies}@sampler('short', STRAIGHT, CONTINUOUS)\ndef short(walk):\n    yield\n"


def test_a_sampler_that_breaks_the_contract_is_named(studio: Studio) -> None:
    studio.module.write_text(faulty_samplers())
    for name in (*FAULTS, "short"):
        given = Workflow.from_dict(workflow(sample=sampled(name)))
        (error,) = studio.session.run(given, targets=["sample"]).errors
        (problem,) = error.problems
        assert problem.port == "sampler"
        assert f"the function of the sampler {name}" in problem.message
        assert f"`{name}` in nodegraph_packs.my_pack" in problem.hint


def test_an_endless_step_ends_when_its_run_is_cancelled(studio: Studio) -> None:
    endless = "    while True:\n        yield Evaluate(x, walk.level(0))\n"
    studio.module.write_text(
        f"{_HEAD}@sampler('on', STRAIGHT, CONTINUOUS)\ndef on(walk, x):\n{endless}"
    )
    cancel = CancelToken()

    def listen(event: Event) -> None:
        if event.kind == "node.started" and event.node == "sample":
            cancel.cancel()

    given = Workflow.from_dict(workflow(sample=sampled("on")))
    result = studio.session.run(given, targets=["sample"], listener=listen, cancel=cancel)
    assert result.status == "cancelled"

    (verdict,) = check_pack(pack_at(studio.module)).samplers
    assert (verdict.name, verdict.state) == ("on", "failed")
    assert "does not end its step" in verdict.reason


def test_a_pack_may_bring_a_sampler_of_comfyui_that_nodegraph_lacks(studio: Studio) -> None:
    def outcomes(sampler: str) -> str:
        inputs = {"sampler_name": sampler, "scheduler": "karras", "seed": 7, "steps": 3}
        inputs |= {"cfg": 7.0, "denoise": 1.0}
        document = {"5": {"class_type": "KSampler", "inputs": inputs}}
        return str(import_document(document, node_table()).outcomes)

    assert "there is no sampler dpm_fast" in outcomes("dpm_fast")
    studio.module.write_text(SAMPLER.replace("ab2", "dpm_fast"))
    assert studio.session.registry.plugins.names("nodegraph.samplers") == ["dpm_fast"]
    assert "there is no sampler dpm_fast" not in outcomes("dpm_fast")


def test_nan_of_a_sampler_of_a_pack_is_not_blamed_on_the_model_alone(studio: Studio) -> None:
    body = "    for here, after in walk.steps():\n" + _STEP + "        x = yield Done(x / 0, x)\n"
    studio.module.write_text(
        f"{_HEAD}@sampler('nan', STRAIGHT, CONTINUOUS)\ndef nan(walk, x):\n{body}"
    )
    given = Workflow.from_dict(workflow(sample=sampled("nan")))
    (error,) = studio.session.run(given, targets=["sample"]).errors
    assert "sampler nan" in error.problems[0].hint


@pytest.mark.parametrize(
    "argument",
    [
        "options={'eta': 5.0}",
        "options={'eta': float('nan')}",
        "highest_order=9",
        "order='two'",
        "evaluations=(1,)",
        "evaluations=('a', 'b')",
        "draws=2",
    ],
)
def test_a_wrong_argument_of_the_decorator_is_a_problem_of_the_pack(
    studio: Studio, argument: str
) -> None:
    studio.module.write_text(
        f"{_HEAD}@sampler('odd', STRAIGHT, CONTINUOUS, {argument})\ndef odd(walk, x):\n    yield\n"
    )
    (problem,) = studio.session.registry.faults("my_pack")
    assert "an argument of `@sampler` is wrong" in problem
    assert argument.partition("=")[0] in problem or "option eta" in problem


@pytest.mark.parametrize("word", ["schedule", "guider"])
def test_a_decorator_without_a_name_is_a_problem_of_the_pack(studio: Studio, word: str) -> None:
    studio.module.write_text(
        f"from nodegraph.diffusion import {word}\n\n@{word}\ndef bare(*arguments):\n    pass\n"
    )
    (problem,) = studio.session.registry.faults("my_pack")
    assert f'`@{word}("my_name")`' in problem


def test_a_sampler_of_a_pack_that_is_missing_is_no_riddle(studio: Studio) -> None:
    given = Workflow.from_dict(workflow(sample=sampled("rk6_kutta")))
    (problem,) = studio.session.check(given, targets=["sample"])
    assert problem.given == '"rk6_kutta"'
    assert "pack" in problem.hint


_NO_SIGMAS = """
from nodegraph.diffusion import schedule

@schedule("words")
def words(steps, high, low):
    return "much noise, little noise"

@schedule("ragged")
def ragged(steps, high, low):
    return [[high, low], high]

@schedule("texts")
def texts(steps, high, low):
    return [str(high - step * (high - low) / steps) for step in range(steps)]

@schedule("halves")
def halves(steps, high, low):
    import torch
    return torch.linspace(high, low, steps, dtype=torch.bfloat16, requires_grad=True)

@schedule("raises")
def raises(steps, high, low):
    raise KeyError(steps)

@schedule("yields", kinds="discrete")
def yields(steps, high, low):
    for step in range(steps):
        yield high * (steps - step) / steps

@schedule("tables", kinds=["table"])
def tables(steps, high, low):
    return [high, low]
"""


def test_what_a_schedule_s_function_returns_is_looked_at(studio: Studio) -> None:
    """Or raises. One that yields its levels is as good as one that returns them."""
    studio.module.write_text(SAMPLER + _NO_SIGMAS)
    for name in ("words", "ragged", "texts", "raises"):
        given = Workflow.from_dict(workflow(sample=sampled("ab2", schedule=name)))
        (error,) = studio.session.run(given, targets=["sample"]).errors
        assert f"the function of the schedule {name}" in str(error)
        assert error.problems[0].port == "schedule"
    assert studio.run(schedule="yields")[0] == "ran"
    assert studio.run(schedule="halves")[0] == "ran"
    (problem,) = studio.session.registry.problems
    assert "`tables` is left out" in problem
    assert "there are discrete, flow" in problem


def test_samplers_that_another_module_s_function_makes_belong_to_the_module_that_names_them(
    tmp_path: Path,
) -> None:
    pack = tmp_path / "packs" / "made"
    pack.mkdir(parents=True)
    plain = SAMPLER.replace('@sampler("ab2", STRAIGHT, CONTINUOUS, order=2)\n', "")
    (pack / "making.py").write_text(
        plain.replace("def ab2(", "def ab2(factor, ").replace("1.5 *", "factor *")
    )
    (pack / "__init__.py").write_text(
        "from functools import partial\n"
        "from nodegraph.diffusion import CONTINUOUS, STRAIGHT, sampler\n"
        "from .making import ab2\n"
        'ONE = sampler("one", STRAIGHT, CONTINUOUS)(partial(ab2, 1.5))\n'
        "MORE = [sampler(f'more_{n}', STRAIGHT, CONTINUOUS)(partial(ab2, n)) for n in (1, 2)]\n"
    )
    (pack / "again.py").write_text("from . import MORE, ONE\n")
    with Session(Settings(home=tmp_path / "home", device="cpu", packs=(pack.parent,))) as session:
        assert session.registry.problems == []
        found = session.registry.plugins.names("nodegraph.samplers")
        assert sorted(found) == ["more_1", "more_2", "one"]
        runs = {
            name: Workflow.from_dict(workflow(sample=sampled(name))) for name in ("one", "more_2")
        }
        results = [session.run(each, targets=["sample"]) for each in runs.values()]
        assert all(result.is_ok for result in results)
        one, more = (result["sample.latent"].samples for result in results)
        assert not torch.equal(one, more)
        assert session.registry.pack_versions().keys() >= {"made"}


def test_what_a_sampler_forgets_is_found_by_the_test_of_its_pack(tmp_path: Path) -> None:
    forgetful = SAMPLER.replace("    for here", "    kept = {}\n    for here", 1)
    (tmp_path / "my_pack.py").write_text(forgetful.replace("walk.memory", "kept"))
    verdicts = check_pack(pack_at(tmp_path / "my_pack.py"))
    (verdict,) = verdicts.samplers
    assert verdict.state == "failed"
    assert "walk.memory" in verdict.reason


@pytest.mark.filterwarnings("ignore:results of node .LateSeed. are not kept")
@pytest.mark.parametrize("is_checked_only", [True, False])
def test_a_node_that_uses_another_session_leaves_the_rest_of_its_run_alone(
    studio: Studio, tmp_path: Path, is_checked_only: bool
) -> None:
    other = Studio(tmp_path / "other")
    edit(other.module)
    given = Workflow.from_dict(workflow(sample=sampled("ab2", seed=0)))

    @node
    async def LateSeed(prompt: Any, latent: Any) -> int:
        """The same seed each time, once the other session has worked."""
        if is_checked_only:
            assert other.session.check(given, targets=["sample"]) == []
        else:
            await other.session.run_async(given, targets=["sample"])
        return 0

    expected = studio.run(seed=0)[1]
    settings = replace(studio.session.settings, home=tmp_path / "new")
    # All else is there when it answers, so nothing stands between it and the sampling.
    last = {
        "type": "LateSeed",
        "inputs": {"prompt": {"from": "words"}, "latent": {"from": "latent"}},
    }
    document = workflow(seed=last, sample=sampled("ab2", seed={"from": "seed"}))
    with Session(settings, nodes=[LateSeed]) as session, other.session:
        result = session.run(Workflow.from_dict(document), targets=["sample"])
        assert torch.equal(result["sample.latent"].samples, expected)
        # Whatever was used last, each knows its own.
        with Session(Settings(home=tmp_path / "none", device="cpu")) as none:
            assert none.check(given, targets=["sample"]) != []
            assert session.graph(given, targets=["sample"]).targets == ("sample",)


EXAMPLE = Path(__file__).parents[2] / "examples" / "packs" / "steps"


def test_the_example_pack_makes_a_picture_by_the_name_of_its_sampler(tmp_path: Path) -> None:
    (pack,) = find_packs(str(EXAMPLE))
    links = {"latent": {"from": "sample"}, "vae": {"from": "load.vae"}}
    nodes = {"sample": sampled("ab2"), "picture": {"type": "VAEDecode", "inputs": links}}
    with Session(Settings(home=tmp_path, device="cpu"), packs=[pack]) as session:
        picture = session.run(workflow(**nodes), targets=["picture"])["picture"]
    assert picture.shape == (1, 64, 64, 3)
    assert float(picture.std()) > 0.01
    assert SAMPLER in (pack.root / "samplers.py").read_text("utf-8")


def test_the_order_of_a_packs_sampler_is_measured(tmp_path: Path) -> None:
    (pack,) = find_packs(str(EXAMPLE))
    found = check_pack(pack)
    (sampler,) = found.samplers
    assert (sampler.name, sampler.order, sampler.state) == ("ab2", 2, "passed")
    assert sampler.measured == pytest.approx(2, abs=0.1)
    assert found.is_passed

    module = tmp_path / "boastful.py"
    module.write_text(SAMPLER.replace("order=2", "order=3"))
    found = check_pack(pack_at(module))
    (sampler,) = found.samplers
    assert sampler.state == "failed"
    assert "it states order 3" in sampler.reason
    assert not found.is_passed


def test_the_test_of_a_pack_tries_schedules_and_guiders(tmp_path: Path) -> None:
    module = tmp_path / "curves.py"
    module.write_text(CURVE + GUIDER)
    found = check_pack(pack_at(module))
    assert found.functions == [("schedule", "cosine"), ("guider", "rescaled")]
    assert found.is_passed

    module.write_text(
        CURVE.partition("    return ")[0]
        + "    return [1.0] * steps\n"
        + GUIDER.replace("return guided *", "return scale #")
    )
    schedule, guider = check_pack(pack_at(module)).problems
    assert "the function of the schedule cosine returns no descending noise levels" in schedule
    assert "the function of the guider rescaled returns no prediction" in guider


def test_a_sampler_of_a_pack_that_has_the_name_of_a_built_in_one_is_told(tmp_path: Path) -> None:
    module = tmp_path / "twice.py"
    module.write_text(SAMPLER.replace("ab2", "euler"))
    (problem,) = check_pack(pack_at(module)).problems
    assert "its sampler `euler` is left out" in problem


def test_a_pack_brings_a_schedule(studio: Studio) -> None:
    module = studio.module.with_name("my_curves.py")
    module.write_text(CURVE)

    def run(schedule: str, **inputs: Any) -> tuple[str, Any]:
        return studio.run(schedule=schedule, **inputs)

    status, first = run("cosine")
    assert (status, run("cosine")[0]) == ("ran", "cached")
    assert not torch.equal(first, run("karras")[1])
    assert not torch.equal(first, run("cosine", convention="comfyui")[1])
    module.write_text(CURVE.replace("** 2", "** 3"))
    status, edited = run("cosine")
    assert (status, run("karras")[0]) == ("ran", "cached")
    assert not torch.equal(first, edited)


def test_a_schedule_as_a_value_counts_by_its_pack_too(studio: Studio) -> None:
    module = studio.module.with_name("my_curves.py")
    module.write_text(CURVE)
    nodes = json.loads(json.dumps(WAYS["nodes"]))
    nodes["schedule"]["inputs"]["schedule"] = "cosine"
    given = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    first = studio.session.run(given, targets=["custom"]).nodes["custom"]
    module.write_text(CURVE.replace("** 2", "** 3"))
    edited = studio.session.run(given, targets=["custom"]).nodes["custom"]
    assert (first.status, edited.status) == ("ran", "ran")
    assert first.outputs != edited.outputs


@pytest.mark.parametrize(
    ("replacement", "port"), [("[0.5] * steps", "schedule"), ("[1.0]", "schedule")]
)
def test_a_schedule_that_gives_no_falling_levels_is_told(
    studio: Studio, replacement: str, port: str
) -> None:
    before = CURVE.partition("    return ")[0]
    studio.module.with_name("my_curves.py").write_text(f"{before}    return {replacement}\n")
    given = Workflow.from_dict(workflow(sample=sampled("euler", schedule="cosine")))
    (error,) = studio.session.run(given, targets=["sample"]).errors
    with raises(NodegraphError, node="sample", port=port):
        raise error


def test_a_schedule_says_which_models_and_samplers_it_is_for(studio: Studio) -> None:
    module = studio.module.with_name("my_curves.py")
    module.write_text(CURVE.replace('"cosine"', '"cosine", kinds=["flow"]'))
    for sampler in ("euler", "ddim"):
        given = Workflow.from_dict(workflow(sample=sampled(sampler, schedule="cosine")))
        with raises(InvalidWorkflow, node="sample", port="schedule", given="cosine"):
            studio.session.run(given, targets=["sample"])


class Guided:
    """Samplings by a guider of a pack, in a studio."""

    def __init__(self, studio: Studio) -> None:
        self.module = studio.module.with_name("my_guiders.py")
        self.module.write_text(GUIDER)
        self._session = studio.session

    def run(self, guider: str) -> RunResult:
        nodes = json.loads(json.dumps(WAYS["nodes"]))
        inputs = {"positive": {"from": "words"}, "guider": guider, "cfg": 4.0}
        nodes["guider"] = {"type": "SelectGuider", "inputs": inputs}
        given = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
        return self._session.run(given, targets=["custom"])


@pytest.fixture
def guided(studio: Studio) -> Guided:
    return Guided(studio)


def test_a_pack_brings_a_guider(guided: Guided) -> None:
    usual, first, again = (
        guided.run(name).nodes["custom"] for name in ("cfg", "rescaled", "rescaled")
    )
    assert (usual.status, first.status, again.status) == ("ran", "ran", "cached")
    guided.module.write_text(GUIDER.replace("scale *", "0.5 * scale *"))
    edited = guided.run("rescaled").nodes["custom"]
    assert edited.status == "ran"
    assert len({str(each.outputs) for each in (usual, first, edited)}) == 3
    assert guided.run("cfg").nodes["custom"].status == "cached"


def test_a_guider_that_gives_no_prediction_is_told(guided: Guided) -> None:
    guided.module.write_text(GUIDER.replace("return guided *", "return scale #"))
    (error,) = guided.run("rescaled").errors
    with raises(NodegraphError, node="custom", port="guider", given="float"):
        raise error
