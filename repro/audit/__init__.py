"""What is trained on and evaluated on, compared: the leakage of a paper's protocols, and the faults of a data set."""
