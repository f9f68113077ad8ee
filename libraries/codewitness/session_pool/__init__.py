"""Azure session pools: identity, lifecycle, contract, and a client of their data plane."""
