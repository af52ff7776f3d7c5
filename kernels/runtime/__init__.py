"""The engine room: compiling, programs of compiled ops, threads, the floating-point mode."""
