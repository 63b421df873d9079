-- How often each source is heard, JSON (core/silence.ts).
create table rhythms (source text primary key, rhythm text not null);
