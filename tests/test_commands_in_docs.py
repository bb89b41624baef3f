"""Every command in the docs is parsed by the command line, and the quick ones run.

Parsing calls no command: it checks that each command and option exists and takes the given value.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any, NamedTuple

import pytest
import typer
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.core import TyperGroup

from nodegraph.cli import main, submit
from nodegraph.cli.app import application
from nodegraph.cli.options import CommonOptions
from nodegraph.cli.submit import RemoteWorkflow
from nodegraph.cli.workflow_source import open_workflow
from nodegraph.errors import NodegraphError
from tests.compat.image_metadata.samples import png

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(f"docs/{p.name}" for p in ROOT.glob("docs/*.md"))]
SHELL = ("", "sh", "bash", "shell", "console")
"""Languages of fenced blocks that hold commands; without one, a block is taken for them too."""
_BLOCK = re.compile(r"^( *)```(\w*)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
_INDENTED = re.compile(r"(?:^\n|\A)((?:^ {4,}\S.*\n)+)", re.MULTILINE)
_SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_PROMPT = re.compile(r"\$ |docker compose exec \w+ |(?:[\d*/,-]+ +){5}|\w+=\S+ ")
"""What may stand before a command: a prompt, a container, the times of a crontab, variables."""
OTHER_MODULES = {"pytest", "venv"}
_ENDS = {"&&", "||", "|", ";", ">", ">>", "<", "&", "(", ")"}
USAGE_ERROR: Any = typer.BadParameter.__base__
"""Click's; Typer makes only its subclass public."""


class Line(NamedTuple):
    """A command of a page.

    Attributes:
        words: What follows `nodegraph`.
        is_whole: It stands in a block, so nothing may be missing.
    """

    page: str
    words: tuple[str, ...]
    is_whole: bool

    def __str__(self) -> str:
        return f"{self.page}: nodegraph {' '.join(self.words)}"


def blocks(page: str) -> Iterator[str]:
    """The fenced and indented blocks of a page that hold commands."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for match in _BLOCK.finditer(text):
        if match[2] in SHELL:
            yield match[3]
    for match in _INDENTED.finditer(_BLOCK.sub("", text)):
        yield match[1]


def programs(text: str) -> Iterator[list[str]]:
    """The words of each program that a block or a span starts."""
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        rest = line.strip()
        while found := _PROMPT.match(rest):
            rest = rest[found.end() :]
        lexer = shlex.shlex(rest, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        try:
            words = list(lexer)
        except ValueError:
            continue  # prose with an apostrophe
        while words:
            end = next((at for at, word in enumerate(words) if word in _ENDS), len(words))
            if end:
                yield words[:end]
            words = words[end + 1 :]


def named(program: str) -> Iterator[tuple[str, list[str], bool]]:
    """Each use of a program on all pages: the page, what follows it, and whether in a block."""
    for page in PAGES:
        text = (ROOT / page).read_text(encoding="utf-8")
        spans = [" ".join(span.split()) for span in _SPAN.findall(_BLOCK.sub("", text))]
        parts = [*((block, True) for block in blocks(page)), *((span, False) for span in spans)]
        for part, is_block in parts:
            for first, *words in programs(part.replace("\\|", "|")):
                if first.rpartition("/")[2] == program:
                    yield page, words, is_block


LINES = list(
    dict.fromkeys(
        Line(page, tuple(words), is_block)
        for page, words, is_block in named("nodegraph")
        if words and words[0] != "COMMAND"
    )
)


NOT_RUN = {
    r"(serve|submit|jobs|queue|watch|cancel|pull|cluster|schedules|webhooks)\b": "needs a server",
    r"(diff a\.json|merge base\.json)": "needs versions of a workflow",
    r".* --cluster ": "needs a cluster",
    r"models (search|add|link)\b": "asks another site, or needs another program",
    r"pack (add|info|search|rollback|disable|enable|remove|sync|index)\b": "needs a pack",
    r".* --(remote|push)\b": "needs a remote store",
    r"restore studio\.zip$": "needs an empty home folder",
    r"(--home|backup) /": "writes outside of the folder",
    r"run workflows/prompt_grid\.json": "takes a minute; tests/test_gallery.py runs it",
}
"""Commands that are only parsed, and why."""
_RUN_SPANS = re.compile(
    r"doctor|models|nodes|schema|(validate|why|pack new|export --python|nodes --(pack|search)) \S+"
)


def _is_run(line: Line) -> bool:
    """Whether a command is run. Most spans, other than the README's, are not whole commands."""
    written = " ".join(line.words)
    is_shown = line.is_whole or line.page == "README.md" or _RUN_SPANS.fullmatch(written)
    return bool(is_shown) and not any(re.match(pattern, written) for pattern in NOT_RUN)


RUN: dict[str, list[Line]] = {
    "spans": list(
        {line.words: line for line in LINES if not line.is_whole and _is_run(line)}.values()
    )
}
for _line in LINES:
    if _line.is_whole and _is_run(_line):
        RUN.setdefault(_line.page, []).append(_line)


