-- Subscription schedules: what a subscription is to be, phase after phase.

set local lock_timeout = '10s';

create table subscription_schedules (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    told integer not null default 0,
    customer text collate "C" not null,
    test_clock text collate "C",
    subscription text collate "C",
    scheduled boolean not null,
    canceled_at bigint,
    completed_at bigint,
    released_at bigint,
    standing boolean not null,
    prices jsonb not null,
    body text compression lz4 not null,
    primary key (id, bucket),
    foreign key (customer, bucket) references customers (id, bucket)
) with (fillfactor = 85);
create index subscription_schedules_customer on subscription_schedules (customer, id);
create index subscription_schedules_standing on subscription_schedules (customer) where standing;
create index subscription_schedules_due on subscription_schedules (due_at, customer) where due_at is not null and test_clock is null;
create index subscription_schedules_due_on_clock on subscription_schedules (test_clock, due_at)
    where due_at is not null and test_clock is not null;
-- The last line of defence against two schedules of one subscription.
create unique index subscription_schedules_subscription on subscription_schedules (subscription, bucket)
    where standing and subscription is not null;

-- Whether a customer has a schedule that stands: only then are its schedules looked for.
alter table customers add column scheduled boolean not null default false;
