"""The encoder of T5Gemma without its decoder, as PRX reads prompts with it.

Source: https://huggingface.co/google/t5gemma-2b-2b-ul2, whose encoder PRX's folders hold alone.
"""

from __future__ import annotations

from typing import Any

from transformers.models.t5gemma import configuration_t5gemma, modeling_t5gemma


class EncoderConfig(configuration_t5gemma.T5GemmaModuleConfig):  # type: ignore[misc]
    """The encoder's configuration, from a file of the encoder alone or of the whole model."""

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Return the configuration that a file's content describes; arguments as in transformers.

        A file of the whole model has the encoder's entries under ``encoder``. diffusers reads this
        form alone, and writes the other.
        """
        encoder = config_dict.get("encoder", config_dict)
        # Entries that T5Gemma sets for its halves, which files of one half need not have.
        usual = {
            "dropout_rate": config_dict.get("dropout_rate", 0.0),
            "cross_attention_hidden_size": None,
        }
        return super().from_dict({**usual, **encoder}, **kwargs)


class T5GemmaEncoder(modeling_t5gemma.T5GemmaEncoder):  # type: ignore[misc]
    """transformers' encoder, with the configuration that it is built from."""

    config_class = EncoderConfig
