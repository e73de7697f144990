-- Cards that are being set up for payments without the customer.

set local lock_timeout = '10s';

create table setup_intents (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    customer text collate "C",
    test_clock text collate "C",
    payment_method text collate "C",
    status text not null,
    body text compression lz4 not null,
    primary key (id, bucket),
    check (status <> 'succeeded' or payment_method is not null)
);
create index setup_intents_customer on setup_intents (customer, id) where customer is not null;
create index setup_intents_payment_method on setup_intents (payment_method, id) where payment_method is not null;