@pytest.fixture
def folder(tmp_path: Path, known_specs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with the files that commands name, and a home without results."""
    copytree(known_specs, tmp_path / "home" / "cache" / "specs")
    monkeypatch.setenv("NODEGRAPH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("NODEGRAPH_STORE", str(tmp_path / "store"))
    monkeypatch.chdir(tmp_path)
    workflow = json.loads((ROOT / "workflows/text_to_image.json").read_text(encoding="utf-8"))
    workflow["nodes"]["sample"]["inputs"]["steps"] = 2
    workflow["nodes"]["size"]["inputs"] |= {"width": 64, "height": 64}
    copytree(ROOT / "workflows", tmp_path / "workflows", ignore=ignore_patterns("*.webp"))
    copytree(tmp_path / "workflows", tmp_path, dirs_exist_ok=True)
    for name in SMALL:
        (tmp_path / name).write_text(json.dumps(workflow), encoding="utf-8")
    (tmp_path / "downloads").mkdir()
    for name in ("theirs.json", "downloads/theirs.json"):
        (tmp_path / name).write_text(json.dumps(THEIRS), encoding="utf-8")
    (tmp_path / "output").mkdir()
    _save_picture(tmp_path / "ComfyUI_00042_.png", "prompt", THEIRS)
    png({"parameters": SETTINGS})(tmp_path / "00042-5.png")
    for name in ("picture.png", "output/apple_00001.png"):
        _save_picture(tmp_path / name, "workflow", workflow)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    (tmp_path / "my_nodes.py").write_text(examples[0], encoding="utf-8")
    return tmp_path


SMALL = (
    *("workflows/text_to_image.json", "text_to_image.json", "wf.json", "workflow.json"),
    *("grid.json", "apple.json", "mine.json", "FILE", "WORKFLOW"),
)
"""Files with a workflow that makes a small, rough image."""
THEIRS = {
    "4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "tiny"}},
    "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a fox", "clip": ["4", 1]}},
    "5": {
        "class_type": "EmptyLatentImage",
        "inputs": {"width": 64, "height": 64, "batch_size": 1},
    },
    "3": {
        "class_type": "KSampler",
        "inputs": {
            "model": ["4", 0],
            "positive": ["6", 0],
            "negative": ["6", 0],
            "latent_image": ["5", 0],
            "seed": 1,
            "steps": 2,
            "cfg": 4.0,
            "denoise": 1.0,
            "sampler_name": "euler",
            "scheduler": "normal",
        },
    },
    "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "fox"}},
}
"""A workflow of ComfyUI, with the embedded model."""


SETTINGS = "a red apple\nSteps: 2, Sampler: Euler a, Seed: 5, Size: 64x64, Model: tiny"
"""What A1111 writes into an image, with the embedded model."""


def _save_picture(path: Path, key: str, workflow: Mapping[str, Any]) -> None:
    texts = PngInfo()
    texts.add_text(key, json.dumps(workflow))
    Image.new("RGB", (2, 2)).save(path, pnginfo=texts)


def parse(words: Sequence[str], *, is_whole: bool = True) -> None:
    """Parse a command line without a call of its command.

    Args:
        is_whole: Whether required arguments are required here, too.
    Raises:
        UsageError: There is no such command or option, or it does not take the value.
    """
    command: Any = application()
    context: Any = None
    name: str | None = "nodegraph"
    remaining = list(words)
    while True:
        try:
            context = command.make_context(name, remaining, parent=context)
        except typer.Exit:
            return  # after `--help`
        except USAGE_ERROR as error:
            if is_whole or type(error).__name__ != "MissingParameter":
                raise
            return
        remaining = [*context._protected_args, *context.args]
        if not isinstance(command, TyperGroup) or not remaining:
            return
        name, command, remaining = command.resolve_command(context, remaining)


@pytest.fixture
def _parsing_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find what an earlier command or a server would give them."""
    assert main(["import", "theirs.json"]) == main(["new", "invert.json"]) == 0

    def opened(client: object, name: str, *, is_saved: bool) -> RemoteWorkflow:
        registry: Any = CommonOptions().session().registry
        return RemoteWorkflow(open_workflow(name), registry)

    monkeypatch.setattr(submit, "_opened", opened)


@pytest.mark.usefixtures("_parsing_alone")
@pytest.mark.parametrize("page", dict.fromkeys(line.page for line in LINES))
def test_the_command_line_takes_every_command(page: str) -> None:
    faults = []
    for line in LINES:
        if line.page == page:
            words = [word for word in line.words if not word.startswith("[")]  # "[OPTIONS]"
            try:
                parse(words, is_whole=line.is_whole)
            except (USAGE_ERROR, NodegraphError) as error:
                faults.append(f"{line}: {error}")
    assert faults == []


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    "words",
    [
        ["rum", "wf.json"],
        ["run", "wf.json", "--sed", "3"],
        ["run", "wf.json", "--repeat", "many"],
        ["cache", "prune", "--older-then", "30d"],
        ["cache", "empty"],
        ["token", "add"],
        ["serve", "--port", "http"],
    ],
    ids=" ".join,
)
def test_wrong_commands_are_found(words: list[str]) -> None:
    with pytest.raises(USAGE_ERROR):
        parse(words)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("lines", RUN.values(), ids=RUN)
def test_quick_commands_run_in_order(lines: list[Line], capfd: pytest.CaptureFixture[str]) -> None:
    for seed in (1, 2):  # some commands show earlier runs
        assert main(["run", "wf.json", "--seed", str(seed)]) == 0
    for line in lines:
        code = main(line.words)
        printed = capfd.readouterr()
        assert code == 0, f"{line}: {printed.out} {printed.err}"


def test_scripts_and_modules_exist() -> None:
    missing = []
    for program in ("python", "python3"):
        for page, words, _ in named(program):
            if words[:1] == ["-m"]:
                path = ROOT / words[1].replace(".", "/")
                exists = path.with_suffix(".py").is_file() or (path / "__main__.py").is_file()
                exists = exists or words[1] in OTHER_MODULES
            else:
                exists = not words or words[0] == "-c" or (ROOT / words[0]).is_file()
            if not exists:
                missing.append(f"{page}: {program} {' '.join(words)}")
    assert missing == []
