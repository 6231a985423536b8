"""What rules cost, and how often the stated risk came true."""
