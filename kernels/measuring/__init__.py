"""The ceilings of the machine, and the one stopwatch and spread by which all is timed."""
