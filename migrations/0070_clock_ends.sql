-- A test clock that is not advancing is due when it is to be deleted.
set local lock_timeout = '10s';

update test_clocks set due_at = (body::json ->> 'deletes_after')::bigint where due_at is null;
