"""The stages, one package each, in the order in which data flows."""
