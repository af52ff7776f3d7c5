"""The contract that every kernel keeps, and the trials that look for a counterexample."""
