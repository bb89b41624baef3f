"""What the server keeps and shows: results, uploads, saved workflows, apps, pages."""
