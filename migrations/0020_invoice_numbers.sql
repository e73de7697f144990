-- A number that a caller chose for an invoice. Numbers of the server's own count in the customer's row
-- and need no such guard.

set local lock_timeout = '10s';

alter table invoices add column given_number text;
create unique index invoices_given_number on invoices (livemode, given_number, bucket) where given_number is not null;
