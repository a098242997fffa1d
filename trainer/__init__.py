"""Examples, made into an adapter that passed its gates."""
