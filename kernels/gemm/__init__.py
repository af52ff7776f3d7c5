"""The fast rung, as BLIS has it: product, macro-kernel, micro-kernel, packing, blocksizes."""
