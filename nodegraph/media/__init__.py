"""Images, videos, audio, meshes, molecules, plots, datasets: read, written, drawn."""
