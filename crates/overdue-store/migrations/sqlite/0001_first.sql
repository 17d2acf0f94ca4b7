-- The first layout. Moments are INTEGER microseconds since 1970 (UTC); JSON stands only in tags, notes, contacts and
-- evidence. No column holds a secret: what is kept of one is a keyed fingerprint and a masked preview.

-- What holds for the whole store, such as the id of the key its fingerprints were made with.
CREATE TABLE setting (
  name  TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One execution of a job. `status` is NULL while it lasts; `fence` grows by one each time another process takes it over.
CREATE TABLE run (
  id          INTEGER NOT NULL PRIMARY KEY,
  job         TEXT    NOT NULL,
  occurrence  TEXT    NOT NULL,
  kind        TEXT    NOT NULL CHECK (kind IN ('scheduled', 'manual')),
  due_at      INTEGER NOT NULL,
  holder      TEXT    NOT NULL,
  fence       INTEGER NOT NULL CHECK (fence > 0),
  lease_until INTEGER NOT NULL,
  started_at  INTEGER NOT NULL,
  status      TEXT    CHECK (status IN ('clean', 'findings', 'partial', 'failed')),
  ended_at    INTEGER,
  UNIQUE (job, occurrence),
  CHECK ((status IS NULL) = (ended_at IS NULL))
) STRICT;
CREATE INDEX run_by_job ON run (job, id);
CREATE INDEX run_by_due ON run (job, due_at);

-- How far each job's schedule has been worked off, and which occurrences never ran.
CREATE TABLE schedule (
  job       TEXT    NOT NULL PRIMARY KEY,
  cursor_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE missed (
  job    TEXT    NOT NULL,
  due_at INTEGER NOT NULL,
  why    TEXT    NOT NULL,
  PRIMARY KEY (job, due_at)
) STRICT, WITHOUT ROWID;

-- Accounts as last seen, and which run saw which.
CREATE TABLE account (
  provider TEXT NOT NULL,
  id       TEXT NOT NULL,
  name     TEXT NOT NULL,
  tags     TEXT NOT NULL,
  contacts TEXT NOT NULL,
  PRIMARY KEY (provider, id)
) STRICT, WITHOUT ROWID;
CREATE TABLE run_account (
  run_id     INTEGER NOT NULL REFERENCES run (id),
  position   INTEGER NOT NULL,
  provider   TEXT    NOT NULL,
  account_id TEXT    NOT NULL,
  PRIMARY KEY (run_id, provider, account_id),
  FOREIGN KEY (provider, account_id) REFERENCES account (provider, id)
) STRICT, WITHOUT ROWID;

-- Targets by their key for ever, and how each stood in each run.
CREATE TABLE target (
  id       INTEGER NOT NULL PRIMARY KEY,
  key      TEXT    NOT NULL UNIQUE,
  provider TEXT    NOT NULL,
  account  TEXT    NOT NULL,
  region   TEXT,
  kind     TEXT    NOT NULL,
  name     TEXT    NOT NULL
) STRICT;
CREATE TABLE ledger (
  run_id      INTEGER NOT NULL REFERENCES run (id),
  target_id   INTEGER NOT NULL REFERENCES target (id),
  position    INTEGER NOT NULL,
  state       TEXT    NOT NULL CHECK (state IN ('listed', 'scanned', 'skipped', 'failed')),
  reason      TEXT,
  why         TEXT    NOT NULL,
  credentials INTEGER NOT NULL,
  artifacts   INTEGER NOT NULL,
  scanned     INTEGER NOT NULL,
  unchanged   INTEGER NOT NULL,
  gaps        INTEGER NOT NULL,
  bytes       INTEGER NOT NULL,
  PRIMARY KEY (run_id, target_id),
  CHECK ((state = 'failed') = (reason IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- What each committed page of a target that is still listed counted; added to the ledger's row when the target ends.
CREATE TABLE page (
  run_id      INTEGER NOT NULL,
  target_id   INTEGER NOT NULL,
  page        INTEGER NOT NULL,
  credentials INTEGER NOT NULL,
  artifacts   INTEGER NOT NULL,
  scanned     INTEGER NOT NULL,
  unchanged   INTEGER NOT NULL,
  gaps        INTEGER NOT NULL,
  bytes       INTEGER NOT NULL,
  PRIMARY KEY (run_id, target_id, page),
  FOREIGN KEY (run_id, target_id) REFERENCES ledger (run_id, target_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE gap (
  run_id     INTEGER NOT NULL,
  target_id  INTEGER NOT NULL,
  page       INTEGER NOT NULL,
  position   INTEGER NOT NULL,
  about      TEXT    NOT NULL,
  subject    TEXT    NOT NULL,
  reason     TEXT    NOT NULL,
  detail     TEXT    NOT NULL,
  permission TEXT    NOT NULL,
  mend       TEXT    NOT NULL,
  open_ended INTEGER NOT NULL,
  PRIMARY KEY (run_id, target_id, page, position),
  FOREIGN KEY (run_id, target_id) REFERENCES ledger (run_id, target_id)
) STRICT, WITHOUT ROWID;

-- One row a content, found or clean: `ruleset_id` names the rules it was last scanned with to the end, NULL when it
-- never was. Keys are packed (`git:` and 40 hex digits are 21 bytes), since a large repository has a million of them.
CREATE TABLE ruleset (
  id   INTEGER NOT NULL PRIMARY KEY,
  name TEXT    NOT NULL UNIQUE
) STRICT;
CREATE TABLE content (
  key        BLOB    NOT NULL PRIMARY KEY,
  ruleset_id INTEGER REFERENCES ruleset (id),
  run_id     INTEGER NOT NULL REFERENCES run (id)
) STRICT, WITHOUT ROWID;
CREATE TABLE detection (
  id              INTEGER NOT NULL PRIMARY KEY,
  content_key     BLOB    NOT NULL REFERENCES content (key),
  rule            TEXT    NOT NULL,
  fingerprint     TEXT    NOT NULL,
  preview         TEXT    NOT NULL,
  public_id       TEXT,
  path            TEXT    NOT NULL,
  line            INTEGER,
  column_bytes    INTEGER,
  decoded         TEXT    NOT NULL,
  confidence      TEXT    NOT NULL CHECK (confidence IN ('likely', 'certain')),
  expires_at_unix INTEGER
) STRICT;
CREATE INDEX detection_by_content ON detection (content_key);

-- Artifacts in whose content something was found at some time. One row for each target that sees it.
CREATE TABLE artifact (
  id          INTEGER NOT NULL PRIMARY KEY,
  target_id   INTEGER NOT NULL REFERENCES target (id),
  provider    TEXT    NOT NULL,
  account     TEXT    NOT NULL,
  region      TEXT    NOT NULL,
  name        TEXT    NOT NULL,
  kind        TEXT    NOT NULL,
  thing       TEXT    NOT NULL,
  latest      INTEGER NOT NULL,
  tags        TEXT    NOT NULL,
  modified_at INTEGER,
  placed      INTEGER NOT NULL,
  seen_run_id INTEGER NOT NULL REFERENCES run (id),
  gone_at     INTEGER,
  UNIQUE (target_id, provider, account, region, name)
) STRICT;

-- What an artifact holds as far as we know: one content after a complete read; after a read that broke off, also those
-- from before, since what they held may still be there.
CREATE TABLE artifact_content (
  artifact_id INTEGER NOT NULL REFERENCES artifact (id),
  content_key BLOB    NOT NULL REFERENCES content (key),
  read_at     INTEGER NOT NULL,
  PRIMARY KEY (artifact_id, content_key)
) STRICT, WITHOUT ROWID;
CREATE TABLE placement (
  artifact_id    INTEGER NOT NULL REFERENCES artifact (id),
  position       INTEGER NOT NULL,
  path           TEXT    NOT NULL,
  commit_id      TEXT    NOT NULL,
  author         TEXT    NOT NULL,
  author_address TEXT    NOT NULL,
  committed_at   INTEGER,
  at_tip         INTEGER NOT NULL,
  PRIMARY KEY (artifact_id, position)
) STRICT, WITHOUT ROWID;

-- When a secret was first seen in a thing. `thing` is the artifact without its blob id, so the moment outlives edits,
-- renames and rewritten history.
CREATE TABLE first_seen (
  fingerprint TEXT    NOT NULL,
  thing       TEXT    NOT NULL,
  path        TEXT    NOT NULL,
  at          INTEGER NOT NULL,
  PRIMARY KEY (fingerprint, thing, path)
) STRICT, WITHOUT ROWID;

CREATE TABLE credential (
  id               INTEGER NOT NULL PRIMARY KEY,
  target_id        INTEGER NOT NULL REFERENCES target (id),
  account          TEXT    NOT NULL,
  kind             TEXT    NOT NULL,
  public_id        TEXT    NOT NULL,
  region           TEXT,
  name             TEXT    NOT NULL,
  principal_arn    TEXT    NOT NULL,
  principal_name   TEXT    NOT NULL,
  status           TEXT    NOT NULL CHECK (status IN ('active', 'inactive')),
  issued_at        INTEGER,
  issued_evidence  TEXT,
  last_used        TEXT    NOT NULL CHECK (last_used IN ('at', 'never-since', 'untracked', 'unreadable')),
  last_used_at     INTEGER,
  last_used_detail TEXT    NOT NULL,
  expires_at       INTEGER,
  tags             TEXT    NOT NULL,
  notes            TEXT    NOT NULL,
  first_seen_at    INTEGER NOT NULL,
  seen_at          INTEGER NOT NULL,
  seen_run_id      INTEGER NOT NULL REFERENCES run (id),
  gone_at          INTEGER,
  UNIQUE (target_id, account, kind, public_id),
  CHECK ((issued_at IS NULL) = (issued_evidence IS NULL))
) STRICT;
CREATE INDEX credential_by_id ON credential (account, kind, public_id);

-- Letters. One key, one message id, for ever.
CREATE TABLE notice (
  key         TEXT    NOT NULL PRIMARY KEY,
  job         TEXT    NOT NULL,
  period      TEXT    NOT NULL,
  owner       TEXT    NOT NULL,
  address     TEXT    NOT NULL,
  message_id  TEXT    NOT NULL,
  subject     TEXT    NOT NULL,
  body_digest TEXT    NOT NULL,
  findings    INTEGER NOT NULL,
  run_id      INTEGER NOT NULL REFERENCES run (id),
  state       TEXT    NOT NULL CHECK (state IN ('begun', 'sent', 'refused', 'deferred')),
  detail      TEXT    NOT NULL,
  attempts    INTEGER NOT NULL,
  begun_at    INTEGER NOT NULL,
  ended_at    INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX notice_by_job ON notice (job, period);
