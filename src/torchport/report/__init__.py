"""What a person reads in the terminal, and the same as data for machines."""
