-- Tokens: card details that a browser has handed in, each to be used once.

set local lock_timeout = '10s';

create table tokens (
    id text collate "C" primary key,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    told integer not null default 0,
    body text compression lz4 not null
);
