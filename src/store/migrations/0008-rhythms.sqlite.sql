-- When each source is usually heard (core/silence.ts), so that a restart does not forget it. Written anew every few
-- minutes; losing the last of it changes little.
create table rhythms (
  source text primary key,
  -- JSON, see Rhythm.
  rhythm text not null
) strict;
