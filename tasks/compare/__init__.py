"""Stage: one dataset, three ways to train, growing numbers of photos -> what each way is worth."""
