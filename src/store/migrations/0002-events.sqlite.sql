-- What somebody wrote on the ticket at its sender, as JSON; null for a change without words.
alter table timeline add column comment text;
-- The comment's id and the hash of its text: one comment is on the timeline once, however many events tell of it.
alter table timeline add column comment_key text;
create unique index timeline_comment on timeline (ticket_id, comment_key) where comment_key is not null;
