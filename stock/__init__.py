"""Numbers in stock: how they are taken, divided among points and accounted for. Pure."""
