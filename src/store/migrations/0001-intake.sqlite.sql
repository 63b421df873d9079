create table tickets (
  id integer primary key,
  title text not null,
  description text not null,
  category text not null,
  priority text not null,
  status text not null,
  user_id text,
  user_email text,
  metadata text not null,
  platform text not null,
  account text not null,
  external_id text,
  sent_updated_at integer,
  -- What the sender last said of the fields that a person changed since (JSON), null when nobody did.
  sender_said text,
  -- SHA-256 of what made the ticket; null when it has no external id and so can't be sent again.
  fingerprint text,
  delivery_id integer not null,
  created_at integer not null,
  updated_at integer not null,
  resolved_at integer
) strict;

-- One ticket of a sender is one ticket here, for good.
create unique index tickets_identity on tickets (platform, account, external_id) where external_id is not null;

-- Every request to the intake: the audit log.
create table deliveries (
  id integer primary key,
  received_at integer not null,
  source text not null,
  address text not null,
  method text not null,
  path text not null,
  headers text not null,
  body any,
  body_size integer not null,
  body_sha256 text not null,
  request_id text not null,
  platform text,
  idempotency_key text,
  outcome text not null,
  status integer not null,
  reason text,
  ticket_id integer,
  duration_us integer not null,
  -- Null while the ticket that it made still stands as it was answered; see answerOf.
  answer text
) strict;

-- One delivery is taken once. Duplicates have a row of their own, without the key.
create unique index deliveries_key on deliveries (source, idempotency_key) where idempotency_key is not null;
create index deliveries_outcome on deliveries (outcome, id) where outcome <> 'created';

-- What happened to a ticket after it was made; the first entry, 'created', is the ticket's own row.
create table timeline (
  id integer primary key,
  ticket_id integer not null,
  at integer not null,
  kind text not null,
  actor text not null,
  delivery_id integer,
  changes text not null,
  fingerprint text
) strict;

create index timeline_ticket on timeline (ticket_id, id);
-- The same body about the same ticket is taken once.
create unique index timeline_fingerprint on timeline (ticket_id, fingerprint) where fingerprint is not null;

create table jobs (
  id integer primary key,
  kind text not null,
  ticket_id integer not null,
  run_at integer not null,
  attempts integer not null default 0
) strict;

-- Written by the health check, to know that the disk still takes a commit.
create table heartbeat (at integer not null, filler blob) strict;
insert into heartbeat values (0, null);
