-- What is written down so that it need not be answered twice. A number is never used again: drafts name it.
create table articles (
  id bigint generated always as identity primary key,
  -- Where it comes from, a path or an address; null for what was typed in.
  source text collate "C",
  title text not null,
  format text not null,
  -- JSON.
  labels text not null,
  sha256 text not null,
  size integer not null,
  created_at bigint not null,
  updated_at bigint not null,
  words tsvector not null,
  body text not null
);
create unique index articles_source on articles (source) where source is not null;
create index articles_words on articles using gin (words);

-- An article in pieces, and what each means: a byte a dimension, by the model that made it; null where there is none.
create table chunks (
  id bigint generated always as identity primary key,
  article_id bigint not null,
  heading text not null,
  text text not null,
  model text,
  vector bytea
);
create index chunks_article on chunks (article_id);
