-- A store that is being moved here, by the node that it was: how far each table is. A server waits until all are done.
create table imports (
  node text primary key,
  -- JSON: by table, the number of the last row that is here.
  progress text not null,
  started_at bigint not null,
  finished_at bigint
);
