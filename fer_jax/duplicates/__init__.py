"""The search for exact and near duplicates among faces."""
