"""What is kept: checkpoints and live records in Redis, past solutions and code knowledge in Qdrant."""
