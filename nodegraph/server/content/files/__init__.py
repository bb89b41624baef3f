"""Files of strangers: safe names, confined folders, pictures decoded apart."""
