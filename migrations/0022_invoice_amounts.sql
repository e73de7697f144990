-- What the amounts of an invoice owe each other. Null in rows from before, which the checks let pass.

set local lock_timeout = '10s';

alter table invoices
    add column starting_balance bigint,
    add column ending_balance bigint,
    add column credited bigint check (credited >= 0),
    add constraint invoices_remaining check (amount_remaining >= 0),
    add constraint invoices_numbered check (status = 'draft' or number is not null),
    add constraint invoices_balanced
        check (
            ending_balance is null
            or total + starting_balance = amount_due + credited + ending_balance
            -- voided from the start: a negative total gave no credit
            or total < 0 and amount_due = 0 and ending_balance = starting_balance
        );
