-- Items of a change that waits for its payment stand beside those they may replace: their prices are
-- loaded with the customer's books, but the subscription is not found by them yet.

set local lock_timeout = '10s';

alter table subscription_items add column pending boolean not null default false;
