"""Steps of several samplings in one batch, where that was measured to pay (docs/speed.md).

Usable without an engine: a `StepMerging` gives seats, a denoiser with a seat meets the others.
"""
