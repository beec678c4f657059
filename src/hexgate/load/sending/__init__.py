"""What a worker is made of: it sends what is due, stamps what comes, and reads the replies at the end. No NumPy."""
