"""What the agent can do, one tool a file, and the workbench that is the only way to do it."""
