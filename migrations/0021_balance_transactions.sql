-- The history of customers' balances: a balance is the sum of its entries.

set local lock_timeout = '10s';

create table customer_balance_transactions (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    customer text collate "C" not null,
    invoice text collate "C",
    amount bigint not null check (amount <> 0),
    ending_balance bigint not null,
    body text compression lz4 not null,
    primary key (id, bucket),
    foreign key (customer, bucket) references customers (id, bucket)
);
create index customer_balance_transactions_customer on customer_balance_transactions (customer, id);
create index customer_balance_transactions_invoice on customer_balance_transactions (invoice) where invoice is not null;
