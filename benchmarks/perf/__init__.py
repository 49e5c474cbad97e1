"""What things take: ratios measured in one run, by scripts; never by a test."""
