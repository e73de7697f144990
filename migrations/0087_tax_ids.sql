-- The numbers by which tax offices know customers, and the account itself.

set local lock_timeout = '10s';

create table tax_ids (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    told integer not null default 0,
    -- null: the account's own
    customer text collate "C",
    body text compression lz4 not null,
    primary key (id, bucket),
    foreign key (customer, bucket) references customers (id, bucket)
);
create index tax_ids_customer on tax_ids (customer, id) where customer is not null;
