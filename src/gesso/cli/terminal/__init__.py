"""Pictures in a terminal: what it can show, how that is written, and where."""
