"""The card of the model of sounds: what it is, how it was made and how good it is."""

from pathlib import Path
from typing import Any

from training.items.shipping import words_of

_TEMPLATE = Path(__file__).with_name("card.md")
_COLUMNS = (
    ("kind right", "kind_right", "{:.1%}"),
    ("pitch off, median", "pitch_cents", "{:.0f} cents"),
    ("within 50 cents", "pitch_within_50_cents", "{:.1%}"),
    ("length off, median", "length_error_ms", "{:.0f} ms"),
    ("log-spectral distance", "log_spectral_distance_db", "{:.1f} dB"),
    ("mel-cepstral distortion", "mel_cepstral_distortion_db", "{:.1f} dB"),
    ("loudness off", "loudness_difference_lu", "{:.1f} LU"),
)


def card(told: dict[str, Any]) -> str:
    """The card in Markdown, of what training and measuring told."""
    figures, run = told["figures"], told["run"]
    rows = {
        "made by formula": figures["renders"],
        "the same, as spectrograms and back": figures["there_and_back"],
        **{f"model, guidance {scale}": row for scale, row in figures["model"].items()},
    }
    head = [name for name, _, _ in _COLUMNS]
    body = [[name, *_cells(row)] for name, row in rows.items()]
    best = figures["model"][str(figures["best_scale"])]
    return _TEMPLATE.read_text(encoding="utf-8").format(
        **words_of(run),
        count=figures["sounds"],
        walked=figures["steps"],
        scale=f"{figures['best_scale']:g}",
        cpu=best["cpu_ms"],
        table=_table(["", *head], body),
        kinds=_table(
            ["kind", *head[:4]],
            [[name, *_cells(row)] for name, row in figures["kinds"].items()],
        ),
        opened=figures["open"]["kind_right"],
        verdict=_verdict(best),
    )


def _cells(row: dict[str, float]) -> list[str]:
    return [form.format(row[key]) for _, key, form in _COLUMNS if key in row]


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _verdict(row: dict[str, float]) -> str:
    is_met = row["kind_right"] >= 0.95 and row["pitch_cents"] <= 40
    said = "It meets" if is_met else "It doesn't meet"
    return f"{said} its aim: 95 % of the kinds right, and a median pitch error of 40 cents."
