"""Copies of runs for experiment trackers: TensorBoard, W&B, MLflow, Trackio. The record does not need them."""
