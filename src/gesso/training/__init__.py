"""Training: a loop that can be interrupted anywhere and goes on with the same losses."""
