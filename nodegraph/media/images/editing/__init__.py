"""What is done to images: tones, colours, filters, places, measures."""
