"""Models of things that are no images: a few tokens of numbers each."""
