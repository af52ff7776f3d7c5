"""The ceilings of the machine, and the one stopwatch and spread for everything that is timed."""
