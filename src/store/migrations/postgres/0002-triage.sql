-- Which of the ticket's fields nobody has said yet, so that triage may set them: 1 category, 2 priority. Null for a ticket
-- from before there was triage: all of it counts as said.
alter table tickets add column unsaid integer;

-- What triage made of a ticket, and what from. A cause is decided once, however often its job runs.
create table triage (
  id bigint generated always as identity primary key,
  ticket_id bigint not null,
  cause text collate "C" not null,
  decided_at bigint not null,
  -- What was suggested, null where nothing was, and whether it was sure.
  category text,
  category_sure boolean not null,
  priority text,
  priority_sure boolean not null,
  -- JSON, see core/decision.ts.
  decision text not null,
  seen text not null
);
create unique index triage_cause on triage (ticket_id, cause);

-- What people finally say a field is: what triage is measured by, and what it learns from first.
create table verdicts (
  ticket_id bigint not null,
  field text not null,
  value text not null,
  at bigint not null,
  actor text not null,
  primary key (ticket_id, field)
);
create index verdicts_at on verdicts (at);

-- Meaning as numbers: a byte a dimension, by the model that made them.
create table vectors (
  ticket_id bigint primary key,
  model text not null,
  vector bytea not null
);

-- What operators set while it runs, JSON by name.
create table settings (name text primary key, value text not null, updated_at bigint not null);
