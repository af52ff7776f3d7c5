"""What a plan may call besides a matrix product: element-wise functions, losses, updates."""
