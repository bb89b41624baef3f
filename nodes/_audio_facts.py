"""Facts and checks of the audio nodes before they run. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

from nodegraph import Facts, Finding, HookInputs, NodegraphError
from nodegraph.media.audio.audio_files import AudioFacts, audio_facts
from nodegraph.media.audio.codec import check_audio_memory, start_beyond_end_error
from nodegraph.media.audio.transforms import check_same_rate

from ._facts import error_to_finding, input_path


def loaded_audio_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Rate and channels of the audio that LoadAudio reads."""
    path = input_path(inputs)
    if path is None:
        return {}
    try:
        facts = audio_facts(path)
    except NodegraphError:
        # `check_audio` reports it.
        return {}
    return {"audio": {"rate": facts.rate, "channels": facts.channels}}


def check_audio(inputs: HookInputs) -> Iterator[Finding]:
    """Find missing files, files without audio, and parts beyond the end of the audio."""
    path = input_path(inputs)
    if path is None:
        return
    try:
        # Clients of a server must not learn of files that other people put there.
        facts = audio_facts(path, names=inputs.environment.readable is None)
        _check_part(inputs, facts)
    except NodegraphError as error:
        yield error_to_finding(error.problem.port or "path", error)


def _check_part(inputs: HookInputs, facts: AudioFacts) -> None:
    start, seconds = inputs.literals.get("start"), inputs.literals.get("seconds")
    if facts.samples is None or start is None or seconds is None:
        return
    left = facts.samples - round(start * facts.rate)
    if left <= 0:
        raise start_beyond_end_error(start, facts.samples / facts.rate)
    kept = min(left, round(seconds * facts.rate)) if seconds else left
    check_audio_memory(kept, facts.channels, facts.rate, port="seconds")


def resampled_audio_facts(inputs: HookInputs) -> dict[str, Facts]:
    """Rate and channels of the output of ResampleAudio."""
    facts = {"rate": inputs.literals.get("rate"), "channels": inputs.fact("audio", "channels")}
    return {"audio": {name: fact for name, fact in facts.items() if fact is not None}}


def check_mixed(inputs: HookInputs) -> Iterator[Finding]:
    """Find audio with different sample rates, where the rates are known."""
    rates = [inputs.fact(port, "rate") for port in ("audio", "other")]
    try:
        check_same_rate([rate for rate in rates if rate is not None])
    except NodegraphError as error:
        yield error_to_finding("other", error)
