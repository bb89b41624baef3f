"""Models of things that are no pictures: a few tokens of numbers each."""
