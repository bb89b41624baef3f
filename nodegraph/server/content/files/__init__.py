"""Files of strangers: safe names, confined folders, images decoded apart."""
