"""The card of the model of motions: what it is, how it was made and how good it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodegraph.families.items.motions import MOTIONS
from training.items.shipping import words_of

_TEMPLATE = Path(__file__).with_name("card.md")
_COLUMNS = (
    ("motion right", "motion_right", "{:.1%}"),
    ("thing right, frame 8", "identity_middle", "{:.1%}"),
    ("frame 11", "identity_late", "{:.1%}"),
    ("last frame", "identity_last", "{:.1%}"),
    ("amount off", "amount_error", "{:.3f}"),
    ("PSNR", "psnr_db", "{:.1f} dB"),
    ("PSNR beside the thing", "psnr_beside_db", "{:.1f} dB"),
)
_AIM = 0.9


def card(told: Mapping[str, Any]) -> str:
    """The card in Markdown, of what training and measuring told."""
    figures, run = told["figures"], told["run"]
    scale = f"{figures['best_scale']:g}"
    best = figures["held"][scale]
    cascade = figures["cascade"]
    return _TEMPLATE.read_text(encoding="utf-8").format(
        **words_of(run),
        count=figures["clips"],
        walked=figures["steps"],
        scale=scale,
        cpu=best["cpu_seconds"],
        verdict=_verdict(best),
        held=_rows(figures["held"]),
        seen=_rows(figures["seen"]),
        motions=_motions(figures["motions"]),
        weakest=_weakest(figures["motions"]),
        pictures=cascade["pictures_right"],
        first=cascade["first_frames_right"],
        moved=cascade["motion_right"],
        middle=cascade["identity_middle"],
        late=cascade["identity_late"],
        last=cascade["identity_last"],
    )


def _rows(rows: Mapping[str, Mapping[str, float]]) -> str:
    names = {"renders": "made by formula", "there_and_back": "the same, as latents and back"}
    body = [[names.get(key, f"model, guidance {key}"), *_cells(row)] for key, row in rows.items()]
    return _table(["", *(name for name, _, _ in _COLUMNS)], body)


def _cells(row: Mapping[str, float]) -> list[str]:
    return [form.format(row[key]) if key in row else "" for _, key, form in _COLUMNS]


def _motions(told: Mapping[str, Any]) -> str:
    body = [
        [name, *(str(count or "") for count in row), str(recognised)]
        for name, row, recognised in zip(
            MOTIONS, told["taken_for"], told["recognised"], strict=True
        )
    ]
    return _table(["asked for", *MOTIONS, "thing right, last frame"], body)


def _weakest(told: Mapping[str, Any]) -> str:
    """The motions that come out right least often, in words."""
    rows = told["taken_for"]
    shares = {
        name: row[place] / sum(row)
        for place, (name, row) in enumerate(zip(MOTIONS, rows, strict=True))
    }
    least = min(shares.values())
    if least == 1:
        return "All motions come out right."
    names = [name for name, share in shares.items() if share == least]
    return f"Right least often, in {least:.0%}: {', '.join(names)}."


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _verdict(row: Mapping[str, float]) -> str:
    is_met = min(row["motion_right"], row["identity_middle"]) >= _AIM
    said = "It meets" if is_met else "It doesn't meet"
    return (
        f"{said} its aim: of things that the training didn't see, {_AIM:.0%} of the motions right, "
        "and as many of the things recognised halfway, in frame 8. "
        f"In the last frame {row['identity_last']:.1%} are."
    )
