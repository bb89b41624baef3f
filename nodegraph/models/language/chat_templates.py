"""Chat templates of language models, for one system prompt and one question.

Each is that of the model's own chat template, for a system prompt and one question. Imports no
torch.
"""

from __future__ import annotations

from dataclasses import dataclass

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family

IMAGE_TOKEN = "<|image_pad|>"  # noqa: S105 - no password
"""Stands in what Qwen is told for each 28 x 28 pixels of an image."""
IMAGE_BLOCK = f"<|vision_start|>{IMAGE_TOKEN}<|vision_end|>"
"""What it is told of an image, before the question."""


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """What is put around a question.

    Attributes:
        system: Around the system prompt; left out where there is none.
        question: Around the question, after it.
        stops: Marks by which the model ends its answer.
        silent: What says that it isn't to think first, where it would.
        opening: What all begins with.
        thinking: What the system prompt begins with where the model is to think first.
        thought_start: What opens the thoughts, where the model is to think first.
        thought_end: Token that ends the thoughts; empty where the text ``</think>`` does.
    """

    system: str
    question: str
    stops: tuple[str, ...]
    silent: str = ""
    opening: str = ""
    thinking: str = ""
    thought_start: str = ""
    thought_end: str = ""

    def format(self, prompt: str, system: str = "", *, thinks: bool = False) -> str:
        """All that the model is given to answer to."""
        system = f"{self.thinking}{system}" if thinks else system
        first = self.system.replace("{}", system) if system else ""
        last = self.question.replace("{}", prompt)
        return f"{self.opening}{first}{last}{self.thought_start if thinks else self.silent}"


_QWEN = ChatTemplate(
    "<|im_start|>system\n{}<|im_end|>\n",
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n",
    ("<|im_end|>", "<|endoftext|>"),
)
_GEMMA = ChatTemplate(
    "{}\n\n",
    "{}<end_of_turn>\n<start_of_turn>model\n",
    ("<end_of_turn>", "<eos>"),
    opening="<bos><start_of_turn>user\n",
)
"""Without a turn for the system prompt, which stands before the question."""
CHATS = {
    "qwen2_5_vl": _QWEN,
    # Its Instruct models do not think.
    "qwen3_vl": _QWEN,
    "qwen3": ChatTemplate(_QWEN.system, _QWEN.question, _QWEN.stops, "<think>\n\n</think>\n\n"),
    # Source: the published tokenizer of Qwen/Qwen3.5-9B.
    "qwen3_5": ChatTemplate(
        _QWEN.system,
        _QWEN.question,
        _QWEN.stops,
        "<think>\n\n</think>\n\n",
        thought_start="<think>\n",
    ),
    "gemma2": _GEMMA,
    # Source: transformers, models/gemma3/convert_gemma3_weights.py
    "gemma3": _GEMMA,
    # Source: ComfyUI, comfy/text_encoders/gemma4.py, and the published tokenizer of
    # google/gemma-4-E4B-it.
    "gemma4": ChatTemplate(
        "<|turn>system\n{}<turn|>\n",
        "<|turn>user\n{}<turn|>\n<|turn>model\n",
        ("<turn|>", "<eos>", "<|tool_response>"),
        opening="<bos>",
        thinking="<|think|>\n",
        thought_end="<channel|>",
    ),
    "llama": ChatTemplate(
        "<|start_header_id|>system<|end_header_id|>\n\n{}<|eot_id|>",
        "<|start_header_id|>user<|end_header_id|>\n\n{}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n",
        ("<|eot_id|>", "<|end_of_text|>"),
        opening="<|begin_of_text|>",
    ),
    "mistral": ChatTemplate(
        "[SYSTEM_PROMPT]{}[/SYSTEM_PROMPT]", "[INST]{}[/INST]", ("</s>",), opening="<s>"
    ),
}
"""By the kind of model; see `kind_of`."""
_KINDS = {
    "Qwen2_5_VL": "qwen2_5_vl",
    # Before Qwen3, whose name theirs begin with.
    "Qwen3VL": "qwen3_vl",
    "Qwen3_5": "qwen3_5",
    "Qwen3": "qwen3",
    "Gemma2": "gemma2",
    "Gemma3": "gemma3",
    "Gemma4": "gemma4",
    "Llama": "llama",
    "Mistral": "mistral",
    "Ministral": "mistral",
}


def kind_of(class_name: str) -> str | None:
    """The kind of language model that a class of transformers is; None if it is none known here."""
    return next((kind for begins, kind in _KINDS.items() if class_name.startswith(begins)), None)


def writing_roles(family: Family) -> tuple[str, str] | None:
    """Roles of a family's language model and of its tokenizer; None where it reads prompts by
    others."""
    for at, part in enumerate(family.encoders):
        if kind_of(part.classes[0]) is not None and not part.only_embeds:
            return part.role, family.tokenizers[min(at, len(family.tokenizers) - 1)].role
    return None


def check_can_generate(family: Family) -> tuple[str, str]:
    """The same, where there must be one.

    Raises:
        InvalidValue: On port ``encoder``.
    """
    roles = writing_roles(family)
    if roles is None:
        raise InvalidValue(
            f"the text encoder of {family.title} is not a language model and cannot generate text",
            port="encoder",
            given=family.title,
            expected=_writing_families(),
        )
    return roles


def _writing_families() -> str:
    """Titles of the families whose text encoder is a language model."""
    from nodegraph.families.registry import FAMILIES

    return ", ".join(family.title for family in FAMILIES.values() if writing_roles(family))
