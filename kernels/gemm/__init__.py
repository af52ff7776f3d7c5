"""The fast rung, in the layers of BLIS: product, macro-kernel, micro-kernel, packing, blocksizes."""
