"""Object stores, by the scheme of their URI. Listing them imports none."""
