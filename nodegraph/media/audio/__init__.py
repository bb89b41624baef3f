"""Audio: between files and waveforms, other rates, parts, mixtures and pictures of it."""
