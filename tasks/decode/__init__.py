"""Stage: decodes photos to upright RGB pictures of the backbone's input size, or rejects them."""
