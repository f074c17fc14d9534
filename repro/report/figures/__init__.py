"""Figures of the report: what each shows (data, from records and specs), how that is drawn, and their folder."""
