"""Where a loss stopped being a number."""
