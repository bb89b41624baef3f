"""Static analysis of the source code of diffusers pipelines."""
