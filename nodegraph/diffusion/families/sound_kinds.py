"""What the embedded model of sounds is asked by. Imports no torch."""

SOUND_KINDS = (
    *("bell", "drum", "bird", "engine", "plucked string", "harp", "flute", "organ"),
    *("violin", "clarinet", "trumpet", "piano", "marimba", "siren", "laser", "alarm"),
    *("whistle", "frog", "wind", "rattle"),
)
"""In the order that models were trained with."""
SOUND_NUMBERS = ("octaves above 1 Hz", "seconds")
