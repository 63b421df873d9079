-- What is written down so that it need not be answered twice. A number is never used again: drafts name it.
create table articles (
  id integer primary key autoincrement,
  -- Where it comes from, a path or an address; null for what was typed in.
  source text,
  title text not null,
  format text not null,
  -- JSON.
  labels text not null,
  sha256 text not null,
  size integer not null,
  created_at integer not null,
  updated_at integer not null,
  -- Each word that it is found by, with a space before and after.
  words text not null,
  body text not null
) strict;
create unique index articles_source on articles (source) where source is not null;

-- An article in pieces, and what each means: a byte a dimension, by the model that made it; null where there is none.
create table chunks (
  id integer primary key autoincrement,
  article_id integer not null,
  heading text not null,
  text text not null,
  model text,
  vector blob
) strict;
create index chunks_article on chunks (article_id);
