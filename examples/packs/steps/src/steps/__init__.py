"""Steps: a sampler and a guider for nodegraph."""
