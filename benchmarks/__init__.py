"""Benchmarks: `suites` for asv, `products` against BLAS, `peers` beside other libraries.

`documents` makes the tables of all documents from them.
"""
