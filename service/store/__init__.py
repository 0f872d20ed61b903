"""What is kept: tables, blobs, and the rules by which they go."""
