-- API keys. A revoked one stays: once there has been a key, the server never falls back to being open.
create table api_keys (
  id text primary key,
  hash text not null unique,
  name text not null,
  -- Words with spaces between.
  scopes text not null,
  -- Requests a minute.
  rate integer,
  created_at integer not null,
  expires_at integer,
  revoked_at integer,
  last_used_at integer
) strict;
