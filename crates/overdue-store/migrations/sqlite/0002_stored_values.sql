-- What reading a stored secret's value gave, where a job allows it: when, and keyed fingerprints as JSON. Never the value.
ALTER TABLE credential ADD COLUMN stored_read_at INTEGER;
ALTER TABLE credential ADD COLUMN stored_fingerprints TEXT;
