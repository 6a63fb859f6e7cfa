"""`python -m pipeline`: what a person asks of the data root, beside the runs that Luigi starts."""

from pipeline.cli import app

app(prog_name="python -m pipeline")
