-- Customers are found by their email without regard to its case, and then compared exactly where that matters:
-- the index of `email_folded` serves both.

set local lock_timeout = '10s';

drop index customers_email;
