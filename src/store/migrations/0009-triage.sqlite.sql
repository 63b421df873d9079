-- Which of the ticket's fields nobody has said yet, so that triage may set them: 1 category, 2 priority. Null for a ticket
-- from before there was triage: all of it counts as said.
alter table tickets add column unsaid integer;

-- What triage made of a ticket, and what from. A cause is decided once, however often its job runs.
create table triage (
  id integer primary key,
  ticket_id integer not null,
  cause text not null,
  decided_at integer not null,
  -- What was suggested, null where nothing was, and whether it was sure.
  category text,
  category_sure integer not null,
  priority text,
  priority_sure integer not null,
  -- JSON, see core/decision.ts.
  decision text not null,
  seen text not null
) strict;
create unique index triage_cause on triage (ticket_id, cause);

-- What people finally say a field is: what triage is measured by, and what it learns from first.
create table verdicts (
  ticket_id integer not null,
  field text not null,
  value text not null,
  at integer not null,
  actor text not null,
  primary key (ticket_id, field)
) strict, without rowid;
create index verdicts_at on verdicts (at);

-- Meaning as numbers: a byte a dimension, by the model that made them.
create table vectors (
  ticket_id integer primary key,
  model text not null,
  vector blob not null
) strict;

-- What operators set while it runs, JSON by name.
create table settings (name text primary key, value text not null, updated_at integer not null) strict, without rowid;
