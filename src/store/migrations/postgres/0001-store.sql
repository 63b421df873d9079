-- Steps are additive: while nodes are brought up to date one by one, the version before works on the newer schema.

create sequence ticket_ids;
create sequence delivery_ids;

create table tickets (
  id bigint primary key,
  title text not null,
  description text not null,
  category text not null,
  priority text not null,
  status text not null,
  user_id text,
  user_email text,
  -- JSON as it is answered, byte for byte, so not jsonb.
  metadata text not null,
  platform text not null,
  account text not null,
  external_id text,
  -- Of platform, account and external id (postgres-tables.ts): an index entry of 2,700 bytes is the largest there is.
  identity text collate "C",
  sent_updated_at bigint,
  -- What the sender last said of the fields that a person changed since (JSON), null when nobody did.
  sender_said text,
  -- What made the ticket; null when it has no external id and so can't be sent again.
  fingerprint text,
  delivery_id bigint not null,
  created_at bigint not null,
  updated_at bigint not null,
  resolved_at bigint,
  -- What it is found by, cut into words by postgres-words.ts.
  words tsvector not null
);

-- One ticket of a sender is one ticket here, for good.
create unique index tickets_identity on tickets (identity) where identity is not null;
create index tickets_status on tickets (status, id);
create index tickets_priority on tickets (priority, id);
create index tickets_category on tickets (category, id);
create index tickets_platform on tickets (platform, id);
create index tickets_words on tickets using gin (words);

-- Every request to the intake: the audit log, one chain a node.
create table deliveries (
  id bigint not null,
  node text not null,
  received_at bigint not null,
  source text not null,
  address text not null,
  method text not null,
  path text not null,
  headers text not null,
  -- The body is in one of the two: text where a database takes it for text.
  body text,
  body_bytes bytea,
  body_size bigint not null,
  body_sha256 text not null,
  request_id text not null,
  platform text,
  idempotency_key text,
  outcome text not null,
  status integer not null,
  reason text,
  ticket_id bigint,
  duration_us bigint not null,
  -- Null while the ticket that it made still stands as it was answered.
  answer text,
  salt text,
  link text,
  -- Null until what may be about a person is erased from the row: then it stands in for that.
  seal text,
  -- The delivery that this one plays again.
  replay_of bigint,
  primary key (id, received_at)
) partition by range (received_at);

-- Takes what belongs to no month that there is a part for, so that nothing is ever refused for its time.
create table deliveries_default partition of deliveries default;

create index deliveries_node on deliveries (node, id);
create index deliveries_outcome on deliveries (outcome, id) where outcome <> 'created';
create index deliveries_source on deliveries (source, id)
  where source not like 'key:%' and source not in ('open', 'unknown');
create index deliveries_replays on deliveries (replay_of) where replay_of is not null;

-- One delivery is taken once. Beside the deliveries, because a unique index on parts needs the time in it.
create table delivery_keys (
  -- Of source and key; see postgres-tables.ts.
  hash text collate "C" primary key,
  delivery_id bigint not null,
  node text not null,
  ticket_id bigint,
  body_sha256 text not null
);

create index delivery_keys_delivery on delivery_keys (node, delivery_id);

-- What happened to a ticket after it was made; the first entry, 'created', is the ticket's own row.
create table timeline (
  id bigint generated always as identity primary key,
  ticket_id bigint not null,
  at bigint not null,
  kind text not null,
  actor text not null,
  delivery_id bigint,
  changes text not null,
  fingerprint text collate "C",
  -- What somebody wrote on the ticket at its sender, as JSON; null for a change without words.
  comment text,
  comment_key text collate "C"
);

create index timeline_ticket on timeline (ticket_id, id);
-- The same body about the same ticket is taken once, and one comment is on the timeline once.
create unique index timeline_fingerprint on timeline (ticket_id, fingerprint) where fingerprint is not null;
create unique index timeline_comment on timeline (ticket_id, comment_key) where comment_key is not null;

-- The chains of the audit log: where each ends, and after which delivery it begins (retention moves that on).
create table nodes (
  id text primary key,
  newest_delivery bigint not null default 0,
  newest_link text not null default repeat('0', 64),
  anchor_delivery bigint not null default 0,
  anchor_link text not null default repeat('0', 64),
  -- Written by the health check, to know that a commit is taken.
  seen_at bigint not null default 0
);

-- API keys. A revoked one stays: once there has been a key, the server never falls back to being open.
create table api_keys (
  id text primary key,
  hash text not null unique,
  name text not null,
  -- Words with spaces between.
  scopes text not null,
  -- Requests a minute.
  rate bigint,
  created_at bigint not null,
  expires_at bigint,
  revoked_at bigint,
  last_used_at bigint
);

-- Registered senders. A deleted one stays without its settings, for the same reason.
create table sources (
  id text primary key,
  -- JSON, see SourceSettings.
  settings text not null,
  -- JSON: the signing secrets, each sealed.
  secrets text not null,
  created_at bigint not null,
  updated_at bigint not null,
  disabled_at bigint,
  deleted_at bigint
);
