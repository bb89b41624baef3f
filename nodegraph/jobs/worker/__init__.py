"""The worker process: it runs the jobs that it is handed, and tells how they fare."""
