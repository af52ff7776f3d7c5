"""Benchmarks: `suites` for asv, `peers` against other libraries, and where the tables come from."""
