"""Chat models by name, and what they cost."""
