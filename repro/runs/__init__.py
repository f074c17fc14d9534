"""From a spec to a record: plans, runs, records."""
