"""A language model, as a value. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass

from nodegraph.core.ports import port_type
from nodegraph.core.values import PipelineComponent


@port_type(color="#a3b86c")
@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A language model by itself: what it is made of, not its weights.

    Attributes:
        model: Recipe of its weights; the family is its class in transformers.
        tokenizer: Of its words.
    """

    model: PipelineComponent
    tokenizer: PipelineComponent
