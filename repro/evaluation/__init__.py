"""`repro evaluate`, `leaderboard` and `compare`: judge networks and predictions that others made, without training."""
