"""Training, evaluation and prediction: from rows and a network to parameters."""
