-- Money given back.

set local lock_timeout = '10s';

create table refunds (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    customer text collate "C",
    charge text collate "C" not null,
    payment_intent text collate "C" not null,
    attempt bigint not null,
    status text not null,
    currency text not null,
    amount bigint not null check (amount > 0),
    body text compression lz4 not null,
    primary key (id, bucket)
) with (fillfactor = 85);
create index refunds_charge on refunds (charge, id);
create index refunds_payment_intent on refunds (payment_intent, id);
-- The last line of defence against giving back twice.
create unique index refunds_attempt on refunds (payment_intent, attempt, bucket);
