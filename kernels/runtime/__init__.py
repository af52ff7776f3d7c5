"""What runs ops: compiling, programs of compiled ops, threads, the floating-point mode."""
