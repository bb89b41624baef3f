"""Text encoders that are language models, writing text: how they are talked to, and their heads."""
