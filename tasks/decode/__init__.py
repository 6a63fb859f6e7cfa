"""Stage: photos -> upright RGB at the backbone's input size, and the rejected ones."""
