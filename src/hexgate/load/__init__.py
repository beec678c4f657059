"""Load: a plan made beforehand, drivers that carry it out, a record of each request, figures from these."""
