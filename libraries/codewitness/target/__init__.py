"""What is tested: settings, the target that they choose, and what that target can do."""
