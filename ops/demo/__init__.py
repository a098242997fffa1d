"""A tiny base model made on the spot, and simulated users with a hidden taste."""
