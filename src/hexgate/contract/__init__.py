"""The artifact contract: envelope, schemas, canonical JSON and digests, evidence, atomic writes, provenance."""
