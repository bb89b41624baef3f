"""Looking ahead: what a run would find, compute and take, and why."""
