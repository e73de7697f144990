-- What searches ask for, as columns. Text is compared without regard to case, so what has an index is kept in
-- lower case. `metadata` has the pairs, their values in lower case, and under the empty key a list of all keys;
-- it is null where there is no metadata, so that such rows cost the index nothing.

set local lock_timeout = '10s';

alter table customers
    add column email_folded text collate "C",
    add column name_folded text collate "C",
    add column phone_folded text collate "C",
    add column metadata jsonb;
alter table products
    add column name_folded text collate "C",
    add column description_folded text collate "C",
    add column metadata jsonb;
alter table prices add column metadata jsonb;
alter table subscriptions
    add column canceled_at bigint,
    add column metadata jsonb;
alter table invoices
    add column currency text,
    add column last_finalization_error_code text,
    add column last_finalization_error_type text,
    add column metadata jsonb;
alter table payment_intents
    add column currency text,
    add column metadata jsonb;
alter table charges
    add column amount bigint,
    add column card_brand text,
    add column card_exp_month bigint,
    add column card_exp_year bigint,
    add column card_fingerprint text,
    add column card_last4 text,
    add column disputed boolean,
    add column postal_code text,
    add column refunded boolean,
    add column metadata jsonb;

-- The list of what waits to be merged into such an index is read by every search: it is kept short.
create index customers_metadata on customers using gin (metadata jsonb_path_ops)
    with (gin_pending_list_limit = 512) where metadata is not null;
create index products_metadata on products using gin (metadata jsonb_path_ops)
    with (gin_pending_list_limit = 512) where metadata is not null;
create index prices_metadata on prices using gin (metadata jsonb_path_ops)
    with (gin_pending_list_limit = 512) where metadata is not null;
create index subscriptions_metadata on subscriptions using gin (metadata jsonb_path_ops)
    with (gin_pending_list_limit = 512) where metadata is not null;
create index invoices_metadata on invoices using gin (metadata jsonb_path_ops)
    with (gin_pending_list_limit = 512) where metadata is not null;
create index payment_intents_metadata on payment_intents using gin (metadata jsonb_path_ops)
    with (gin_pending_list_limit = 512) where metadata is not null;
create index charges_metadata on charges using gin (metadata jsonb_path_ops)
    with (gin_pending_list_limit = 512) where metadata is not null;

-- What lives on test clocks, whose times say nothing of its ids. Customers have such an index.
create index subscriptions_test_clock on subscriptions (id) where test_clock is not null;
create index invoices_test_clock on invoices (id) where test_clock is not null;
create index payment_intents_test_clock on payment_intents (id) where test_clock is not null;
