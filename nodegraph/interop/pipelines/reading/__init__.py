"""From the source of the installed diffusers to what its pipelines take and give."""
