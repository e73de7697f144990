-- Sessions of Checkout: pages on which customers pay, subscribe or leave a card.

set local lock_timeout = '10s';

create table checkout_sessions (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    told integer not null default 0,
    customer text collate "C",
    test_clock text collate "C",
    status text not null,
    email text,
    payment_intent text collate "C",
    subscription text collate "C",
    body text compression lz4 not null,
    primary key (id, bucket)
);
create index checkout_sessions_customer on checkout_sessions (customer, id) where customer is not null;
create index checkout_sessions_email on checkout_sessions (email, id) where email is not null;
create index checkout_sessions_payment_intent on checkout_sessions (payment_intent) where payment_intent is not null;
create index checkout_sessions_subscription on checkout_sessions (subscription) where subscription is not null;
create index checkout_sessions_due on checkout_sessions (due_at) where due_at is not null and test_clock is null;
create index checkout_sessions_due_on_clock on checkout_sessions (test_clock, due_at) where due_at is not null and test_clock is not null;
