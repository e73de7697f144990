set local lock_timeout = '10s';

-- What lives on a test clock is listed only where its clock or its customer is named.
alter table invoice_items add column test_clock text collate "C";
update invoice_items set test_clock = body::json ->> 'test_clock' where body::json ->> 'test_clock' is not null;
