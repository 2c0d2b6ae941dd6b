"""Alerts on their way to those who are not watching, over HTTP."""
