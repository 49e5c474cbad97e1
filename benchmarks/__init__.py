"""What scores the product, and what measures it."""
