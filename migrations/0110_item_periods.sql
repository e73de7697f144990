-- The periods of a subscription's items, where its items do not all have the same one: lists find it by each.

set local lock_timeout = '10s';

alter table subscriptions add column periods jsonb;
