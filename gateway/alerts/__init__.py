"""Alerts: what is wrong, since when it is worth saying, and who has been told."""
