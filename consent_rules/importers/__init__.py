"""Read the configurations of other consent tools."""
