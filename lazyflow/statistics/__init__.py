"""What is computed about columns: results, the registry, value counts, and their folding into few queries."""
