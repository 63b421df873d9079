-- A job need not be about a ticket, and is no longer deleted by the first fault: made anew to let ticket_id be null.
create table jobs_now (
  id integer primary key,
  kind text not null,
  ticket_id integer,
  run_at integer not null,
  attempts integer not null default 0,
  -- Null while nobody has touched it since its ticket was made; then 'waiting', 'running' or 'dead'.
  state text,
  -- JSON; null is {"ticket_id": …}.
  payload text,
  key text,
  -- Null is what its handler says.
  max_attempts integer,
  last_error text,
  -- Which runner of the one process that has the store.
  locked_by text
) strict;
insert into jobs_now (id, kind, ticket_id, run_at, attempts) select id, kind, ticket_id, run_at, attempts from jobs;
drop table jobs;
alter table jobs_now rename to jobs;

-- None of these holds a new ticket's job, so that a delivery pays for none; those are found by their number.
create index jobs_due on jobs (kind, run_at, attempts) where state = 'waiting';
create index jobs_state on jobs (state, kind) where state is not null;
create unique index jobs_key on jobs (key) where key is not null;

-- What is done again and again, and when next.
create table cron (name text primary key, next_at integer not null) strict, without rowid;
