-- Deliveries in the order of their objects: how many events were told of each document, and the number
-- of each event among them.

set local lock_timeout = '10s';

alter table customers add column told integer not null default 0;
alter table products add column told integer not null default 0;
alter table prices add column told integer not null default 0;
alter table test_clocks add column told integer not null default 0;
alter table webhook_endpoints add column told integer not null default 0;
alter table payment_methods add column told integer not null default 0;
alter table subscriptions add column told integer not null default 0;
alter table invoices add column told integer not null default 0;
alter table invoice_items add column told integer not null default 0;
alter table payment_intents add column told integer not null default 0;
alter table invoice_payments add column told integer not null default 0;
alter table charges add column told integer not null default 0;
alter table setup_intents add column told integer not null default 0;
alter table refunds add column told integer not null default 0;
alter table customer_balance_transactions add column told integer not null default 0;
alter table credit_notes add column told integer not null default 0;
alter table settings add column told integer not null default 0;
alter table settings_versions add column told integer not null default 0;

-- The document that an event is about, and the event's number among all that were told of it.
alter table events
    add column object text collate "C" not null default '',
    add column sequence integer not null default 0;
