-- Prefixes of invoice numbers that callers chose, for whichever customer: a reference table, so that they are
-- unique however the customers are spread. Those that the server makes up are chance and need no guard.

set local lock_timeout = '10s';

create table invoice_prefixes (
    id text collate "C" primary key,
    livemode boolean not null,
    created bigint not null,
    due_at bigint,
    told integer not null default 0,
    body text not null
);
