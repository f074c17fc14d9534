"""Networks in the files of other programs, opened without running more of them than their arithmetic."""
