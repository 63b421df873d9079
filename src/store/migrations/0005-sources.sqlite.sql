-- Registered senders. A deleted one stays without its settings: once there has been one, the server never falls back
-- to being open.
create table sources (
  id text primary key,
  -- JSON, see SourceSettings.
  settings text not null,
  -- JSON: the signing secrets, each sealed.
  secrets text not null,
  created_at integer not null,
  updated_at integer not null,
  disabled_at integer,
  deleted_at integer
) strict;

-- What each registered sender sent; keys and the open mode have no part in it, and pay nothing for it.
create index deliveries_source on deliveries (source, id)
  where source not glob 'key:*' and source not in ('open', 'unknown');

-- The delivery that this one plays again.
alter table deliveries add column replay_of integer;
create index deliveries_replays on deliveries (replay_of) where replay_of is not null;
