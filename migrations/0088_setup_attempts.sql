-- Each time that a card was to be set up for later: with which, and how it went.

set local lock_timeout = '10s';

create table setup_attempts (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    told integer not null default 0,
    customer text collate "C",
    setup_intent text collate "C" not null,
    body text compression lz4 not null,
    primary key (id, bucket)
);
create index setup_attempts_setup_intent on setup_attempts (setup_intent, id);
