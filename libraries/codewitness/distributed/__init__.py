"""Load from several processes and machines: its plan, a worker's share, the locustfile."""
