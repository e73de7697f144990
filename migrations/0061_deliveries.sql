-- Deliveries are leased endpoint by endpoint and object by object. The table is a queue: what is
-- acknowledged is gone, so it is short and its indexes are made at once.

set local lock_timeout = '10s';

alter table deliveries
    add column object text collate "C" not null default '',
    add column sequence integer not null default 0,
    -- somebody is at it, until `due_at`
    add column leased boolean not null default false,
    -- held back by earlier events of its object, it goes nevertheless from then on
    add column waits_until bigint,
    -- sent once more after it was acknowledged: nothing waits for it
    add column again boolean not null default false;

-- Led by the object: the events that stand in the way of another lie beside it, without one more index.
alter table deliveries drop constraint deliveries_pkey;
alter table deliveries add primary key (object, event, endpoint, bucket);
drop index deliveries_due;
create index deliveries_due on deliveries (endpoint, due_at) where due_at is not null;

-- What came of every attempt. Partitioned as events are, day by day, and dropped after its retention;
-- the rest takes what is sent again later than that.
create table delivery_attempts (
    event text collate "C" not null,
    endpoint text collate "C" not null,
    bucket smallint not null,
    attempt integer not null,
    started bigint not null,
    milliseconds integer not null,
    outcome text not null check (outcome in ('delivered', 'failed', 'given_up')),
    -- an earlier event of the object had yet to be delivered
    out_of_order boolean not null,
    url text not null,
    signature text not null,
    -- the answer: its status and the beginning of its body; or why there was none
    status smallint,
    response text compression lz4,
    error text
) partition by range (event);
create table delivery_attempts_other partition of delivery_attempts default;
create index delivery_attempts_event on delivery_attempts (event, endpoint);
