"""What the gateway tells Prometheus: counted as plain numbers, gathered when it is asked, at most 2,000 series."""
