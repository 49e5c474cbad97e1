"""Repair by search: order, budget and choice. What tries runs in the sandbox."""
