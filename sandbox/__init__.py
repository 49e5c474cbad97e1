"""Where it happens: containers, the supervisor inside them, the workspace and the environment."""
