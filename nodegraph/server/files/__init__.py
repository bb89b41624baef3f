"""Files that come and go over HTTP: safe names, confined folders, types, ranges, forms."""
