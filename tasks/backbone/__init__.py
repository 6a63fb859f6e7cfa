"""Stage: the name of a backbone -> a description of a frozen, pretrained network, with its weights at hand."""
