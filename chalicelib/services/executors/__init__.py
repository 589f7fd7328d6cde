"""What a step does when its turn comes: one operation, one file, one executor."""
