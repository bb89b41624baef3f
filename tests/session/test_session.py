"""Sessions: settings, packs and an engine joined, from scripts and notebooks."""

from __future__ import annotations

import asyncio
import builtins
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest

import nodegraph
from nodegraph import InvalidFile, InvalidValue, Session, Settings, Workflow, node
from nodegraph.engine.options import RunOptions
from nodegraph.errors import InvalidWorkflow, NodeFailed
from nodegraph.session.node_types import all_packs
from nodegraph.session.settings import load_settings
from tests.messages import raises


@node
def Start(value: int = 1) -> int:
    """A number."""
    return value


@node
def Long(of: str) -> str:
    """A long text, quickly."""
    return of * 10_000


@node
def Boom(a: int) -> int:
    """Raise."""
    raise RuntimeError("boom")


class Own:
    """A value that can't be kept on disk."""


@node
def MakeOwn() -> Any:
    """A value of a class that nobody knows."""
    return Own()


@node(deterministic=False)
def Within(name: str) -> int:
    """Run something by the session that runs it, or by the one that scripts share."""
    if name == "shared":
        found = nodegraph.run(WORKFLOW, nodes=[Start], targets=["start"], progress=False)
    else:
        # As of a library: a session of the function's own would be read as a part of its code.
        own: Session = vars(builtins)["own_session"]
        found = own.run(Workflow.from_dict(WORKFLOW), targets=["start"])
    value: int = found["start"]
    return value


