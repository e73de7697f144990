set local lock_timeout = '10s';

-- What products can entitle to.
create table features (
    id text collate "C" primary key,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    told integer not null default 0,
    archived boolean not null,
    lookup_key text not null,
    body text not null
);

-- Code that asks whether somebody is entitled does so by this key.
create unique index features_lookup_key on features (livemode, lookup_key);
