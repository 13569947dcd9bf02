"""The program as text and files."""
