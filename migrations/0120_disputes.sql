-- Payments that their cardholders call into question, and those that an issuer suspects before.

set local lock_timeout = '10s';

create table disputes (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    told integer not null default 0,
    customer text collate "C",
    charge text collate "C" not null,
    payment_intent text collate "C" not null,
    currency text not null,
    -- the movements of money, what each took or brought with its fee, and when
    withdrawal text collate "C",
    withdrawn bigint check (withdrawn > 0),
    withdrawn_at bigint,
    reinstatement text collate "C",
    reinstated bigint check (reinstated > 0),
    reinstated_at bigint,
    body text compression lz4 not null,
    primary key (id, bucket),
    -- No more comes back than was taken.
    check (coalesce(reinstated, 0) <= coalesce(withdrawn, 0))
);
create index disputes_charge on disputes (charge, id);
create index disputes_payment_intent on disputes (payment_intent, id);
-- Movements are found, and listed, by their ids.
create index disputes_withdrawal on disputes (withdrawal) where withdrawal is not null;
create index disputes_reinstatement on disputes (reinstatement) where reinstatement is not null;

create table early_fraud_warnings (
    id text collate "C" not null,
    bucket smallint not null,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    told integer not null default 0,
    customer text collate "C",
    charge text collate "C" not null,
    payment_intent text collate "C" not null,
    body text compression lz4 not null,
    primary key (id, bucket)
);
create index early_fraud_warnings_charge on early_fraud_warnings (charge, id);
create index early_fraud_warnings_payment_intent on early_fraud_warnings (payment_intent, id);
