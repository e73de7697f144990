-- What the server itself remembers: events, deliveries, receipts of idempotent requests, keys.

set local lock_timeout = '10s';

-- Partitioned by id, which is by time: retrieving by id and listing newest first both prune. The server
-- makes next weeks' partitions ahead; `events_other` takes what falls outside.
create table events (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    type text not null,
    -- the exact bytes that are shown, signed and sent
    body text compression lz4 not null,
    primary key (id, bucket)
) partition by range (id);
create table events_other partition of events default;
create index events_type on events (type, id);

-- One row for each event and each endpoint that wants it, until it is acknowledged (then it is gone) or
-- given up (then it stays).
create table deliveries (
    event text collate "C" not null,
    endpoint text collate "C" not null,
    bucket smallint not null,
    created bigint not null,
    due_at bigint,
    attempts integer not null default 0,
    given_up boolean not null default false,
    primary key (event, endpoint, bucket)
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
create index deliveries_due on deliveries (due_at) where due_at is not null;

-- A request with an Idempotency-Key. `status` is null while its payment is under way.
create table idempotency_keys (
    livemode boolean not null,
    key text not null,
    fingerprint bytea not null,
    request text not null,
    created bigint not null,
    -- while under way: what the answer will be about, and until when nobody else may finish it
    subject text,
    leased_until bigint,
    status smallint,
    body text compression lz4,
    primary key (livemode, key)
);
create index idempotency_keys_created on idempotency_keys (created);

create table api_keys (
    id text collate "C" primary key,
    kind text not null check (kind in ('secret', 'publishable')),
    livemode boolean not null,
    hash bytea not null unique,
    -- enough to recognise it by: sk_test_…1234
    hint text not null,
    created bigint not null,
    revoked_at bigint
);

create table accounts (
    id text collate "C" primary key,
    created bigint not null
);
