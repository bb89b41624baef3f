"""Models that see: folders of transformers that mask things, and tell how far they are."""
