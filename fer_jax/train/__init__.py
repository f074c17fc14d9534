"""Training, evaluation and prediction: from samples and a network to parameters."""
