"""Stage: one dataset, three ways to train, growing numbers of photos -> accuracy and time of each way."""
