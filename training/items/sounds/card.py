"""The card of the model of sounds: what it is, how it was made and how good it is."""

# ruff: noqa: E501 - lines of the card are as wide as those of other pages

from typing import Any

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
    return _TEXT.format(
        parameters=run["parameters"] / 1e6,
        megabytes=run["bytes"] / 1e6,
        steps=run["steps"],
        planned=run["planned"],
        batch=run["batch"],
        pool=run["pool"],
        hours=run["seconds"] / 3600,
        loss=run["loss"],
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


_TEXT = """# Sounds

`tiny/sounds` makes sounds of up to a second, 16,000 samples a second, of twenty kinds: asked for by kind, pitch and length, each
of which may be left open. It comes with the package, {megabytes:.1f} MB in float16. This page is written by
`python -m training.items.sounds --work FOLDER`, which trains and measures the model.

## Figures

{verdict}

{count} sounds, each kind as often, pitch and length drawn as in training; {walked} Euler steps, 32 rounds of Griffin-Lim. Distances are
those to other renders of the same requests, so the first row says what chance leaves.

{table}

With guidance {scale}, {cpu} ms of processor time a sound, with its waveform. Where nothing but the kind is asked for, {opened:.1%} are
that kind. By kind, with guidance {scale}:

{kinds}

**The judges.** Kinds: four strided convolutions on spectrograms, 110 thousand parameters, trained on 4,000 renders, half of them there and
back through the model's spectrograms; it never heard a sound that a model made. Pitch: no network, but the likest of renders of the kind,
20 cents and four lengths apart. Length: until a sound stays 40 dB below its loudest moment. None of them is a listener: nobody was asked how
the sounds are liked.

## How it was made

Sounds are made by formula (`training/items/sounds/kinds.py`): partials, plucked strings, noise in bands. No recording is among them.
They become spectrograms of 64 frames and 128 mel bands (windows of 1,024 samples, 256 apart), two frames a token. The network is a
transformer of {parameters:.2f} million parameters (`ItemTransformer`); it gives the clean spectrogram, of which the flow is reckoned. Kind,
pitch (octaves, with sines) and length lead it, each left out now and then.

Trained {steps:,} of {planned:,} steps of {batch} sounds out of {pool:,}, {hours:.1f} hours on one thread; last loss {loss:.3f}.

## What it is not for

It knows twenty formulas, not the instruments that they are called after: a trumpet of it is nobody's trumpet. No speech, no melodies, one
sound at a time. Pitches and lengths beyond those of training come out wrong; `SoundConditioning` says so. Phases are
found by Griffin-Lim, so that beginnings of struck sounds are softer than those made by formula.
"""
