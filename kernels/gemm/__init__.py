"""The fast rung, built as BLIS is: product, macro-kernel, micro-kernel, packing, blocksizes."""
