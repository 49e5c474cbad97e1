"""Tests of what the search orders, chooses and plans."""
