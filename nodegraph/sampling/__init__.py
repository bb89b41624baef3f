"""Sampling: noise, schedules, samplers, guiders, controls, prompts, masks, the loop."""
