"""The operator's desk: what is looked at now and then, and what follows from it."""
