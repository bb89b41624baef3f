"""Ways to sample faster: compiled blocks, fused projections, memory layout, attention, step caches.

None is on by itself. They are options of a denoiser's recipe, so that results know them, and what
they make shares the weights of the model without. docs/speed.md says what each costs.
"""
