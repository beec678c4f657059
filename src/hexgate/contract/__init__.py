"""The artifact contract: schemas, canonical JSON and digests, evidence, atomic writes, provenance."""
