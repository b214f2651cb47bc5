"""The benchmark: what the gateway adds to a call, in CPU and in time (scripts/bench)."""
