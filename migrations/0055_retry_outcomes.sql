-- How retries ended, and under which circumstances: what smart retries learn from. A line for each retry is
-- written with its outcome, never changed, and gathered into counts.

set local lock_timeout = '10s';

create table retry_outcomes (
    invoice text collate "C" not null,
    -- which attempt to collect the invoice it was
    attempt bigint not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    decline text not null,
    funding text not null,
    brand text not null,
    country text not null,
    hour smallint not null,
    weekday smallint not null,
    day smallint not null,
    since smallint not null,
    payday boolean not null,
    retry smallint not null,
    recovered boolean not null,
    primary key (invoice, attempt, bucket)
);

-- Counts for each stretch of thirty days, so that what is long ago can be forgotten.
create table retry_statistics (
    livemode boolean not null,
    stretch integer not null,
    decline text not null,
    funding text not null,
    brand text not null,
    country text not null,
    hour smallint not null,
    weekday smallint not null,
    day smallint not null,
    since smallint not null,
    payday boolean not null,
    retry smallint not null,
    attempts integer not null,
    recovered integer not null check (recovered between 0 and attempts),
    primary key (livemode, stretch, decline, funding, brand, country, hour, weekday, day, since, payday, retry)
);
