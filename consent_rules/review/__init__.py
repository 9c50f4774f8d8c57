"""What a configuration and a change to it mean, in sentences for people."""
