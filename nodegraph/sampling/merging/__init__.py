"""Steps of several samplings in one batch, where measurements show that it is faster.

Usable without an engine: a `StepMerging` gives seats, a denoiser with a seat meets the others.
"""
