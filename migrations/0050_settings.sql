-- What an operator sets, one row for each mode, and every version there has been. Books are opened with
-- the current ones; a row that nobody has changed yet is not even read.

set local lock_timeout = '10s';

create table settings (
    id text collate "C" primary key,
    livemode boolean not null unique,
    created bigint not null,
    due_at bigint,
    version bigint not null check (version >= 0),
    body text not null
);

-- never updated, never deleted
create table settings_versions (
    id text collate "C" primary key,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    version bigint not null check (version > 0),
    body text compression lz4 not null,
    unique (livemode, version)
);

insert into settings (id, livemode, created, version, body) values
    ('settings_test', false, 0, 0, '{"id":"settings_test","livemode":false}'),
    ('settings_live', true, 0, 0, '{"id":"settings_live","livemode":true}');
