-- Browsers that are signed in (intake/sessions.ts). Of what their cookies hold only the SHA-256; nothing about a person.
create table sessions (
  hash text primary key,
  key_id text not null,
  -- SHA-256 of the cookie and the key's hash: another key of the same id opens nothing.
  bond text not null,
  created_at bigint not null,
  seen_at bigint not null,
  expires_at bigint not null
);
create index sessions_key on sessions (key_id, created_at);

-- The public key of each node that signed receipts here, so that whoever is asked can name them all.
create table receipt_keys (
  key_id text primary key,
  node text not null,
  -- PEM.
  public_key text not null,
  first_seen_at bigint not null
);
