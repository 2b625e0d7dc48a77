"""What the course draws: one style, what experiments share, and one module for each notebook."""
