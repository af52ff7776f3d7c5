"""The study of speed: products, comparisons, profiles, and the report of them all."""
