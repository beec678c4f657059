"""What records say: times, rates, goodput, objectives, and whether the client can be believed."""
