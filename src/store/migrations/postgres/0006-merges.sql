-- The ticket that this one is merged into, and since when; null while it stands for itself.
alter table tickets add column merged_into bigint;
alter table tickets add column merged_at bigint;
-- Of a merged ticket, which is closed, the status that it has again when it is un-merged.
alter table tickets add column own_status text;

create index tickets_merged on tickets (merged_into, id) where merged_into is not null;
