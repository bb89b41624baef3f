"""The session that stays from call to call."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from shutil import copytree
from textwrap import indent
from threading import Timer
from types import SimpleNamespace
from typing import Any

import pytest

import nodegraph
from nodegraph import Context, Settings, node
from nodegraph.errors import Cancelled, InvalidValue, NodeFailed, NodegraphError, PackError
from tests.messages import raises


@node(deterministic=False)
def Count(ctx: Context, steps: int = 1) -> int:
    """Numbers that differ from run to run."""
    for step in range(steps):
        ctx.progress(step + 1, steps)
    return next(COUNTER)


COUNTER = iter(range(1, 1_000_000))


@node
def Twice(a: int) -> int:
    """A number, doubled."""
    return 2 * a


@node
def Read(ctx: Context, name: str) -> str:
    """A file beside the workflow."""
    return ctx.file(name).read_text()


WORKFLOW: dict[str, Any] = {
    "format": "nodegraph/1",
    "parameters": {"a": "twice.a"},
    "nodes": {"twice": {"type": "Twice", "inputs": {"a": 4}}},
}


def home(tmp_path: Path, known_specs: Path, name: str = "home") -> Path:
    """A folder in which it is known already what the built-in pack declares."""
    copytree(known_specs, tmp_path / name / "cache" / "specs")
    return tmp_path / name


@pytest.fixture
def settings(tmp_path: Path, known_specs: Path) -> Iterator[Settings]:
    yield Settings(home=home(tmp_path, known_specs), disk_cache=0)
    nodegraph.close()


@pytest.fixture
def other(tmp_path: Path, known_specs: Path) -> Settings:
    return Settings(home=home(tmp_path, known_specs, "other"), disk_cache=0)


def test_results_stay_from_call_to_call(settings: Settings) -> None:
    def run() -> Any:
        return nodegraph.run(WORKFLOW, targets=["twice"], nodes=[Twice], settings=settings)

    assert [run().nodes["twice"].status for _ in range(3)] == ["ran", "cached", "cached"]
    nodegraph.close()
    assert run().nodes["twice"].status == "ran"


@node
def Fail(a: int) -> int:
    """Never a number."""
    return a // 0


@pytest.mark.parametrize(
    ("node_type", "frames", "says"),
    [
        ("Fail", ["a // 0", "nodegraph.run("], "division"),
        ("Twise", ["nodegraph.run("], "Twise"),
    ],
)
def test_a_notebook_shows_the_lines_of_the_cell_and_of_packs_alone(
    settings: Settings, node_type: str, frames: list[str], says: str
) -> None:
    workflow = {"format": "nodegraph/1", "nodes": {"it": {"type": node_type, "inputs": {"a": 1}}}}
    with pytest.raises(NodegraphError) as caught:
        nodegraph.run(workflow, targets=["it"], nodes=[Fail], settings=settings)
    lines = caught.value._render_traceback_()  # IPython's name for it
    places = [line for line in lines if line.lstrip().startswith('File "')]
    assert all(f'"{__file__}"' in line for line in places)
    assert len(places) == len(frames)
    assert all(any(frame in line for line in lines) for frame in frames)
    assert says in lines[-1]


def calling_in(file: Path, lines: str) -> Callable[[Callable[[], Any]], Any]:
    """A function of a file that calls what it is handed, by its lines."""
    names: dict[str, Any] = {}
    exec(compile(f"def call(it):\n{indent(lines, '  ')}", str(file), "exec"), names)
    found: Callable[[Callable[[], Any]], Any] = names["call"]
    return found


def test_a_notebook_shows_the_cause_below_an_error_of_nodegraphs(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = tmp_path / "IPython" / "__init__.py"
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(__file__=str(shell)))
    inside = calling_in(
        Path(nodegraph.__file__).with_name("inside.py"),
        "from nodegraph.errors import InvalidValue\n"
        "try:\n  it()\nexcept ArithmeticError as error:\n"
        "  told = InvalidValue('no number')\n  told.__cause__ = error\n"
        "  raise InvalidValue('no number comes out') from told",
    )
    run_code = calling_in(shell.with_name("interactiveshell.py"), "it()")
    with pytest.raises(InvalidValue) as caught:
        run_code(lambda: inside(lambda: 1 // 0))
    caught.value.__traceback__ = caught.value.__traceback__.tb_next  # type: ignore[union-attr]
    text = "\n".join(caught.value._render_traceback_())
    assert "1 // 0" in text
    assert "ZeroDivisionError" in text
    assert "inside.py" not in text
    assert "interactiveshell.py" not in text


def test_other_settings_begin_anew(settings: Settings, other: Settings) -> None:
    found = [
        nodegraph.run(WORKFLOW, targets=["twice"], nodes=[Twice], settings=each)
        for each in (settings, other, other)
    ]
    assert [result.nodes["twice"].status for result in found] == ["ran", "ran", "cached"]


def test_a_node_that_was_defined_anew_is_never_stale(settings: Settings) -> None:
    def defined(factor: int) -> Any:
        @node
        def Times(a: int) -> int:
            """A number, multiplied."""
            return factor * a

        return Times

    workflow = {"format": "nodegraph/1", "nodes": {"n": {"type": "Times", "inputs": {"a": 5}}}}
    found = [
        nodegraph.run(workflow, targets=["n"], nodes=[defined(factor)], settings=settings)["n"]
        for factor in (2, 3, 2)
    ]
    assert found == [10, 15, 10]


def test_files_are_looked_for_beside_each_workflow(settings: Settings, tmp_path: Path) -> None:
    found = []
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "word.txt").write_text(name)
        nodes = {"read": {"type": "Read", "inputs": {"name": "word.txt"}}}
        (folder / "wf.json").write_text(json.dumps({"format": "nodegraph/1", "nodes": nodes}))
        result = nodegraph.run(
            folder / "wf.json", targets=["read"], nodes=[Read], settings=settings
        )
        found.append(result["read"])
    assert found == ["one", "two"]


@pytest.mark.parametrize(
    "begin", [partial(nodegraph.run, {"format": "nodegraph/1"}), nodegraph.Session]
)
def test_what_is_of_another_kind_is_told(begin: Callable[..., object]) -> None:
    for given, told in [
        ({"settings": {"device": "cpu"}}, "not settings .given: dict; .*Settings.device"),
        ({"packs": "my.py"}, r"must be a list .given: 'my.py'; expected: \['my.py'\]"),
        ({"nodes": Twice}, r"must be a list .given: Twice; expected: \[Twice\]"),
        ({"nodes": 3}, "must be a list .given: 3"),
        ({"inputs": 3}, "`inputs` must be a folder .given: 3"),
        ({"packs": [3]}, "not a pack .given: 3; expected: the path of a folder"),
    ]:
        with pytest.raises(InvalidValue, match=told):
            begin(**given)


def test_a_wrong_node_is_told_and_the_next_call_is_fine(settings: Settings) -> None:
    with raises(PackError):
        nodegraph.run(WORKFLOW, targets=["twice"], nodes=[Twice, Twice], settings=settings)
    result = nodegraph.run(WORKFLOW, targets=["twice"], nodes=[Twice], settings=settings)
    assert result["twice"] == 8


def test_many_threads_and_wishes_get_what_they_asked_for(
    settings: Settings, other: Settings
) -> None:
    def run(a: int) -> int:
        found: int = nodegraph.run(
            WORKFLOW,
            parameters={"a": a},
            targets=["twice"],
            nodes=[Twice],
            settings=(settings, other)[a % 2],
        )["twice"]
        return found

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(run, range(12))) == [2 * a for a in range(12)]


def test_runs_of_one_event_loop_go_on_beside_each_other(settings: Settings) -> None:
    async def notebook() -> list[Any]:
        runs = [
            nodegraph.run_async(
                WORKFLOW, parameters={"a": a}, targets=["twice"], nodes=[Twice], settings=settings
            )
            for a in range(4)
        ]
        return [result["twice"] for result in await asyncio.gather(*runs)]

    assert asyncio.run(notebook()) == [0, 2, 4, 6]


LONG = {"format": "nodegraph/1", "nodes": {"n": {"type": "Count", "inputs": {"steps": 10**9}}}}


async def first_of(begun: asyncio.Event, run: asyncio.Task[Any]) -> None:
    """Wait until a run has begun, or has failed before."""
    waiting = asyncio.create_task(begun.wait())
    await asyncio.wait([waiting, run], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


@pytest.mark.parametrize("is_asleep", [False, True])
def test_cancelling_the_task_ends_the_run(settings: Settings, is_asleep: bool) -> None:
    """Also by what doesn't wake the event loop, as the interrupt of a notebook's kernel."""

    async def notebook() -> None:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()
        run = asyncio.create_task(
            nodegraph.run_async(
                LONG,
                targets=["n"],
                nodes=[Count],
                settings=settings,
                listener=lambda _: begun.is_set() or loop.call_soon_threadsafe(begun.set),
            )
        )
        await first_of(begun, run)
        if is_asleep:
            Timer(0.1, run.cancel).start()
        else:
            run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run

    asyncio.run(notebook())


def test_closing_ends_what_goes_on(settings: Settings) -> None:
    stream = iter(nodegraph.stream(LONG, targets=["n"], nodes=[Count], settings=settings))
    next(stream)
    nodegraph.close()
    with raises(Cancelled):
        list(stream)


def test_closing_is_told_in_words_where_an_event_loop_waits(settings: Settings) -> None:
    async def closed(waits: Callable[[Callable[[], None]], Awaitable[Any]]) -> None:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()
        run = asyncio.create_task(waits(lambda: loop.call_soon_threadsafe(begun.set)))
        await first_of(begun, run)
        await asyncio.to_thread(nodegraph.close)
        with raises(Cancelled):
            await run

    options: dict[str, Any] = {"targets": ["n"], "nodes": [Count], "settings": settings}

    async def run(begun: Callable[[], None]) -> Any:
        return await nodegraph.run_async(LONG, listener=lambda _: begun(), **options)

    async def streamed(begun: Callable[[], None]) -> None:
        async for _ in nodegraph.stream(LONG, **options):
            begun()

    asyncio.run(closed(run))
    asyncio.run(closed(streamed))


@pytest.mark.parametrize("ending", ["", "raise SystemExit(3)"])
def test_a_process_ends_after_what_it_began(tmp_path: Path, known_specs: Path, ending: str) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, time, nodegraph\n"
        "from nodegraph import Settings, node\n"
        "@node\n"
        "def Slow(a: int) -> int:\n"
        "    '''Wait a little.'''\n"
        "    time.sleep(0.1)\n"
        # Whole lines at once: both nodes write at the same time, and print() writes in pieces.
        "    os.write(1, f'done {a}\\n'.encode())\n"
        "    return a\n"
        "workflow = {'format': 'nodegraph/1', 'parameters': {'a': 'n.a'},\n"
        "            'nodes': {'n': {'type': 'Slow'}}}\n"
        "from pathlib import Path\n"
        f"settings = Settings(home=Path({str(home(tmp_path, known_specs))!r}))\n"
        "nodegraph.map(workflow, {'a': [1, 2]}, targets=['n'], nodes=[Slow], settings=settings)\n"
        f"{ending}\n"
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=600, check=False
    )
    assert sorted(done.stdout.splitlines()) == ["done 1", "done 2"], done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == (3 if ending else 0)


def test_what_a_node_raised_is_raised(settings: Settings) -> None:
    @node
    def Boom() -> int:
        """Raise."""
        raise RuntimeError("boom")

    workflow = {"format": "nodegraph/1", "nodes": {"n": {"type": "Boom"}}}
    with raises(NodeFailed, node="n"):
        nodegraph.run(workflow, targets=["n"], nodes=[Boom], settings=settings)
