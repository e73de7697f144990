-- How a noun rests: the columns it is found, sorted, joined or constrained by, and one JSON document.
-- Ids sort by time under collate "C"; their last two characters name the bucket of their customer.
-- Customer-owned tables are keyed (id, bucket), so that a distributed Postgres can spread them by bucket.

set local lock_timeout = '10s';

create table customers (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    email text,
    test_clock text collate "C",
    deleted boolean not null default false,
    -- how often in a row its due things were refused; parked after ten
    refusals smallint not null default 0,
    body text compression lz4 not null,
    primary key (id, bucket)
) with (fillfactor = 85);
create index customers_email on customers (email, id) where email is not null;
create index customers_test_clock on customers (test_clock, id) where test_clock is not null;

create table products (
    id text collate "C" primary key,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    active boolean not null,
    type text not null,
    url text,
    shippable boolean not null,
    body text compression lz4 not null
);

create table prices (
    id text collate "C" primary key,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    product text collate "C" not null references products (id),
    active boolean not null,
    currency text not null,
    type text not null,
    lookup_key text,
    interval text,
    unit_amount bigint check (unit_amount >= 0),
    body text compression lz4 not null
);
create index prices_product on prices (product, id);
create unique index prices_lookup_key on prices (livemode, lookup_key) where lookup_key is not null;

create table test_clocks (
    id text collate "C" primary key,
    livemode boolean not null check (not livemode),
    created bigint not null,
    due_at bigint,
    status text not null,
    body text not null
);

create table webhook_endpoints (
    id text collate "C" primary key,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    enabled boolean not null,
    body text not null
);

create table payment_methods (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    customer text collate "C",
    type text not null,
    allow_redisplay text not null,
    standing boolean not null,
    body text compression lz4 not null,
    primary key (id, bucket)
);
create index payment_methods_customer on payment_methods (customer, id) where customer is not null;

create table subscriptions (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    customer text collate "C" not null,
    test_clock text collate "C",
    status text not null,
    collection_method text not null,
    current_period_start bigint not null,
    current_period_end bigint not null,
    standing boolean not null,
    body text compression lz4 not null,
    primary key (id, bucket),
    foreign key (customer, bucket) references customers (id, bucket),
    check (current_period_start < current_period_end)
) with (fillfactor = 85, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);
create index subscriptions_customer on subscriptions (customer, id);
create index subscriptions_due on subscriptions (due_at, customer) where due_at is not null and test_clock is null;
create index subscriptions_due_on_clock on subscriptions (test_clock, due_at) where due_at is not null and test_clock is not null;

-- Which prices a subscription's items have. Written when the items change, not at renewals.
create table subscription_items (
    id text collate "C" not null,
    bucket smallint not null,
    subscription text collate "C" not null,
    customer text collate "C" not null,
    price text collate "C" not null,
    primary key (id, bucket),
    foreign key (subscription, bucket) references subscriptions (id, bucket) on delete cascade
);
create index subscription_items_subscription on subscription_items (subscription);
create index subscription_items_customer on subscription_items (customer);
create index subscription_items_price on subscription_items (price, subscription);

create table invoices (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    customer text collate "C" not null,
    subscription text collate "C",
    test_clock text collate "C",
    status text not null,
    collection_method text not null,
    due_date bigint,
    cycle bigint,
    number text,
    total bigint not null,
    amount_due bigint not null check (amount_due >= 0),
    amount_paid bigint not null check (amount_paid >= 0),
    amount_remaining bigint not null,
    standing boolean not null,
    body text compression lz4 not null,
    primary key (id, bucket),
    foreign key (customer, bucket) references customers (id, bucket),
    check (amount_remaining = amount_due - amount_paid),
    check (status <> 'paid' or amount_remaining = 0)
) with (fillfactor = 85);
create index invoices_customer on invoices (customer, id);
create index invoices_subscription on invoices (subscription, id) where subscription is not null;
create index invoices_standing on invoices (customer) where standing;
create index invoices_due on invoices (due_at, customer) where due_at is not null and test_clock is null;
create index invoices_due_on_clock on invoices (test_clock, due_at) where due_at is not null and test_clock is not null;
-- The last line of defence against billing a period twice.
create unique index invoices_cycle on invoices (subscription, cycle, bucket) where cycle is not null;

create table invoice_items (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    customer text collate "C" not null,
    invoice text collate "C",
    standing boolean not null,
    body text compression lz4 not null,
    primary key (id, bucket),
    foreign key (customer, bucket) references customers (id, bucket)
);
create index invoice_items_customer on invoice_items (customer, id);
create index invoice_items_invoice on invoice_items (invoice) where invoice is not null;

create table payment_intents (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    customer text collate "C",
    test_clock text collate "C",
    status text not null,
    amount bigint not null check (amount >= 0),
    standing boolean not null,
    body text compression lz4 not null,
    primary key (id, bucket)
) with (fillfactor = 85);
create index payment_intents_customer on payment_intents (customer, id) where customer is not null;
create index payment_intents_standing on payment_intents (customer) where standing;
create index payment_intents_due on payment_intents (due_at, customer) where due_at is not null and test_clock is null;
create index payment_intents_due_on_clock on payment_intents (test_clock, due_at) where due_at is not null and test_clock is not null;

create table invoice_payments (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    customer text collate "C" not null,
    invoice text collate "C" not null,
    payment_intent text collate "C" not null,
    status text not null,
    standing boolean not null,
    body text compression lz4 not null,
    primary key (id, bucket)
) with (fillfactor = 85);
create index invoice_payments_invoice on invoice_payments (invoice);
create index invoice_payments_payment_intent on invoice_payments (payment_intent);
create index invoice_payments_standing on invoice_payments (customer) where standing;

create table charges (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    customer text collate "C",
    payment_intent text collate "C" not null,
    attempt bigint not null,
    status text not null,
    currency text not null,
    amount_captured bigint not null check (amount_captured >= 0),
    body text compression lz4 not null,
    primary key (id, bucket)
);
create index charges_customer on charges (customer, id) where customer is not null;
-- The last line of defence against charging twice.
create unique index charges_attempt on charges (payment_intent, attempt, bucket);
