"""Services for testing the suite: processes of their own that speak the real contracts."""
