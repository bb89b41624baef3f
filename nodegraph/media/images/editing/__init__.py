"""What is done to images: tones, colors, filters, places, measures."""
