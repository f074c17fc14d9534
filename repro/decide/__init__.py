"""`repro run PAPER --until-decided`: add seeds until a claim is decided, or the budget ends."""
