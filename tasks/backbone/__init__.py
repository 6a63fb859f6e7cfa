"""Stage: what a user names as backbone -> a frozen, pretrained network, its weights at hand."""
