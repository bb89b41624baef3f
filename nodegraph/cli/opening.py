"""Opening a workflow: a JSON file, standard input, or a result that carries one."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile

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
    # What most are, known without what reads the others.
    is_plain = path.suffix.lower() == ".json" and start.startswith(b"{")
    texts = None if is_plain else _texts_in(path, start)
    return Workflow.load(path) if texts is None else _carried(path, texts)


def _texts_in(path: Path, start: bytes) -> Mapping[str, str] | None:
    """The texts that a result carries; None of files that are no results.

    Args:
        start: Its first 12 bytes.
    """
    from nodegraph.audio.audio_files import audio_texts, begins_like_audio
    from nodegraph.molecules.molecule_files import molecule_texts
    from nodegraph.shapes.shape_files import GLB, shape_texts
    from nodegraph.videos.video_files import begins_like_video, video_texts

    if start.startswith(_PICTURES) or (start[:4], start[8:]) == (b"RIFF", b"WEBP"):
        from nodegraph.images.images import read_metadata

        return read_metadata(path)
    if begins_like_video(start):
        return video_texts(path)
    if begins_like_audio(start):
        return audio_texts(path)
    if start.startswith((GLB, b"ply")) or path.suffix.lower() == ".obj":
        return shape_texts(path)
    if path.suffix.lower() in (".sdf", ".mol", ".pdb", ".smi"):
        return molecule_texts(path)
    return None


def _carried(path: Path, texts: Mapping[str, str]) -> Workflow:
    text = texts.get("workflow")
    if text is None:
        raise InvalidFile(
            f"{path} carries no workflow",
            hint="What nodegraph saved does, unless another program has saved it since.",
        )
    return Workflow.loads(text, name=str(path))
