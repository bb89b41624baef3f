"""Steps: a sampler for nodegraph."""