WORKFLOW = {
    "format": "nodegraph/1",
    "parameters": {"value": "start.value"},
    "nodes": {"start": {"type": "Start", "inputs": {"value": 5}}},
}
BROKEN = {
    "format": "nodegraph/1",
    "nodes": {
        "start": {"type": "Start"},
        "boom": {"type": "Boom", "inputs": {"a": {"from": "start"}}},
    },
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def test_run_takes_parameters_and_gives_outputs(settings: Settings) -> None:
    result = nodegraph.run(
        WORKFLOW, parameters={"value": 9}, targets=["start"], nodes=[Start], settings=settings
    )
    assert result["start.number"] == 9


def test_a_result_tells_what_is_in_it(settings: Settings) -> None:
    result = nodegraph.run(WORKFLOW, targets=["start"], nodes=[Start], settings=settings)
    assert "start.number" in result
    assert "size.latent" not in result
    assert list(result) == ["start.number"]
    with raises(KeyError):
        result["start.nmber"]


def test_a_picture_of_a_result_is_as_large_as_the_session_allows(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(settings, outputs=tmp_path / "output")
    grey = {"type": "EmptyImage", "inputs": {"width": 64, "height": 64}}
    save = {"type": "SaveImage", "inputs": {"image": {"from": "grey"}}}
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": {"grey": grey, "save": save}})
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 1_000)
    with Session(settings) as session:
        assert session.run(workflow).image("save").size == (64, 64)
    with Session(replace(settings, max_image_pixels=64 * 64 - 1)) as session:
        result = session.run(workflow)
        with raises(InvalidFile, given="64 x 64 pixels"):
            result.image("save")


def test_comments_on_nodes_change_no_result(settings: Settings) -> None:
    comment = {"id": "c", "node": "start", "author": "ada", "text": "Why 5?"}
    document = Workflow.from_dict(WORKFLOW).to_dict()
    commented = {**document, "ui": {"comments": [comment]}}
    with Session(settings, nodes=[Start]) as session:
        session.run(document, targets=["start"])
        before, after = (
            session.plan(each, targets=["start"]).nodes["start"] for each in (document, commented)
        )
    assert before == after
    assert after.status == "hit"
    assert Workflow.from_dict(commented).to_dict()["ui"] == {"comments": [comment]}


def test_a_session_takes_the_dictionary_of_a_workflow_as_scripts_do(settings: Settings) -> None:
    with Session(settings, nodes=[Start]) as session:
        assert session.check(WORKFLOW, targets=["start"]) == []
        assert list(session.graph(WORKFLOW, targets=["start"]).nodes) == ["start"]
        assert list(session.plan(WORKFLOW, targets=["start"]).nodes) == ["start"]
        assert session.run(WORKFLOW, targets=["start"])["start"] == 5
        (result,) = session.run_many([WORKFLOW], [RunOptions(targets=["start"])])
        assert result["start"] == 5
        assert [found.plan.name for found in session.why(WORKFLOW, node="start")] == ["start"]
        assert session.load_ahead(WORKFLOW, targets=["start"]) == []
        with raises(InvalidValue, given="int"):
            session.run(3)  # type: ignore[arg-type]


def test_run_raises_what_a_node_raised(settings: Settings) -> None:
    with raises(NodeFailed, node="boom"):
        nodegraph.run(BROKEN, targets=["boom"], nodes=[Start, Boom], settings=settings)


def test_run_without_check_tells_in_its_result(settings: Settings) -> None:
    options = {"targets": ["boom"], "nodes": [Start, Boom], "settings": settings}
    assert nodegraph.run(BROKEN, check=False, **options).status == "failed"  # type: ignore[arg-type]


def test_run_works_where_an_event_loop_runs(settings: Settings) -> None:
    async def notebook() -> object:
        return nodegraph.run(WORKFLOW, targets=["start"], nodes=[Start], settings=settings)

    assert asyncio.run(notebook())["start.number"] == 5  # type: ignore[index]


def test_run_async_awaits(settings: Settings) -> None:
    run = nodegraph.run_async(WORKFLOW, targets=["start"], nodes=[Start], settings=settings)
    assert asyncio.run(run)["start.number"] == 5


def test_a_session_keeps_results_between_runs(settings: Settings) -> None:
    workflow = Workflow.from_dict(WORKFLOW)
    with Session(settings, nodes=[Start]) as session:
        session.run(workflow, targets=["start"])
        again = session.run(workflow, targets=["start"])
    assert again.nodes["start"].status == "cached"


@pytest.mark.usefixtures("cheap_calls")
@pytest.mark.parametrize("keep_cheap", [False, True])
def test_what_is_quick_to_compute_is_kept_on_disk_if_that_is_wished(
    settings: Settings, keep_cheap: bool
) -> None:
    wished = replace(settings, keep_cheap=keep_cheap)
    workflow = Workflow.from_dict(
        {"format": "nodegraph/1", "nodes": {"long": {"type": "Long", "inputs": {"of": "a"}}}}
    )
    for expected in ("ran", "cached" if keep_cheap else "ran"):
        with Session(wished, nodes=[Long]) as session:
            result = session.run(workflow, targets=["long"])
        assert result.nodes["long"].status == expected
        assert result["long.text"] == "a" * 10_000


def test_a_session_without_cache_computes_anew(settings: Settings) -> None:
    workflow = Workflow.from_dict(WORKFLOW)
    with Session(settings, nodes=[Start], use_cache=False) as session:
        session.run(workflow, targets=["start"])
        again = session.run(workflow, targets=["start"])
    assert again.nodes["start"].status == "ran"


def test_a_plan_for_values_tells_of_those_that_are_not_kept(settings: Settings) -> None:
    nodes = {"own": {"type": "MakeOwn"}}
    workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
    for _ in range(2):
        with Session(settings, nodes=[MakeOwn]) as session:
            plan = session.plan(workflow, targets=["own"], values=True)
            assert plan.nodes["own"].status == "run"
            assert session.run(workflow, targets=["own"]).nodes["own"].status == "ran"


def test_an_unknown_parameter_gets_a_suggestion(settings: Settings) -> None:
    with raises(InvalidWorkflow):
        nodegraph.run(
            WORKFLOW, parameters={"valeu": 1}, targets=["start"], nodes=[Start], settings=settings
        )


def test_variables_override_the_file_and_flags_override_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text('device = "cpu"\nmemory_cache = 5\ncpu_threads = 2\n')
    monkeypatch.setenv("NODEGRAPH_MEMORY_CACHE", "7")
    found = load_settings({"home": tmp_path, "cpu_threads": 3})
    assert (found.device, found.memory_cache, found.cpu_threads) == ("cpu", 7, 3)


def test_home_can_be_a_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODEGRAPH_HOME", str(tmp_path))
    assert load_settings().model_folders == (tmp_path / "models",)


@pytest.mark.parametrize(
    "text",
    [
        "memory_cash = 5",
        "memory_cache = -1",
        'disk_cache = "much"',
        "memory_cache = ",
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    with raises(InvalidFile):
        load_settings({"home": tmp_path})


def test_sizes_have_units_and_folders_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config.toml").write_text('disk_cache = "2GB"\nstore = "~/kept"\n')
    monkeypatch.delenv("NODEGRAPH_STORE", raising=False)
    monkeypatch.setenv("NODEGRAPH_MEMORY_CACHE", "1.5 MiB")
    monkeypatch.setenv("NODEGRAPH_STORES", os.pathsep.join(["~/team", "/b"]))
    found = load_settings({"home": tmp_path})
    assert (found.disk_cache, found.memory_cache) == (2_000_000_000, 3 << 19)
    assert found.store_folder == Path.home() / "kept"
    assert found.stores == (Path.home() / "team", Path("/b"))


def test_folders_in_a_variable_stand_as_in_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODEGRAPH_MODELS", os.pathsep.join(["/a", "/b c"]))
    assert load_settings({"home": tmp_path}).models == (Path("/a"), Path("/b c"))
    monkeypatch.setenv("NODEGRAPH_MODELS", '["/a"]')
    assert load_settings({"home": tmp_path}).models == (Path("/a"),)


def test_settings_made_by_a_program_are_read_as_those_of_the_file() -> None:
    found = Settings(home="~/home", models=["a"], disk_cache="50GB", cpu_threads="2")  # type: ignore[arg-type]
    assert found.data_folder == Path("~/home").expanduser()
    assert (found.models, found.disk_cache, found.cpu_threads) == ((Path("a"),), 50 * 10**9, 2)
    assert replace(found, store="x").store_folder == Path("x")  # type: ignore[arg-type]


def test_wrong_settings_of_a_program_are_named(tmp_path: Path) -> None:
    with raises(InvalidValue):
        Settings(disk_cache="much", cpu_threads=0)  # type: ignore[arg-type]
    with raises(InvalidFile):
        load_settings({"home": tmp_path, "device": 5})


def test_a_misspelt_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODEGRAPH_DEVICEE", "cpu")
    with raises(InvalidFile):
        load_settings({"home": tmp_path})


def test_a_device_that_is_not_there_is_told_before_anything_runs(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, device="cuda:77")
    with raises(InvalidValue, given="cuda:77"):
        nodegraph.run(WORKFLOW, targets=["start"], nodes=[Start], settings=settings)


def test_one_session_serves_several_threads(settings: Settings) -> None:
    workflow = Workflow.from_dict(WORKFLOW)
    with Session(settings, nodes=[Start]) as session, ThreadPoolExecutor(4) as threads:
        running = [threads.submit(session.run, workflow, targets=["start"]) for _ in range(8)]
        assert {run.result()["start.number"] for run in running} == {5}


def test_an_option_that_is_none_is_told_with_the_nearest(settings: Settings) -> None:
    with (
        Session(settings) as session,
        pytest.raises(TypeError, match=r"no option `target`.* `targets`"),
    ):
        session.run(Workflow.from_dict(WORKFLOW), target=["save"])  # type: ignore[call-arg]
    with raises(TypeError):
        nodegraph.run(WORKFLOW, settings=settings, pack=["mine"])  # type: ignore[call-arg]


def test_options_and_keywords_may_be_given_together(settings: Settings) -> None:
    kinds: list[str] = []
    noting = RunOptions(listener=lambda event: kinds.append(event.kind))
    with Session(settings, nodes=[Start]) as session:
        assert (
            session.run(Workflow.from_dict(WORKFLOW), noting, targets=["start"])["start.number"]
            == 5
        )
    assert (kinds[0], kinds[-1]) == ("job.started", "job.finished")


@pytest.mark.parametrize("said", ["diffusers, others", '["diffusers"]'])
def test_installed_packs_are_left_out_by_name(
    said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NODEGRAPH_LEAVE_OUT", said)
    assert "diffusers" in load_settings({"home": tmp_path}).leave_out
    assert "diffusers" in Settings(home=tmp_path).leave_out
    names = {pack.name for pack in all_packs(Settings(home=tmp_path))}
    assert "" in names
    assert "diffusers" not in names
    monkeypatch.delenv("NODEGRAPH_LEAVE_OUT")
    assert "diffusers" in {pack.name for pack in all_packs(Settings(home=tmp_path))}


@pytest.mark.filterwarnings("ignore:results of node `Within` aren't kept")
@pytest.mark.parametrize("is_in_loop", [False, True])
def test_a_node_that_runs_something_by_its_own_session_is_refused(
    tmp_path: Path, is_in_loop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As its turn would never come; the session that scripts share is another."""
    monkeypatch.setenv("NODEGRAPH_HOME", str(tmp_path))

    def run(name: str) -> nodegraph.RunResult:
        nodes = {"n": {"type": "Within", "inputs": {"name": name}}}
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})

        async def within_a_loop() -> nodegraph.RunResult:
            return session.run(workflow, targets=["n"])

        if is_in_loop:
            return asyncio.run(within_a_loop())
        return session.run(workflow, targets=["n"])

    with Session(Settings(home=tmp_path, disk_cache=0), nodes=[Start, Within]) as session:
        monkeypatch.setitem(vars(builtins), "own_session", session)
        (error,) = run("own").errors
        assert error.problem.node == "n"
        assert "in the session that waits for it" in str(error)
        assert run("shared")["n"] == 5
        assert session.run(Workflow.from_dict(WORKFLOW), targets=["start"])["start"] == 5
    nodegraph.close()
