-- The chain of the audit log; src/core/audit.ts says how. Null in deliveries from before there was one.
alter table deliveries add column salt text;
alter table deliveries add column link text;
-- Null until what may be about a person is erased from the row: then it stands in for that.
alter table deliveries add column seal text;

-- Where the chain begins: after this delivery, whose link was this. Retention moves it on.
create table audit_anchor (delivery_id integer not null, link text not null) strict;
insert into audit_anchor select coalesce(max(id), 0), printf('%064d', 0) from deliveries;
