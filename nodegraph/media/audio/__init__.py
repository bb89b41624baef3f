"""Audio: between files and waveforms, other rates, parts, mixtures and images of it."""
