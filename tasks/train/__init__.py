"""Stage: bottlenecks -> a head, with checkpoints."""
