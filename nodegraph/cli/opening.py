"""Opening a workflow: a JSON file, standard input, or a result that carries one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodegraph.audio.audio_files import audio_texts, begins_like_audio
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile
from nodegraph.molecules.molecule_files import molecule_texts
from nodegraph.shapes.shape_files import GLB, shape_texts
from nodegraph.videos.video_files import begins_like_video, video_texts

STDIN = "-"
_PICTURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")


@dataclass(frozen=True)
class Opened:
    """A workflow and where it comes from.

    Attributes:
        name: As it was given.
        folder: Where its relative paths start; None for the current folder.
    """

    workflow: Workflow
    name: str
    folder: Path | None


def open_workflow(name: str) -> Opened:
    """The workflow in a JSON file, in a result by nodegraph, or at ``-`` on stdin.

    Raises:
        InvalidFile: There is no such file, or no workflow in it.
        InvalidWorkflow: Parts of it have the wrong form; lists all of them.
    """
    if name == STDIN:
        return Opened(Workflow.loads(_standard_input(), name="standard input"), name, None)
    path = Path(name)
    if not path.exists():
        raise _missing(path)
    return Opened(_workflow_in(path), name, path.absolute().parent)


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidFile(f"standard input is no UTF-8 text (byte {error.start})") from error


def _missing(path: Path) -> InvalidFile:
    from nodegraph.core.suggest import nearest

    folder = path.parent
    near = nearest(path.name, (item.name for item in folder.glob("*.json")))
    hint = f"Did you mean `{folder / near}`?" if near else None
    return InvalidFile(f"there is no file {path}", hint=hint)


def _workflow_in(path: Path) -> Workflow:
    try:
        with path.open("rb") as file:
            start = file.read(12)
    except OSError:
        return Workflow.load(path)  # tells why
    if start.startswith(_PICTURES) or (start[:4], start[8:]) == (b"RIFF", b"WEBP"):
        from nodegraph.images.images import read_metadata

        return _carried(path, read_metadata(path))
    if begins_like_video(start):
        return _carried(path, video_texts(path))
    if begins_like_audio(start):
        return _carried(path, audio_texts(path))
    if start.startswith((GLB, b"ply")) or path.suffix.lower() == ".obj":
        return _carried(path, shape_texts(path))
    if path.suffix.lower() in (".sdf", ".mol", ".pdb", ".smi"):
        return _carried(path, molecule_texts(path))
    return Workflow.load(path)


def _carried(path: Path, texts: Mapping[str, str]) -> Workflow:
    text = texts.get("workflow")
    if text is None:
        raise InvalidFile(
            f"{path} carries no workflow",
            hint="What nodegraph saved does, unless another program has saved it since.",
        )
    return Workflow.loads(text, name=str(path))
