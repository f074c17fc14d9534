"""Figures of the report: their data (from records and specs), their drawing and their folder."""
