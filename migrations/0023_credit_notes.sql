-- What is taken back of finalised invoices.

set local lock_timeout = '10s';

create table credit_notes (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    customer text collate "C" not null,
    invoice text collate "C" not null,
    number text not null,
    status text not null,
    amount bigint not null check (amount > 0),
    pre_payment_amount bigint not null check (pre_payment_amount >= 0),
    post_payment_amount bigint not null check (post_payment_amount >= 0),
    body text compression lz4 not null,
    primary key (id, bucket),
    foreign key (customer, bucket) references customers (id, bucket),
    check (amount = pre_payment_amount + post_payment_amount)
);
create index credit_notes_customer on credit_notes (customer, id);
-- The last line of defence against two notes of one number.
create unique index credit_notes_number on credit_notes (invoice, number, bucket);
