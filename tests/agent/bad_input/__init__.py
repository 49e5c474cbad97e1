"""What a user can get wrong, and what a repository can hold: one line says it, nothing is hurt."""
