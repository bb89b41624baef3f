"""What is done to pictures: tones, colours, filters, places, measures."""
