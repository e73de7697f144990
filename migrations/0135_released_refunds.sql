-- A refund may let go of what was only reserved: then no money goes back, and its amount, which is what the
-- balance lost by it, is 0. What there is already was checked more strictly.

set local lock_timeout = '10s';

alter table refunds
    drop constraint refunds_amount_check,
    add constraint refunds_amount_check check (amount >= 0) not valid;
