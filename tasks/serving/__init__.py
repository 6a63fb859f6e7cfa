"""Serving stage: publishes the champion of a dataset for model servers, one numbered folder a version."""
