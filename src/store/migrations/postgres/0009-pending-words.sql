-- New words wait in the index's own list, so that no sender waits for the index: see postgres-index.ts, which merges them.
alter index tickets_words set (gin_pending_list_limit = 65536);
